# REQUIRED INPUTS
#     the local files that a study's data settings name: text, data sets, tokenizers (none for
#     python-docs and for names on the hub)
# OUTPUTS
#     results/{study}/data/{data_id}.json    description and digest; the tokens lie in results/data/
#
# Data is named by its settings, like a run: edited code does not make it again, nor what trained on it.


for study in STUDIES:
    for settings in study.data_settings():

        rule:
            name:
                rule_name("prepare_data", study, stage=data_id(settings))
            input:
                [str(path) for path in source_files(settings)],
            output:
                LAYOUT.study(study.name).data_stamp(data_id(settings)),
            log:
                files.log_file("prepare_data", study, None, data_id(settings)),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                settings=canonical_json(settings),
            shell:
                "python workflow/scripts/prepare_data.py --settings {params.settings:q} "
                "--stamp {output} > {log} 2>&1"
