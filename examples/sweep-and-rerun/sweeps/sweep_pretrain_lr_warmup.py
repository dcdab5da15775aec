"""Sweep the learning rate and the warmup: the study `lr-warmup` of config/.

python sweeps/sweep_pretrain_lr_warmup.py

trains, ranks and reports with Snakemake; options of Snakemake may follow, as --cores 2 or
--profile profiles/slurm. After an interruption, the same command continues.
"""

import os
import sys

if {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__)
    sys.exit()
command = ["snakemake", "--config", "study=lr-warmup", *sys.argv[1:]]
# Replaces this process, so that signals and exit codes are those of Snakemake.
os.execv(sys.executable, [sys.executable, "-m", *command])
