# Two commands: `make run` (every notebook, figures and pages into build/) and `make test`.
# Each sets up .venv by itself; what is there and current is not touched again.
.SILENT:
.PHONY: run test unit data lab notebooks paper study tables bench lint clean
.DEFAULT_GOAL := run

VENV := .venv
PY := $(VENV)/bin/python
CONSTRAINTS ?= -c requirements-lock.txt
FITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	if $$p $(FITS) 2>/dev/null; then echo $$p; break; fi; done)

# LIMIT: minutes that a cell may take, 0 for any (tools/run.py knows what is usual).
LIMITED := $(if $(LIMIT),--limit $(LIMIT))
AS :=  # make's own AS is the assembler

export TF_CPP_MIN_LOG_LEVEL := 3

run: data  ## execute every notebook; pages, figures and index.html go to build/
	$(PY) tools/run.py run $(NB) $(LIMITED)

test: lint unit  ## style, unit tests, then every notebook compared with its stored output
	$(PY) -m pytest --nbval --nbval-current-env --nbval-cell-timeout=900 --nbval-kernel-startup-timeout=120 --no-header -o console_output_style=times -p no:cacheprovider notebooks

unit: $(VENV)/test.stamp data  ## unit tests with coverage of lib/
	$(PY) -m pytest -q -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

lint: $(VENV)/test.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

data: data/generated/.stamp  ## the MNI152 brain in three formats, and beads at reference size

lab: data  ## JupyterLab
	$(PY) -m jupyterlab --notebook-dir=.

notebooks: $(VENV)/test.stamp data  ## execute and refresh the committed notebooks and figures/
	$(PY) tools/run.py notebooks $(NB) $(LIMITED)
	$(PY) -m ruff format -q notebooks

paper: data  ## make paper NB=04 [PARAMS="EPOCHS=3"]: the paper's settings, notebooks/paper/04.yaml
	$(PY) tools/run.py paper $(NB) $(LIMITED) $(PARAMS)

study: data  ## make study NB=04 SEEDS=5 [PARAMS="LOSS=iou_loss" AS=04_iou]: results/04.csv
	$(PY) tools/run.py study $(NB) --seeds $(or $(SEEDS),5) $(if $(AS),--as $(AS)) $(LIMITED) $(PARAMS)

tables: $(VENV)/run.stamp  ## the README's tables of results, from results/
	$(PY) tools/tables.py

bench: $(VENV)/test.stamp data  ## every benchmark
	for file in benchmarks/bench_*.py; do $(PY) $$file || exit 1; done

clean:
	rm -rf build data/generated

# What data/generated is made by: a change there makes it anew.
MAKERS := tools/make_data.py $(addprefix lib/,arrays.py datasets.py intensity.py volumes.py) \
	$(wildcard lib/formats/*.py) \
	$(addprefix lib/microscopy/,phantoms.py bead_sets.py blur.py psf.py)

data/generated/.stamp: $(VENV)/run.stamp $(MAKERS)
	$(PY) tools/make_data.py
	touch $@

$(VENV)/run.stamp: requirements.txt requirements-lock.txt
	if ! "$(PYTHON)" $(FITS) 2>/dev/null; then \
		echo "Voxelbook needs Python 3.11, 3.12 or 3.13; found: $$($(or $(PYTHON),python3) --version 2>&1)." \
		"Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	echo "Setting up $(VENV) with $$($(PYTHON) --version), about two minutes ..."
	test -x $(PY) && $(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check -r requirements.txt $(CONSTRAINTS)
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements-test.txt
	$(PY) -m pip install -q --disable-pip-version-check -r requirements-test.txt $(CONSTRAINTS)
	touch $@
