# The front door; Meson does the work. `make help` lists the targets.
BUILD ?= build
PACKAGES = gcc meson ninja-build pkg-config libc6-dev libdw-dev libelf-dev libgnutls28-dev \
	libsqlite3-dev libmicrohttpd-dev libcurl4-gnutls-dev libjansson-dev python3
TEST_PACKAGES = $(PACKAGES) libcmocka-dev python3-pytest clang clang-format clang-tidy libclang-rt-14-dev \
	cppcheck shellcheck valgrind groff-base man-db gdb chromium libc6-dbg musl-tools curl
ROOT = $(if $(filter 0,$(shell id -u)),,sudo)
PYTEST = /usr/bin/python3 -B -m pytest -p no:cacheprovider -q
export RESIN_BUILD = $(abspath $(BUILD))

.DEFAULT_GOAL := build

.PHONY: help build run demo check test nightly lint lint-fast fuzz bench install clean deps test-deps
help:            ## This list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

deps:            ## Install what building and running needs
	@tools/install-packages.sh $(ROOT) -- $(PACKAGES)

test-deps:       ## Install what the tests and linters need, too
	@tools/install-packages.sh $(ROOT) -- $(TEST_PACKAGES)

$(BUILD)/build.ninja:
	meson setup $(BUILD) $(MESON_ARGS)

build: deps $(BUILD)/build.ninja ## Build
	ninja -C $(BUILD)

run: build       ## Install what is missing, build, and start resin on this host
	@tools/run-host.sh $(BUILD) $(PORT)

demo: build      ## Beside `make run`: watch a leak being caught
	@$(BUILD)/resin demo

check: test-deps $(BUILD)/build.ninja ## Build, unit tests, fast lint; before every commit (3 minutes)
	@tools/suites.sh check

test: test-deps $(BUILD)/build.ninja ## Every test that can run here (25 minutes)
	@tools/suites.sh test

nightly: test-deps $(BUILD)/build.ninja ## What takes longer
	@tools/suites.sh nightly

lint: test-deps $(BUILD)/build.ninja ## Every linter
	@tools/lint.sh all

lint-fast: $(BUILD)/build.ninja ## The linters of `make check`
	@tools/lint.sh fast

fuzz: test-deps  ## Fuzz every parser of foreign bytes (SECONDS=60 each)
	@tools/fuzz.sh $(or $(SECONDS),60)

bench: build     ## The harness behind every number in the README
	@bench/run.sh

install: build   ## Install to the prefix of the build folder (DESTDIR is honoured)
	meson install -C $(BUILD)

clean:           ## Remove the build folders
	rm -rf build build-*
