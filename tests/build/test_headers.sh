#!/bin/sh
# SPDX-License-Identifier: MIT
# Each public header compiles alone, as C11 and as C++17, without a warning.
set -eu
strict='-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude'
for header in include/mxq/*.h; do
  name=mxq/$(basename "$header")
  if printf '#include <%s>\n#include <%s>\n' "$name" "$name" | $CC -std=c11 $strict -x c -; then
    echo "ok - $name stands alone in C11"; else echo "not ok - $name stands alone in C11"; fi
  if printf '#include <%s>\n#include <%s>\n' "$name" "$name" | g++ -std=c++17 $strict -x c++ -; then
    echo "ok - $name stands alone in C++17"; else echo "not ok - $name stands alone in C++17"; fi
done
