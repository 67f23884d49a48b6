#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by gcc at -O0, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh gcc-O0 "CC=gcc CFLAGS='-O0 -g -Werror' CPPFLAGS=-O0" 'check/test_[!s]* slow/test_random'
