# The environment is built once, from pinned requirements; every target below builds it if needed.
#
#   make help        this text
#   make demo        the quickstart study on real text: about five minutes on two CPU cores
#   make test        the test suite
#   make test-long   the slow tests: many kills, big studies
#   make check       formatting, spelling, types, imports, lint, dry runs of all shipped studies
#   make dag         the jobs of a study, and how far they are: results/STUDY/dag.svg
#   make picture     the pictures of README and docs/; needs Chromium
#   make oracle      W&B's sweep engine, as a test reference, in its own environment
#   make ray         Ray Tune, for a benchmark, in its own environment
#   make bench       the benchmarks of docs/benchmarks.md

PYTHON ?= python3
STUDY ?= quickstart
# Tests at once: four on two cores, since most of them wait for other processes.
JOBS ?= 4
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help demo test test-long check dag picture bench env oracle ray

env: .venv/ready

help:
	@sed -n '/^$$/q; s/^# \{0,1\}//p' Makefile

.venv/ready: requirements.txt pyproject.toml
	@echo "the environment takes 2.1 GB with a CPU build of PyTorch, several GB more with CUDA"
	$(PYTHON) -m venv .venv
	$(PYTHON) envs/install.py .venv requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

oracle: .venv-oracle/ready

.venv-oracle/ready: envs/oracle.txt
	$(PYTHON) -m venv .venv-oracle
	$(PYTHON) envs/install.py .venv-oracle envs/oracle.txt
	touch $@

ray: .venv-ray/ready

.venv-ray/ready: envs/ray.txt
	$(PYTHON) -m venv .venv-ray
	$(PYTHON) envs/install.py .venv-ray envs/ray.txt
	touch $@

demo: env
	snakemake --quiet rules --config study=$(STUDY)

test: env
	pytest -n $(JOBS) -m "not long"

test-long: env oracle
	pytest -n $(JOBS) -m long

check: env
	pre-commit run --all-files
	mypy
	lint-imports --no-cache --no-logo
	snakemake --lint
	for study in config/studies/*.yaml; do \
		snakemake --dry-run --quiet all --config study=$$study || exit 1; done

dag: env
	python workflow/scripts/draw_dag.py $(STUDY)

picture: env
	snakemake --quiet rules --config 'studies=[quickstart,docs/pictures.yaml]'
	python docs/make_picture.py
	python docs/make_study_pictures.py
	python docs/make_training_pictures.py
	python docs/make_watch_picture.py
	python docs/make_rungs_picture.py
	python workflow/scripts/draw_dag.py pretrain-finetune --output docs/dag.svg

bench: env
	python -m benchmarks
