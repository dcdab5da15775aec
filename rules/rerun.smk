# REQUIRED INPUTS
#     results/{study}/{source}/top{k}_best_configs.yaml   best configurations of an earlier phase
#     results/{study}/data/{data_id}.json                 the prepared data
# OUTPUTS
#     results/{study}/{phase}/trials/{slot}.yaml          one for each best configuration and seed
#     results/{study}/{phase}/records/{slot}.json         what it got: a link into the run store


for study, phase in RERUNS:

    rule:
        name:
            rule_name("plan", study, phase)
        input:
            best=phase_file(study.phase(phase.source), f"top{phase.top}_best_configs.yaml"),
            data=[data_stamp(study, settings) for settings in phase.data_settings()],
        output:
            trial_files(phase),
        log:
            log_file("plan", study, phase),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            plan=canonical_json(phase.plan()),
            code=code("ranking/selection"),
        shell:
            "python workflow/scripts/plan_rerun.py --best {input.best} --plan {params.plan:q} "
            "--trials {output} > {log} 2>&1"

    rule:
        name:
            rule_name("train", study, phase)
        input:
            trial=phase_file(phase, "trials/{trial}.yaml"),
        output:
            record=phase_file(phase, "records/{trial}.json"),
        log:
            log_file("train", study, phase, "{trial}"),
        conda:
            "../envs/resweep.yaml"
        threads: need(phase, None, "cpus")
        resources:
            **train_resources(phase, None),
        shell:
            train_command(study, phase, None) + " --trial {input.trial}"
