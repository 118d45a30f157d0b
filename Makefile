# Largesse. `make help` lists what can be done; a bare machine needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
LINT_ENV := SECRET_KEY=lint STRIPE_SECRET_KEY=sk_test_lintlintlintlintlintlint STRIPE_WEBHOOK_SECRET=whsec_lint

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint format lock

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/installed  ## everything on this machine until Ctrl-C (PORT=8000 SANDBOX_PORT=12111)
	@$(PY) -m config.demo

test: $(VENV)/installed-dev  ## all tests on SQLite, then on PostgreSQL where one answers
	@$(PY) -m tests.run

bench: $(VENV)/installed-dev  ## how fast, beside others, on PostgreSQL (QUICK=1: small; NAMES="reads exports": only these)
	@$(PY) -m bench.run $(if $(QUICK),--quick) $(NAMES)

lint: $(VENV)/installed-dev  ## ruff, mypy, import rules, missing migrations
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(LINT_ENV) $(VENV)/bin/mypy
	$(LINT_ENV) $(VENV)/bin/lint-imports --no-cache
	$(LINT_ENV) $(PY) manage.py makemigrations --check --dry-run

format: $(VENV)/installed-dev  ## lay the code out
	$(VENV)/bin/ruff check --fix-only -q .
	$(VENV)/bin/ruff format -q .

lock: $(VENV)/installed  ## pin every version and hash of requirements*.in
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt
	$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements-dev.in -o requirements-dev.txt

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

# uv installs in a third of the time; where it cannot be had, pip does.
define install
	@echo "Installing $(1) …"
	@$(VENV)/bin/pip install -q --disable-pip-version-check uv==0.13.* || true
	@{ [ -x $(VENV)/bin/uv ] && $(VENV)/bin/uv pip install -q --python $(PY) --require-hashes -r $(1); } \
	 || $(VENV)/bin/pip install -q --disable-pip-version-check --require-hashes -r $(1)
	@touch $@
endef

$(VENV)/installed: requirements.txt | $(PY)
	$(call install,requirements.txt)

$(VENV)/installed-dev: requirements-dev.txt | $(PY)
	$(call install,requirements-dev.txt)
