# REQUIRED INPUTS
#     results/{study}/{rerun}/trials/{slot}.yaml          what a rerun trains
#     results/{study}/{source}/top{k}_best_configs.yaml   the configurations it came from
#     results/{study}/{last}/scores.csv                   the ranking of the last phase
#     results/{study}/{last}/models                       its weights
# OUTPUTS
#     results/{study}/artifacts/{rerun}-configs.json      stamps: version, digests, where it went
#     results/{study}/artifacts/{last}-model.json
#
# The versions themselves are in artifacts/versions/ and are not outputs: they stay when a rule runs
# again. W&B's messages go to the terminal too, since its failures never fail a study.


for study in STUDIES:
    for phase in files.configs_published(study):

        rule:
            name:
                rule_name("publish_configs", study, phase)
            input:
                trials=files.trial_files(LAYOUT, phase),
                best=files.asked_configs(LAYOUT, phase),
            output:
                stamp=LAYOUT.study(study.name).artifact(files.configs_artifact(phase.name)),
            log:
                files.log_file("publish_configs", study, phase),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                name=files.configs_artifact(phase.name),
                folder=LAYOUT.phase(study.name, phase.name).trials,
                only=[path.name for path in files.trial_files(LAYOUT, phase)],
                metadata=canonical_json({"study": study.name, "phase": phase.name}),
                mode=study.tracking.wandb,
                project=lambda wildcards, of=study: of.tracking.project,
                entity=lambda wildcards, of=study: of.tracking.entity or "",
                code=code("upload_rerun_configs.py"),
            message:
                "{rule}: publish the configurations"
            shell:
                f"python {SCRIPTS}/upload_rerun_configs.py "
                "--config-dir {params.folder} "
                "--only {params.only} --best-yaml {input.best} --artifact-name {params.name} "
                "--metadata {params.metadata:q} --mode {params.mode} --project={params.project:q} "
                "--entity={params.entity:q} --stamp {output.stamp} 2>&1 | tee {log}"

    for phase in files.model_published(study):

        rule:
            name:
                rule_name("publish_model", study, phase)
            input:
                scores=LAYOUT.phase(study.name, phase.name).scores,
                models=LAYOUT.phase(study.name, phase.name).models,
            output:
                stamp=LAYOUT.study(study.name).artifact(files.model_artifact(phase.name)),
            log:
                files.log_file("publish_model", study, phase),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                name=files.model_artifact(phase.name),
                metadata=canonical_json({"study": study.name}),
                mode=study.tracking.wandb,
                project=lambda wildcards, of=study: of.tracking.project,
                entity=lambda wildcards, of=study: of.tracking.entity or "",
                code=code("publish_model.py"),
            message:
                "{rule}: publish the best model"
            shell:
                f"python {SCRIPTS}/publish_model.py "
                "--scores {input.scores} "
                "--artifact-name {params.name} --metadata {params.metadata:q} --mode {params.mode} "
                "--project={params.project:q} --entity={params.entity:q} --stamp {output.stamp} "
                "2>&1 | tee {log}"
