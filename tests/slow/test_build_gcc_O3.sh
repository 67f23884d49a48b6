#!/bin/sh
# SPDX-License-Identifier: MIT
# Everything by gcc at -O3, kernels too (which have -O3 otherwise). The sweeps stay with the usual build.
exec sh tests/slow/build.sh gcc-O3 "CC=gcc CFLAGS='-O3 -g -Werror' CPPFLAGS=-O3" 'check/test_[!s]* slow/test_random'
