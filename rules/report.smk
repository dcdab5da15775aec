# REQUIRED INPUTS
#     results/{study}/{phase}/records/{trial}.json      of all trials of all phases
#     results/{study}/{phase}/scores.csv, decisions.csv of all phases
#     results/{study}/{phase}/decisions/{rung}.csv      of phases with rungs
# OUTPUTS
#     results/{study}/study.yaml                        the resolved study
#     results/{study}/runs.csv                          one row per trial
#     results/{study}/report.html                       everything on one page
# results/runs.csv is rewritten as well: one row per run of the store, of all studies.


for study in STUDIES:
    folder = LAYOUT.study(study.name)

    rule:
        name:
            rule_name("write_study", study)
        output:
            study=report(
                folder.described,
                caption="captions/write_study.rst",
                category=study.name,
                subcategory="all phases",
                labels={"file": "the study"},
            ),
        log:
            files.log_file("write_study", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            content=lambda wildcards, of=study: canonical_json(of.resolved()),
            code=code("write_study.py"),
        message:
            "{rule}: write the resolved study"
        shell:
            f"python {SCRIPTS}/write_study.py "
            "--content @<(printf %s {params.content:q}) "
            "--output {output.study} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"

    rule:
        name:
            rule_name("tabulate", study)
        input:
            records=[path for phase in study.phases for path in files.records(LAYOUT, phase)],
        output:
            table=report(
                folder.table,
                caption="captions/tabulate.rst",
                category=study.name,
                subcategory="all phases",
                labels={"file": "all trials"},
            ),
        log:
            files.log_file("tabulate", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            study=study.name,
            code=code("tabulate_runs.py"),
        message:
            "{rule}: write the tables of runs"
        shell:
            "printf '%s\\n' {input.records} | "
            f"python {SCRIPTS}/tabulate_runs.py "
            "--study {params.study} --records - 2>&1 | tee {log}"

    rule:
        name:
            rule_name("report", study)
        input:
            study=folder.described,
            table=folder.table,
            scores=[folder.phase(phase.name).scores for phase in study.phases],
            decisions=[folder.phase(phase.name).decisions for phase in study.phases],
            rungs=[
                path
                for phase in study.phases
                for path in files.rung_decisions(LAYOUT, phase, phase.stages)
            ],
        output:
            report=report(
                folder.report,
                caption="captions/report.rst",
                category=study.name,
                subcategory="all phases",
                labels={"file": "the report"},
            ),
        log:
            files.log_file("report", study),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            study=study.name,
            code=code("report.py"),
            system=code(system_file(study.system)),  # it describes what it trained
        message:
            "{rule}: write {output.report}"
        shell:
            f"python {SCRIPTS}/report.py "
            "{params.study} --output {output.report} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"
