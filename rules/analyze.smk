# REQUIRED INPUTS
#     results/{study}/{phase}/records/{trial}.json       the trial; its checkpoints are in the store
# OUTPUTS, which are not part of a study: they are made when they are asked for by name
#     results/{study}/{phase}/gradients/{trial}.json     what the gradients of its checkpoints say
#     results/{study}/{phase}/gradients/{trial}.png      the same as figures
#
# The trial needs checkpoints with gradients: save_gradients: true, and that its weights are kept.


for study, phase in PHASES:
    folder = LAYOUT.phase(study.name, phase.name)

    rule:
        name:
            rule_name("analyze_gradients", study, phase)
        input:
            record=folder.record("{trial}"),
        output:
            numbers=folder.gradients("{trial}"),
            figures=folder.gradient_figures("{trial}"),
        log:
            files.log_file("analyze_gradients", study, phase, "{trial}"),
        localrule: True
        conda:
            "../envs/resweep.yaml"
        params:
            code=code("analyze_gradients.py"),
        message:
            "{rule}: analyze the gradients of trial {wildcards.trial}"
        shell:
            f"python {SCRIPTS}/analyze_gradients.py "
            "{input.record} "
            "--json {output.numbers} --picture {output.figures} "
            "> {log} 2>&1 || {{ cat {log} >&2; exit 1; }}"
