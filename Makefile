# `make demo` and `make test` are all a fresh machine needs: Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.PHONY: setup demo test check bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "finelens needs Python 3.11 or later; make PYTHON=python3.12 setup")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --group dev --editable .
	touch $@

demo: setup
	$(BIN)/finelens demo

test: setup
	$(BIN)/python -m pytest

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# hours; never part of test or check. BENCH takes options, such as BENCH="--photos my/photos --rows loader"
bench: setup
	$(BIN)/python benchmarks/bench.py --write docs/BENCHMARKS.md $(BENCH)

clean:
	rm -rf .venv .pytest_cache .ruff_cache
