# demo: see it work · test: all checks and tests · check: style and types only
# bench: every target of speed and memory, with its figure; hours, unless BENCHMARKS names fewer
# coverage: the tests, with the lines that none of them reaches
# lowest: the tests with the lowest version of every dependency that setup.cfg declares
# Each target makes its own virtual environment in .venv from constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PACKAGES := fashionedit_dataset metrics builders eval_harness studio
# pip leaves compiling to the first import; where that may keep nothing, every process compiles torch anew.
unexport PYTHONDONTWRITEBYTECODE
FILES := $(sort $(shell find $(PACKAGES) -type f -not -name '*.pyc'))

.PHONY: demo test coverage check bench lowest clean FORCE

demo: .venv/.demo .venv/.links
	$(BIN)/fashionedit demo

test: check
	browser=$$($(BIN)/python tests/browser.py --install) && \
	FASHIONEDIT_CHROMIUM="$$browser" $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

coverage: # the tests, and which lines neither they nor a process that they start reaches; takes longer
	$(MAKE) test PYTEST_ARGS="--cov --cov-report=term"

check: .venv/.dev .venv/.links
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

BENCHMARKS ?= scoring rescoring evaluate data scale ray_engine
bench: .venv/.dev .venv/.links
	@missed=; for name in $(BENCHMARKS); do \
	  echo "== benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py || missed="$$missed $$name"; done; \
	test -z "$$missed" || { echo "missed a target, or failed:$$missed"; exit 1; }

# Warnings of old libraries about each other are no errors here.
lowest:
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python tests/lowest_versions.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-lowest/constraints.txt '.[test]'
	.venv-lowest/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -o filterwarnings=default

clean:
	rm -rf .venv .venv-lowest build *.egg-info

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fashionedit needs Python 3.11 or newer, found " + sys.version.split()[0] + "; run: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

.venv/.demo: setup.cfg pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[offline]'
	@touch $@

.venv/.dev: setup.cfg pyproject.toml constraints.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[dev]'
	@touch $@

# A strict editable install links each file, so a file that is new or gone is linked anew.
.venv/.links: FORCE | .venv/bin/python
	@echo '$(FILES)' | cmp -s - $@ || { \
	  test ! -e $@ || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	  echo '$(FILES)' > $@; }
FORCE:
