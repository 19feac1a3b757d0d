# The project's commands; `make help` lists them. Targets that use the lab need root on Debian, the others Python 3.11.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The tools that bench compares with have an environment of their own: they need other versions of the same libraries.
RIVALS := .venv-bench
WORKERS ?= 2
LAB_INVENTORY := /var/lib/dockmesh/lab/demo/mesh.yml
PICTURE ?= picture
# Debian packages for the tests of the HTML report.
BROWSER := chromium chromium-driver fonts-dejavu-core
# The modules that draw the HTML report. templates/report/d3 holds them as npm publishes them.
D3 := d3-path@3.1.1 d3-shape@3.2.1 d3-hierarchy@3.1.3 d3-selection@3.0.1

# Without this line, a bare `make` only creates the environment.
.DEFAULT_GOAL := help
.PHONY: help demo test check format images lab lab-down record bench docs picture pythons units audit lock vendor system browser
.DELETE_ON_ERROR:

$(READY): pyproject.toml .ci/requirements.lock
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Prints nothing where all packages are installed.
system: $(READY) ## Install the Debian packages that the lab needs
	@missing=$$($(BIN)/python -m dockmesh.lab.requirements) && { [ -z "$$missing" ] || { \
	  echo "installing: $$missing" >&2; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; }

# Depends on system because only one apt can run at a time.
browser: system ## Install the Debian packages that the browser tests need
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  echo 'installing: $(BROWSER)' >&2; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(BROWSER) >/dev/null; }

demo: system ## Start three lab hosts and join them; the lab stays up
	@$(BIN)/dockmesh lab up --name demo
	$(BIN)/dockmesh apply -i $(LAB_INVENTORY) --yes
	@echo 'The lab stays up, and make lab-down ends it. To look again:'
	@echo '$(BIN)/dockmesh status -i $(LAB_INVENTORY)'

images: system ## Build the images of the lab, once per Debian release
	@$(BIN)/dockmesh lab images

lab: system ## Start three lab hosts
	@$(BIN)/dockmesh lab up --name demo

lab-down: $(READY) ## Remove the hosts of demo and lab
	@$(BIN)/dockmesh lab down --name demo

record: system ## Record the facts of lab hosts in tests/data/facts
	@$(BIN)/python tests/lab/record.py

check: $(READY) ## Check format, lint, types and layers, then run the quick tests, which need no lab
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/shellcheck --shell=dash templates/*.sh dockmesh/lab/*.sh tests/lab/docker29/*.sh
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q -n $(WORKERS) -m 'not lab and not browser and not slow'

# Each worker has labs of its own and takes the longest module left.
# A run removes the labs that a killed run left behind. DOCKMESH_LABS=NAME separates the labs of several checkouts.
test: ## Run everything: check, then the slow, lab and browser tests
	@$(MAKE) --no-print-directory --jobs=3 check images browser
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'lab or browser or slow' \
	  tests/browser tests/core/test_hostile_output.py tests/lab

format: $(READY) ## Format the code and apply the linter's fixes
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

# `make bench BENCH=--help` lists the options. Tools that cannot be installed are left out of the comparison.
bench: system ## Measure every command, and other tools at the same work
	@[ $(RIVALS)/.ready -nt .ci/bench.txt ] || { $(PYTHON) -m venv $(RIVALS) && \
	  $(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/bench.txt && \
	  touch $(RIVALS)/.ready; } || echo 'the tools to compare with could not be installed' >&2
	@$(BIN)/python -m tests.bench --tools $(RIVALS)/bin $(BENCH)

docs: $(READY) ## Generate the reference, the man page and the tables of causes and templates
	@$(BIN)/python -m docs.generate

picture: system ## Draw docs/status.svg from the status of a new lab
	@$(BIN)/dockmesh lab up --name $(PICTURE) >/dev/null
	@$(BIN)/dockmesh apply -i /var/lib/dockmesh/lab/$(PICTURE)/mesh.yml --yes --serial 100% >/dev/null
	@$(BIN)/python -m docs.picture docs/status.svg status -i /var/lib/dockmesh/lab/$(PICTURE)/mesh.yml
	@$(BIN)/dockmesh lab down --name $(PICTURE)

units: $(READY) ## Run the tests that need no lab, in one process
	@$(BIN)/pytest -q -m 'not lab and not browser'

# Each Python has an environment of its own under build/.
pythons: ## Run units with every supported Python that is installed
	@for each in 3.11 3.12 3.13; do \
	  command -v python$$each >/dev/null || { echo "python$$each is not here" >&2; continue; }; \
	  $(MAKE) --no-print-directory units PYTHON=python$$each VENV=build/python$$each || exit; \
	done

audit: $(READY) ## Report known vulnerabilities of the pinned dependencies (needs the network)
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement .ci/requirements.lock

lock: $(READY) ## Pin the newest versions of all dependencies, with hashes (needs the network)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --upgrade --group dev --no-emit-index-url --generate-hashes \
	  --no-header --no-annotate --python-version 3.11 pyproject.toml -o .ci/requirements.lock
	@printf 'ansible-core\nmatplotlib\npyinfra\n' | $(BIN)/uv pip compile --quiet --universal --upgrade \
	  --no-emit-index-url --generate-hashes --no-header --no-annotate --python-version 3.11 - -o .ci/bench.txt

vendor: ## Fetch the D3 modules in the versions above (needs npm)
	@for each in $(D3); do \
	  name=$${each%@*}; packed=$$(npm pack --silent $$each) || exit; \
	  tar -xzOf $$packed package/dist/$$name.min.js >templates/report/d3/$$name.min.js && \
	  tar -xzOf $$packed package/LICENSE >templates/report/d3/LICENSE && rm $$packed || exit; \
	done
