# make demo   set up what is missing, build, and show Privet at work
# make test   set up what is missing, and run every test
.PHONY: demo test setup bench fuzz lint
SHELL := /bin/bash

demo: setup
	@cargo run --quiet --locked -- demo

test: setup
	@.ci/test

# Installs what the build and the tests need, one line for each thing, or says what to run.
setup:
	@.ci/setup $(if $(filter test,$(MAKECMDGOALS)),test,build)

# Privet, nginx and HAProxy side by side, in one interleaved run.
bench: setup
	@.ci/setup bench
	@bench/run

# Every fuzz target for SECONDS each (needs a nightly toolchain and cargo-fuzz).
SECONDS_EACH ?= 600
fuzz:
	@fuzz/run $(SECONDS_EACH)

lint:
	@.ci/lint
