# make demo: environment, then the tool on its demo pictures
# make test: environment, then every check and test
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
PYTHON ?= python3
BIN := .venv/bin
DEMO_ARGS ?=

.PHONY: help demo test check format constraints clean

help:
	@echo "make demo          set up, then open the tool on drawn pictures"
	@echo "make test          set up, then run every check and test"
	@echo "make check         format, lint, types and import rules alone"
	@echo "make format        rewrite the sources in the project's format"
	@echo "make constraints   bring constraints.txt up to the newest versions"
	@echo "make clean         remove the environment and what tests and demo made"

# One line that is rewritten says which package is being fetched; the full output is kept in install.log.
.venv/installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]} (make PYTHON=python3.12 ...)")'
	@echo "Making the environment in .venv (about 6 GB on Linux because torch brings CUDA; a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,timm,glove,postgres]' 2>&1 \
	    | tee .venv/install.log \
	    | awk '/Collecting|Downloading|Building|Installing/ { printf "\r\033[K%.100s", $$0; fflush() } END { print "" }' \
	    || { grep -E '^ERROR' .venv/install.log; echo "Installing failed; the whole log is .venv/install.log"; exit 1; }
	@touch $@

demo: .venv/installed
	@$(BIN)/annotator demo $(DEMO_ARGS)

check: .venv/installed
	@echo "== format";  $(BIN)/ruff format --check .
	@echo "== lint";    $(BIN)/ruff check .
	@echo "== types";   $(BIN)/mypy
	@echo "== imports"; $(BIN)/lint-imports

test: check
	@echo "== tests";   $(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --durations=15

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

constraints: .venv/installed
	$(BIN)/python -m pip install -q uv
	{ echo '# Exact versions for every platform, made by `make constraints`.'; \
	  $(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --upgrade pyproject.toml \
	      --no-header --no-annotate --no-emit-index-url; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv build dist artifacts demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
