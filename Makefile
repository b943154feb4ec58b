.DEFAULT_GOAL := help
SHELL := /bin/bash

LINT_VERSION := v2.15.0
LINT := bin/golangci-lint-$(LINT_VERSION)
GOTESTSUM_VERSION := v1.13.0
GOTESTSUM := bin/gotestsum-$(GOTESTSUM_VERSION)
# A test that fails is run again, twice at most, unless many fail (each counts with its parents) or there is a data race: on a machine that
# others share one may fail for want of time. It is named, and to be mended.
TESTS := $(GOTESTSUM) --format pkgname --hide-summary skipped --rerun-fails=2 --rerun-fails-max-failures 12 --rerun-fails-abort-on-data-race
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# urfave_cli_no_docs leaves out the command-line library's generator of manual pages, 0.3 MB of the pilot.
TAGS := urfave_cli_no_docs
# nethttpomithttp2 leaves out HTTP/2, 0.4 MB of the pilot: its few requests go to idds, to the PanDA relay and for ranges of files.
PILOT_TAGS := $(TAGS),nethttpomithttp2
LDFLAGS := -s -w -X tfpilot/internal/version.text=$(VERSION)

help: ## Print this message
	@awk -F ':.*## ' '/^[a-z\/-]+:.*## /{printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...
	CGO_ENABLED=0 go build -trimpath -tags $(PILOT_TAGS) -ldflags '$(LDFLAGS)' -o bin/ ./cmd/pilot

demo: build ## The whole chain on this machine: time frames in, physics out, every slice accounted for (ten seconds or so)
	bin/testbed demo --out demo-out

test: $(GOTESTSUM) ## All tests, no services needed (CGO_ENABLED=0)
	CGO_ENABLED=0 $(TESTS) --packages ./... -- -shuffle=on

# With -short the models of properties are tried a fifth as often: what races does so in few tries, and `make test` has them all. The
# programs that internal/e2e starts are what ships, without the detector.
test/race: $(GOTESTSUM) ## Tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(TESTS) --packages "$$(go list ./... | grep -v '/internal/e2e$$' | tr '\n' ' ')" -- -race -short

test/integration: $(GOTESTSUM) ## Tests on real brokers, batch systems and PostgreSQL, started if they are down, and of payload/acts (REQUIRE_SERVICES=1: none is skipped)
	TESTS='$(TESTS)' scripts/integration.sh

test/api: ## Requests of all kinds made from the OpenAPI document, on SQLite and PostgreSQL (Schemathesis, from PyPI)
	scripts/api.sh

services/up: ## Start Apache ActiveMQ Artemis and ActiveMQ Classic on this machine (what is missing is installed, as root)
	scripts/services.sh up

services/down: ## Stop them and remove their state
	scripts/services.sh down

bench: build ## The numbers of docs/benchmarks.md, as ratios where something stands beside them
	scripts/bench.sh

bench/acts: build ## Three whole STFs through the chain with two real reconstructions, which stay and as a process per slice (minutes; ACTS_STFS=1 ACTS_FRAMES=90 for less)
	TFPILOT_TEST_ACTS=$$(payload/acts/install) CGO_ENABLED=0 go test -tags integration ./internal/e2e -run '^$$' -bench '^BenchmarkACTS' -benchtime 1x -timeout 2h

images: ## The pictures that the documents show, taken of real runs in a real browser (docs/images)
	browser=$$(scripts/chromium.sh) && env $$browser TFPILOT_SCREENSHOTS=$(CURDIR)/docs/images CGO_ENABLED=0 \
		go test -tags integration ./internal/e2e -run '^TestIntegrationPicturesOfTheDocuments$$' -count=1

soak: build ## 10^6 slices through one pilot: memory, files, goroutines, journal and broker log have to stay flat (some minutes)
	bin/testbed soak --out soak-out

fuzz: ## Fuzz what parses, a minute each (FUZZTIME=1m)
	scripts/fuzz.sh

fmt: $(LINT) ## Format the code
	$(LINT) fmt ./...

lint: $(LINT) ## Layer law and lint set of .golangci.yml
	$(LINT) run --build-tags integration ./...

tidy: ## go.mod and go.sum hold what is imported, nothing else
	go mod tidy

generate: ## Documents made from the code
	go test ./internal/exitcode ./payload ./idds/api -run TestDocument -update

verify: ## What CI runs: tidy, format, generate, lint, tests, race detector, static links, demo
	scripts/verify.sh

clean: ## Remove what the other targets made
	rm -rf bin demo-out chaos-out soak-out

$(LINT):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/golangci-lint $@

$(GOTESTSUM):
	GOBIN=$(CURDIR)/bin go install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)
	mv bin/gotestsum $@

.PHONY: help build demo test test/race test/integration test/api services/up services/down bench bench/acts images fuzz soak fmt lint tidy generate verify clean
