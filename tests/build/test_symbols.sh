#!/bin/sh
# SPDX-License-Identifier: MIT
# What the libraries export, and what they lean on. MXQ_BUILD: where they lie.
set -eu
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
static=$MXQ_BUILD/libmxq.a
shared=$MXQ_BUILD/libmxq.so

empty() { # SENTENCE FILE: true when the file is empty; shows it otherwise
  if [ -s "$2" ]; then sed 's/^/  /' "$2"; echo "not ok - $1"; else echo "ok - $1"; fi
}

nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u > "$work/exported"
echo '#include <mxq/mxq.h>' | $CC -Iinclude -E -P -x c - | tr '\n' ' ' |
  sed 's/__attribute__((visibility("default")))/\n&/g' | grep '^__attribute__' |
  grep -o 'mxq_[a-z0-9_]*(' | awk -F '(' '{ print $1 }' | sort -u > "$work/declared"
[ -s "$work/declared" ] || { echo 'no declaration was found in the headers'; exit 1; }

grep -v '^mxq_' "$work/exported" > "$work/out" || true
empty 'the shared library exports mxq_ names only' "$work/out"
comm -23 "$work/exported" "$work/declared" > "$work/out"
empty 'what the shared library exports is in a public header' "$work/out"
comm -13 "$work/exported" "$work/declared" > "$work/out"
empty 'every function of the public headers is exported' "$work/out"
nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | grep -v -e '^mxq_' -e '^__odr_asan' > "$work/out" || true
empty 'global names in the static library begin with mxq_' "$work/out"

# assert may speak and abort; nothing else may.
nm -u "$static" | awk 'NF == 2 { print $2 }' | sort -u |
  grep -x -E 'stdout|stderr|v?printf|__v?printf_chk|puts|putchar|perror|exit|_exit|abort|(secure_)?getenv|setlocale' > "$work/out" || true
empty 'the library never prints, exits or reads the environment' "$work/out"

if [ -z "${MXQ_SAN:-}" ]; then # sanitizers add data of their own
  objdump -t "$static" | awk '/^[^ ]+\.o: / { file = $1 } / O / && / \.t?(data|bss)(\.|\t)/ && !/\.data\.rel\.ro/ { print file, $NF }' |
    grep -v '^kernels\.o: ' > "$work/out" || true
  empty 'the library has no changeable globals but the kernel table' "$work/out"
fi

objdump -p "$shared" | awk '$1 == "SONAME" && $2 !~ /^libmxq\.so\.[0-9]+$/ { print $2 } $1 == "SONAME" { n++ } END { if (n != 1) print "no soname" }' > "$work/out"
empty 'the soname carries the major version' "$work/out"
