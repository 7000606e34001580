# make demo       record 10 s, and look at the result
# make test       run the tests and the notebooks
# make trials     the short versions of bench, torture and corpus: do they run, and is what they promise true
# make check      ruff and mypy
# make lab        open the notebooks in JupyterLab
# make docs       HTML from docstrings, pages and notebooks, in docs/_build
# make gallery    the notebooks, run, as pages in which the recordings play, in docs/_build/html/gallery
# make bench      run all benchmarks: an hour, since each waits for a calm machine
# make torture    kills, power cuts, full disks, hostile files: hours; KIND=hostile, KIND=disks or KIND=MP4: those only
# make fuzz       random bytes for all readers, FUZZ_SECONDS for each
# make corpus     record, verify and recover against ffprobe: all that ffmpeg can make, or CORPUS=folder
# make findings   surprises of other libraries, each as a program
# make clean      remove what make made

PYTHON ?= python3
# Another Python needs another environment: make test PYTHON=python3.13 VENV=.venv-3.13
VENV ?= .venv
BIN := $(VENV)/bin
TRIALS := tests/benchmarks tests/torture tests/corpus
FUZZ_SECONDS ?= 60
KIND ?=
TORTURE ?= $(if $(KIND),--kind $(KIND))
CORPUS ?=
BENCH ?=

.PHONY: demo test trials check lab docs gallery bench torture fuzz corpus findings clean

demo: $(VENV)/.base
	mkdir -p recordings
	$(BIN)/recordkit record --source synthetic --size 1280x720 --fps 30 --seconds 10 --overwrite \
		--plot recordings/demo.png recordings/demo.ts
	$(BIN)/recordkit verify --decode recordings/demo.ts

test: $(VENV)/.all
	$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(TRIALS:%=--ignore %)
	$(BIN)/pytest -n 2 --dist loadfile --nbval-lax --nbval-current-env --nbval-cell-timeout=120 notebooks

trials: $(VENV)/.all
	$(BIN)/pytest -n 3 --dist load $(TRIALS)

check: $(VENV)/.all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(VENV)/.all
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

docs: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -d docs/_build/doctrees . docs/_build/html
	@echo docs/_build/html/index.html

gallery: $(VENV)/.all
	$(BIN)/python -m tests.pictures.gallery docs/_build/html/gallery

bench: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	$(BIN)/python -m tests.benchmarks $(BENCH)
	$(BIN)/python -m tests.benchmarks --readme README.md

torture: $(VENV)/.all
	$(BIN)/python -m tests.torture $(TORTURE)

fuzz: $(VENV)/.all
	$(BIN)/python -m pip install --quiet --editable ".[fuzz]"
	set -e; for target in scanner chunks tail flush_log recover repair; do \
		$(BIN)/python -m tests.fuzz $$target --seconds $(FUZZ_SECONDS) --scratch recordings/fuzz; done

corpus: $(VENV)/.all
	$(BIN)/python -m tests.corpus $(CORPUS)

findings:
	set -e; for finding in findings/*.sh; do echo "$$finding"; bash "$$finding"; done

clean:
	rm -rf .venv .venv-* .judges docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.all: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --editable ".[notebook,test]"
	touch $@
