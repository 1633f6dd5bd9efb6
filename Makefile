# Two commands for newcomers: `make run` and `make test`. Python 3.11 and make are all they need.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# One more than there are cores: tests of faults and of live pages wait most of the time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

ifdef DATA
export KJXLKJ_DATA_DIR := $(DATA)
endif

.PHONY: run test install lint bench fuzz soak clean

run: $(VENV)/.installed  ## Everything on this machine: database, web, workers. VAULT=path PORT=8000 DATA=var
	@exec $(BIN)/python manage.py up --port $(PORT) $(if $(VAULT),--vault "$(VAULT)")

test: $(VENV)/.installed-dev  ## The whole suite: real database, workers, kills and browser
	@$(BIN)/python -m tests.browser.chromium
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup $(ARGS)

install: $(VENV)/.installed-dev  ## The environment with all tools

lint: $(VENV)/.installed-dev  ## Style, types, layers, templates, migrations, deployment checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy kjxlkj automation librarian exports
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet templates  # not --check: its layout adds white space, which shows in diffs
	for settings in kjxlkj tests benchmarks; do \
	    DJANGO_SETTINGS_MODULE=$$settings.settings $(BIN)/python manage.py makemigrations --check --dry-run || exit 1; \
	done
	KJXLKJ_HTTPS=1 $(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

bench: $(VENV)/.installed-dev  ## Figures as ratios to floors measured in the same run
	$(BIN)/python -m benchmarks

fuzz: $(VENV)/.installed-dev  ## Damaged answers of models against the reader. SECONDS=60 SEED=number
	$(BIN)/python -m tests.librarian.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

soak: $(VENV)/.installed-dev  ## Everything is killed at every moment, then for five minutes at random. SEED=number repeats a run
	$(BIN)/python -m tests.faults.matrix $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.faults.soak $(if $(SEED),--seed $(SEED))

clean:  ## Removes the environment; never the data
	rm -rf $(VENV)

$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock | $(VENV)/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@ $(VENV)/.installed

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kjxlkj needs Python 3.11 or newer: install it, or name one with PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
