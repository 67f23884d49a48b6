#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by clang at -O2, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh clang-O2 "CC=clang CFLAGS='-O2 -g -Werror' CPPFLAGS=-O2" 'check/test_[!s]* slow/test_random'
