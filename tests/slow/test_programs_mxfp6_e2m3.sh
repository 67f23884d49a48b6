#!/bin/sh
# SPDX-License-Identifier: MIT
# Every program of the zoo in mxfp6-e2m3: runs, is saved again, unflattened, decomposed, exported anew, brought back.
exec sh tests/interop/run.sh --slow slow_programs 'mxfp6-e2m3:'
