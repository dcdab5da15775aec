# REQUIRED INPUTS
#     results/{study}/{phase}/records/{trial}.json     of all trials of the phase
# OUTPUTS
#     results/{study}/{phase}/scores.csv               the ranking
#     results/{study}/{phase}/top{k}_best_configs.yaml its first k configurations, for any k
#     results/{study}/{phase}/models/{trial}           links to the weights that are kept
#     results/{study}/{phase}/decisions.csv            why they are kept
#
# Warnings about weights go to the terminal too.


for study, phase in PHASES:
    folder = LAYOUT.phase(study.name, phase.name)

    rule:
        name:
            rule_name("score", study, phase)
        input:
            records=files.records(LAYOUT, phase),
        output:
            scores=report(
                folder.scores,
                caption="captions/score.rst",
                category=study.name,
                subcategory=phase.name,
                labels={"file": "the ranking"},
            ),
        log:
            files.log_file("score", study, phase),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            score=canonical_json(phase.score.model_dump()),
            tolerate=study.tolerate_failures,
            study=study.name,
            code=code("score.py"),
        message:
            "{rule}: rank the trials"
        shell:
            "printf '%s\\n' {input.records} | "
            f"python {SCRIPTS}/score.py "
            "--records - "
            "--scores {output.scores} --study {params.study} --score {params.score:q} "
            "--tolerate-failures {params.tolerate} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"

    rule:
        name:
            rule_name("select", study, phase)
        input:
            scores=folder.scores,
        output:
            best=report(
                folder.best_configs("{k}"),
                caption="captions/select.rst",
                category=study.name,
                subcategory=phase.name,
                labels={"file": "the best {k}"},
            ),
        log:
            files.log_file("select", study, phase, "top{k}"),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            trials=len(phase.trials),
            code=code("select_best.py"),
        message:
            "{rule}: choose the best {wildcards.k}"
        shell:
            f"python {SCRIPTS}/select_best.py "
            "--scores {input.scores} --top {wildcards.k} "
            "--trials {params.trials} --output {output.best} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"

    rule:
        name:
            rule_name("keep", study, phase)
        input:
            scores=folder.scores,
            rungs=files.rung_decisions(LAYOUT, phase, phase.stages),
        output:
            models=directory(folder.models),
            decisions=report(
                folder.decisions,
                caption="captions/keep.rst",
                category=study.name,
                subcategory=phase.name,
                labels={"file": "the decisions"},
            ),
        log:
            files.log_file("keep", study, phase),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            study=study.name,
            phase=phase.name,
            policy=phase.keep,
            top=phase.selects,
            trials=len(phase.trials),
            best_of_study=files.best_of_study(study, phase),
            code=code("keep_models.py"),
        message:
            "{rule}: keep the weights of the best"
        shell:
            f"python {SCRIPTS}/keep_models.py "
            "--study {params.study} --phase {params.phase} "
            "--policy {params.policy} --top {params.top} --scores {input.scores} "
            "--trials {params.trials} "
            "--models {output.models} --decisions {output.decisions} --rungs {input.rungs} "
            "--best-of-study {params.best_of_study:q} 2>&1 | tee {log}"
