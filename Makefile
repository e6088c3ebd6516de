# Infra-Watch. `make` alone tells what there is.
PYTHON ?= python3
VENV := .venv/bin
LOCAL := PYTHONPATH=infra/local $(PYTHON) -m infrawatch_local
SOURCES := infra/local libs schemas services tests

.DEFAULT_GOAL := help
.PHONY: help up down status logs setup test bench faults faults-short test-unit lint types contracts contracts-check format lock images ci clean compose-secrets

help: ## Tell what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Start everything on this machine, and read its first telemetry
	@$(LOCAL) up

down: ## Stop everything; data stays
	@$(LOCAL) down

status: ## Show what runs
	@$(LOCAL) status

logs: ## Follow the logs (of one program: NAME=ingest)
	@$(LOCAL) logs $(NAME)

setup: ## Install what is missing: packages, virtual environment, Debian tree
	@$(LOCAL) setup

test: setup ## Run every test, on a stack of its own
	@$(VENV)/pytest

bench: setup ## Measure, against references in the same minute (some: ONLY="drain latency"); see docs/benchmarks.md
	@PYTHONPATH=infra/local:tests $(VENV)/python -m bench $(ONLY)

faults: setup ## Break everything at full length (FACTOR=0.1: a tenth; ROWS="4 6": those alone; SOAK=1: an hour more)
	@PYTHONPATH=infra/local:schemas:tests $(VENV)/python -P -m faults.run \
	    --factor $(or $(FACTOR),1) $(if $(ROWS),--rows "$(ROWS)") $(if $(SOAK),--soak)

faults-short: ## Break everything in the shortest way
	@$(MAKE) --no-print-directory faults FACTOR=0

test-unit: setup ## Run the tests that need no stack
	@$(VENV)/pytest tests/unit tests/contract

lint: setup ## Check style, format and the import contracts
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/lint-imports --no-logo

types: setup ## Check types, strictly
	@$(VENV)/mypy $(SOURCES)

contracts: setup ## Write the generated contracts
	@$(VENV)/python schemas/generate.py

contracts-check: setup ## Say which generated contracts the code no longer matches
	@$(VENV)/python schemas/generate.py --check

format: setup ## Format the code
	@$(VENV)/ruff check --fix-only .
	@$(VENV)/ruff format .

lock: setup ## Lock the dependencies anew, with hashes and without addresses
	@requirements/lock

images: setup ## Build every image, and start each until its health check answers
	@PYTHONPATH=infra/local $(VENV)/python infra/docker/check_images.py

ci: test lint types contracts-check ## What a change must pass

clean: ## Remove the stack's state and the virtual environment of this checkout
	@$(LOCAL) clean

compose-secrets: ## Make the secrets that docker-compose.yml names
	@infra/docker/make-secrets
