# Every target is safe to repeat, shows what it does, and ends what it started.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup build fmt lint demo demo-check test unit simulate-seeds bench bench-sink torture torture-slice planted stack-up stack-down chart-check observe-check acls-check terraform-check contracts-check images kube-test clean web-build web-check web-test screenshots

# A target directory outside the checkout, when there is a cache folder, spares fresh clones the dependencies.
CACHE := $(or $(METERWAY_CACHE),$(HOME)/.cache/meterway)
ifeq ($(origin CARGO_TARGET_DIR),undefined)
  ifneq ($(wildcard $(CACHE)/target/.),)
    export CARGO_TARGET_DIR := $(CACHE)/target
  else
    export CARGO_TARGET_DIR := $(CURDIR)/target
  endif
endif
export CARGO_INCREMENTAL ?= 0
LOCAL := deploy/local
BIN := $(CARGO_TARGET_DIR)/debug

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Check the prerequisites and install every local component into .local/
	@$(LOCAL)/setup.sh

build: setup ## Build every service and the meterway command
	cargo build --workspace --bins --locked

demo: build web-build ## Run everything on real components with real meter data, until Ctrl-C
	@$(LOCAL)/demo.sh $(BIN)

demo-check: build web-build ## The same, bounded: exits 0 when everything adds up, leaves nothing running
	@$(LOCAL)/demo.sh $(BIN) --check

test: setup ## Format, lint, unit, component, system and dbt tests on real components
	@$(LOCAL)/test.sh $(BIN)

fmt: ## Format the Rust code and the manifests
	cargo fmt --all
	.local/venv/bin/taplo fmt

lint: setup ## Format check, spelling, clippy without warnings
	@$(LOCAL)/lint.sh

unit: ## Only the tests that need no running component
	cargo test --workspace --lib --locked

simulate-seeds: ## The exactly-once path in a model of its world, 100,000 seeds of faults
	cargo build --workspace --bins --locked
	$(BIN)/simulation --seeds 100000 --jobs 2

bench: ## Micro-benchmarks (decode, rules, columns, encoding, checksum) beside their bare limits, as ratios
	@$(LOCAL)/bench.py

bench-sink: setup ## The whole sink on a filled topic in a release build
	@$(LOCAL)/bench-sink.sh

torture: build ## Attack a whole installation, in rounds (ROUND=2 runs one), until docs/reliability.md has its figures
	@METERWAY_BIN=$(BIN) tests/torture/run.sh long

torture-slice: build ## The same, bounded: a million readings, two dozen kills, an outage
	@METERWAY_BIN=$(BIN) tests/torture/run.sh slice

planted: setup ## Plant bugs, one at a time, and expect the suites to find each; ONLY="NAME…" for some
	@tests/torture/planted.sh $(if $(ONLY),--only $(ONLY))

chart-check: ## The Helm chart: strict lint, refused values, golden files, schemas of Kubernetes, rules for pods, settings
	@METERWAY_BIN=$(BIN) deploy/helm/chart-check.sh

observe-check: setup ## Alerts silent, firing and recovered; runbooks; boards; every metric named is one that the code exports
	@deploy/prometheus/observe-check.sh

acls-check: setup ## Every principal tries every topic on a broker that asks for a password (half a minute)
	@PYTHONDONTWRITEBYTECODE=1 .local/venv/bin/python deploy/kafka/acls_check.py

terraform-check: setup ## The AWS side as code: readable, every name declared, no wildcard allowed
	@PYTHONDONTWRITEBYTECODE=1 .local/venv/bin/python deploy/terraform/check.py

contracts-check: setup ## Contracts of topics and tables: what the code says, in the standards' forms
	@PYTHONDONTWRITEBYTECODE=1 .local/venv/bin/python docs/contracts/contracts.py --check

images: build web-build ## OCI archives of every program in .local/images, without a container engine
	@deploy/docker/images.sh $(BIN) .local/images

kube-test: build web-build ## The chart on a real node: install, helm test, upgrade under load, killed pods, policies (docs/kubernetes.md)
	@METERWAY_BIN=$(BIN) tests/kubernetes/run.sh

# npm's own note of what it installed: newer than the lock means that nothing is to be done.
WEB_MODULES := web/node_modules/.package-lock.json
WEB_SOURCES := $(shell find web/src web/public -type f) web/index.html web/vite.config.ts web/tsconfig.json web/package.json

$(WEB_MODULES): web/package-lock.json
	cd web && npm ci
	@touch $@

web/dist/index.html: $(WEB_MODULES) $(WEB_SOURCES)
	cd web && npm run build

web-build: web/dist/index.html ## Build the dashboard's front end into web/dist

web-check: $(WEB_MODULES) ## Types, lint, unit tests, build and size budget of the front end
	cd web && npm run check

web-test: build web-build ## The specs of the front end in Chromium, against a whole installation with real data
	@web/e2e/real.sh $(BIN)

screenshots: build web-build ## Pictures of every page with real data: .local/screenshots, a choice of them in docs/screenshots
	@web/e2e/real.sh $(BIN) screenshots.sh

stack-up: setup ## Start Kafka, registry, S3, PostgreSQL and DynamoDB Local for development
	@METERWAY_STACK=dev $(LOCAL)/stack.sh up

stack-down: ## Stop them
	@METERWAY_STACK=dev $(LOCAL)/stack.sh down

clean: ## Remove all local state (stacks, logs), but not what was installed or built
	@for stack in demo test dev; do METERWAY_STACK=$$stack $(LOCAL)/stack.sh down && METERWAY_STACK=$$stack $(LOCAL)/stack.sh wipe; done
