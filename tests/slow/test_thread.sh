#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything that takes a number of threads under ThreadSanitizer.
exec sh tests/slow/build.sh thread CFLAGS=-O2 "$(grep -l threads tests/unit/test_*.c tests/golden/test_*.c tests/roundtrip/test_*.c | sed 's,^tests/,,; s,[.]c$,,')" thread
