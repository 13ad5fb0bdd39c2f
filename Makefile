# Huoyan. `make demo` shows it at work; `make test` is everything that CI runs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types web web-checks docs docs-check bench clean

BIN := .venv/bin
export NO_MKDOCS_2_WARNING := 1
# Workers for pytest, two more than cores since many tests wait for servers; a file stays with one worker, so that the servers it starts are started once.
TEST_WORKERS ?= 4

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Prepare .venv with everything in it, and build the page
	@scripts/setup

demo: ## Show it at work: two applications, faults to inject (HUOYAN_PORT=8650)
	@scripts/setup demo
	@$(BIN)/huoyan demo

# Where bytecode is switched off, as in many images, each of the hundreds of processes that tests start would compile Huoyan anew.
test: ## Check everything, the cheap things first (what CI runs)
	@scripts/setup
	@scripts/servers
	@$(MAKE) --no-print-directory -j 2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) types web-checks lint docs-check
	@echo "== tests"
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -q -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --maxfail 10 --max-suite-reruns 5 -rR --durations 10

lint: ## Style, formatting and the import rules
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }
	@grep '^Contracts:' .venv/lint-imports.log

format: ## Put the Python code into the agreed form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: ## Check the types of the code and the tests
	@echo "== types"
	@$(BIN)/mypy

web: ## Build the page from web/
	@scripts/setup

web-checks: ## Style, types and tests of the page
ifneq ($(wildcard web/package.json),)
	@echo "== web"
	@npm --prefix web run --silent --if-present lint
	@npm --prefix web run --silent --if-present types
	@npm --prefix web run --silent --if-present test
endif

docs: ## Build the documentation site into site/
	@$(BIN)/mkdocs build --strict

docs-check:
ifneq ($(wildcard mkdocs.yml),)
	@echo "== docs"
	@$(BIN)/mkdocs build --strict --quiet --site-dir .venv/docs-check
endif

bench: ## Measure against peers and against the floor
	@set -e; if [ -x bench/run ]; then bench/run; else for file in bench/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done; fi

clean: ## Remove what was built or installed here (the demo's data too)
	@rm -rf .venv web/node_modules src/huoyan/server/web/dist site build dist huoyan-data
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
