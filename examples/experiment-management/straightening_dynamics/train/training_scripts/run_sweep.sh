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
#SBATCH --signal=B:USR1@120
set -euo pipefail
scripts=$(dirname "$0")
if [ ! -f "$scripts/../run_sweep.py" ]; then # sbatch runs a copy of this file somewhere else
    scripts=$(scontrol show job "$SLURM_JOB_ID" |
        sed -n 's|^ *Command=\(.*\)/run_sweep\.sh.*|\1|p')
fi
command=(python "$scripts/../run_sweep.py" "$@")
if [ -z "${SLURM_JOB_ID-}" ]; then
    exec "${command[@]}"
fi
# What SLURM tells this shell is told Snakemake and its trainings, as by Ctrl-C: they are a process
# group of their own.
set -m +e
"${command[@]}" &
group=$!
trap 'kill -INT -- "-$group"' USR1 TERM
while :; do
    wait "$group"
    code=$?
    kill -0 "$group" 2> /dev/null || exit "$code"
done
