# REQUIRED INPUTS
#     results/{study}/data/{data_id}.json           the prepared data of the trial
#     results/{study}/{phase}/records/...           bayes: of all earlier rounds
# OUTPUTS
#     results/{study}/{phase}/trials/{trial}.yaml   what the trial trains
#     results/{study}/{phase}/records/{trial}.json  what it got: a link into the run store
# and where there are rungs, before these:
#     results/{study}/{phase}/trials/{rung}/{slot}.yaml    what trains to the rung
#     results/{study}/{phase}/records/{rung}/{slot}.json   what came out
#     results/{study}/{phase}/decisions/{rung}.csv         who goes on, and why
#
# A grid's or random sweep's configurations are params: another value adds jobs and touches none.
# A Bayesian sweep's are written round by round: {rung} is then {round}/{rung}.


for study, phase, stage in STAGES:
    if stage.first and phase.static:

        rule:
            name:
                rule_name("train", study, phase, stage.name)
            input:
                data=trial_data_stamp(study, phase),
            output:
                trial=stage_file(phase, stage, "trials", "{trial}.yaml"),
                record=stage_file(phase, stage, "records", "{trial}.json"),
            log:
                log_file("train", study, phase, stage.folder, "{trial}"),
            conda:
                "../envs/resweep.yaml"
            threads: need(phase, stage, "cpus")
            resources:
                **train_resources(phase, stage),
            params:
                content=lambda wildcards, p=phase, s=stage: p.trial_content(
                    wildcards.trial, s.rung.band
                ),
            shell:
                train_command(study, phase, stage)
                + " --content {params.content:q} --trial {output.trial}"

    else:

        rule:
            name:
                rule_name("train", study, phase, stage.name)
            input:
                trial=stage_file(phase, stage, "trials", "{trial}.yaml"),
            output:
                record=stage_file(phase, stage, "records", "{trial}.json"),
            log:
                log_file("train", study, phase, stage.folder, "{trial}"),
            wildcard_constraints:
                trial="|".join(stage.names),
            conda:
                "../envs/resweep.yaml"
            threads: need(phase, stage, "cpus")
            resources:
                **train_resources(phase, stage),
            shell:
                train_command(study, phase, stage) + " --trial {input.trial}"

    if stage.first and phase.search:

        rule:
            name:
                rule_name("suggest", study, phase, stage.round_name)
            input:
                records=stage_records(phase, phase.stages_before(stage)),
                tables=warm_start(phase),
                data=[data_stamp(study, settings) for settings in phase.data_settings()],
            output:
                stage_trials(phase, stage),
            log:
                log_file("suggest", study, phase, stage.round_name),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                plan=canonical_json(phase.round_plan(stage).content()),
                code=code(
                    "search/suggest",
                    "search/space",
                    "search/observe",
                    "search/rounds",
                    "trials/record",
                ),
            shell:
                "printf '%s\\n' {input.records} | python workflow/scripts/suggest.py --records - "
                "--warm-start {input.tables:q} --plan {params.plan:q} --trials {output} > {log} 2>&1"

    if not stage.last:

        rule:
            name:
                rule_name("promote", study, phase, stage.name)
            input:
                records=stage_records(phase, [stage]),
            output:
                trials=stage_trials(phase, phase.stages[phase.stages.index(stage) + 1]),
                decisions=phase_file(phase, f"decisions/{stage.name}.csv"),
            log:
                log_file("promote", study, phase, stage.name),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                plan=canonical_json(phase.rung_plan(stage).content()),
                code=code(
                    "search/rungs",
                    "search/promote",
                    "ranking/release",
                    "trials/record",
                    "trials/decisions",
                ),
            shell:
                "printf '%s\\n' {input.records} | python workflow/scripts/promote.py --records - "
                "--plan {params.plan:q} --decisions {output.decisions} --trials {output.trials} "
                "> {log} 2>&1"

    elif phase.rungs:

        rule:
            name:
                rule_name("conclude", study, phase, stage.round_name)
            input:
                records=stage_records(phase, phase.stages_of_round(stage)),
                decisions=rung_decisions(phase, phase.stages_of_round(stage)),
            output:
                trials=round_files(phase, stage, "trials", "yaml"),
                records=round_files(phase, stage, "records", "json"),
            log:
                log_file("conclude", study, phase, stage.round_name),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                code=code("search/promote", "trials/record"),
            shell:
                "printf '%s\\n' {input.records} | python workflow/scripts/conclude.py --records - "
                "--decisions {input.decisions} > {log} 2>&1"
