#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh PROGRAM...: runs test programs (Check runners) and shell tests (*.sh, TAP or a mere exit code) one after the other.
# Prints a line for each, all output of those that fail (of all under V=1), lines of those that pass which begin with "# ",
# and last the sum in Check's own words. A program that crashes counts as an error, one that ran no test too
# (but under sanitizers, which own malloc: there the tests of failing allocations stand aside).
# MXQ_RUN is put in front of programs (qemu).
# With MXQ_RESUME=DIR, what has passed leaves its output there, and is not run again until the program changes (a shell test: it or the command).
set -u
checks=0 failures=0 errors=0 programs=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Under sanitizers everything takes longer.
export CK_TIMEOUT_MULTIPLIER="${CK_TIMEOUT_MULTIPLIER:-${MXQ_SAN:+20}}"
[ -n "$CK_TIMEOUT_MULTIPLIER" ] || CK_TIMEOUT_MULTIPLIER=3

# Prints "CHECKS FAILURES ERRORS" of the output in $1, given exit code $2 and kind $3.
count() {
  awk -v rc="$2" -v kind="$3" -v san="${MXQ_SAN:-}" '
    match($0, /Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/) {
      split(substr($0, RSTART, RLENGTH), n, /[^0-9]+/); c += n[2]; f += n[3]; e += n[4]; next
    }
    kind == "sh" && /^ok / { c++ }
    kind == "sh" && /^not ok / { c++; f++ }
    END {
      if (kind == "sh" && c == 0) c = 1
      if (rc != 0 && f + e == 0) { if (c == 0) c = 1; e = 1 }
      if (c == 0 && san == "") { c = 1; e = 1 }
      print c, f + 0, e + 0
    }' "$1"
}

for program in "$@"; do
  case $program in *.sh) kind=sh name=${program#tests/} ;; *) kind=c name=${program##*/tests/} ;; esac
  keep=
  if [ -n "${MXQ_RESUME:-}" ]; then
    mkdir -p "$MXQ_RESUME"
    keep=$MXQ_RESUME/$(echo "$name" | tr / -).passed
    if [ -e "$keep" ] && [ ! "$program" -nt "$keep" ] && { [ $kind = c ] || [ ! "${MXQUANT:-/}" -nt "$keep" ]; }; then cp "$keep" "$log"; rc=0 again=' (passed before)'; else again= ; fi
  else
    again=
  fi
  start=$(date +%s.%N)
  if [ -z "$again" ]; then
    case $kind in sh) sh "$program" >"$log" 2>&1 </dev/null ;; c) ${MXQ_RUN:-} "$program" >"$log" 2>&1 </dev/null ;; esac
    rc=$?
  fi
  seconds=$(echo "$start $(date +%s.%N)" | awk '{ printf "%.2f", $2 - $1 }')
  counted=$(count "$log" "$rc" "$kind")
  c=${counted%% *} e=${counted##* } f=${counted#* } f=${f% *}
  checks=$((checks + c)) failures=$((failures + f)) errors=$((errors + e)) programs=$((programs + 1))
  if [ $((f + e)) = 0 ]; then verdict=ok; [ "$c" != 0 ] || verdict=skip; else verdict=FAIL; fi
  printf '%-4s %-44s %6d checks %8s s%s\n' "$verdict" "$name" "$c" "$seconds" "$again"
  if [ "$verdict" = FAIL ]; then
    cat "$log"
    [ "$rc" = 0 ] && [ "$c" = 1 ] && [ "$f" = 0 ] && echo "($name ran no test)"
    [ "$rc" -gt 128 ] && echo "($name ended by signal $((rc - 128)))"
  elif [ "${V:-0}" != 0 ]; then
    cat "$log"
  else
    grep '^# ' "$log"
  fi
  if [ -n "$keep" ] && [ "$verdict" != FAIL ]; then cp "$log" "$keep"; fi
done

bad=$((failures + errors))
if [ "$programs" = 0 ]; then echo 'No test was found.'; checks=1 errors=1 bad=1; fi
echo "$programs programs"
# A crash can hide tests that were never counted: then the share of what passed is a lower bound.
percent=$((checks > bad ? 100 * (checks - bad) / checks : 0))
echo "$percent%: Checks: $checks, Failures: $failures, Errors: $errors"
[ "$bad" = 0 ]
