# REQUIRED INPUTS
#     results/{study}/data/{data_id}.json           the prepared data, where a trial is known
#     results/{study}/{phase}/trials/{slot}.yaml    what the trial trains, where a job writes it
# OUTPUTS
#     results/{study}/{phase}/records/{slot}.json   the trial's result: a link into the run store
#     results/{study}/{phase}/trials/{slot}.yaml    what it trains, where it is known
#
# A rule for each pack of small trainings, and one with a wildcard for trials with a job each. What
# is trained is a param: the content of a trial, or the digest of a pack, whose file
# results/{study}/{phase}/packs/{digest}.json is written before the job starts. A param that takes
# `input` is not recorded: settings never make a finished training stale. What differs between rules
# is in params, since shell commands are formatted when a job starts, after the loop. A trial's
# content is passed as a file: one argument of a command ends at 128 kB. exec: a scheduler's signals
# reach the trainer itself, and the job ends with it. $PPID: it saves and ends
# when the process that started the job is killed.


for study, phase, stage, pack in PACKS:

    rule:
        name:
            train_rule(study, phase, stage, pack)
        input:
            lambda wildcards, of=(phase, stage, pack): training_inputs(*of, wildcards),
        output:
            **files.training_outputs(
                LAYOUT, phase, stage, ("{trial}",) if pack.is_alone else pack.names
            ),
        log:
            files.training_log(study, phase, stage, pack.log_name),
        wildcard_constraints:
            trial=files.trial_pattern(phase, stage, pack),
        conda:
            "../envs/resweep.yaml"
        threads: need(phase, stage, pack, "cpus")
        resources:
            **train_resources(phase, stage, pack),
        params:
            content=lambda wildcards, of=(phase, stage, pack): train_content(*of, wildcards),
            job=lambda wildcards, input, of=(study, phase, stage, pack): train_job(*of, wildcards),
        message:
            "{rule}: {params.job[line]}" + ("" if pack.is_alone else ", cores: {threads}")
        shell:
            f"exec python {SCRIPTS}/"
            "{params.job[command]} --parent $PPID --log {log} "
            "--memory-mb {resources.mem_mb} --cores {threads}"
