#!/bin/sh
# SPDX-License-Identifier: MIT
# The layers of the house, from what the compiler saw. MXQ_BUILD: where the objects lie.
set -eu
law=tests/build/layers.awk

# .d files of sources that are gone say nothing about what is.
files=
for d in $(find "$MXQ_BUILD/obj/lib" "$MXQ_BUILD/obj/formats" "$MXQ_BUILD/obj/tools" -name '*.d'); do
  source=${d#"$MXQ_BUILD/obj/"}
  if [ -e "${source%.d}.c" ]; then files="$files $d"; fi
done
if awk -f "$law" $files; then echo "ok - every include stays in its layer"; else echo "not ok - every include stays in its layer"; fi

refused() { # TEXT OF A .d FILE
  if printf '%b' "$2" | awk -f "$law" >/dev/null; then echo "not ok - $1 is refused"; else echo "ok - $1 is refused"; fi
}
allowed() {
  if printf '%b' "$2" | awk -f "$law"; then echo "ok - $1 is allowed"; else echo "not ok - $1 is allowed"; fi
}
refused 'a kernel in a file format' 'x.o: formats/npy/read.c lib/kernels/kernels.h\n'
refused 'a file format in a kernel' 'x.o: lib/kernels/kernels.c formats/format.h\n'
refused 'a header two lines down' 'x.o: lib/convert/run.c include/mxq/io.h \\\n lib/base/fail.h \\\n ./lib/io/io.h\n\nlib/io/io.h:\n'
refused 'an internal header in a command' 'x.o: tools/inspect.c tools/tool.h lib/base/bytes.h\n'
refused 'a room without a law' 'x.o: lib/attic/a.c\n'
refused 'nothing at all' ''
allowed 'a kernel in the benchmark' 'x.o: tools/bench.c tools/tool.h lib/kernels/kernels.h include/mxq/cpu.h\n'
allowed 'a system header' 'x.o: lib/base/fail.c /usr/include/stdio.h lib/base/fail.h\n'
