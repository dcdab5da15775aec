# REQUIRED INPUTS
#     the local files that a study's data settings name: text, data sets, tokenizers (none for
#     python-docs and for names on the hub)
# OUTPUTS
#     results/{study}/data/{data_id}.json    description and digest; the tokens lie in results/data/


for study in STUDIES:
    for settings in study.data_settings():

        rule:
            name:
                rule_name("prepare_data", study) + f"_{data_name(study, settings)}"
            input:
                [str(path) for path in find_system(study.system).source_files(settings)],
            output:
                data_stamp(study, settings),
            log:
                log_file(f"prepare_data/{data_name(study, settings)}", study),
            localrule: True
            conda:
                "../envs/resweep.yaml"
            params:
                settings=canonical_json(settings),
                system=study.system,
                code=code(
                    "systems/language/corpus",
                    "systems/language/hub",
                    "systems/language/cut_text",
                    "systems/language/tokens",
                    "systems/language/bigram",
                    "systems/language/token_data",
                    "data/store",
                ),
            shell:
                "python workflow/scripts/prepare_data.py --system {params.system} "
                "--settings {params.settings:q} "
                "--stamp {output} > {log} 2>&1"
