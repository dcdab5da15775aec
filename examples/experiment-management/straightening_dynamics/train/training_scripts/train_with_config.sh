#!/usr/bin/env bash
# Train one configuration, in a job or by hand:
#
#     sbatch straightening_dynamics/train/training_scripts/train_with_config.sh [CONFIG]
#     bash straightening_dynamics/train/training_scripts/train_with_config.sh [CONFIG]
#
# It trains on the GPU that the job has, else on the CPU. As your cluster names it:
# sbatch --gres=gpu:1 --partition=gpu ... Submit again after the time limit; it continues.
#SBATCH --job-name=train
#SBATCH --cpus-per-task=2
#SBATCH --mem=12G
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@120
set -euo pipefail
scripts=$(dirname "$0")
if [ ! -f "$scripts/../train.py" ]; then # sbatch runs a copy of this file somewhere else
    scripts=$(scontrol show job "$SLURM_JOB_ID" |
        sed -n 's|^ *Command=\(.*\)/train_with_config\.sh.*|\1|p')
fi
exec python "$scripts/../train.py" "$@"
