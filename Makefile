# make run and make test are all one needs; the other targets are for those who work on the exporter.
.DEFAULT_GOAL := help
SHELL := /bin/bash

LISTEN  ?= 127.0.0.1:10099
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# Versions are stamped by the linker below; asking git during every build fails where the checkout has another owner.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

stamp   := github.com/prometheus/common/version
ldflags := -X $(stamp).Version=$(VERSION) -X $(stamp).Revision=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# The modules with dependencies that the product must not have; the control plane is a program and has no tests.
nested  := $(patsubst %/go.mod,%,$(wildcard test/go.mod test/*/go.mod))
tested  := $(filter-out test/controlplane,$(nested))
stages  := tools format vet modules unit race controlplane integration $(if $(CI),drift)

.PHONY: help
help:
	@echo 'make run           serve metrics of the sample cluster on http://$(LISTEN) (needs Go only)'
	@echo 'make test          every check and test, the real control plane included; the first time takes a while'
	@echo 'make build         bin/stability_exporter'
	@echo 'make dist          static programs for linux/amd64 and linux/arm64 in dist/'
	@echo 'make generate      rewrite what is generated: references, manifests, the sample cluster'
	@echo 'make bench         benchmarks'
	@echo 'make soak          break a real cluster and wait for each page at full length: an hour or two'
	@echo 'make differential  what other exporters say of middleware that is broken, and what we say'
	@echo 'make cluster-up    start a real control plane with simulated nodes, to try things by hand'
	@echo 'make cluster-down  stop it'

.PHONY: build
build:
	go build -ldflags '$(ldflags)' -o bin/stability_exporter .

.PHONY: run
run: build
	@echo
	@echo 'The sample cluster of examples/ is served on http://$(LISTEN) until Ctrl-C. Ask it what is wrong:'
	@echo
	@echo '  which workloads are damaged:'
	@echo "    curl -s http://$(LISTEN)/metrics | grep -E '^stability_workload_state.*(degraded|down)\"} 1'"
	@echo '  why pods are missing:'
	@echo "    curl -s http://$(LISTEN)/metrics | grep '^stability_workload_unavailable_replicas'"
	@echo '  what restarted within the last hour:'
	@echo "    curl -s http://$(LISTEN)/metrics | grep '^stability_workload_restart_delta.*1h' | grep -v ' 0$$'"
	@echo
	@exec bin/stability_exporter --manifests=examples/erp-cluster --web.listen-address=$(LISTEN)

.PHONY: dist
dist:
	@for arch in amd64 arm64; do \
		echo "dist/stability_exporter-linux-$$arch"; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -ldflags '-s -w $(ldflags)' \
			-o dist/stability_exporter-linux-$$arch . || exit 1; \
	done

.PHONY: generate
generate:
	go run ./internal/scenario/generate examples/erp-cluster
	go test ./collectors -update
	go test ./dashboards ./rules ./exporter ./deploy -run Golden -update
	cd test/rules && go test ./replay -run Golden -update

.PHONY: bench
bench:
	go test ./... -run '^$$' -bench . -benchmem
	cd test && go run ./bench

# The seconds to each page are in docs/alerts.md afterwards.
.PHONY: soak
soak: test-tools
	cd test && go test -count=1 -timeout 6h -parallel 200 -v ./pages -args -scale=1 -report=$(CURDIR)/rules/seconds.csv
	go test ./rules -run Golden -update

# Exporters of Debian beside ours on the same broken servers, as a table.
.PHONY: differential
differential: packages += prometheus-redis-exporter prometheus-nginx-exporter prometheus-blackbox-exporter prometheus-haproxy-exporter \
	prometheus-mysqld-exporter prometheus-postgres-exporter
differential: test-tools
	cd test && go test -tags differential -count=1 -v -run TestDifferential ./middleware

.PHONY: cluster-up cluster-down
cluster-up:
	@cd test && go run ./cmd/cluster up
cluster-down:
	@cd test && go run ./cmd/cluster down

# Each stage prints its time. The first one that fails ends the run.
.PHONY: test $(stages:%=test-%)
test:
	@for stage in $(stages); do \
		echo "== $$stage"; start=$$SECONDS; \
		$(MAKE) --no-print-directory test-$$stage || exit 1; \
		echo "== $$stage: $$((SECONDS - start)) s"; \
	done

# What the tests run beside Go: a C compiler for the race detector; of Debian the oldest promtool and Prometheus that the rules support, an
# Alertmanager, and the servers that the middleware probes are held against. RUNLEVEL=1 keeps the packages from starting theirs.
packages := gcc libc6-dev git prometheus prometheus-alertmanager redis-server redis-sentinel rabbitmq-server mariadb-server postgresql \
	nginx-light haproxy memcached etcd-server zookeeperd libservlet-api-java
test-tools:
	@command -v go >/dev/null || { echo 'Go is missing: see https://go.dev/doc/install'; exit 1; }
	@missing=; for package in $(packages); do \
		[ "$$(dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null)" = installed ] || missing="$$missing $$package"; \
	done; [ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$missing; \
	else \
		echo "The tests need more of Debian's packages. Run: sudo apt-get install -y --no-install-recommends$$missing"; exit 1; \
	fi

test-format:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not formatted, run gofmt -w on:"; echo "$$unformatted"; exit 1; }

# With -trimpath what vet compiles of the control plane is what its build needs.
test-vet:
	go vet ./...
	@for module in $(tested); do (set -x; cd $$module && go vet ./...) || exit 1; done
	cd test/controlplane && go vet -trimpath ./...
	cd test && go vet -tags differential ./middleware

test-modules:
	@for module in . $(nested); do (cd $$module && go mod tidy -diff) || { echo "run 'go mod tidy' in $$module"; exit 1; }; done

test-unit:
	go test ./...

test-race:
	go test -race ./internal/state ./internal/cluster ./internal/discovery ./internal/middleware ./collectors ./exporter

test-controlplane:
	cd test && go run ./cmd/cluster build

# One package at a time: each starts a control plane of its own. They run programs and read files that the cache of go
# test does not know of, hence -count=1.
test-integration:
	@for module in $(tested); do (set -x; cd $$module && go test -count=1 -p 1 -timeout 30m ./...) || exit 1; done

test-drift: generate
	git diff --exit-code
