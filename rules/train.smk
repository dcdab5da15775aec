# REQUIRED INPUTS
#     results/{study}/data/{data_id}.json           the prepared data, where a trial is known
#     results/{study}/{phase}/trials/{slot}.yaml    what the trial trains, where a job writes it
# OUTPUTS
#     results/{study}/{phase}/records/{slot}.json   the trial's result: a link into the run store
#     results/{study}/{phase}/trials/{slot}.yaml    what it trains, where it is known
#
# The content of a known trial is a param: a new value of a grid adds jobs and changes no others. A
# param that takes `input` is not recorded: settings never make a finished training stale. What
# differs between rules is in params, since shell commands are formatted when a job starts, after
# the loop. The content is passed as a file: one argument of a command ends at 128 kB. exec: a
# scheduler's signals reach the trainer itself, and the job ends with it.


for study, phase, stage in STAGES:

    rule:
        name:
            rule_name("train", study, phase, stage.name)
        input:
            lambda wildcards, p=phase, s=stage: training_inputs(p, s, wildcards.trial),
        output:
            **files.training_outputs(LAYOUT, phase, stage),
        log:
            files.log_file("train", study, phase, stage.folder, "{trial}"),
        wildcard_constraints:
            trial=files.trial_pattern(phase, stage),
        conda:
            "../envs/resweep.yaml"
        threads: need(phase, stage, "cpus")
        resources:
            **train_resources(phase, stage),
        params:
            content=lambda wildcards, p=phase, s=stage: files.trial_content(p, s, wildcards.trial),
            job=lambda wildcards, input, of=(study, phase, stage): train_job(*of, wildcards.trial),
        message:
            "{rule}: {params.job[line]}"
        shell:
            "exec python workflow/scripts/train.py {params.job[settings]} "
            "--content=@<(printf %s {params.content:q}) "
            "--record {output.records} --log {log} --memory-mb {resources.mem_mb}"
