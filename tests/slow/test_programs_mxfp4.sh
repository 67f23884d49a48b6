#!/bin/sh
# SPDX-License-Identifier: MIT
# Every program of the zoo in mxfp4: runs, is saved again, unflattened, decomposed, exported anew, brought back.
exec sh tests/interop/run.sh --slow slow_programs 'mxfp4:'
