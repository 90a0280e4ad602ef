# The commands of the project. Bare `make` lists them.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo build test prepare lint fmt generate audit bench bench-operator bench-wood-orders kubernetes e2e kind kind-build kind-up kind-down walk-through clean-cache images check-images install tools

# Where fetched and built tools are kept: the same folder as in tests/src/cache.rs.
CACHE := $(or $(ORDERMILL_CACHE),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/ordermill,$(HOME)/.cache/ordermill))
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
# Where `make images` puts the images.
BUILT := $(TARGET)/images

DENY_VERSION := 0.20.2
DENY_FOLDER := $(CACHE)/cargo-deny-$(DENY_VERSION)
DENY := $(DENY_FOLDER)/bin/cargo-deny

# Where nobody edits, a Cargo.lock that is behind is an error.
LOCKED := $(if $(CI),--locked)
# Tests wait for others as well as they work, so there are more than cores; each may start brokers of half a gigabyte, so
# that a machine with many cores does not run one on each.
CORES := $(shell getconf _NPROCESSORS_ONLN)
export RUST_TEST_THREADS ?= $(shell echo $$(($(CORES) < 4 ? $(CORES) + 2 : 6)))

PROGRAMS := --package ordermill-cli --package ordermill-operator --package ordermill-workload

# Runs a command, with its name before and its time after.
define timed
echo "== $(1)"; begin=$$SECONDS; $(2) && echo "== $(1): $$((SECONDS - begin)) s"
endef
define part
	@$(call timed,$(1),$(2))
endef

help: ## List the targets (the default)
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: tools ## Run the examples on a Kafka inside the process; edit them meanwhile, Ctrl-C ends
	@cargo run $(LOCKED) --bin ordermill -- local --filename examples $(DEMO_ARGUMENTS)

build: tools ## Build the programs: ordermill, ordermill-operator and ordermill-workload
	cargo build $(LOCKED) $(PROGRAMS)

test: tools ## Run all tests, on a real Kafka, Kubernetes and OpenTelemetry Collector
	$(call part,what the tests run on,cargo run $(LOCKED) --bin prepare)
	$(call part,programs and tests,cargo build $(LOCKED) --workspace --all-targets)
	$(call part,tests,ORDERMILL_BIN_DIR=$(TARGET)/debug cargo test $(LOCKED) --workspace)

images: tools ## Build both container images as archives in target/images, without a container engine
	@echo 'int main(void) { return 0; }' | $${CC:-cc} -static -x c -o /dev/null - 2>/dev/null || \
		{ echo "missing: a static C library (Debian: libc6-dev; Fedora: glibc-static; not on Linux: see the Dockerfile)"; exit 1; }
	@cargo run $(LOCKED) --bin ordermill-images -- archives --output $(BUILT) $(IMAGES)

check-images: ## Run what `make images` has built, each program in its own file system (root, or user namespaces)
	ORDERMILL_IMAGES=$(BUILT) cargo test $(LOCKED) --workspace --test built -- --ignored

install: images ## Install definitions and operator, with images of this checkout, in the current kubectl context
	images/install $(TARGET)/images $(HELM_ARGUMENTS)

prepare: tools ## Fetch and build what the tests run on, and say what is missing
	cargo run $(LOCKED) --bin prepare

lint: tools $(DENY) ## Check format, lints, licences and duplicate crates
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets --all-features -- --deny warnings
	cargo clippy $(LOCKED) --workspace --all-features --test end_to_end -- --deny warnings
	$(DENY) $(LOCKED) check --deny unmatched-skip --deny unnecessary-skip --deny license-not-encountered licenses bans sources

fmt: ## Format the code
	cargo fmt --all

generate: tools ## Write crds/*.yaml and their chart, the table of the other chart's values, and the OpenAPI documents
	cargo run $(LOCKED) --bin generate-crds
	cargo run $(LOCKED) --bin values
	cargo run $(LOCKED) --bin generate-openapi

audit: $(DENY) ## Ask for security advisories and yanked crates (needs the network)
	$(DENY) $(LOCKED) check advisories

bench: tools ## Measure a producer against Kafka's own ProducerPerformance, on release builds
	cargo build $(LOCKED) --release --package ordermill-workload
	ORDERMILL_BIN_DIR=$(TARGET)/release cargo run $(LOCKED) --release --bin throughput

bench-operator: tools ## Measure the operator: requests to the API server, latency of edits, memory, on release builds
	cargo build $(LOCKED) --release --package ordermill-operator --package ordermill-workload
	ORDERMILL_BIN_DIR=$(TARGET)/release cargo run $(LOCKED) --release --bin reconciles

