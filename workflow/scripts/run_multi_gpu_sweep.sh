#!/usr/bin/env bash
# One worker on each GPU of this machine, all on one sweep:
#
#     workflow/scripts/run_multi_gpu_sweep.sh sweep.yaml COUNT_PER_GPU PROJECT [--study NAME ...]
#
# Arguments after PROJECT are passed to run_sweep.py. CUDA_VISIBLE_DEVICES limits the GPUs. Each GPU
# has its own log, logs/gpu_0_sweep.log. After an interruption, run the same command to continue.
set -euo pipefail

if [ "$#" -lt 3 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
file=$1 count=$2 project=$3
shift 3
scripts=$(dirname "$0")
if ! [[ $count =~ ^[1-9][0-9]*$ ]]; then
    echo "error: COUNT_PER_GPU = '$count' should be a whole number above 0" >&2
    exit 2
fi

read -ra gpus < <(python -c 'from resweep.machine.gpus import pool; print(*[gpu.visible for gpu in pool()])')
if [ "${#gpus[@]}" -eq 0 ]; then
    echo "error: no GPU found on this machine; set RESWEEP_GPUS=0,1 to name the GPUs to use" >&2
    exit 1
fi
id=$(python "$scripts/run_sweep.py" --sweep-config "$file" --project "$project" --create-only "$@")

workers=()
trap 'kill -TERM "${workers[@]}" 2>/dev/null' INT TERM
for gpu in "${gpus[@]}"; do
    CUDA_VISIBLE_DEVICES=$gpu python "$scripts/run_sweep.py" --sweep-id "$id" --count "$count" \
        > >(trap "" INT TERM; sed -u "s/^/gpu $gpu: /") 2>&1 &
    workers+=("$!")
done
failed=0
for worker in "${workers[@]}"; do
    while kill -0 "$worker" 2>/dev/null; do
        wait "$worker" || failed=$?
    done
done
exit "$failed"
