#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by clang at -O3, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh clang-O3 "CC=clang CFLAGS='-O3 -g -Werror' CPPFLAGS=-O3" 'check/test_[!s]* slow/test_random'
