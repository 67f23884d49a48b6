#!/bin/sh
# SPDX-License-Identifier: MIT
# torch.compile of every program of the zoo in mxfp4.
exec sh tests/interop/run.sh --slow slow_compile 'mxfp4:'
