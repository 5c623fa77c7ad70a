# Targets: demo (simulate, fuse, compare with the truth), test, test-long, coverage, test-interop, tools, trial, lint,
# docs, dist, bench, clean.
# All work in .venv, which is made on the first run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One process for each core, and one thread in each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
PYTEST_ARGS ?= -n auto --dist worksteal

.PHONY: demo test test-long coverage test-interop tools trial bench lint docs dist clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/jwst-fusion simulate disk demo --name disk
	$(BIN)/strun calwebb_fusion4 demo/disk_asn.json --output_dir=demo
	$(BIN)/python examples/compare_with_truth.py demo/disk

test: lint tools
	$(PYTEST) $(PYTEST_ARGS)

# Tests that take minutes each: fuzzing, faults, many seeds.
test-long: $(VENV)/.installed-test
	$(PYTEST) $(PYTEST_ARGS) -m long

# Tools that need an environment of their own open a fused cube: jdaviz, q3dfit, spectral-cube.
test-interop: $(VENV)/.installed-test .venv-interop/.installed
	$(BIN)/python -m pytest tests/pipeline/test_interop.py

# Chromium for the tests of the report, and fitsverify for those of the products, where they can be had; elsewhere
# these tests are skipped, and say so.
tools:
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null && command -v fitsverify >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "installing chromium and fitsverify" && \
		  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
		    --no-install-recommends chromium chromium-driver fitsverify; } >/dev/null 2>&1; } || \
		echo "chromium with its driver or fitsverify is missing: tests that need them will be skipped"

# Lines that the tests run; those that a console script runs in a process of its own do not count.
coverage: $(VENV)/.installed-test
	$(PYTEST) $(PYTEST_ARGS) --cov=jwst_fusion --cov-report=term:skip-covered --cov-fail-under=90

# Style, (rules D) a docstring on every public name, and the type hints of the numerics.
lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation, docs/_build/html/index.html; a warning is an error. The tests build it too.
docs: $(VENV)/.installed-test
	$(BIN)/python -m sphinx -W -q -b html docs docs/_build/html

# Source distribution and wheel, checked.
dist: $(VENV)/.installed-test
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# Spoiled observations against good ones: which of them the verdict catches.
trial: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.trial --output docs/benchmarks/trial.txt

bench: $(VENV)/.installed
	$(BIN)/python examples/benchmark.py
	$(BIN)/python examples/benchmark_quality.py --output docs/benchmarks/quality.txt

clean:
	rm -rf $(VENV) .venv-interop demo build dist docs/_build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is $$($(PYTHON) --version 2>&1): jwst_fusion needs Python 3.11 or newer;" \
		       "name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.installed

.venv-interop/.installed:
	$(PYTHON) -m venv .venv-interop
	.venv-interop/bin/python -m pip install --quiet --disable-pip-version-check jdaviz q3dfit spectral-cube
	@touch $@
