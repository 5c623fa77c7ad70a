# Targets: demo (simulate, fuse, compare with the truth), test, test-long, test-interop, lint, bench, clean.
# All work in .venv, which is made on the first run.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?= -n auto

.PHONY: demo test test-long test-interop bench lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/jwst-fusion simulate disk demo --name disk
	$(BIN)/strun calwebb_fusion4 demo/disk_asn.json --output_dir=demo
	$(BIN)/python examples/compare_with_truth.py demo/disk

test: lint
	$(BIN)/python -m pytest $(PYTEST_ARGS)

# Tests that take minutes each: fuzzing, faults, many seeds.
test-long: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS) -m long

# Tools that need an environment of their own open a fused cube: jdaviz, q3dfit, spectral-cube.
test-interop: $(VENV)/.installed-test .venv-interop/.installed
	$(BIN)/python -m pytest tests/pipeline/test_interop.py

# Style, and (rules D) a docstring in numpydoc's form on every public name.
lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/.installed
	$(BIN)/python examples/benchmark.py

clean:
	rm -rf $(VENV) .venv-interop demo build dist *.egg-info .pytest_cache .ruff_cache
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
