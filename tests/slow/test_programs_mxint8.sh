#!/bin/sh
# SPDX-License-Identifier: MIT
# Every program of the zoo in mxint8: runs, is saved again, unflattened, decomposed, exported anew, brought back.
exec sh tests/interop/run.sh --slow slow_programs 'mxint8:'
