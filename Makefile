# The project's commands. `make demo` and `make test` need root on Debian; the rest needs Python 3.11 alone.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What dockmesh is measured beside, apart: it needs other versions of the same libraries.
RIVALS := .venv-bench
WORKERS ?= 2
LAB_INVENTORY := /var/lib/dockmesh/lab/demo/mesh.yml
PICTURE ?= picture
# What the HTML report is tested in.
BROWSER := chromium chromium-driver fonts-dejavu-core
# What draws the HTML report: modules that stand in templates/report/d3 as npm has them.
D3 := d3-path@3.1.1 d3-shape@3.2.1 d3-hierarchy@3.1.3 d3-selection@3.0.1

.PHONY: demo test check format images lab lab-down record bench docs picture pythons units audit lock vendor system browser
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

# As system, for the tests of the HTML report; after it, since apt serves one at a time.
browser: system
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  echo 'installing: $(BROWSER)' >&2; apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(BROWSER) >/dev/null; }

demo: system
	@$(BIN)/dockmesh lab up --name demo
	$(BIN)/dockmesh apply -i $(LAB_INVENTORY) --yes
	@echo 'The lab stays up, and make lab-down ends it. To look again:'
	@echo '$(BIN)/dockmesh status -i $(LAB_INVENTORY)'

images: system
	@$(BIN)/dockmesh lab images

lab: system
	@$(BIN)/dockmesh lab up --name demo

lab-down: $(READY)
	@$(BIN)/dockmesh lab down --name demo

# Records the answers of real hosts that unit tests build from: tests/data/facts.
record: system
	@$(BIN)/python tests/lab/record.py

check: $(READY)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/shellcheck --shell=dash templates/*.sh dockmesh/lab/*.sh tests/lab/docker29/*.sh
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/pytest -q -n $(WORKERS) -m 'not lab and not browser'

# The lab's tests wait more than they work: workers with labs of their own run them module by module, longest first.
# Labs that a killed run left are cleared away by the next. DOCKMESH_LABS=NAME sets a checkout's labs apart.
test:
	@$(MAKE) --no-print-directory --jobs=3 check images browser
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'lab or browser' tests/browser tests/lab

format: $(READY)
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

# BENCH='--help' tells what can be chosen. Without the rivals the bench says so, and goes on.
bench: system
	@[ $(RIVALS)/.ready -nt .ci/bench.txt ] || { $(PYTHON) -m venv $(RIVALS) && \
	  $(RIVALS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/bench.txt && \
	  touch $(RIVALS)/.ready; } || echo 'the tools to compare with could not be installed' >&2
	@$(BIN)/python -m tests.bench --tools $(RIVALS)/bin $(BENCH)

# Writes what the code says into docs: reference, man page, table of causes.
docs: $(READY)
	@$(BIN)/python -m docs.generate

# A real table as a picture: from a lab that is begun for it, made by dockmesh's own words on a terminal.
picture: system
	@$(BIN)/dockmesh lab up --name $(PICTURE) >/dev/null
	@$(BIN)/dockmesh apply -i /var/lib/dockmesh/lab/$(PICTURE)/mesh.yml --yes --serial 100% >/dev/null
	@$(BIN)/python -m docs.picture docs/status.svg status -i /var/lib/dockmesh/lab/$(PICTURE)/mesh.yml
	@$(BIN)/dockmesh lab down --name $(PICTURE)

units: $(READY)
	@$(BIN)/pytest -q -m 'not lab and not browser'

# The unit tests by every Python that is supported and at hand, each in an environment of its own.
pythons:
	@for each in 3.11 3.12 3.13; do \
	  command -v python$$each >/dev/null || { echo "python$$each is not here" >&2; continue; }; \
	  $(MAKE) --no-print-directory units PYTHON=python$$each VENV=build/python$$each || exit; \
	done

# What is known of holes in the pinned dependencies; asks the network.
audit: $(READY)
	@$(PYTHON) -m venv build/audit
	@build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement .ci/requirements.lock

# Pins every dependency anew, with hashes.
lock: $(READY)
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --upgrade --group dev --no-emit-index-url --generate-hashes \
	  --no-header --no-annotate --python-version 3.11 pyproject.toml -o .ci/requirements.lock
	@printf 'ansible-core\nmatplotlib\npyinfra\n' | $(BIN)/uv pip compile --quiet --universal --upgrade \
	  --no-emit-index-url --generate-hashes --no-header --no-annotate --python-version 3.11 - -o .ci/bench.txt

# Fetches the modules of D3 anew, in the versions above.
vendor:
	@for each in $(D3); do \
	  name=$${each%@*}; packed=$$(npm pack --silent $$each) || exit; \
	  tar -xzOf $$packed package/dist/$$name.min.js >templates/report/d3/$$name.min.js && \
	  tar -xzOf $$packed package/LICENSE >templates/report/d3/LICENSE && rm $$packed || exit; \
	done
