# The two commands a newcomer needs are `make run` and `make test`. Everything else is for whoever stays.
# The first supported Python that really runs: a version manager's shim may be there without its version.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11; do $$p -c 'import venv' 2>/dev/null && echo $$p && exit; done; echo python3)
DISTRICT ?=
BIN := .venv/bin
# Tests of one file share what they set up, so a file stays with one process. Whole nights share out their work themselves.
SIDE_BY_SIDE := -n logical --maxprocesses 4 --dist loadfile

.PHONY: run test test-fast lint format bench dev lock clean

run: ## install, make a sample district, run the nightly job (or on DISTRICT=path/to/district.yaml)
	@$(PYTHON) -m pipelines $(if $(DISTRICT),--district $(DISTRICT))

test: install-dev ## everything: seconds first, whole nights last
	$(BIN)/python -m pytest -m "not e2e" $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest -m e2e

test-fast: install-dev ## without whole nights
	$(BIN)/python -m pytest tests/unit tests/property tests/checks -m "not e2e" $(SIDE_BY_SIDE)

lint: install-dev ## format, lint, types, SQL format
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/sqlfmt --check --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

format: install-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/sqlfmt --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

bench: install-dev ## a night, a landing and XML, each beside the least that does the same (long)
	$(BIN)/python -m benchmarks.landing
	$(BIN)/python -m benchmarks.edfi_xml
	$(BIN)/python -m benchmarks.night

dev: install-run ## Dagster's UI and daemon on loopback, with the nightly schedule
	@$(BIN)/equity dev $(if $(DISTRICT),--district $(DISTRICT))

lock: ## resolve requirements/*.in again; needs uv
	cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-strip-extras --custom-compile-command 'make lock' --quiet run.in --output-file run.txt
	cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-strip-extras --custom-compile-command 'make lock' --quiet --constraint run.txt dev.in \
	  --output-file dev.txt

.PHONY: install-run install-dev
install-run:
	@$(PYTHON) -m pipelines --only-install run
install-dev:
	@$(PYTHON) -m pipelines --only-install dev

clean: ## remove what was generated, the sample district included
	rm -rf .equity dbt_project/target .pytest_cache .mypy_cache .ruff_cache
