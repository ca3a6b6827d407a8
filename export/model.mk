# The model that ships, from papers to bundle: papers joined, linear view, papers to train on, encoder, export,
# combination, certificate. The encoder learns in two passes: from many papers, then from fewer and harder ones.
# Finished steps are not repeated, and training is resumed; remove $(WORK) to start from the beginning.
# Every step is seeded and writes its log into $(WORK).

PYTHON ?= python3
DATA ?= ../shared/data
WORK ?= runs/model
OUTPUT ?= ro32/shipped
LINEAR_FLAGS ?=
MANY_FLAGS ?= --hard-negatives 90000 --random-negatives 40000
HARDER_FLAGS ?=
# Where the papers to 2019 lose little F1, and those from 2020 on little too.
VIEWS_FLAGS ?= --threshold 0.37
# Minutes on a GPU; some five hours on two cores. A sample that is chosen already needs no second choice.
ALL := --hard-negatives 10000000 --random-negatives 0
FIRST_FLAGS ?= --preset small --epochs 1 --no-average --batch-size 128 --learning-rate 1.5e-4 $(ALL)
SECOND_FLAGS ?= --preset update --limit 18000 --learning-rate 4e-5
EXPORT_FLAGS ?= --name ro32-small
CERTIFY_FLAGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
export HF_HUB_OFFLINE := 1

COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
train := $(WORK)/train.parquet
validation := $(WORK)/validation.parquet
columns := id title abstract categories created update_date

# Two files of papers as one: to 2019, and from 2020 on, whose ids tell their months.
define JOIN
import sys, polars as pl
target, *sources = sys.argv[1:]
month = "20" + pl.col("id").str.slice(0, 2) + "-" + pl.col("id").str.slice(2, 2)
known = (pl.read_parquet(path) for path in sources)
dated = (frame if "created" in frame.columns else frame.with_columns(created=month) for frame in known)
pl.concat([frame.select("$(columns)".split()).cast(pl.String) for frame in dated]).write_parquet(target)
endef
export JOIN

.PHONY: bundle
bundle: $(WORK)/encoder/bundle.json $(WORK)/linear.safetensors
	$(PYTHON) -m export.views $(WORK)/encoder --linear $(WORK)/linear.safetensors --papers $(validation) \
		--scores $(WORK)/scores.parquet --shares $(DATA)/archive_shares.csv $(VIEWS_FLAGS) -o $(OUTPUT) --overwrite \
		--made-by "\`make model\` at commit $(COMMIT), the encoder's training at commit $$(cat $(WORK)/trained)." \
		2>&1 | tee $(WORK)/views.log
	$(PYTHON) -m export.certify $(OUTPUT) --papers $(validation) --scores $(WORK)/scores.parquet $(CERTIFY_FLAGS) \
		2>&1 | tee $(WORK)/certify.log

$(WORK)/%.parquet: $(DATA)/%.parquet $(DATA)/modern_%.parquet
	mkdir -p $(WORK)
	$(PYTHON) -c "$$JOIN" $@ $^

$(WORK)/linear.safetensors: $(train) $(validation)
	$(PYTHON) -m ro32.cli.linear --data $(train) --validation $(validation) -o $@ $(LINEAR_FLAGS) \
		2>&1 | tee $(WORK)/linear.log

$(WORK)/many.parquet: $(train)
	$(PYTHON) -m ro32.cli.sample --data $(train) -o $@ $(MANY_FLAGS) 2>&1 | tee $(WORK)/many.log

$(WORK)/harder.parquet: $(train)
	$(PYTHON) -m ro32.cli.sample --data $(train) -o $@ $(HARDER_FLAGS) 2>&1 | tee $(WORK)/harder.log

$(WORK)/first/training.json: $(WORK)/many.parquet $(validation)
	$(PYTHON) -m ro32.cli.train --data $(WORK)/many.parquet --validation $(validation) \
		-o $(@D) $(FIRST_FLAGS) 2>&1 | tee -a $(WORK)/first.log

$(WORK)/trained: $(WORK)/harder.parquet $(WORK)/first/training.json $(validation)
	$(PYTHON) -m ro32.cli.train --data $(WORK)/harder.parquet --validation $(validation) --base $(WORK)/first \
		-o $(WORK)/checkpoint $(SECOND_FLAGS) 2>&1 | tee -a $(WORK)/second.log
	echo $(COMMIT) > $@

$(WORK)/encoder/bundle.json: $(WORK)/trained
	$(PYTHON) -m export $(WORK)/checkpoint -o $(WORK)/encoder --papers $(validation) \
		--scores-out $(WORK)/scores.parquet --overwrite $(EXPORT_FLAGS) 2>&1 | tee $(WORK)/export.log
