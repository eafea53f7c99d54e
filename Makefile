# Everything that a developer or a newcomer types. `make` alone lists it.
# ARGS are handed on: make test ARGS="-k topics", make demo ARGS="--for 60 --no-browser".
# PROCESSES=0 runs the tests in one process, as a debugger wants it.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ARGS ?=
PROCESSES ?= 2
RUN := .venv/bin/python
EXTRAS := embedded processor panel gateway flash pi infra dev
INFLUXDB2 := ../shared/tools/influxdb2/build
# The project's own folders: nothing in an environment or beside the sources is formatted or checked.
SOURCES := bridge device panel_app processor steam store tests .ci/locks

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9 -]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Watch simulated boilers on a dashboard, all on this machine; Ctrl-C ends it
	@tests/servers/install.sh python
	@.ci/venv .venv-demo requirements/embedded.txt
	@exec .venv-demo/bin/python -m steam demo $(ARGS)

.PHONY: venv
venv: ## Make .venv with all that developing needs
	@tests/servers/install.sh python
	@.ci/venv .venv requirements/dev.txt

.PHONY: servers
servers: ## Install the servers and the browser that the tests use
	@tests/servers/install.sh

.PHONY: test
test: servers venv ## Run all tests, on real servers
	@$(RUN) tests/firmware/install build/firmware-lib
	@infra/install-tools helm
	@$(RUN) -m pytest -n $(PROCESSES) --dist loadgroup $(ARGS)

.PHONY: test-influxdb2
test-influxdb2: servers venv ## Run the InfluxDB tests once more on InfluxDB 2.7
	@if [[ -z "$${INFLUXD2:-}" && -z "$${STEAM_TEST_INFLUXDB_URL:-}" && -x $(INFLUXDB2) ]]; then \
	    INFLUXD2=$$($(INFLUXDB2) | tee /dev/stderr | tail -n 1); \
	    export INFLUXD2; \
	  fi; \
	  STEAM_TEST_INFLUXDB=2 $(RUN) -m pytest -m influx $(ARGS)

.PHONY: check
check: venv ## Check format, lint, types, import directions and locks
	@$(RUN) -m ruff format --check $(SOURCES)
	@$(RUN) -m ruff check $(SOURCES)
	@$(RUN) -m mypy
	@.venv/bin/lint-imports
	@$(RUN) .ci/locks

.PHONY: format
format: venv ## Format the code and mend what the linter can mend
	@$(RUN) -m ruff format $(SOURCES)
	@$(RUN) -m ruff check --fix $(SOURCES)

.PHONY: lock
lock: ## Lock the dependencies of every extra anew (needs uv and the network)
	@for extra in $(EXTRAS); do \
	    uv pip compile pyproject.toml --extra $$extra --generate-hashes --no-emit-index-url --no-emit-find-links \
	      --universal --python-version 3.11 --no-header -o requirements/$$extra.txt -q $(ARGS); \
	    echo "requirements/$$extra.txt"; \
	  done

.PHONY: bench
bench: servers venv ## Measure speed and memory; prints tables and JSON, fails nothing
	@$(RUN) -m tests.bench $(ARGS)

.PHONY: bench-growth
bench-growth: servers venv ## Measure whether a message costs the same with many devices and a large backlog
	@$(RUN) -m tests.bench.bench_growth

.PHONY: soak
soak: servers venv ## Watch a processor's memory for 30 minutes (ARGS="--minutes 5")
	@$(RUN) -m tests.bench.soak $(ARGS)

.PHONY: chaos
chaos: servers venv ## Do every fault to real servers under load; prints what was lost (nothing)
	@$(RUN) -m tests.chaos $(ARGS)

.PHONY: bench-device
bench-device: servers venv ## Measure the firmware on MicroPython: heap, flash, payload, drain, jitter
	@$(RUN) -m tests.bench.bench_device $(ARGS)

.PHONY: soak-device
soak-device: servers venv ## Random faults to our firmware, umqtt.simple and umqtt.robust (ARGS="--minutes 10")
	@$(RUN) tests/firmware/install build/firmware-lib
	@$(RUN) -m tests.bench.soak_device $(ARGS)

.PHONY: chaos-device
chaos-device: servers venv ## Kill firmware and broker at random for 5 minutes; a ledger knows every row
	@$(RUN) -m tests.chaos.device $(ARGS)

.PHONY: screenshots
screenshots: servers venv ## Take pictures of the dashboard in both languages, into build/screenshots
	@mkdir -p build/screenshots
	@$(RUN) -m tests.browser.screenshots build/screenshots $(ARGS)

.PHONY: wheel
wheel: venv ## Build the wheel into dist/ (fetches the build backend)
	@if uv --version >/dev/null 2>&1; then uv build --quiet --wheel; else $(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist .; fi
	@ls dist/*.whl

.PHONY: clean
clean: ## Remove environments, caches and builds; data in .steam stays
	@rm -rf .venv .venv-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

-include infra/infra.mk infra/terraform.mk
