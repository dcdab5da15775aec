# resweep: from a sweep file to trained, ranked, rerun and published models.
#
#     snakemake                              this machine
#     snakemake --profile profiles/slurm     the cluster
#     snakemake -n                           the whole plan, before a second is spent
#     snakemake --config study=NAME          another study of config/studies/
#
# config/config.yaml says which studies; it is read by the rules of YAML 1.2, like all of config/.


wildcard_constraints:
    trial="[A-Za-z0-9_-]+",
    k="[0-9]+",


include: "rules/common.smk"
include: "rules/prepare_data.smk"
include: "rules/fill.smk"
include: "rules/train.smk"
include: "rules/rank.smk"
include: "rules/publish.smk"
include: "rules/report.smk"
include: "rules/analyze.smk"
include: "rules/targets.smk"


onstart:
    begin_screen()


onsuccess:
    end(failed=False, logs=log)


onerror:
    end(failed=True, logs=log)


rule all:
    default_target: not IS_MODULE
    input:
        TARGETS,
