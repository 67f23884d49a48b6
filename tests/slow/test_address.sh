#!/bin/sh
# SPDX-License-Identifier: MIT
# Kernels and codec under AddressSanitizer and UndefinedBehaviorSanitizer.
exec sh tests/slow/build.sh address CFLAGS=-O2 'check/test_[!s]* slow/test_random golden/test_* unit/test_*' address,undefined
