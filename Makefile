# What a person or CI does with a checkout. Needed: Python 3.11 or newer, a C++20 compiler, make.
# Everything else (CMake and Ninja too) is installed by pip into $(VENV).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
CMAKE := $(BIN)/cmake
INSTALL := @echo "installing into $(VENV) (compiles chainrule)"; $(PIP) install --quiet --editable

NATIVE := CMakeLists.txt $(shell find native -name '*.cpp' -o -name '*.h' -o -name '*.def')
CXX_FILES = $(shell find native -name '*.cpp' -o -name '*.h')

# A stamp in the environment says what is installed there; a larger set sets the stamps of the
# sets within it, so that `make train` after `make test` installs nothing.
PLAIN := $(VENV)/.installed-plain
DEV := $(VENV)/.installed-dev
TEST := $(VENV)/.installed-test
BENCH := $(VENV)/.installed-bench

.PHONY: train test lint format bench sanitize clean clean-all help

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

train: $(PLAIN) ## train a network on handwritten digits
	$(BIN)/chainrule train digits

test: $(TEST) ## the tests, with parity against PyTorch and Keras; PYTEST_ARGS="-k name"
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

lint: $(DEV) ## style and types: ruff, mypy, clang-format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src/chainrule
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(DEV) ## rewrite the files as `lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

bench: $(BENCH) ## steps per second beside PyTorch, JAX, Keras, scikit-learn; BENCH_ARGS="--help"
	$(BIN)/python -m benchmarks --optimizers $(BENCH_ARGS)

sanitize: sanitize-address,undefined sanitize-thread ## the native tests under the sanitizers

sanitize-%: $(DEV) $(BIN)/cmake
	$(CMAKE) -S . -B build/sanitize-$* -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja \
	  -DCMAKE_BUILD_TYPE=None -DCHAINRULE_PYTHON=OFF -DCHAINRULE_BUILD_TESTS=ON \
	  -DCHAINRULE_SANITIZE=$*
	$(CMAKE) --build build/sanitize-$*
	$(BIN)/ctest --test-dir build/sanitize-$* --output-on-failure \
	  --parallel $$(getconf _NPROCESSORS_ONLN)

clean: ## remove what was built, but not the environment
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f $(PLAIN) $(DEV) $(TEST) $(BENCH)
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

clean-all: clean ## remove the environment too
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/cmake: | $(BIN)/python
	$(PIP) install --quiet cmake ninja

$(PLAIN): pyproject.toml $(NATIVE) | $(BIN)/python
	$(INSTALL) '.[plot]'
	@touch $@

$(DEV): pyproject.toml $(NATIVE) | $(BIN)/python
	$(INSTALL) '.[dev,plot,parquet]'
	@touch $(PLAIN) $@

$(TEST): pyproject.toml $(NATIVE) | $(BIN)/python
	$(INSTALL) '.[dev,test,audio,text,insight,plot,parquet,keras-files,parity]'
	@touch $(PLAIN) $(DEV) $@

$(BENCH): pyproject.toml $(NATIVE) | $(BIN)/python
	$(INSTALL) '.[bench,plot]'
	@touch $(PLAIN) $@
