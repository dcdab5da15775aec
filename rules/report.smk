# REQUIRED INPUTS
#     results/{study}/{phase}/records/{trial}.json      of all trials of all phases
#     results/{study}/{phase}/scores.csv, decisions.csv of all phases
#     results/{study}/{phase}/decisions/{rung}.csv      of phases with rungs
# OUTPUTS
#     results/{study}/study.yaml                        the study as it was resolved
#     results/{study}/runs.csv                          one row a trial
#     results/{study}/report.html                       everything as one page
# Beside them results/runs.csv is made anew: one row a run of the store, whatever study it is from.


for study in STUDIES:

    rule:
        name:
            rule_name("write_study", study)
        output:
            study=study_file(study, "study.yaml"),
        log:
            log_file("write_study", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            content=canonical_json(study.resolved()),
            code=code("yaml12"),
        shell:
            "python workflow/scripts/write_study.py --content {params.content:q} "
            "--output {output.study} > {log} 2>&1"

    rule:
        name:
            rule_name("tabulate", study)
        input:
            records=[path for phase in study.phases for path in records(phase)],
        output:
            table=study_file(study, "runs.csv"),
        log:
            log_file("tabulate", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            study=study.name,
            code=code("report/tables", "trials/trial", "trials/record"),
        shell:
            "printf '%s\\n' {input.records} | python workflow/scripts/tabulate_runs.py "
            "--study {params.study} --records - > {log} 2>&1"

    rule:
        name:
            rule_name("report", study)
        input:
            study=study_file(study, "study.yaml"),
            table=study_file(study, "runs.csv"),
            scores=[phase_file(phase, "scores.csv") for phase in study.phases],
            decisions=[phase_file(phase, "decisions.csv") for phase in study.phases],
            rungs=[f for phase in study.phases for f in rung_decisions(phase, phase.stages)],
        output:
            report=study_file(study, "report.html"),
        log:
            log_file("report", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            study=study.name,
            code=code(
                "report/report",
                "report/page",
                "report/charts/trials",
                "report/charts/search",
                "report/results",
                "replay/rung_summary",
            ),
        shell:
            "python workflow/scripts/report.py {params.study} --output {output.report} "
            "> {log} 2>&1"
