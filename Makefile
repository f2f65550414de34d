# Two commands do all the set-up: `make demo` and `make test`. Each makes its own `.venv`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= limbeck-demo
# A worker a core; one that runs out of tests takes some of another's. `make test WORKERS=` runs them in one process.
WORKERS ?= -n auto --dist worksteal

.PHONY: help demo quick test test-all check format bench docs clean python

help:
	@echo "make demo      the whole loop, offline, on simulated tasks (about ten minutes on two cores)"
	@echo "make quick     the same on one small task (about a minute)"
	@echo "make test      the tests"
	@echo "make test-all  the tests and the slow suites"
	@echo "make check     formatting, lint, types, layers"
	@echo "make bench     the measurements behind the published numbers"
	@echo "make docs      the command reference, written from the code"

python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "limbeck needs Python 3.11 or newer, and found no '$(PYTHON)'; install it, or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "limbeck needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -c 'import platform; print(platform.python_version())'); name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }

$(STAMP): pyproject.toml constraints.txt | python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/limbeck demo --out $(OUT)

quick: $(STAMP)
	$(BIN)/limbeck demo --quick --out $(OUT)-quick

test: $(STAMP) check
	$(BIN)/python -m pytest -m 'not slow' $(WORKERS)

# Ray is large, and only the slow tests want it. The official JavaScript clients are asked through the gateway
# where there is Node.
test-all: $(STAMP) check
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,ray]' || echo "Ray could not be installed; its tests are skipped" >&2
	@if command -v npm >/dev/null 2>&1; then npm install --silent --no-fund --no-audit --prefix tests/js || echo "the JavaScript clients could not be installed; their tests are skipped" >&2; fi
	$(BIN)/python -m pytest $(WORKERS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	$(BIN)/python bench/demo.py

docs: $(STAMP)
	$(BIN)/python -m limbeck.cli.reference docs/reference.md

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
