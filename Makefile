# Everything that is done with the project, by name. `make demo` and `make test` need a Rust toolchain and
# Python 3.11 or newer; all else they install themselves, below target/ and .venv/, at pinned versions.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
TOOLS := target/tools
BROWSER := $(TOOLS)/browser
CARGO_DENY := 0.20.2
CARGO_MUTANTS := 27.1.0
UV := 0.13.9
FUNCTIONS := $(notdir $(wildcard functions/*))
FINDINGS ?= 1200
SEEDS ?= 1000

export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

.PHONY: help
help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: build $(VENV)/installed ## Run audits through the whole stack on this machine, and guards; with DETECT=1, alarms
	target/release/fleetwarden demo $(if $(DETECT),--detect,--findings $(FINDINGS))

.PHONY: up
up: build $(VENV)/installed ## Bring the stack up and stay, for boto3 or the AWS CLI
	target/release/fleetwarden up

# The functions are built just as `sam build` does it with cargo-lambda (a target, and the processors that Lambda
# has), so that it finds them built; and alone, since another crate beside them could change what they are built from.
LAMBDA_TARGET := $(shell uname -m)-unknown-linux-gnu
LAMBDA_CPU := $(if $(filter x86_64-%,$(LAMBDA_TARGET)),haswell,neoverse-n1)

.PHONY: build
build: ## Build what ships, once: every test uses these binaries
	cargo build --release --locked --target $(LAMBDA_TARGET) \
	  --config 'build.rustflags=["-C","target-cpu=$(LAMBDA_CPU)"]' $(addprefix -p ,$(FUNCTIONS))
	cargo build --profile cli --locked -p fleetwarden
	mkdir -p target/release
	cp -u $(addprefix target/$(LAMBDA_TARGET)/release/,$(FUNCTIONS)) target/cli/fleetwarden target/release/

.PHONY: test
test: ## Run every test, lint and check, but for the browser's and SAM's
	tests/run $(MORE)

.PHONY: sam
sam: build $(VENV)/installed ## Build with SAM and invoke each function with each of its events
	$(PYTHON) tests/sam/run.py --fleetwarden target/release/fleetwarden

.PHONY: browser
browser: $(VENV)/installed $(BROWSER)/installed ## Look at the pages of the reports in Chromium (180 MB)
	$(VENV)/bin/python -m pytest -q tests/browser

# The packages run nothing when they are installed, and are what the lock file says. Chromium comes compressed: its
# package unpacks it below TMPDIR, and its libraries only where it takes the machine for Lambda with this Node.js.
$(BROWSER)/installed: tests/browser/package-lock.json | $(VENV)/installed
	rm -rf $(BROWSER)
	mkdir -p $(BROWSER)/chromium
	cp tests/browser/package.json tests/browser/package-lock.json $(BROWSER)/
	$(VENV)/bin/npm ci --prefix $(BROWSER) --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	cd $(BROWSER) && TMPDIR=$(CURDIR)/$(BROWSER)/chromium AWS_EXECUTION_ENV=AWS_Lambda_nodejs24.x \
	  $(CURDIR)/$(VENV)/bin/node --eval 'import("@sparticuz/chromium").then((own) => own.default.executablePath())'
	touch $@

.PHONY: sim
sim: ## Simulate the stack with faults: SEEDS=10000 of them, or SEED=7 with its trace
	cargo build --locked --profile simulation -p fleetwarden-simulation
	target/simulation/fleetwarden-simulation $(if $(SEED),--seed $(SEED) $(if $(SHRINK),--shrink),--seeds $(SEEDS))

.PHONY: sim-mutants
sim-mutants: ## Break the product in known ways, and see that the simulation catches each: NAMES='one another'
	$(PYTHON) local/simulation/mutants.py $(NAMES)

# What decides and counts in the core. A mutant that no test notices is a hole in the tests: `missed` lists them.
DECIDES := $(wildcard shared/core/src/policy/*.rs shared/core/src/message/*.rs shared/core/src/model/alarm/*.rs) \
  $(addprefix shared/core/src/,pack.rs model/history.rs model/suppression.rs)
FILES ?= $(DECIDES)

MUTATE = RUST_BACKTRACE=0 CARGO_PROFILE_DEV_DEBUG=0 $(LIMIT) cargo mutants --no-shuffle --package fleetwarden-core \
  --output target/mutants --jobs 2

.PHONY: mutants
mutants: $(TOOLS)/cargo-mutants-$(CARGO_MUTANTS) ## Change what decides and see that a test notices: FILES='…', else all (hours)
	$(MUTATE) $(addprefix --file ,$(FILES)) -- --lib

BASE ?= HEAD~1
CHANGE := target/change.diff

.PHONY: mutants-of-change
mutants-of-change: LIMIT := timeout --signal=INT 480
mutants-of-change: ## Change only those lines of it that have changed since a commit: BASE=HEAD~1
	@mkdir -p $(dir $(CHANGE))
	@if ! git diff $(BASE) -- $(DECIDES) > $(CHANGE); then \
	  echo 'not checked: there is no commit $(BASE) to compare with'; \
	elif ! test -s $(CHANGE); then \
	  echo 'No line of what decides has changed since $(BASE).'; \
	else \
	  $(MAKE) --no-print-directory $(TOOLS)/cargo-mutants-$(CARGO_MUTANTS); \
	  $(MUTATE) --in-diff $(CHANGE) -- --lib || case $$? in \
	    3) ;; \
	    124) echo 'not checked: the time was up before each change since $(BASE) was tried' ;; \
	    *) exit 1 ;; \
	  esac; \
	fi

$(TOOLS)/cargo-mutants-$(CARGO_MUTANTS):
	cargo install --quiet --locked --version $(CARGO_MUTANTS) --root $(TOOLS) cargo-mutants
	touch $@

.PHONY: bench
bench: build $(VENV)/installed ## Measure speed, size and calls
	cargo build --release --locked -p fleetwarden-bench
	target/release/fleetwarden-bench

.PHONY: venv
venv: $(VENV)/installed

# The lock file names every package with the hashes of its wheels: nothing is resolved and nothing is built here.
$(VENV)/installed: tests/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r $<
	touch $@

.PHONY: lock
lock: $(TOOLS)/uv-$(UV)/installed ## Resolve the Python packages anew, after a change of a requirements.in
	for place in tests tests/sam; do \
	  $(<D)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
	    --no-header --no-annotate -o $$place/requirements.txt $$place/requirements.in; \
	done

$(TOOLS)/uv-$(UV)/installed:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check uv==$(UV)
	touch $@

# A private item may be linked: these pages are for those who work on the project.
.PHONY: docs
docs: ## Build the documentation of the crates, below target/doc
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' \
	  cargo doc --workspace --no-deps --document-private-items --locked --quiet

.PHONY: deny
deny: $(TOOLS)/cargo-deny-$(CARGO_DENY) ## Check licences, sources and what may come into the binaries
	cargo deny check bans licenses sources

# RustSec keeps its database on GitHub alone. Where that cannot be reached nothing is checked, and tests/run says so.
.PHONY: advisories
advisories: $(TOOLS)/cargo-deny-$(CARGO_DENY) ## Check the crates for known vulnerabilities
	@if timeout 120 cargo deny fetch db; then \
	  cargo deny check advisories; \
	else \
	  echo 'not checked: the advisory database cannot be fetched from github.com/rustsec/advisory-db'; \
	fi

$(TOOLS)/cargo-deny-$(CARGO_DENY):
	cargo install --quiet --locked --version $(CARGO_DENY) --root $(TOOLS) cargo-deny
	touch $@
