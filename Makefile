# make demo: see it work. make test: everything that must hold. make lab: on real machines. All set up .venv first, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.winslow-setup
DIR ?= demo
JOBS ?= auto

.PHONY: setup demo test lab lint bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml examples/traffic-flow/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Winslow needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>/dev/null || echo missing`." >&2; \
	  echo "Name another one: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "The module venv is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "setup: installing Winslow and the example into $(VENV) (a minute or two, once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]" --editable ./examples/traffic-flow
	@touch $(STAMP)
	@echo "setup: done; the command is $(BIN)/winslow"

demo: setup
	@trap : INT; $(BIN)/winslow demo --dir $(DIR) || [ $$? -eq 130 ]  # Ctrl-C is how it ends

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lab: setup  # root, Debian: docs/lab.md. ARGUMENTS="--only power-loss --repeat 10" and the like
	$(BIN)/python -m tests.lab $(ARGUMENTS)

bench: setup
	@for script in benchmarks/*.py; do \
	  case $$script in */_*|'benchmarks/*.py') continue;; esac; \
	  echo "== $$script"; $(BIN)/python $$script || exit 1; \
	done

clean:
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
