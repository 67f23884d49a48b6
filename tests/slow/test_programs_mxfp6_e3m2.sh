#!/bin/sh
# SPDX-License-Identifier: MIT
# Every program of the zoo in mxfp6-e3m2: runs, is saved again, unflattened, decomposed, exported anew, brought back.
exec sh tests/interop/run.sh --slow slow_programs 'mxfp6-e3m2:'
