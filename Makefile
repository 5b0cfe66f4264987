# The commands that people type. `make` alone lists them.
ROOT := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BIN := $(ROOT)/.venv/bin

# Ansible refuses to run without a UTF-8 locale; a bare machine has none but this.
export LC_ALL := C.UTF-8
export ANSIBLE_CONFIG := $(ROOT)/ansible.cfg
export PATH := $(BIN):$(PATH)

# A mistyped answer must not become the default one.
ADOPT ?= no
DATA ?= ask
$(if $(filter yes no,$(ADOPT)),,$(error ADOPT=$(ADOPT) is neither yes nor no))
$(if $(filter yes no ask,$(DATA)),,$(error DATA=$(DATA) is none of yes, no and ask))

DOWN_yes := -e down_data=true
DOWN_no := -e down_data=false

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up down api test test-long faults bench lint unit changelog

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(ROOT)/Makefile

setup: ## Prepare this machine: .venv, dependencies, a Docker engine
	@$(ROOT)/bin/setup

setup-tests:
	@$(ROOT)/bin/setup --tests

up: setup ## Provision, load the sample, back up, show the cluster (ADOPT=yes: take over containers of these names)
	@cd $(ROOT) && ansible-playbook playbooks/up.yml $(if $(filter yes,$(ADOPT)),-e docker_nodes_adopt=true)

down: setup ## Remove the containers; asks about the data (DATA=yes: removes it too, DATA=no: keeps it)
	@cd $(ROOT) && ansible-playbook playbooks/down.yml $(DOWN_$(DATA))

api: setup ## The control API in the foreground, for the containers of `make up`: http://127.0.0.1:8088
	@cd $(ROOT) && ansible-playbook playbooks/api.yml \
	  -e control_api_service=none -e control_api_venv= -e control_api_directory=$(ROOT)/.api
	@cd $(ROOT) && exec env PYTHONPATH=$(ROOT)/roles/control_api/files:$(ROOT)/collections \
	  $(BIN)/python -m relevo_api --settings $(ROOT)/.api/settings.json serve

test: setup-tests ## Lint, unit tests, sanity, Molecule scenarios and the full trial
	@$(BIN)/python $(ROOT)/tests/run

test-long: setup-tests ## All of it, plus the long scenarios and the faults: what a release runs
	@$(BIN)/python $(ROOT)/tests/run --long

faults: setup ## Faults in the middle of every play, and what became of them: writes docs/explanation/faults.md
	@RELEVO_FAULTS_PUBLISH=yes $(BIN)/python $(ROOT)/tests/run faults

lint: setup ## Formatting, lint and types
	@$(BIN)/python $(ROOT)/tests/run lint

unit: setup-tests ## Unit tests
	@$(BIN)/python $(ROOT)/tests/run unit

bench: setup ## Measure hand-overs beside other systems and write docs/explanation/performance.md (BENCH=--quick: in minutes)
	@$(BIN)/python -m pip install --quiet --requirement $(ROOT)/tests/benchmark/requirements.txt
	@$(BIN)/python $(ROOT)/tests/benchmark/run --publish $(BENCH)

# In a copy: a release would remove the fragments and add them to changelogs/changelog.yaml.
changelog: setup ## Write CHANGELOG.md as it would be released now; the fragments stay
	@rm -rf $(ROOT)/.cache/changelog && mkdir -p $(ROOT)/.cache/changelog
	@cd $(ROOT) && cp -R changelogs galaxy.yml meta plugins roles .cache/changelog
	@cd $(ROOT)/.cache/changelog && env -u ANSIBLE_CONFIG antsibull-changelog release && cp CHANGELOG.md $(ROOT)
