# The front door. `make demo` and `make test` set up everything they need in .venv on a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CPP := $(wildcard $(addprefix cpp_postproc/,*.cpp *.h kernels/*.cpp kernels/*.h))
CPP_CHECKS := $(wildcard $(addprefix cpp_postproc/,tests/*.cpp tests/*.h fuzz/*.cpp fuzz/*.h cuda/*.cu cuda/*.h \
	cuda/emulator/*.cpp cuda/emulator/*.h))
# For the C++ core's checks; for the tests of live video: a browser, an MQTT broker, an RTSP server; for those of
# deployment: an SSH server, and systemd to check units.
DEBIAN_PACKAGES := g++ googletest clang libclang-rt-dev g++-aarch64-linux-gnu qemu-user \
	chromium mosquitto openssl fonts-dejavu-core python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 \
	gir1.2-gst-rtsp-server-1.0 gstreamer1.0-rtsp gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly \
	openssh-server openssh-client openssl systemd
# Instruction sets of the kernels, so that clang-tidy reads them as they are compiled; newer ones need newer headers.
TIDY_FLAGS := $(if $(filter x86_64,$(shell uname -m)),$(filter -m%,$(shell cat cpp_postproc/kernels/avx512.flags)))
# How many changed files `make fuzz` gives to the readers, other ones each time.
FUZZ_FILES ?= 3000
SOURCES := setup.py pyproject.toml $(CPP) $(wildcard $(addprefix cpp_postproc/cuda/,*.cu *.h *.py))

.PHONY: help setup demo test lint docs zoo format bench accuracy soak families sanitize sanitize-cuda emulated fuzz fuzz-readers test-aarch64 packages wheel wheels clean

help:
	@echo "make demo      set up, then run the three embedded models on a street: demo/comparison.png, demo/stream.mp4"
	@echo "make test      set up, then run the tests"
	@echo "make setup     the runtime alone, without torch, in $(VENV)"
	@echo "make lint      ruff, mypy --strict, import-linter, clang-format, clang-tidy"
	@echo "make docs      the documentation as a site: build/site/index.html"
	@echo "make zoo       export the families as the tests do, note what held (minutes), and write docs/zoo.md from it"
	@echo "make format    rewrite the code as the linters want it"
	@echo "make bench     measure against the peers"
	@echo "make accuracy  mIoU, mask AP and PQ of the embedded models on 200 held-out streets"
	@echo "make soak      10,000 changed files; live video for half an hour; floods of the page; 500 signals; a Triton server; a Ray cluster; video that leaves"
	@echo "make families  export the smallest model of each family at its default size, five seeds each (hours)"
	@echo "make sanitize  the C++ core's own tests under AddressSanitizer, UBSan and ThreadSanitizer"
	@echo "make fuzz      a libFuzzer target for each function, FUZZ_SECONDS each (60); new files for each reader"
	@echo "make test-aarch64  the C++ core's tests on aarch64, under qemu"
	@echo "make packages  install the Debian packages that the three above and all of the tests use (as root)"
	@echo "make wheel     build a wheel into dist/"
	@echo "make wheels    manylinux wheels for x86-64 and aarch64, whose results are compared under qemu (as root, 1 h)"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --upgrade pip

$(VENV)/.runtime: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --quiet --editable .
	@touch $@

# It holds all of the runtime's: what is compiled is compiled once.
$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --quiet --editable '.[dev,export,web,mqtt]'
	@touch $(VENV)/.runtime $@

# The Triton server of the tests, a binary in a wheel for x86-64 and glibc 2.35: none of what the wheel depends on is
# used, and its pin of numpy would hold back all else. A folder of its own, where nobody imports it by accident.
TRITON_WHEEL := nvidia-pytriton==0.7.0
ifeq ($(shell uname -sm),Linux x86_64)
$(VENV)/.dev: $(VENV)/triton
endif
$(VENV)/triton: $(BIN)/python
	$(BIN)/python -m pip install --quiet --quiet --no-deps --no-compile --upgrade --target $@ $(TRITON_WHEEL) \
		|| echo "no Triton server for this system: the tests that need it are skipped"

setup: $(VENV)/.runtime

demo: $(VENV)/.runtime
	$(BIN)/segrt demo --out demo
	@echo "segrt is $(BIN)/segrt; \`. $(BIN)/activate\` lets this shell call it by its name"

# Tests of one file share what they set up; files with slow tests come first. Three at once: many wait for a process, a
# camera or a page, and two would leave one of two processors idle for it.
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(EXCEPT:%=--ignore=%)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	mkdir -p build/typecheck/segrt
	ln -sfn $(abspath runtime) build/typecheck/segrt/runtime
	ln -sfn $(abspath export) build/typecheck/segrt/export
	cd build/typecheck && PATH=$(abspath $(BIN)):$$PATH MYPYPATH=. $(abspath $(BIN))/mypy \
		--config-file $(abspath pyproject.toml) --python-executable $(abspath $(BIN)/python) -p segrt.runtime -p segrt.export
	$(BIN)/clang-format --dry-run --Werror $(CPP) $(CPP_CHECKS)
	@# Of bindings the analyzer would follow pybind11's templates: half of their time, for nothing of ours.
	printf '%s\n' $(filter %.cpp,$(CPP)) | xargs -P 2 -n 1 sh -c 'found=$$($(BIN)/clang-tidy --quiet "$$0" \
		$$(case "$$0" in */bind*) echo --checks=-clang-analyzer-*;; esac) \
		-- -std=c++20 -Icpp_postproc $(TIDY_FLAGS) $$($(BIN)/python -m pybind11 --includes | sed "s/-I/-isystem /g") 2>&1) || { echo "$$found"; exit 1; }'

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --clean

