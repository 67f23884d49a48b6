#!/bin/sh
# SPDX-License-Identifier: MIT
# The sentence encoder as a program; needs the package from PyPI.
exec sh tests/interop/run.sh --slow slow_encoder
