# The daily commands. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
CC ?= cc
JOBS := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
BUILD := build/c
STORIES := base wire net pool run
SRC := $(wildcard $(STORIES:%=csrc/%/*.c))
TESTS := $(patsubst tests/c/%_test.c,%,$(wildcard tests/c/*_test.c))
SUPPORT := $(filter-out %_test.c,$(wildcard tests/c/*.c))
FUZZ := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
CLANG ?= clang
THREADED := base events waker resolve conn conn_proxy dial sock poller poller_table pool_stress holders keeper keeper_fork exchange trace_drive \
            transport warm pause process proxy tls_ctx tls_stream tls_session tls_gate fork short_lived addr_trouble
WARN := -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Wshadow -Wpointer-arith \
        -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CODECS := $(shell $(PYTHON) setup.py --print-codec-flags 2>/dev/null)
CPPFLAGS += -Icsrc -Itests/c $(filter -D% -I%,$(CODECS))
LIBS := -lssl -lcrypto -lz -lpthread $(filter -l% -L%,$(CODECS))

SAN_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
            -fno-omit-frame-pointer
SAN_tsan := -O1 -g -fsanitize=thread
SAN_plain := -O2 -g
SAN_coverage := -O0 -g --coverage -include tests/c/covered_exit.h
# As setup.py compiles it.
SAN_shipped := -O2 -g -DNDEBUG -fPIC -fvisibility=hidden
# For libFuzzer, with ASan and, several times as fast, without. What other
# compilers warn of is said, and no error.
FUZZER := -g -Wno-error -fno-sanitize-recover=all -fsanitize=fuzzer-no-link
SAN_fuzz := -O1 $(FUZZER),address,undefined
SAN_fuzzfast := -O2 $(FUZZER),undefined -fno-sanitize-coverage=trace-cmp
# GCC's TSan cannot live with much address randomisation, and a container may
# forbid to switch it off.
# A test that hangs has failed.
LIMIT := $(shell command -v timeout >/dev/null && echo timeout 300)
FIXED := $(shell setarch -R true 2>/dev/null && echo setarch -R)

.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | \
	 awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

test: ## set everything up and run every test
	@.ci/packages
	@# A new make, because it has to look for the codecs again.
	@$(MAKE) --no-print-directory test-all

test-all: # one after the other even under -j; pytest's summary ends it
	@for step in build ctest-binaries ctest fuzz-replay fuzz-short layers types pytest; do \
	 $(MAKE) --no-print-directory $$step || exit 1; done

pytest: build ## the Python tests
	@$(PY) -m pytest

requests-suite: build ## requests' own tests, with hpool below requests
	@$(PY) tests/adapters/requests_suite.py

httpx-suite: build ## httpx's own tests, with hpool below httpx
	@$(PY) tests/adapters/httpx_suite.py

types: build ## mypy --strict, and the stub against the extension
	@$(PY) -m mypy --strict hpool
	@$(PY) -m mypy.stubtest hpool._core

layers: ## includes go downwards only
	@$(PYTHON) tests/layers.py

scenarios: ## the behaviour contract's scenarios and the tests that show them
	@$(PYTHON) tests/scenarios/table.py

demo: ## set everything up and show hpool at work
	@.ci/packages
	@$(MAKE) --no-print-directory build
	@$(PY) -m hpool demo

bench: build $(VENV)/.bench ## the scorecard: hpool, its peers and the limit
	@$(PY) benchmarks/scorecard.py

docs: build ## the pages of docs/ as HTML, in build/docs
	@$(PY) -m sphinx -q -W --keep-going -b html docs build/docs
	@echo build/docs/index.html

build: $(VENV)/.ready ## compile the extension in place
	@$(PY) setup.py -q build_ext --inplace

$(VENV)/.ready: pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install -q 'setuptools>=70.1'
	@# Before pip, which buries a compiler's message under pages of its own.
	@$(PY) setup.py -q build_ext --inplace
	@$(PY) -m pip install -q --no-build-isolation -e '.[test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.ready
	@$(PY) -m pip install -q --no-build-isolation -e '.[bench]'
	@# It brings a package that would replace urllib3.
	@$(PYTHON) -m venv build/niquests
	@build/niquests/bin/python -m pip install -q niquests || echo left out: niquests
	@touch $@

define variant
$(BUILD)/$(1)/%.o: %.c
	@mkdir -p $$(dir $$@)
	$$(CC) $$(WARN) $$(SAN_$(1)) $$(CPPFLAGS) -MMD -MP -c $$< -o $$@
$(BUILD)/$(1)/%_test: $(BUILD)/$(1)/tests/c/%_test.o \
    $(SRC:%.c=$(BUILD)/$(1)/%.o) $(SUPPORT:%.c=$(BUILD)/$(1)/%.o)
	$$(CC) $$(SAN_$(1)) $$^ $$(WRAP) $$(LIBS) -o $$@
-include $$(shell find $(BUILD)/$(1) -name '*.d' 2>/dev/null)
endef
$(eval $(call variant,asan))
$(eval $(call variant,tsan))
$(eval $(call variant,plain))
$(eval $(call variant,shipped))
$(eval $(call variant,coverage))
$(eval $(call variant,fuzz))
$(eval $(call variant,fuzzfast))

# System calls that a test stands before, to make them fail.
WRAPPED := socket connect bind send sendmsg recv poll read write close \
	shutdown fcntl getsockopt setsockopt getsockname getpeername eventfd \
	epoll_create1 epoll_ctl epoll_wait pthread_create getaddrinfo
ifeq ($(shell uname),Linux)
$(BUILD)/%/syscall_fail_test: WRAP := $(WRAPPED:%=-Wl,--wrap=%)
endif

$(BUILD)/fuzz/%.o $(BUILD)/fuzzfast/%.o: CC := $(CLANG)
define fuzzer
$(BUILD)/$(1)/%_fuzz: $(BUILD)/$(1)/tests/fuzz/%_fuzz.o \
    $(SRC:%.c=$(BUILD)/$(1)/%.o) $(SUPPORT:%.c=$(BUILD)/$(1)/%.o)
	$(CLANG) $(subst -no-link,,$(SAN_$(1))) $$^ $(LIBS) -o $$@
endef
$(eval $(call fuzzer,fuzz))
$(eval $(call fuzzer,fuzzfast))
# The same targets without libFuzzer, for any compiler.
$(BUILD)/asan/%_replay: $(BUILD)/asan/tests/fuzz/%_fuzz.o \
    $(BUILD)/asan/tests/fuzz/replay.o $(SRC:%.c=$(BUILD)/asan/%.o) \
    $(SUPPORT:%.c=$(BUILD)/asan/%.o)
	$(CC) $(SAN_asan) $^ $(LIBS) -o $@
# For tests/differential.
$(BUILD)/asan/read_responses: $(BUILD)/asan/tests/differential/read_responses.o \
    $(SRC:%.c=$(BUILD)/asan/%.o) $(SUPPORT:%.c=$(BUILD)/asan/%.o)
	$(CC) $(SAN_asan) $^ $(LIBS) -o $@
.SECONDARY:

$(BUILD)/corpus.bin: tests/c/gen_corpus.py tests/corpus/responses.jsonl
	@$(PYTHON) $^ $@
ctest-asan ctest-plain: $(BUILD)/corpus.bin

SEEDS := build/fuzz/seeds
$(SEEDS): tests/fuzz/seeds.py tests/c/coding_test.c $(wildcard tests/corpus/*.jsonl)
	@$(PYTHON) $< $@
	@touch $@

fuzz-replay: $(FUZZ:%=$(BUILD)/asan/%_replay) $(SEEDS) ## the fuzz targets' seeds and findings
	@for t in $(FUZZ); do echo "== $$t (fuzz target)"; \
	 $(LIMIT) $(BUILD)/asan/$${t}_replay $(SEEDS)/$$t $$(ls -d tests/fuzz/found/$$t 2>/dev/null) || exit 1; done

T ?= 60
fuzz: $(FUZZ:%=$(BUILD)/fuzz/%_fuzz) ## every fuzz target for T=60 seconds, up to a finding (clang)
	@$(PYTHON) tests/fuzz/run.py $(BUILD)/fuzz $(T)

fuzz-fast: $(FUZZ:%=$(BUILD)/fuzzfast/%_fuzz) ## the same under UBSan alone: more in the same time
	@$(PYTHON) tests/fuzz/run.py $(BUILD)/fuzzfast $(T)

HAS_FUZZER = echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return 0; }' | \
	$(CLANG) -x c -fsanitize=fuzzer - -o /dev/null 2>/dev/null
fuzz-short: # some seconds each where there is a libFuzzer
	@if $(HAS_FUZZER); then $(MAKE) --no-print-directory -s -j$(JOBS) fuzz T=3; \
	 else echo "no clang with libFuzzer: no fuzzing, only its replay"; fi

ctest-binaries: # all at once, so that the tests themselves run one by one
	@$(MAKE) --no-print-directory -s -j$(JOBS) \
	 $(TESTS:%=$(BUILD)/asan/%_test) \
	 $(patsubst %,$(BUILD)/tsan/%_test,$(filter $(THREADED),$(TESTS))) \
	 $(FUZZ:%=$(BUILD)/asan/%_replay)

ctest-asan: $(TESTS:%=$(BUILD)/asan/%_test) ## C tests under ASan and UBSan
	@for t in $(TESTS); do echo "== $$t (asan)"; \
	 $(LIMIT) $(BUILD)/asan/$${t}_test || exit 1; done

ctest-tsan: $(patsubst %,$(BUILD)/tsan/%_test,$(filter $(THREADED),$(TESTS))) ## threaded C tests under TSan
	@for t in $(filter $(THREADED),$(TESTS)); do echo "== $$t (tsan)"; \
	 TSAN_OPTIONS=halt_on_error=1 $(LIMIT) $(FIXED) $(BUILD)/tsan/$${t}_test || exit 1; done

ctest-plain: $(TESTS:%=$(BUILD)/plain/%_test) ## C tests without sanitizers
	@for t in $(TESTS); do echo "== $$t"; $(LIMIT) $(BUILD)/plain/$${t}_test || exit 1; done

# Where children live on without their parent's threads, what only those knew
# looks leaked; ASan's runs look for leaks there.
FORKING := fork keeper_fork process proxy resolve tls_ctx tls_gate alloc_fail syscall_fail
MEMCHECK := valgrind -q --error-exitcode=9
ctest-valgrind: $(TESTS:%=$(BUILD)/plain/%_test) $(BUILD)/corpus.bin ## C tests under Valgrind (an hour)
	@for t in $(TESTS); do echo "== $$t (valgrind)"; \
	 case " $(FORKING) " in *" $$t "*) leaks=no;; *) leaks=full;; esac; \
	 $(MEMCHECK) --leak-check=$$leaks --errors-for-leak-kinds=definite,indirect \
	  $(BUILD)/plain/$${t}_test || exit 1; done

coverage: $(TESTS:%=$(BUILD)/coverage/%_test) $(BUILD)/corpus.bin ## lines of the core that the C tests run
	@find $(BUILD)/coverage -name '*.gcda' -delete
	@for t in $(TESTS); do echo "== $$t (coverage)"; \
	 $(LIMIT) $(BUILD)/coverage/$${t}_test || exit 1; done
	@$(PYTHON) tests/coverage.py $(BUILD)/coverage

ctest: ctest-asan ctest-tsan ## all C tests under the sanitizers

format: ## lay the C code out
	clang-format -i $$(git ls-files 'csrc/*.[ch]' 'tests/*.[ch]' 'benchmarks/*.[ch]')

clean: ## remove what was built
	rm -rf build $(VENV) *.egg-info hpool/*.so

.PHONY: help test test-all pytest requests-suite httpx-suite types layers scenarios demo bench docs build ctest \
	ctest-binaries ctest-asan ctest-tsan ctest-plain ctest-valgrind coverage fuzz fuzz-fast fuzz-short \
	fuzz-replay format clean
