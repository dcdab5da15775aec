#!/usr/bin/env bash
# One worker on each GPU, all on one sweep, with a log in this folder for each: gpu_0_sweep.log
#
#     ./run_multi_gpu_sweep.sh sweep_config_minimal.yaml COUNT_PER_GPU PROJECT
set -euo pipefail
if [ -f "${1-}" ]; then
    set -- "$(realpath "$1")" "${@:2}" # it may be somewhere else than this folder
fi
cd "$(dirname "$0")"
read -ra gpus < <(python3 -c 'from resweep.machine.gpus import pool; print(*[gpu.name for gpu in pool()])')
for gpu in "${gpus[@]}"; do
    ln -sfn "logs/gpu_${gpu}_sweep.log" "gpu_${gpu}_sweep.log"
done
exec workflow/scripts/run_multi_gpu_sweep.sh "$@"
