# make run: set up, run the demo and print its scores.   make test: set up and pass the tests.
# make start DATA=FOLDER_OR_FILE: look at data of your own and write a first config for it.
# make clean: delete all results, environments and .venv.
# After any but the last: . .venv/bin/activate, then snakemake as usual (snakemake -n, snakemake --cores 4, ...).
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= all
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: run start setup envs test check schema pictures clean

run: setup
	snakemake --cores $(CORES)
	@cat results/scores/compare.txt
	@echo "report: results/report/index.html"

start: setup
	$(if $(DATA),,$(error say where your data is: make start DATA=FOLDER_OR_FILE))
	tools/start "$(DATA)"

setup: .venv/ready

.venv/ready: requirements.txt requirements-dev.txt tools/setup
	tools/setup $(PYTHON)

envs: setup
	snakemake --cores 1 --forceall --conda-create-envs-only
	snakemake --cores 1 --forceall --conda-create-envs-only --snakefile tools/environments.smk

test: envs
	tests/run

check: setup
	tests/run --checks

schema: setup
	.venv/bin/python tools/write_schema.py

pictures: setup
	tools/draw-pictures

clean:
	rm -rf results .snakemake .venv
