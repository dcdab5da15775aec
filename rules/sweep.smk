# REQUIRED INPUTS
#     results/{study}/data/{data_id}.json           the prepared data of the trial
# OUTPUTS
#     results/{study}/{phase}/trials/{trial}.yaml   what the trial trains
#     results/{study}/{phase}/records/{trial}.json  what it got: a link into the run store
#
# The trial's configuration is a param: another value in the sweep adds jobs and touches none.


for study, phase in SWEEPS:

    rule:
        name:
            rule_name("train", study, phase)
        input:
            data=trial_data_stamp(study, phase),
        output:
            trial=phase_file(phase, "trials/{trial}.yaml"),
            record=phase_file(phase, "records/{trial}.json"),
        log:
            log_file("train", study, phase, "{trial}"),
        conda:
            "../envs/resweep.yaml"
        threads: phase.resources.cpus
        resources:
            gres=need(phase, "gres"),
            mem_mb=need(phase, "mem_mb"),
            runtime=need(phase, "runtime"),
            slurm_partition=need(phase, "partition"),
            slurm_extra=need(phase, "slurm_extra"),
        params:
            content=lambda wildcards, p=phase: p.trial_content(wildcards.trial),
        shell:
            train_command(study, phase) + " --content {params.content:q} --trial {output.trial}"
