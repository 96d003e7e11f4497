# make demo   the real job on small inputs; make test   the tests; make lint   style, types, arrows between packages
# make bench  what docs/benchmarks.md tells, measured on this machine: about an hour, with nothing else running
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint torture bench clean

# One pip call brings everything, and it runs again only when pyproject.toml has changed.
$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/cgtool demo --out demo

test: $(VENV)/.installed
	$(BIN)/python -m pytest

# The tests of many runs at their full count (docs/reliability.md); and the example, which trains for a quarter of an hour.
torture: $(VENV)/.installed
	CGTOOL_KILLS=100 $(BIN)/python -m pytest -n 0 tests/test_kill.py tests/test_interrupt.py
	CGTOOL_KILLS=20 $(BIN)/python -m pytest tests/test_kill_review.py tests/removal/test_killed_removal.py tests/bench/test_resume.py
	CGTOOL_FUZZ=1000 $(BIN)/python -m pytest -n 0 -s tests/test_hostile_files.py
	CGTOOL_S3_STEP=1 CGTOOL_S3_KILLS=all $(BIN)/python -m pytest -n 0 tests/run/test_remote_commit.py tests/run/test_remote_lock.py tests/cli/test_object_store.py
	CGTOOL_RAY=all $(BIN)/python -m pytest -n 0 tests/run/test_ray.py
	CGTOOL_MANIFEST_SEQUENCES=100 $(BIN)/python -m pytest -n 0 tests/run/test_manifests.py
	CGTOOL_FULL_DISK=all CGTOOL_RANDOM_VIDEOS=200 $(BIN)/python -m pytest -n 0 tests/test_full_disk.py tests/test_random_failures.py
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo_to_predict.sh example

# `make bench SIZE=tiny` only sees that they work; `make bench NAMES="deface recall"` runs some
SIZE ?= full
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks $(NAMES) --size $(SIZE)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo demo.cache example
