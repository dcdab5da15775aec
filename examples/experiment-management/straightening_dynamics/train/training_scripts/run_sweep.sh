#!/usr/bin/env bash
# Train a sweep over a configuration, in one job or by hand:
#
#     sbatch straightening_dynamics/train/training_scripts/run_sweep.sh [CONFIG SWEEP]
#     bash straightening_dynamics/train/training_scripts/run_sweep.sh [CONFIG SWEEP]
#
# It trains on the GPU that the job has, else on the CPU. As your cluster names it:
# sbatch --gres=gpu:1 --partition=gpu ... Submit again after the time limit; it continues.
#SBATCH --job-name=sweep
#SBATCH --cpus-per-task=2
#SBATCH --mem=12G
#SBATCH --time=24:00:00
#SBATCH --signal=B:INT@120
set -euo pipefail
scripts=$(dirname "$0")
if [ ! -f "$scripts/../run_sweep.py" ]; then # sbatch runs a copy of this file somewhere else
    scripts=$(scontrol show job "$SLURM_JOB_ID" |
        sed -n 's|^ *Command=\(.*\)/run_sweep\.sh.*|\1|p')
fi
exec python "$scripts/../run_sweep.py" "$@"
