# `make run` starts Tina, `make test` proves her; each makes what it needs first.
# `make help` lists the rest.

SHELL := /bin/bash
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: run test setup check bench fuzz clean help

# An environment holds absolute paths: one from another folder is made anew.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

$(READY): pyproject.toml uv.lock
	@scripts/setup

run: $(READY) ## start a conversation; without a terminal, answer the lines piped in
	@scripts/run

test: $(READY) ## run every test, in parallel, and the coverage gate
	@scripts/test

setup: $(READY) ## make .venv only: all extras, tools and the small model
	@scripts/engine || true

check: $(READY) ## formatting, lint, types, import contracts
	@scripts/check

bench: $(READY) ## run every benchmark
	@scripts/bench

fuzz: $(READY) ## fuzz the decoders, a minute for each; `scripts/fuzz 600 sse` goes longer
	@scripts/fuzz

clean: ## remove .venv and everything that tools left
	@rm -rf .venv build dist htmlcov .coverage .coverage.* coverage.json .hypothesis \
	  .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