# `$(BIN)/python docs/zoo.py` alone writes the page from what is noted.
zoo: $(VENV)/.dev
	rm -f build/verified.json
	mkdir -p build
	SEGRT_EVERY_FAMILY=1 SEGRT_VERIFIED=$(abspath build/verified.json) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile tests/export/models
	mv build/verified.json export/models/verified.json
	$(BIN)/python docs/zoo.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP) $(CPP_CHECKS)

bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/postproc.py

accuracy: $(VENV)/.runtime
	$(BIN)/segrt eval street-semantic street-instance street-panoptic \
		--annotations "street://?seed=900000&frames=200&width=320&height=192" --as all

soak: $(VENV)/.dev
	$(BIN)/python tests/soak/mutations.py --inputs 10000
	$(BIN)/python tests/soak/live.py --minutes 30
	$(BIN)/python tests/soak/flood.py --seconds 60
	$(BIN)/python tests/soak/signals.py --count 500
	$(BIN)/python tests/soak/tracking.py --frames 100000
	$(BIN)/python tests/soak/served.py --minutes 10
	$(BIN)/python tests/soak/archive.py --minutes 10
	$(BIN)/python tests/soak/leaving.py --minutes 10

families: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/families.py
	SEGRT_EVERY_FAMILY=1 $(BIN)/python -m pytest -q tests/export/models

sanitize fuzz test-aarch64:
	$(MAKE) -j2 -C cpp_postproc $@

# The CUDA kernels' logic, on the CPU: a test for each rule, and one for pictures.
EMULATED := $(addsuffix .py,$(addprefix tests/cuda_kernels/test_,argmax binary class_map group_centers matrix_nms \
	merge_queries paste_masks preprocess prototype_masks query_instances query_semantic))
sanitize: sanitize-cuda

emulated:
	@echo $(EMULATED)

sanitize-cuda: $(VENV)/.dev
	LD_PRELOAD=$$($(CXX) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
		SEGRT_EMULATED_FLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all" \
		$(BIN)/python -m pytest -q -p no:cacheprovider --numprocesses 2 --dist loadfile $(EMULATED)

fuzz: fuzz-readers

fuzz-readers: $(VENV)/.dev
	$(BIN)/python tests/soak/mutations.py --inputs $(FUZZ_FILES) --first $$(($$(date +%s) * 10000)) --keep build/fuzz

packages:
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(DEBIAN_PACKAGES)

wheel: $(VENV)/.dev
	rm -rf build/lib
	$(BIN)/python -m build --wheel

wheels: $(VENV)/.dev
	tests/packaging/wheels.sh x86-64
	tests/packaging/wheels.sh aarch64
	tests/packaging/wheels.sh compare

clean:
	rm -rf build dist *.egg-info demo runtime/*.so
