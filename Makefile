# What a person does with a clone. Each target makes its own set-up: only Python 3.11 or newer and a
# package index have to be there. Nothing is installed twice, and nothing outside of .venv but the test
# target's four Debian packages.

SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
ARGS ?=
# A process of tests for each core, each with servers of its own. More would only wait for one another.
# A file stays in one of them, so that what is started for a file is started once; tests/conftest.py has
# those that take long begin first.
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UV_VERSION := 0.13.9

# Servers and tests start Python a hundred times. Without compiled modules, as images of containers often have
# it, each start takes three seconds of a core instead of one.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# The environment that is here, and never an interpreter from elsewhere.
UV := UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=$(BIN)/python UV_PYTHON_DOWNLOADS=never $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help demo run test test-sqlite test-postgresql lint bench screenshots readme-pictures format clean browser

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.runtime ## Start a panel with sample accounts and live traffic (PORT=8000)
	@exec $(BIN)/python manage.py up --demo --port $(PORT)

run: .venv/.runtime ## Start a panel (PORT=8000)
	@exec $(BIN)/python manage.py up --port $(PORT)

test: test-sqlite test-postgresql ## Run all the tests, on both databases (ARGS="-k limits" for some)

test-sqlite: .venv/.everything browser ## Run them on SQLite alone
	@echo; echo "=== The tests on SQLite ==="
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-postgresql: .venv/.everything browser ## Run them on PostgreSQL alone, without those that use no database
	@echo; echo "=== The tests on PostgreSQL ==="
	$(BIN)/python -m tests.on_postgresql $(PARALLEL) $(ARGS)

lint: .venv/.everything ## Check format, style, types, imports and migrations
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	@# Checks open no panel's state: they get one of their own.
	@export VAR_DIR=$$(mktemp -d); trap 'rm -r "$$VAR_DIR"' EXIT; set -ex; \
	$(BIN)/python manage.py check; \
	$(BIN)/python manage.py makemigrations --check --dry-run

format: .venv/.everything ## Format the code and put right what can be
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.everything ## Run the benchmarks
	$(BIN)/python -m benchmarks $(ARGS)

screenshots: .venv/.everything browser ## Take pictures of every page into var/screenshots (ARGS="--only usage")
	$(BIN)/python -m tests.screenshots $(ARGS)

readme-pictures: .venv/.everything browser ## Take the README's pictures anew
	$(BIN)/python -m tests.screenshots --readme --wait 80

clean: ## Remove .venv, caches and var/ (with its database, keys and files!)
	rm -rf .venv var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Set-up: a stamp is newer than what it was made from -------------------------------------------------

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# What a panel needs to run. Other packages that are there stay, so that `make demo` after `make test` is quick.
.venv/.runtime: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --inexact --no-default-groups
	@touch $@

.venv/.everything: pyproject.toml uv.lock | $(BIN)/uv
	$(UV) sync --frozen --all-groups
	@touch .venv/.runtime $@

# Debian's browser, its Redis, which the limiter is tried on besides Valkey, its nginx, which serves
# results, and its Node.js, which runs an example of the docs: installed where they are missing and we may.
# policy-rc.d keeps the packages from starting services.
browser:
	@missing=""; \
	command -v chromium >/dev/null || missing="chromium"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	{ command -v nginx || test -x /usr/sbin/nginx; } >/dev/null || missing="$$missing nginx"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "Missing, so the tests that need it are skipped or fail: $$missing"; exit 0; \
	fi; \
	echo "Installing with apt-get: $$missing"; \
	export DEBIAN_FRONTEND=noninteractive; policy=/usr/sbin/policy-rc.d; \
	if [ ! -e $$policy ]; then trap "rm -f $$policy" EXIT; printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; fi; \
	{ apt-get -qq update && apt-get -qq -y --no-install-recommends install $$missing >/dev/null; } || \
	  echo "That did not work: going on without $$missing"
