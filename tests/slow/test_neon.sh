#!/bin/sh
# SPDX-License-Identifier: MIT
# The NEON row, cross-compiled: chosen inputs and what other tools made, in qemu.
exec sh tests/slow/qemu.sh neon 'check/test_[!s]* golden/test_* unit/test_codec unit/test_layout'
