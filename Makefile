# The project's commands. `make demo` and `make test` need root on Debian; the rest needs Python 3.11 alone.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= 3
LAB_INVENTORY := /var/lib/dockmesh/lab/demo/mesh.yml

.PHONY: demo test check format lab lab-down bench lock system
.DELETE_ON_ERROR:

$(READY): pyproject.toml .ci/requirements.lock
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

# What the lab needs of the system; prints nothing and does nothing where it is all there.
system: $(READY)
	@missing=$$($(BIN)/python -m dockmesh.lab.requirements) && { [ -z "$$missing" ] || { \
	  echo "installing: $$missing" >&2; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; }

demo: system
	@$(BIN)/dockmesh lab up --name demo
	$(BIN)/dockmesh apply -i $(LAB_INVENTORY) --yes
	@echo 'The lab stays up: $(BIN)/dockmesh status -i $(LAB_INVENTORY); make lab-down ends it.'

lab: system
	@$(BIN)/dockmesh lab up --name demo

lab-down: $(READY)
	@$(BIN)/dockmesh lab down --name demo

check: $(READY)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/shellcheck --shell=dash templates/*.sh dockmesh/lab/*.sh
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q -m 'not lab'

# The lab's tests wait more than they work: workers with labs of their own run them module by module, longest first.
# Labs that a killed run left are cleared away by the next. DOCKMESH_LABS=NAME sets a checkout's labs apart.
test: check system
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/lab

format: $(READY)
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

bench: system
	@$(BIN)/python -m tests.bench

# Pins every dependency anew, with hashes.
lock: $(READY)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --upgrade --group dev --no-emit-index-url --generate-hashes \
	  --no-header --no-annotate --python-version 3.11 pyproject.toml -o .ci/requirements.lock
