# Codeweft. `make start` runs it, `make test` checks it; everything they need is installed on the way.
#   make start                       index this repository and serve http://127.0.0.1:8000
#   make start CODE=/path PORT=9000  index another folder or git URL, listen elsewhere
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
CODE ?= .
TIMES ?= 20
VENV := .venv
BIN := $(VENV)/bin
STATIC := src/codeweft/server/static
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) $(wildcard web/*.json web/*.ts web/*.html)

.PHONY: help start test check lint types contract unit e2e web web-check system lock wheel format clean clients fuzz screenshots

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

start: $(VENV)/runtime $(STATIC)/index.html ## run Codeweft (CODE=path|git-url HOST= PORT=)
	@exec $(BIN)/codeweft serve --host $(HOST) --port $(PORT) --code "$(CODE)"

test: check ## everything: lint, types, import contract, unit, API and end-to-end tests

check: lint types contract web-check system unit

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test
	$(BIN)/mypy

contract: $(VENV)/test
	$(BIN)/lint-imports

unit: $(VENV)/test $(STATIC)/index.html tests/server/oidc/node_modules/.installed
	@scripts/clients.sh
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

fuzz: $(VENV)/test ## try every route and every stream harder (TIMES=20: twenty times what `make test` tries)
	CODEWEFT_FUZZ=$(TIMES) $(BIN)/python -m pytest tests/fuzz --timeout 7200

clients: $(VENV)/test ## all programs that tests/clients drives, the large ones (aider, Claude Code, Codex, opencode) too; then the tests
	@scripts/clients.sh all
	$(BIN)/python -m pytest tests/clients

%/node_modules/.installed: %/package-lock.json
	cd $* && npm ci --silent --no-audit --no-fund && touch node_modules/.installed

e2e: $(VENV)/test $(STATIC)/index.html system ## only the end-to-end tests
	$(BIN)/python -m pytest -m e2e

web: $(STATIC)/index.html ## build the web page

screenshots: $(VENV)/test $(STATIC)/index.html system ## pictures of every page into docs/images (FONTS=folder: with its fonts)
	$(BIN)/python scripts/screenshots.py $(if $(FONTS),--fonts "$(FONTS)")

web-check: web/node_modules/.installed web/client/node_modules/.installed
	cd web && npm run --silent api -- --check && npm run --silent check

system: ## what the tests need from the system (Chromium, bubblewrap), installed where it is missing
	@scripts/system-packages.sh

format: $(VENV)/test ## format the code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .
	cd web && npm run --silent format

lock: ## resolve requirements/*.lock anew from pyproject.toml
	scripts/lock.sh

wheel: $(VENV)/test ## build dist/codeweft-*.whl with the web page inside
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

clean: ## remove what was built (not the state folder)
	rm -rf $(VENV) web/node_modules $(STATIC) dist build .mypy_cache .ruff_cache .pytest_cache

$(VENV)/runtime: requirements/runtime.lock
	@scripts/environment.sh $(PYTHON) $(VENV) requirements/runtime.lock
	@touch $@

$(VENV)/test: requirements/test.lock
	@scripts/environment.sh $(PYTHON) $(VENV) requirements/test.lock
	@touch $@ $(VENV)/runtime

web/node_modules/.installed: web/package-lock.json
	@echo "Installing the web page's packages…"
	@cd web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

$(STATIC)/index.html: web/node_modules/.installed $(WEB_SOURCES)
	@echo "Building the web page…"
	@cd web && npm run --silent build
