#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by gcc at -O2, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh gcc-O2 "CC=gcc CFLAGS='-O2 -g -Werror' CPPFLAGS=-O2" 'check/test_[!s]* slow/test_random'
