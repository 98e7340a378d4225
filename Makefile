# tabmill: `make` builds build/release, `make check` builds and tests, `make config` says what was found.
# One build folder per configuration, so that flags never mix:  make CONFIG=asan|tsan|f64|fuzz  ONEDNN=0
#
# src/<room>/cpu/*.c are level files: compiled once for x86-64-v3 and once for v4 (*_bf16.c: v4 with BF16 alone).
# Everything else is plain x86-64; which level runs is chosen at start (base/cpu.h).

VERSION := 0.1.0
SOMAJOR := 0
CONFIG  ?= release
PREFIX  ?= /usr/local
T       ?= 60
CC_fuzz := clang-14
ifeq ($(origin CC),default)
CC := $(or $(CC_$(CONFIG)),gcc)
endif

has     = $(shell echo '\#include <$(1)>' | $(CC) -E - >/dev/null 2>&1 && echo 1 || echo 0)
ONEDNN ?= $(call has,dnnl.h)
PKGS   := jansson libzstd zlib libzip libxxhash
OPENED := libcurl sqlite3 libpq libmicrohttpd # only their headers: opened when needed (base/library.h)
LIBS   := $(shell { pkg-config --exists $(OPENED) && pkg-config --libs $(PKGS); } 2>/dev/null || echo MISSING)
B      := build/$(CONFIG)$(if $(filter 0,$(ONEDNN)),-onednn0)

