# Two commands do everything: `make demo` and `make test`. Both create .venv when it is missing.
PYTHON ?= python3
BIN    := .venv/bin
ENV    := OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
TESTS  := $(ENV) OMP_NUM_THREADS=1

SHELL  := bash
.SHELLFLAGS := -eu -o pipefail -c

.PHONY: demo test coverage test-slow test-npm lint clean

.venv/train: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0
	$(BIN)/pip install -q -c constraints.txt -e ".[train]"
	@touch $@

.venv/dev: .venv/train
	$(BIN)/pip install -q -c constraints.txt -e ".[all]" --group dev --group bench
	@touch $@

demo: .venv/train  ## feedback -> data -> fine-tune -> proof -> promotion, on your machine
	rm -rf .demo
	$(ENV) $(BIN)/honewheel demo --folder .demo

test: .venv/dev  ## the default tests
	$(TESTS) $(BIN)/pytest -n 2 -m "not slow and not npm"

coverage: .venv/dev  ## the default tests again, with what they reach of src/; takes almost twice as long
	$(TESTS) $(BIN)/coverage erase
	$(TESTS) $(BIN)/coverage run -m pytest -n 2 -m "not slow and not npm"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --fail-under=90 | tail -n 25

test-slow: .venv/dev  ## crash tests and real training, minutes long
	$(TESTS) $(BIN)/pytest -m slow

test-npm: .venv/dev  ## our ERD grammar against the real Mermaid parser (needs node and npm)
	$(TESTS) $(BIN)/pytest -m npm

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-%: .venv/dev  ## run benchmarks/NAME.py, write benchmarks/results/NAME.json
	$(ENV) $(BIN)/python benchmarks/$*.py

clean:
	rm -rf .venv .demo build dist .mypy_cache .ruff_cache .pytest_cache
