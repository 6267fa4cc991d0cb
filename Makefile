# One-word entries. `make run` and `make test` install what they need (Debian
# packages, as root or through sudo) and say what they install.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo 0.1.0-dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
# nopcsc where libpcsclite's headers are missing and cannot be installed; see .ci/install.
TAGS     = $(shell cat build/tags 2>/dev/null)
RACE    ?= -race

.PHONY: run build test test-usb test-packages test-windows test-guest lint check fuzz bench faults fleet divisions codes cross dist release clean tools-build tools-test tools-usb

run: build
	./bin/idtap run --demo

build: tools-build
	CGO_ENABLED=$$(cat build/cgo) $(GO) build -trimpath -tags '$(TAGS)' -ldflags '$(LDFLAGS)' -o bin/idtap ./cmd/idtap

tools-build:
	@.ci/install build

tools-test: tools-build
	@.ci/install test

tools-usb: tools-build
	@.ci/install usb

test: tools-test lint
	IDTAP_NODE_MODULES=$(CURDIR)/build/npm/node_modules $(GO) test $(RACE) -tags '$(TAGS)' -timeout 14m -parallel 6 ./...

# A real kernel in an emulated machine, emulated readers in its USB sockets.
test-usb: tools-usb
	IDTAP_USB_LANE=$(CURDIR)/build/usb $(GO) test -tags '$(TAGS) usblane' -timeout 14m -count=1 -run TestUSBLane ./cmd/idtap

# The packages without a machine: built twice and compared, contents, unit, arm64 and
# loong64 under qemu-user.
test-packages: tools-build
	@.ci/install packages
	packaging/lanes/packages.sh

# The package in booted guests, and the Windows program under Wine: root, QEMU, some
# minutes. 3 means that this machine cannot do it, which is not passed.
GUESTS ?= bookworm trixie
test-guest: tools-build
	@.ci/install guest
	$(GO) run ./packaging/dist -targets linux/amd64 -out build/guest-dist
	@for g in $(GUESTS); do packaging/lanes/guest.sh $$g build/guest-dist/idtap-linux-amd64.deb build/guest-dist/idtap-linux-amd64 || exit $$?; done

test-windows: tools-build
	@.ci/install wine
	$(GO) run ./packaging/dist -targets linux/amd64,windows/amd64 -out build/wine-dist
	packaging/lanes/windows.sh build/wine-dist/idtap-windows-amd64.zip build/wine-dist/idtap-linux-amd64

# Format, vet for the three families of targets, staticcheck; `make test` begins with it.
lint: tools-build
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'not gofmted'; exit 1; }
	$(GO) vet -tags '$(TAGS)' ./...
	GOOS=windows CGO_ENABLED=0 $(GO) vet ./...
	GOARCH=loong64 CGO_ENABLED=0 $(GO) vet ./...
	.ci/imports
	$(GO) tool staticcheck -tags '$(TAGS)' ./...

# lint, and known vulnerabilities where their database can be reached.
check: lint
	@if out=$$($(GO) tool govulncheck ./... 2>&1); then echo 'govulncheck: ok'; \
	elif echo "$$out" | grep -q 'Vulnerability #'; then echo "$$out"; exit 1; \
	else echo 'govulncheck: not tested (its database cannot be reached)'; fi

FUZZTIME ?= 60s
fuzz: tools-build
	@for p in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u); do \
		for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$p/*_test.go | cut -c6-); do \
			echo "== $$p $$f"; $(GO) test -tags '$(TAGS)' -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x ./$$p || exit 1; \
		done; \
	done

# Long campaigns: noise, kills, power cuts, PC/SC restarts; they print tables.
faults: tools-test
	IDTAP_CAMPAIGN=long IDTAP_FAULTS=10 IDTAP_NODE_MODULES=$(CURDIR)/build/npm/node_modules $(GO) test -p 1 -tags '$(TAGS)' -timeout 4h -count=1 -v \
		-run 'TestNoise|TestNoisy|TestEveryCardOnce|TestMonkey|Kill|PowerCut|BitFlips|Truncated|FullDisk|Outage|Restart|TestPCSCCards' \
		./reader ./driver/pcsc/... ./publisher/... ./cmd/idtap

DESKS ?= 300
fleet: tools-build
	$(GO) run ./publisher/bus/fleet -desks $(DESKS)

divisions: # needs npm
	$(GO) run ./reader/identity/division/generate

codes:
	$(GO) test ./reader/identity -run CodesPage -update
	$(GO) test ./cmd/idtap -run 'CodesPage|ReferencePage' -update

bench: tools-test
	IDTAP_NODE_MODULES=$(CURDIR)/build/npm/node_modules $(GO) test -p 1 -tags '$(TAGS)' -timeout 30m -run '^$$' -bench . -benchmem ./... | tee build/bench.txt
	@echo; .ci/goals build/bench.txt

cross:
	@for t in linux/amd64 linux/arm64 linux/loong64 windows/amd64 windows/arm64; do \
		out=bin/idtap-$${t%/*}-$${t#*/}; [ $${t%/*} = windows ] && out=$$out.exe; \
		CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $$out ./cmd/idtap || exit 1; \
		ls -l $$out | awk '{printf "%-28s %5.1f MB\n", $$9, $$5/1e6}'; \
	done

# Release of the tag that is checked out: what changed, and the program for every target.
release:
	@.ci/release

# What a release consists of, in dist/: see docs/install.md.
dist: tools-build
	$(GO) run ./packaging/dist -out dist

clean:
	rm -rf bin build dist