ROOMS  := $(if $(filter f64,$(CONFIG)),base graph ops exec nn,*)
SRC    := $(wildcard $(foreach r,$(ROOMS),src/$(r)/*.c src/$(r)/*/*.c))
BF16   := $(filter %_bf16.c,$(wildcard $(ROOMS:%=src/%/cpu/*.c)))
LEVEL  := $(filter-out $(BF16),$(wildcard $(ROOMS:%=src/%/cpu/*.c)))
PLAIN  := $(filter-out $(LEVEL) $(BF16) src/cli/% src/rank/plugin/%,$(SRC))
CLI    := $(filter src/cli/%,$(SRC))
obj     = $(patsubst src/%.c,$(B)/%$(1),$(2))
OBJ    := $(call obj,.o,$(PLAIN)) $(call obj,.v3.o,$(LEVEL)) $(call obj,.v4.o,$(LEVEL) $(BF16))
CLIOBJ := $(call obj,.o,$(CLI))

OPT_release := -O2
# Sanitizers change what the compiler can follow, and so its warnings: the release build is their judge.
OPT_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -Wno-error
OPT_tsan    := -O1 -fsanitize=thread -Wno-error
OPT_f64     := -O2 -DMILL_ENGINE_REAL=double -DMILL_REAL_IS_DOUBLE=1
OPT_fuzz    := $(OPT_asan) -fsanitize=fuzzer-no-link -Wno-double-promotion
OPT    := $(OPT_$(CONFIG))
SAN    := $(filter -fsanitize=%,$(OPT))
# -ffp-contract=off: the same bytes from every level (docs/processors.md); never a fast-math flag beyond these three.
CFLAGS := -std=c11 -D_GNU_SOURCE -g -fPIC -fno-semantic-interposition -pthread -MMD -MP -Isrc -Iinclude \
          -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wdouble-promotion -Werror \
          -ffp-contract=off -fno-math-errno -fno-trapping-math -DMILL_VERSION='"$(VERSION)"' \
          $(shell pkg-config --cflags-only-I libpq 2>/dev/null) $(EXTRA)
# Level files: kernels of vectors at -O3 take the sanitizers minutes to compile, at -O1 half a minute for the largest (vrow.c at
# v3); a fuzzed parser never meets them, so fuzzing leaves them plain.
LEVELO := $(filter-out -O2 $(if $(filter fuzz,$(CONFIG)),-fsanitize=%),$(OPT)) \
          $(if $(SAN),-O1 -fno-var-tracking,-O3)
V3     := $(LEVELO) -march=x86-64-v3 -DMILL_LEVEL=v3
V4     := $(LEVELO) -march=x86-64-v4 -mprefer-vector-width=512 -DMILL_LEVEL=v4
CFLAGS += $(if $(filter-out 0,$(ONEDNN)),-DMILL_ONEDNN)
LIBS   += -lm -pthread $(if $(filter-out 0,$(ONEDNN)),-ldnnl)

.PHONY: all engine config deps check check-san check-all parity parity-prior parity-reason demo fuzz lint install bench bench-synth bench-scale bench-ranks bench-csv bench-evaluate bench-prior bench-reason bench-parquet
.PHONY: tests ops-tests fuzzers need ready
.DELETE_ON_ERROR:
.SECONDARY:
include tools/plugins.mk
all: $(B)/libtabmill.a $(B)/libtabmill.so $(if $(CLI),$(B)/tabmill) $(PLUGIN)
engine: $(B)/libtabmill.a

ifneq ($(filter MISSING,$(LIBS)),)
$(OBJ) $(CLIOBJ): need
need: ; @echo 'tabmill: libraries are missing ($(PKGS) $(OPENED)); run `make deps`' >&2; exit 1
endif

# Rewritten only when they change: the command line, on which all objects depend, and the list of objects, for what is linked.
note = f='$(subst ','\'',$(2))'; [ "$$(cat $(B)/$(1) 2>/dev/null)" = "$$f" ] || echo "$$f" >$(B)/$(1)
$(shell mkdir -p $(B); $(call note,flags,$(CC) $(OPT) $(V4) $(CFLAGS) $(LIBS)); $(call note,objects,$(OBJ) $(CLIOBJ)))

COMPILE = @mkdir -p $(@D); echo "CC $@"; $(CC) $(CFLAGS)
$(B)/%.v3.o: src/%.c $(B)/flags
	$(COMPILE) $(V3) -c $< -o $@
$(B)/%_bf16.v4.o: src/%_bf16.c $(B)/flags
	$(COMPILE) $(V4) -mavx512bf16 -c $< -o $@
$(B)/%.v4.o: src/%.c $(B)/flags
	$(COMPILE) $(V4) -c $< -o $@
$(B)/%.o: src/%.c $(B)/flags
	$(COMPILE) -march=x86-64 $(OPT) -c $< -o $@
$(B)/libtabmill.a: $(OBJ) $(B)/objects
	@rm -f $@; ar rcs $@ $(OBJ)
$(B)/exports.map: $(wildcard include/tabmill.h)
	@{ echo '{'; cat /dev/null $^ | sed -n 's/.*[ *]\(mill_[a-z0-9_]*\)(.*/\1;/p' | sort -u | sed '1i global:'; echo 'local: *; };'; } >$@
$(B)/libtabmill.so.$(VERSION): $(OBJ) $(B)/objects $(B)/exports.map
	@$(CC) -shared $(SAN) -Wl,-soname,libtabmill.so.$(SOMAJOR) -Wl,--version-script=$(B)/exports.map -Wl,--as-needed \
		-o $@ $(OBJ) $(LIBS)
$(B)/libtabmill.so: $(B)/libtabmill.so.$(VERSION)
	@ln -sf libtabmill.so.$(VERSION) $(B)/libtabmill.so.$(SOMAJOR); ln -sf libtabmill.so.$(SOMAJOR) $@
$(B)/tabmill: $(CLIOBJ) $(B)/libtabmill.a $(B)/objects
	@$(CC) $(SAN) -Wl,--as-needed -o $@ $(CLIOBJ) $(B)/libtabmill.a $(LIBS)

# Tests: tests/<kind>/[tf]_x.c -> $(B)/tests/<kind>/[tf]_x with a generated main; tests/lib/*.c serves all.
units   = $(patsubst %.c,$(B)/%,$(wildcard $(1)))
TESTS  := $(call units,tests/unit/t_*.c tests/ops/t_*.c tests/train/t_*.c tests/fault/f_*.c)
OPTESTS := $(call units,tests/ops/t_*.c)
FUZZERS := $(call units,tests/fuzz/fuzz_*.c)
HELPERS := $(call units,tests/lib/*.c)
MOCK := $(B)/tests/mock/mock_server
tests: all $(TESTS) $(MOCK)
ops-tests: engine $(OPTESTS)
fuzzers: engine $(FUZZERS)
$(B)/tests/%.main.c: tests/%.c tools/gen_tests
	@mkdir -p $(@D); tools/gen_tests $< >$@
$(B)/tests/%.o: tests/%.c $(B)/flags
	$(COMPILE) -Itests -Wno-missing-prototypes -march=x86-64 $(OPT) -DTEST_BUILD='"$(B)"' -c $< -o $@
$(B)/tests/%.main.o: $(B)/tests/%.main.c
	@$(CC) -D_GNU_SOURCE $(SAN) -c $< -o $@
$(FUZZERS): $(B)/%: $(B)/%.o $(B)/tests/lib.a $(B)/libtabmill.a
	@$(CC) -fsanitize=address,undefined,fuzzer -o $@ $^ $(LIBS)
$(MOCK): $(addsuffix .o,$(call units,tests/mock/*.c))
	@$(CC) $(SAN) -o $@ $^
PROGRAM = @mkdir -p $(@D); $(CC) $(CFLAGS) -march=x86-64 $(OPT) -o $@ $< $(B)/libtabmill.a $(LIBS)
$(B)/bench/%: bench/%.c $(B)/libtabmill.a
	$(PROGRAM)
$(B)/tests/parity/%: tests/parity/%.c $(B)/libtabmill.a
	$(PROGRAM)
$(sort $(TESTS) $(OPTESTS)): $(B)/%: $(B)/%.o $(B)/%.main.o $(B)/tests/lib.a $(B)/libtabmill.a | $(MOCK)
	@$(CC) $(SAN) -Wl,--as-needed -o $@ $^ -lcmocka $(LIBS)
# An archive: each test takes the helpers that it calls; the double build lacks the rooms of some.
$(B)/tests/lib.a: $(HELPERS:=.o)
	@rm -f $@; ar rcs $@ $^

config:
	@echo "version $(VERSION)  config $(CONFIG) in $(B)  compiler $$($(CC) --version | head -1)"
	@echo "oneDNN $(ONEDNN)  libraries $(LIBS)  Arrow $(or $(ARROW),none: make parquet)"
	@tools/deps.sh --list
deps:
	@tools/deps.sh && tools/arrow.sh
check check-san check-all: deps
	@tools/check.sh $(patsubst check-%,%,$@)
# A make of its own: what deps has just installed this one has not seen.
ready: deps
	@tools/check.sh ready
parity parity-prior parity-reason: ready
	@tests/parity/run.sh $@
demo: ready
	@tools/demo.sh
bench bench-synth bench-scale bench-ranks bench-csv bench-evaluate bench-prior bench-reason bench-parquet: ready
	@tools/bench.sh $@
fuzz: deps
	@tools/check.sh fuzz $(T)
lint: deps
	@tools/lint.sh
install: all
	@tools/install.sh $(B) $(VERSION) '$(DESTDIR)' '$(PREFIX)'

-include $(shell find $(B) -name '*.d' 2>/dev/null)
