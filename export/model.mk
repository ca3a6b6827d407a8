# The model that ships, from papers to bundle, in five steps: linear view, encoder, export, combination, certificate.
# A step that is done is not done again, and training goes on where it was stopped; remove $(WORK) to start anew.
# Every step is seeded and writes its log into $(WORK).

PYTHON ?= python3
DATA ?= ../shared/data
WORK ?= runs/model
OUTPUT ?= ro32/shipped
LINEAR_FLAGS ?=
TRAIN_FLAGS ?= --preset small
EXPORT_FLAGS ?= --name ro32-small
CERTIFY_FLAGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
export HF_HUB_OFFLINE := 1

COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
train := $(DATA)/train.parquet
validation := $(DATA)/validation.parquet

.PHONY: bundle
bundle: $(WORK)/encoder/bundle.json $(WORK)/linear.safetensors
	$(PYTHON) -m export.views $(WORK)/encoder --linear $(WORK)/linear.safetensors --papers $(validation) \
		--scores $(WORK)/scores.parquet -o $(OUTPUT) --overwrite \
		--made-by "\`make model\` at commit $(COMMIT), the encoder's training at commit $$(cat $(WORK)/trained)." \
		2>&1 | tee $(WORK)/views.log
	$(PYTHON) -m export.certify $(OUTPUT) --papers $(validation) --scores $(WORK)/scores.parquet $(CERTIFY_FLAGS) \
		2>&1 | tee $(WORK)/certify.log

$(WORK)/linear.safetensors:
	mkdir -p $(WORK)
	$(PYTHON) -m ro32.cli.linear --data $(train) --validation $(validation) -o $@ $(LINEAR_FLAGS) \
		2>&1 | tee $(WORK)/linear.log

$(WORK)/trained:
	mkdir -p $(WORK)
	$(PYTHON) -m ro32.cli.train --data $(train) --validation $(validation) -o $(WORK)/checkpoint $(TRAIN_FLAGS) \
		2>&1 | tee -a $(WORK)/train.log
	echo $(COMMIT) > $@

$(WORK)/encoder/bundle.json: $(WORK)/trained
	$(PYTHON) -m export $(WORK)/checkpoint -o $(WORK)/encoder --papers $(validation) \
		--scores-out $(WORK)/scores.parquet --overwrite $(EXPORT_FLAGS) 2>&1 | tee $(WORK)/export.log
