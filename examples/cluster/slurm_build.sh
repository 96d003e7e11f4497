#!/usr/bin/env bash
#SBATCH --job-name=cgtool-build
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
# sbatch examples/cluster/slurm_build.sh sources.csv OUT [more options of build-dataset]
# The same line again goes on where the time limit ended it. No disk has to be shared; cgtool must be on every node.
set -euo pipefail
table=$1 out=$2
shift 2

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:6379
export RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

# One core of the head is left to the process that fetches and commits
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
  ray start --block --head --port=6379 --num-cpus=$((SLURM_CPUS_PER_TASK - 1)) &
for _ in $(seq 60); do
  if ray status --address "$address" >/dev/null 2>&1; then break; fi
  sleep 2
done
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --overlap --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks=$((SLURM_JOB_NUM_NODES - 1)) --exclude="$head" \
    ray start --block --address="$address" --num-cpus="$SLURM_CPUS_PER_TASK" &
fi

cgtool build-dataset "$table" --out "$out" --engine ray --address "$address" "$@" &
build=$!
trap 'kill -TERM $build' TERM # a clean stop: what is committed stays
status=0
wait $build || status=$?
if kill -0 $build 2>/dev/null; then # the signal ended the waiting, not the build
  status=0
  wait $build || status=$?
fi
exit $status
