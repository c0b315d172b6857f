# Two commands matter: `make demo` and `make test`. Everything is done by CMake underneath.
.PHONY: all build cuda demo test quick-test bench fuzz format clean packages

PRESET = build/release

all: build

packages:
	@scripts/install-packages

build: packages
	@scripts/build release acestep_program

# The CUDA plug-in, beside the program; needs nvcc (docs/cuda.md).
cuda: packages
	@scripts/build release acestep_program acestep_cuda

demo: build
	@scripts/demo

test: packages
	@scripts/install-packages tests
	@scripts/run-tests

quick-test: packages
	@scripts/build release
	@ctest --test-dir $(PRESET) --output-on-failure -j 2

bench: build
	@$(PRESET)/acestep bench

fuzz: packages
	@scripts/run-fuzzers

format:
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean:
	@rm -rf build
