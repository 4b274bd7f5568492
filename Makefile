# Every target makes its own virtual environment from the lock file; Python 3.11+ and make are enough.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo run test check format soak simulate kills powercuts storms reloads mutants bench lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.run  ## the main job, end to end, in a temporary folder (ONCE=1 ends by itself)
	@$(BIN)/alertbridge demo $(if $(ONCE),--once)

run: $(VENV)/.run  ## serve with config/
	$(BIN)/alertbridge serve --config config/alertbridge.yaml

WORKERS ?= $(shell expr 2 \* $$(nproc 2>/dev/null || echo 1))
test: $(VENV)/.dev  ## all tests, in two processes for each processor, for they wait a lot (WORKERS=0: one after the other)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

check: $(VENV)/.dev  ## format, lint, types, import contracts, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/unit/test_docs.py tests/unit/test_examples.py

format: $(VENV)/.dev  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

STEPS ?= 1000000
soak: $(VENV)/.dev  ## random lives of the relay against a plain model, for STEPS steps (SEED=… again)
	STEPS=$(STEPS) $(if $(SEED),SEED=$(SEED)) $(BIN)/python -m pytest -s tests/integration/test_incident_model.py -k long

SEEDS ?= 100
simulate: $(VENV)/.dev  ## the daemon in a world of virtual time and faults, for SEEDS seeds; SEED=… tells the story of one
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

N ?= 1000
kills: $(VENV)/.dev  ## SIGKILL the daemon N times under load (N=1000)
	KILLS=$(N) $(BIN)/python -m pytest -s --timeout=0 tests/faults/test_kills.py

powercuts: $(VENV)/.dev  ## cut the power N times: rebuild what torn writes leave, and start on it (N=1000, SEED=… again)
	CUTS=$(N) $(if $(SEED),SEED=$(SEED)) $(BIN)/python -m pytest -s --timeout=0 tests/faults/test_power_loss.py

ALERTS ?= 10000
storms: $(VENV)/.dev  ## ALERTS alerts at once, on 100 keys and on a key each (ALERTS=10000)
	ALERTS=$(ALERTS) $(BIN)/python -m pytest -s --timeout=0 tests/faults/test_storms.py

reloads: $(VENV)/.dev  ## reload N times under load, with mistakes and SIGKILL in between (N=1000)
	RELOADS=$(N) $(BIN)/python -m pytest -s --timeout=0 tests/faults/test_reloads.py

mutants: $(VENV)/.dev  ## break the code on purpose, again and again, and see that some test notices (ONLY=name)
	$(BIN)/python -m tests.mutants $(ONLY)

bench: $(VENV)/.dev  ## ratios, interleaved: throughput to a bare handler, cost of many rules, of a destination that hangs
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.rules
	$(BIN)/python -m benchmarks.isolation

lock: $(VENV)/.dev  ## renew the lock files (needs the network)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --upgrade --python-version 3.11 pyproject.toml requirements-build.in -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --upgrade --python-version 3.11 -c requirements.lock --group dev -o requirements-dev.lock

clean:  ## remove what these targets made
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
