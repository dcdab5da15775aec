# Targets with names: a stage of a study, of a phase, or of several studies, without the rest.
# `snakemake --list-target-rules` has their names, `resweep targets STUDY` also says what they are.

for name, target in stage_targets(LAYOUT, STUDIES).items():

    rule:
        name:
            name
        input:
            lambda wildcards, of=target: of.files(),


for _target in targets_given():
    _names = ["all", *(rule.name for rule in workflow.rules if not rule.has_wildcards())]
    if _line := unknown_target(_target, _names, LAYOUT, STUDIES):
        raise SystemExit(f"error: {_line}")
