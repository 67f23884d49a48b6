#!/bin/sh
# SPDX-License-Identifier: MIT
# Programs of 20,000 and 100,000 weights.
exec sh tests/interop/run.sh --slow slow_many
