# REQUIRED INPUTS
#     the local files that a study's data settings name (none for embedded and downloaded data)
# OUTPUTS
#     results/{study}/data/{data_id}.json    description and digest; the data is in results/data/
#
# Data is named by its settings, like a run: editing code repeats neither it nor its trainings. Where
# nothing of the sources is mounted, the description stays as it is: there is no rule for it.


for study, data in DATA:
    if data.is_final:
        continue

    rule:
        name:
            rule_name("prepare_data", study, stage=data.id)
        input:
            without_braces(data.sources),
        output:
            LAYOUT.study(study.name).data_stamp(data.id),
        log:
            files.log_file("prepare_data", study, None, data.id),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            system=study.system,
            settings=lambda wildcards, settings=data.settings: settings,
        message:
            "{rule}: prepare data"
        shell:
            f"python {SCRIPTS}/prepare_data.py "
            "--system {params.system} "
            "--settings @<(printf %s {params.settings:q}) --stamp {output} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"
