#!/usr/bin/env bash
# Snakemake runs this in the environment that it made from train-cuda.yaml. It compiles for the GPUs of this machine (about
# half an hour on 16 cores; MAX_JOBS limits the memory), with nvcc of the CUDA release that torch was built for.
set -euo pipefail
prefix=${0%.post-deploy.sh} # Snakemake lays this file beside the environment
if ! [ "$(python -c 'import sys; print(sys.prefix)')" -ef "$prefix" ]; then
    echo "post-deploy: $(command -v python) is not the Python of $prefix, which was not activated" >&2
    exit 1
fi
python -m pip install --no-build-isolation --no-deps flash-attn==2.8.3.post2 einops==0.8.2
