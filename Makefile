# Needs python3.11 or newer (with venv), make and git; everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || echo python3.11)
VENV := .venv
PY := $(VENV)/bin/python
PORT ?= 9464
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint types clean

demo: $(VENV)/.installed
	$(PY) examples/demo.py --port $(PORT)

test: $(VENV)/.installed
	$(PY) -m pytest

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(VENV)/.installed-dev
	$(VENV)/bin/mypy
	$(VENV)/bin/pyright

# The interpreter is checked first: a venv made by another Python, or moved, is made anew.
$(VENV)/.pip: Makefile
	@command -v $(PYTHON) >/dev/null || { echo "papyra needs $(PYTHON); make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install -qq --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.pip
	$(PY) -m pip install -qq --editable '.[all]' --group test
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PY) -m pip install -qq --group dev
	@touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
