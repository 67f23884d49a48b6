#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh NAME 'MAKE VARIABLES' 'TESTS' [SANITIZERS]: builds everything once more, in a directory of its own, and runs these tests of it (patterns
# of programs below tests/, without .c). Kept when something fails, to look at.
set -eu
name=$1 variables=$2
dir=${MXQ_BUILD:?}/slow-$name
unset MAKEFLAGS MFLAGS MAKELEVEL MXQ_RESUME V
export MXQ_SAN="${4:-}" CK_TIMEOUT_MULTIPLIER=30
programs=
for pattern in $3; do
  for c in tests/$pattern.c; do
    [ -e "$c" ] || { echo "There is no $c."; exit 1; }
    c=${c%.c}
    programs="$programs '$dir/$c'"
  done
done
eval "${MAKE:-make} -s -j$(getconf _NPROCESSORS_ONLN) B='$dir' SAN='$MXQ_SAN' $variables all $programs"
eval "sh tests/run.sh $programs" > "$dir/log" || { cat "$dir/log"; exit 1; }
grep -e '^# ' -e '^100%: ' "$dir/log"
rm -rf "$dir"
