# Each target installs what it needs. It requires Python 3.11 or later; PYTHON=python3.13 selects another one.

PYTHON ?= python3
ORDERS ?= 1 2 3
# A leap day, and the minutes before each clock change in Oslo
DATES ?= 2028-02-29T12:00+00:00 2027-03-28T00:57+00:00 2027-10-31T00:57+00:00
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
BIN := .venv/bin
READY := .venv/installed-$(VERSION)
RUN := $(BIN)/python -m config.embedded run
CHECK = $(RUN) --name test --scratch -- $(MAKE) --no-print-directory check-with-servers
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo up test test-all test-campaigns test-order test-dates check simulate mutants soak bench faults schema data-model pictures desk-pictures lock sbom clean install

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(READY) ## Install into .venv only

demo: $(READY) ## Show one night: import a sample roster, run the night with a real worker, run it again
	@$(RUN) --name demo -- python manage.py demo

up: $(READY) ## Run web, worker, beat, the watchdog and Flower, and print the addresses and a login
	@$(RUN) --name up -- python manage.py up

test: $(READY) lint ## Run all checks, the fast tests, and one sample of each slow campaign
	@mkdir -p .data
	@$(CHECK) >.data/checks.log 2>&1 & \
	python -m pytest -n 2 -m "not campaign or canary" $(PYTEST); tested=$$?; \
	wait $$!; checked=$$?; cat .data/checks.log; exit $$((tested | checked))  # the checks need one core, and a minute

test-all: test test-campaigns ## Run all checks and all tests

test-campaigns: $(READY) ## Run the rest of acceptance, browser and bench
	@python -m pytest -n 4 --dist worksteal -m "campaign and not canary" $(PYTEST)

test-order: $(READY) ## Run the fast tests in reversed order, in random orders, and each file alone
	@python -m pytest -q -n 2 -m "not campaign" -p no:randomly --reverse $(PYTEST)
	@for seed in $(ORDERS); do python -m pytest -q -n 2 -m "not campaign" --randomly-seed=$$seed $(PYTEST) || exit 1; done
	@find tests -name 'test_*.py' $(foreach folder,acceptance browser bench,-not -path 'tests/$(folder)/*') -print | sort \
	  | xargs -P 2 -n 1 sh -c 'said=$$(python -m pytest -q -n 0 $$0 2>&1) && echo "alone: $$0" || { echo "$$said"; exit 1; }'

test-dates: $(READY) ## Run the tests of `make test` at other dates, one of them 400 days ahead
	@for date in $(DATES) $$(date -Iseconds -d '400 days'); do \
	  echo "It is $$date."; \
	  python -m tests.support.clock $$date python -m pytest -q -n 2 -m "not campaign or canary" $(PYTEST) || exit 1; done

check: $(READY) lint ## Run the checks only: lint, types, imports, migrations, production settings
	@$(CHECK)

simulate: $(READY) ## Invent histories, and see whether a law is broken: SEEDS=500 SEED=7 STEPS=50 EXCEPT="manual,kept"
	@SEEDS=$(or $(SEEDS),500) SEED=$(SEED) STEPS=$(STEPS) EXCEPT="$(EXCEPT)" \
	  python -m pytest -q -s -n 0 -p no:randomly tests/acceptance/simulator/test_histories.py::test_no_history_breaks_a_law

mutants: $(READY) ## Put known faults back, one at a time, and see whether the simulator and the tests find each
	@EXCEPT="$(EXCEPT)" python -m tests.acceptance.simulator.mutants $(MUTANTS)

soak: $(READY) ## Run the whole service under random faults, and judge what is left: MINUTES=10 SEED=1
	@python -m tests.acceptance.simulator.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

.PHONY: lint check-with-servers
lint: $(READY)
	@ruff check .
	@bandit -q -c pyproject.toml -r manage.py config cronjobs certifications notifications mentors
	@ruff format --check .

check-with-servers:
	@mypy .
	@lint-imports --no-logo
	@python manage.py makemigrations --check --dry-run
	@python manage.py lintmigrations --settings tests.support.lint_settings --quiet ok ignore
	@DEBUG=false ALLOWED_HOSTS=nattevakt.example OPERATIONS_EMAIL=drift@nattevakt.example EMAIL_URL=submission://mail:587 \
	  PUBLIC_URL=https://nattevakt.example \
	  python manage.py check --deploy --fail-level WARNING

bench: $(READY) ## Measure one night against the limit and plain implementations (about ten minutes)
	@$(RUN) --name bench -- python -m tests.bench

faults: $(READY) ## Break beat, Redis, the workers, the database, web and mail, and write docs/operations.md's table
	@FAULTS_TABLE=1 python -m pytest -p no:randomly tests/acceptance/test_faults_night.py

schema: $(READY) ## Write docs/openapi.yaml from the code
	@$(RUN) --name test --scratch -- python manage.py spectacular --lang en --validate --fail-on-warn --file docs/openapi.yaml

data-model: $(READY) ## Draw docs/data-model.md anew from the models
	@$(RUN) --name test --scratch -- python -m tests.support.data_model

pictures: $(READY) ## Draw docs/messages: every message, in its languages side by side
	@$(RUN) --name test --scratch -- python -m tests.support.pictures

desk-pictures: $(READY) ## Draw docs/desk with the browser tests (needs a Chromium)
	@PICTURES=1 python -m pytest -q -n 0 -p no:randomly tests/browser

lock: $(READY) ## Write the lock files from pyproject.toml
	@uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  pyproject.toml -o requirements.txt
	@uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  -c requirements.txt --group dev pyproject.toml -o requirements-dev.txt

sbom: $(READY) ## Write docs/sbom.json, what the image is made of, from the lock
	@python -m tests.support.sbom

clean: ## Remove everything that the targets made, also the data of `make up`
	@for name in up demo test bench; do python -m config.embedded stop --name $$name 2>/dev/null || true; done
	rm -rf .venv .data staticfiles .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(READY): requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Nattevakt needs Python 3.11 or later: make PYTHON=python3.11 …")'
	@echo "Installing into .venv …"
	@rm -f .venv/installed-*
	@$(PYTHON) -m venv $(if $(wildcard .venv/bin/python$(VERSION)),,--clear) .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
