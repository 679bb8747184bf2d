# Everything that the README names. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Tools that the project installs for itself are found first.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# These need a devcluster: each process brings one up. Files are given out in the order of
# tests/e2e/conftest.py.
ON_DEVCLUSTER := tests/e2e tests/security/test_node_identity.py

.PHONY: help demo up down test check format bench soak faults deps

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) deps ## bring a cluster and an edge site up, and show all that works
	@$(RUN)/python -m devcluster demo

up: $(INSTALLED) deps ## bring the cluster and its edge sites up
	@$(RUN)/python -m devcluster up

down: $(INSTALLED) ## take the cluster down; nothing stays behind
	@$(RUN)/python -m devcluster down

test: $(INSTALLED) deps ## run the unit tests side by side, then the end-to-end tests on two devclusters
	@$(RUN)/pytest --numprocesses=3 --dist=loadfile --durations=10 $(addprefix --ignore=,$(ON_DEVCLUSTER))
	@$(RUN)/pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder --durations=10 $(ON_DEVCLUSTER)

check: $(INSTALLED) ## check format, lint, types, import contracts, and what bandit and pip-audit know
	@$(RUN)/ruff format --check .
	@$(RUN)/ruff check .
	@$(RUN)/mypy
	@$(RUN)/lint-imports
	@$(RUN)/bandit --quiet --configfile pyproject.toml --recursive provider edge_runtime tunnel devcluster
	@$(RUN)/python .ci/dependency_audit.py

format: $(INSTALLED) ## put the code into its format
	@$(RUN)/ruff format .
	@$(RUN)/ruff check --fix .

bench: $(INSTALLED) deps ## print each figure beside its baseline, measured in the same run
	@$(RUN)/python -m benchmarks

soak: $(INSTALLED) deps ## make 10,000 execs on a devcluster, 100,000 calls between two processes, live on 2-minute certificates
	@EDGELET_EXECS=10000 $(RUN)/pytest tests/e2e/test_many_execs.py
	@EDGELET_CHURN=100000 $(RUN)/pytest tests/soak
	@EDGELET_CERTIFICATE_LIFE_S=120 EDGELET_LIVES_S=600 $(RUN)/pytest tests/security/test_certificate_lives.py

faults: $(INSTALLED) deps ## cut the link 100 times for up to a minute while work goes on: 40 minutes
	@EDGELET_CUTS=100 EDGELET_LONGEST_CUT_S=60 $(RUN)/pytest tests/e2e/test_link_cuts.py

# The devcluster names what it lacks by itself; this only spares root on Debian the second command.
deps: $(INSTALLED) ## install what is missing: Debian packages (as root), a Go toolchain
	@missing=(); \
	need() { command -v "$$1" >/dev/null || [[ -e "$$1" ]] || missing+=("$$2"); }; \
	PATH="$$PATH:/usr/sbin:/sbin"; \
	need containerd containerd; need runc runc; need iptables iptables; need ip iproute2; \
	need busybox busybox-static; need docker-registry docker-registry; need swtpm swtpm; need tpm2_unseal tpm2-tools; need prometheus prometheus; need chromium chromium; need gcc gcc; need /usr/include/stdlib.h libc6-dev; \
	need nsenter util-linux; [[ -e /opt/cni/bin/bridge ]] || need /usr/lib/cni/bridge containernetworking-plugins; \
	if (( $${#missing[@]} )); then \
	  if (( EUID == 0 )) && command -v apt-get >/dev/null; then \
	    echo "installing $${missing[*]}"; \
	    export DEBIAN_FRONTEND=noninteractive; \
	    apt-get update -qq; \
	    apt-get install -y -qq --no-install-recommends "$${missing[@]}" </dev/null; \
	  else \
	    echo "packages are missing: run sudo apt-get install --no-install-recommends $${missing[*]}" >&2; exit 2; \
	  fi; \
	fi
	@go_minor=$$(go env GOVERSION 2>/dev/null | sed -nE 's/^go1\.([0-9]+).*/\1/p' || true); \
	if (( $${go_minor:-0} < 21 )); then \
	  echo "no Go of 1.21 or newer is on PATH: installing one into $(VENV)"; \
	  $(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-go.lock; \
	fi

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=…" >&2; exit 2; }
	@[[ -x $(RUN)/python ]] || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: run apt-get install python3-venv" >&2; exit 2; }; }
	@echo "installing the locked dependencies"
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@PYTHONWARNINGS=ignore $(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
