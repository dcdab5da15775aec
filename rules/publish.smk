# REQUIRED INPUTS
#     results/{study}/{rerun}/trials/{slot}.yaml          what a rerun trains
#     results/{study}/{source}/top{k}_best_configs.yaml   the configurations it came from
#     results/{study}/{last}/scores.csv                   the ranking of the last phase
#     results/{study}/{last}/models                       its weights
# OUTPUTS
#     results/{study}/artifacts/{rerun}-configs.json      stamps: version, digests, where it went
#     results/{study}/artifacts/{last}-model.json
#
# The versions themselves lie in artifacts/versions/ and are no outputs: they stay when a rule runs
# again. What W&B has to say goes to the terminal too, since it never fails a study.


for study, phase in RERUNS:
    if not study.publish.configs:
        continue

    rule:
        name:
            rule_name("publish_configs", study, phase)
        input:
            trials=trial_files(phase),
            best=phase_file(study.phase(phase.source), f"top{phase.top}_best_configs.yaml"),
        output:
            stamp=study_file(study, f"artifacts/{phase.name}-configs.json"),
        log:
            log_file("publish_configs", study, phase),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            name=f"{phase.name}-configs",
            folder=lambda wildcards, input: os.path.dirname(input.trials[0]),
            only=[f"{trial}.yaml" for trial in phase.trials],
            metadata=canonical_json({"study": study.name, "phase": phase.name}),
            mode=study.tracking.wandb,
            project=study.tracking.project,
            entity=study.tracking.entity or "",
            code=code("publish/artifacts", "publish/contents", "wandb/process"),
        shell:
            "python workflow/scripts/upload_rerun_configs.py --config-dir {params.folder} "
            "--only {params.only} --best-yaml {input.best} --artifact-name {params.name} "
            "--metadata {params.metadata:q} --mode {params.mode} --project {params.project:q} "
            "--entity={params.entity:q} --stamp {output.stamp} 2>&1 | tee {log}"


for study in STUDIES:
    if study.publish.models == "none":
        continue
    phase = study.phases[-1]

    rule:
        name:
            rule_name("publish_model", study, phase)
        input:
            scores=phase_file(phase, "scores.csv"),
            models=phase_file(phase, "models"),
        output:
            stamp=study_file(study, f"artifacts/{phase.name}-model.json"),
        log:
            log_file("publish_model", study, phase),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            name=f"{phase.name}-model",
            metadata=canonical_json({"study": study.name}),
            mode=study.tracking.wandb,
            project=study.tracking.project,
            entity=study.tracking.entity or "",
            code=code("publish/artifacts", "publish/contents", "wandb/process"),
        shell:
            "python workflow/scripts/publish_model.py --scores {input.scores} "
            "--artifact-name {params.name} --metadata {params.metadata:q} --mode {params.mode} "
            "--project {params.project:q} --entity={params.entity:q} --stamp {output.stamp} "
            "2>&1 | tee {log}"
