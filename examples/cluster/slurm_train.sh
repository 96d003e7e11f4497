#!/usr/bin/env bash
#SBATCH --job-name=cgtool-train
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
# sbatch examples/cluster/slurm_train.sh PACK RUN SPLIT [more options of bench train]
# PACK and RUN lie on a disk that all nodes see. With --resume as one of the options it goes on.
set -euo pipefail
pack=$1 run=$2 split=$3
shift 3

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes="$SLURM_JOB_NUM_NODES" --nproc_per_node="$SLURM_GPUS_ON_NODE" \
  --rdzv_id="$SLURM_JOB_ID" --rdzv_backend=c10d --rdzv_endpoint="$head:29500" \
  -m cgtool -- bench train "$pack" --run "$run" --split "$split" --preset paper "$@"
