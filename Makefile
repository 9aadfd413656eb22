# What a user runs: `make demo`, `make test`.  Each target does the set-up itself if needed.
# Any Python from 3.6 can do the set-up; the environments have versions of their own.

PYTHON := $(shell command -v python3 || command -v python)
BIN := .venv/bin
PACKAGES := -p amct_core -p amct_caffe -p ascend_backend -p cpu_sim_backend
SOURCES := amct_core plugins tests tools benchmarks examples docs/conf.py docs/_ext
SCHEMA := plugins/amct_caffe/amct_caffe/model/schema
# Two workers for two cores; one BLAS thread each, and OpenMP's sleep while they have nothing to do,
# or they get in each other's way.  Each worker begins with tests of its own half of the suite, so that
# most fixtures of modules and sessions are made once.
PYTEST := env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
WORKERS := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup setup-313 demo test test-slow test-all fuzz mutants test-313 docs lint types measure schema lock lock-peers lock-nncf dist version changelog clean

help:  ## Say what each target does.
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup:  ## Make .venv: CPython 3.9 with Caffe and everything else.
	@$(PYTHON) tools/bootstrap.py 3.9 .venv

setup-313:  ## Make .venv313: CPython 3.13 without Caffe.
	@$(PYTHON) tools/bootstrap.py 3.13 .venv313

demo: setup  ## Take a small network through the whole workflow.
	@$(BIN)/amct demo --out demo

test: setup  ## Run the tests.
	$(PYTEST) $(BIN)/python -m pytest $(WORKERS) -m "not slow"

test-slow: setup  ## Run the longer tests.
	$(PYTEST) $(BIN)/python -m pytest $(WORKERS) -m slow

test-all: setup  ## Run both the fast and the longer tests.
	$(PYTEST) $(BIN)/python -m pytest $(WORKERS)

fuzz: setup  ## Read mutated files; ARGS="--seconds 600 --seed 1", or --help, says how many.
	$(PYTEST) $(BIN)/python -m tests.fuzz $(ARGS)

mutants: setup  ## Change the product here and there, and ask whether a test of the area notices.
	$(PYTEST) $(BIN)/python -m tools.mutants $(ARGS)

test-313: setup-313  ## Run everything that needs no Caffe on CPython 3.13.
	$(PYTEST) .venv313/bin/python -m pytest $(WORKERS) -m "not caffe and not slow"

docs: setup  ## Build the documentation site into build/docs; a warning is an error.
	$(BIN)/python -m sphinx -W --keep-going -n -q -E -b html docs build/docs

lint: setup  ## Check style and formatting.
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: setup  ## Check types.
	$(BIN)/mypy $(PACKAGES)

measure: setup  ## Measure on real models and data; keeps the output in benchmarks/results.
	$(BIN)/python benchmarks/measure.py

schema: setup  ## Compile Caffe's schema, after a change of a .proto file.
	for file in caffe other_caffes; do \
	  $(BIN)/python -W ignore -m grpc_tools.protoc -I plugins/amct_caffe \
	    --descriptor_set_out=$(SCHEMA)/$$file.desc $(SCHEMA)/$$file.proto || exit; \
	done

lock: setup  ## Resolve the locked requirements again.
	$(BIN)/uv pip compile --no-config --universal --python-version 3.9 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile --no-config --universal --python-version 3.9 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade requirements/uv.in -o requirements/uv.txt

# The CPU build of PyTorch is not on PyPI: pip's own settings say where its files are.
lock-peers: setup  ## Resolve what the benchmark of other QAT tools needs; PIP_FIND_LINKS: PyTorch.
	$(BIN)/uv pip compile --no-config --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --find-links "$(PIP_FIND_LINKS)" \
	  --no-emit-index-url --no-header --no-annotate --upgrade requirements/peers.in -o requirements/peers.txt

lock-nncf: setup  ## Resolve what the benchmark of post-training quantization needs for NNCF.
	$(BIN)/uv pip compile --no-config --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade \
	  requirements/nncf.in -o requirements/nncf.txt

dist: setup  ## Build all distributions, and try them in empty environments on 3.9, 3.11 and 3.13.
	$(BIN)/python -m tools.distributions $(ARGS)

version: setup  ## Say the version; ARGS=0.3.0 writes it everywhere.
	@$(BIN)/python -m tools.distributions.version $(ARGS)

changelog: setup  ## Show the change log as the next release would have it.
	$(BIN)/towncrier build --draft

clean:  ## Remove the environments and everything that tools leave behind.
	rm -rf .venv .venv313 .uv demo amct_log .hypothesis .mypy_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