bench-wood-orders: tools ## Measure the wood orders whole: orders per second, time from event to processed, memory, on release builds
	cargo build $(LOCKED) --release --package ordermill-workload
	ORDERMILL_BIN_DIR=$(TARGET)/release cargo run $(LOCKED) --release --bin wood_orders

kubernetes: tools build ## Start a Kubernetes control plane and a Kafka for the operator and kubectl; Ctrl-C ends them
	ORDERMILL_BIN_DIR=$(TARGET)/debug cargo run $(LOCKED) --bin kubernetes

kind: tools images ## Make a playground by kind, of official images: Kafka, Grafana, the operator, the examples
	kind/up $(TARGET)/images

# What the end-to-end tests run on: a cluster by kind, of images of ours or (KIND_NODE_IMAGE=official) of pulled ones.
# Their images of Ordermill are optimized less, so that they are built sooner: E2E_PROFILE=release takes the real ones.
E2E_PROFILE ?= quick
E2E_IMAGES = $(TARGET)/images-$(E2E_PROFILE)
# What is in them, where it was compiled.
E2E_PROGRAMS = $(TARGET)/static/$(shell rustc --print host-tuple)/$(E2E_PROFILE)
E2E_MAKE_IMAGES = $(MAKE) --no-print-directory images BUILT=$(E2E_IMAGES) IMAGES='--profile $(E2E_PROFILE) $(IMAGES)'
ARCHIVES = $(addprefix $(E2E_IMAGES)/,ordermill-operator.tar ordermill-workload.tar)
KIND_TOOL := cargo run $(LOCKED) --quiet --bin kind --

e2e: tools ## Install the charts on a cluster by kind and do what users do (needs a container engine; see docs/air-gap.md)
	$(call part,images of Ordermill,$(E2E_MAKE_IMAGES))
	$(call part,checks of the images,$(MAKE) --no-print-directory check-images BUILT=$(E2E_IMAGES))
	$(call part,the command line tool and the tests,cargo build $(LOCKED) --workspace --bin ordermill --test end_to_end --test integration)
	$(call part,the image's workload on a Kafka with TLS and passwords and on compressed topics,ORDERMILL_BIN_DIR=$(E2E_PROGRAMS) cargo test $(LOCKED) --workspace --test integration -- producer::security consumer::handling)
	@# Whatever fails from here on or is interrupted: the cluster goes.
	@trap 'status=$$?; $(call timed,clean-up,$(KIND_TOOL) down) || exit 1; exit $$status' EXIT; \
	{ $(call timed,cluster,$(KIND_TOOL) up $(ARCHIVES)); } || exit; \
	$(call timed,end-to-end tests,ORDERMILL_BIN_DIR=$(TARGET)/debug RUST_TEST_THREADS=2 cargo test $(LOCKED) --workspace --test end_to_end -- --show-output)

kind-build: tools ## Build the images for end-to-end tests: node, broker and database
	$(KIND_TOOL) build

kind-up: tools ## Make that cluster, with the images of Ordermill in it
	$(E2E_MAKE_IMAGES)
	$(KIND_TOOL) up $(ARCHIVES)

walk-through: kind-down ## Run the commands of docs/walk-through.md on a new one, and write down there what they print
	$(MAKE) --no-print-directory kind-up
	cargo run $(LOCKED) --bin walk_through -- docs/walk-through.md

kind-down: tools ## Delete it
	$(KIND_TOOL) down

clean-cache: ## Delete the folder with what was fetched and built for tests and lints
	@if [ "$(notdir $(CACHE))" != ordermill ]; then echo "$(CACHE) is not called ordermill and may hold other things: delete it yourself"; exit 1; fi
	rm -rf "$(CACHE)"

# What building librdkafka and OpenSSL from source needs besides cargo: said here in one line, not by a build script in fifty.
tools:
	@missing=; \
	need() { if ! $$2 >/dev/null 2>&1; then missing=1; echo "missing: $$1"; fi; }; \
	need "Rust (install rustup; it fetches the version in rust-toolchain.toml by itself)" "cargo --version"; \
	need "a C compiler (Debian: gcc; or set CC)" "$${CC:-cc} --version"; \
	need "a C++ compiler (Debian: g++; or set CXX)" "$${CXX:-c++} --version"; \
	need "Perl with its core modules, for OpenSSL (Debian: perl; Fedora: perl-core)" "perl -MFindBin -MIPC::Cmd -MPOSIX -MFile::Compare -e 1"; \
	[ -z "$$missing" ]

$(DENY):
	@echo "cargo-deny $(DENY_VERSION): building it in $(DENY_FOLDER), some minutes …"
	@# It runs for seconds: what a release's optimisations take to build, they never give back.
	CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
		cargo install --locked --root "$(DENY_FOLDER)" --version $(DENY_VERSION) cargo-deny
