# The front door of the repository. `make` alone lists what there is; .ci/run is the gate that calls it.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Exact versions: the gate must say the same tomorrow. golangci-lint takes 75 s to build on two cores and is then kept.
GOLANGCI_VERSION := v2.15.0
GOFUMPT_VERSION  := v0.12.0
VULNCHECK_VERSION := v1.9.0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GO      ?= go
TOOLS   := $(CURDIR)/bin/tools
GOLANGCI := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
GOFUMPT  := $(TOOLS)/gofumpt-$(GOFUMPT_VERSION)
VULNCHECK := $(TOOLS)/govulncheck-$(VULNCHECK_VERSION)

# Build tags under which test code hides; the linters and vet must see it too.
TAGS := e2e,faults,screens,failpoints
# Packages whose tests run whole commands and benches over and over: without the race detector, which takes minutes there. What
# they run is tested with it in the packages below them. The second is in test/, which is a module of its own.
WHOLE := github.com/carebell/carebell/cmd/carebell
WHOLE_TEST := github.com/carebell/carebell/test/bench github.com/carebell/carebell/test/bench/measure
LDFLAGS := -s -w -X main.version=$(VERSION)
# The version says which commit it is; -buildvcs would only fail in a checkout that belongs to another user.
BUILD := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## What the targets need. Each pair is a command (or a path) and its Debian package.

.PHONY: deps deps-e2e deps-deploy
deps: ## install what the tests need (Debian/Ubuntu as root), or say what is missing
	@.ci/need redis-server:redis-server $(shell $(GO) env CC):gcc $(if $(filter linux,$(shell $(GO) env GOOS)),/usr/include/stdio.h:libc6-dev)

deps-e2e: ## the same for the end-to-end tests
	@.ci/need redis-server:redis-server redis-sentinel:redis-sentinel redis-cli:redis-tools \
	  bearerbox:kannel /usr/lib/kannel/test/fakesmsc:kannel-extras postfix:postfix dovecot:dovecot-imapd \
	  chromium:chromium promtool:prometheus node:nodejs npm:npm /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc:fonts-noto-cjk

deps-deploy: ## the same for the check of deploy/
	@.ci/need systemd-analyze:systemd promtool:prometheus

## The gate

.PHONY: check format vet lint rules modules vulns
check: format vet lint rules modules vulns ## everything but the tests: format, vet, lint, import rules, modules, known weaknesses

format: $(GOFUMPT)
	@echo "format: gofumpt $(GOFUMPT_VERSION)"
	@unformatted=$$($(GOFUMPT) -l .); if [ -n "$$unformatted" ]; then \
	  printf '%s\n' "$$unformatted"; echo "not formatted; run: make fmt" >&2; exit 1; fi

vet:
	@echo "vet: go vet, also with the tags $(TAGS)"
	@$(GO) vet ./...
	@$(GO) vet -tags $(TAGS) ./...
	@cd test && $(GO) vet ./... && $(GO) vet -tags $(TAGS) ./...
	@cd deploy/check && $(GO) vet ./...

lint: $(GOLANGCI)
	@echo "lint: golangci-lint $(GOLANGCI_VERSION)"
	@$(GOLANGCI) run --build-tags $(TAGS) ./...
	@cd test && $(GOLANGCI) run --build-tags $(TAGS) ./...
	@cd deploy/check && $(GOLANGCI) run ./...

rules:
	@echo "rules: the rules of the architecture"
	@cd test && $(GO) test -count=1 ./architecture/

modules:
	@echo "modules: tidy and verified"
	@$(GO) mod tidy -diff
	@$(GO) mod verify
	@cd test && $(GO) mod tidy -diff && $(GO) mod verify
	@cd deploy/check && $(GO) mod tidy -diff && $(GO) mod verify

vulns: $(VULNCHECK)
	@.ci/vulns $(VULNCHECK) ./...

.PHONY: fmt
fmt: $(GOFUMPT) ## format all Go code
	@$(GOFUMPT) -l -w .

.PHONY: fix
fix: $(GOLANGCI) fmt ## let the linters mend what they can (look at the difference afterwards)
	@$(GOLANGCI) run --build-tags $(TAGS) --fix ./...
	@cd test && $(GOLANGCI) run --build-tags $(TAGS) --fix ./...

