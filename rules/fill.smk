# REQUIRED INPUTS
#     the inputs of a fill (src/resweep/study/kinds/), such as
#     results/{study}/{source}/top{k}_best_configs.yaml    rerun: of the phase that is rerun
#     results/{study}/{phase}/records/...                  sweep: of earlier rounds, of the rung
#     results/{study}/data/{data_id}.json                  the prepared data
# OUTPUTS
#     results/{study}/{phase}/trials/{slot}.yaml           what trains next
#     results/{study}/{phase}/decisions/{rung}.csv         which trials continue, and why
#     results/{study}/{phase}/records/{trial}.json         with rungs: of each trial's last one


for study, phase, fill in FILLS:

    rule:
        name:
            rule_name(fill.verb, study, phase, fill.stage)
        input:
            **{name: without_braces(given) for name, given in fill.inputs.items()},
            records=fill.records,
        output:
            **fill.outputs,
        log:
            files.log_file(fill.verb, study, phase, fill.stage),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            command=lambda wildcards, f=fill: f.command(SCRIPTS),
            code=code(fill.script),
        message:
            "{rule}: choose the next trials"
        shell:
            "printf '%s\\n' {input.records} | {params.command} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"
