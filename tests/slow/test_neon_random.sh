#!/bin/sh
# SPDX-License-Identifier: MIT
# The NEON row, cross-compiled: 2^24 random values for each element type, in qemu.
exec sh tests/slow/qemu.sh neon-random slow/test_random
