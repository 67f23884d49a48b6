#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by clang at -O0, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh clang-O0 "CC=clang CFLAGS='-O0 -g -Werror' CPPFLAGS=-O0" 'check/test_[!s]* slow/test_random'