.PHONY: test
test: deps ## the tests of both modules, with the race detector, against a real redis-server
	$(GO) test -race -timeout 10m $(filter-out $(WHOLE),$(shell $(GO) list ./...))
	$(GO) test -timeout 10m $(WHOLE)
	cd test && $(GO) test -race -timeout 10m $$($(GO) list ./... | grep -vxF $(WHOLE_TEST:%=-e %))
	cd test && $(GO) test -timeout 10m $(WHOLE_TEST)

.PHONY: e2e
e2e: deps-e2e build ## the whole daemon against real Redis, Kannel, Postfix, Dovecot, Prism and Chromium
	cd test && $(GO) test -tags e2e -count=1 -p 1 -timeout 15m ./peers/... ./e2e/...
	$(GO) test -tags e2e -count=1 -p 1 -timeout 15m ./store/...
	cd test && $(GO) test -tags e2e -count=1 -v -parallel 4 -timeout 15m ./faults/

.PHONY: faults
faults: ## the fault tests with their full figures, into the table of docs/reliability.md (half an hour; ROW=12: that row)
	@.ci/need redis-server:redis-server redis-sentinel:redis-sentinel redis-cli:redis-tools
	cd test && $(GO) test -tags faults -count=1 -v -parallel 2 -timeout 90m -run '$(if $(ROW),^TestRow$(ROW)[^0-9])' ./faults/ -args -table $(CURDIR)/docs/reliability.md

.PHONY: bench
bench: deps build ## the whole path beside this machine's limits, then the Go benchmarks (MODE=--quick: a few minutes)
	cd test && $(GO) build -trimpath -buildvcs=false -o $(CURDIR)/bin/carebell-bench ./bench
	bin/carebell-bench --program bin/carebell $(MODE)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(or $(BENCHTIME),300ms) -skip BenchmarkMemory -count $(or $(COUNT),1) ./scheduler ./templates ./store ./channels/...

## What is delivered

.PHONY: build
build: ## the static binary: bin/carebell
	$(BUILD) -o bin/carebell ./cmd/carebell

.PHONY: dist
dist: ## the static binaries for Linux on amd64 and arm64, with licences and checksums: dist/
	@mkdir -p dist
	GOOS=linux GOARCH=amd64 $(BUILD) -o dist/carebell-linux-amd64 ./cmd/carebell
	GOOS=linux GOARCH=arm64 $(BUILD) -o dist/carebell-linux-arm64 ./cmd/carebell
	cp LICENSE NOTICE dist/
	deploy/licences dist/carebell-linux-amd64 > dist/THIRD_PARTY_LICENSES
	cd dist && sha256sum carebell-linux-* LICENSE NOTICE THIRD_PARTY_LICENSES > SHA256SUMS

.PHONY: deploy
deploy: deps-deploy build dist ## build and check every deploy artifact: systemd, Kubernetes, container, Prometheus, Grafana
	deploy/systemd/check bin/carebell
	deploy/check-settings bin/carebell
	deploy/container/check bin/carebell
	deploy/prometheus/check
	cd deploy/check && $(GO) test -count=1 ./...

.PHONY: demo
demo: ## a whole dealership on this machine, with nothing installed
	$(GO) run -buildvcs=false ./cmd/carebell demo

.PHONY: screens
screens: ## make the pictures of the README anew (needs Chromium)
	@.ci/need chromium:chromium /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc:fonts-noto-cjk
	cd test && $(GO) test -tags screens -count=1 ./screens

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist out

## Tools, built once per version

$(GOLANGCI):
	@echo "building golangci-lint $(GOLANGCI_VERSION)"
	@mkdir -p $(TOOLS)/tmp && GOFLAGS= GOBIN=$(TOOLS)/tmp $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv $(TOOLS)/tmp/golangci-lint $@

$(GOFUMPT):
	@echo "building gofumpt $(GOFUMPT_VERSION)"
	@mkdir -p $(TOOLS)/tmp && GOFLAGS= GOBIN=$(TOOLS)/tmp $(GO) install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	@mv $(TOOLS)/tmp/gofumpt $@

$(VULNCHECK):
	@echo "building govulncheck $(VULNCHECK_VERSION)"
	@mkdir -p $(TOOLS)/tmp && GOFLAGS= GOBIN=$(TOOLS)/tmp $(GO) install golang.org/x/vuln/cmd/govulncheck@$(VULNCHECK_VERSION)
	@mv $(TOOLS)/tmp/govulncheck $@
