# SPDX-License-Identifier: MIT
# For the shell tests of the command: runs it, compares exit code, standard output and standard error, speaks TAP.
# $MXQUANT is the command; the working directory is the repository's root; $T is a folder that goes away.
set -u
export LC_ALL=C
: "${MXQUANT:?names no command to test}"
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
n=0 bad=0

# ok SENTENCE COMMAND...: true when the command succeeds.
ok() {
  sentence=$1
  shift
  n=$((n + 1))
  if "$@" >"$T/.ok" 2>&1; then
    echo "ok $n - $sentence"
    return
  fi
  echo "not ok $n - $sentence"
  bad=1
  echo "  failed: $*"
  sed 's/^/  | /' "$T/.ok"
  [ -z "${rc+x}" ] || { echo "  last exit code: $rc"; head -c 2000 "$T/out" | sed 's/^/  out: /'; head -c 2000 "$T/err" | sed 's/^/  err: /'; }
}

# run ARGS...: sets rc, leaves $T/out and $T/err.
run() {
  rc=0
  "$MXQUANT" "$@" >"$T/out" 2>"$T/err" || rc=$?
}

# matches FILE PATTERN: an extended regular expression; '' means an empty file, '*' anything.
matches() {
  case $2 in
    '') [ ! -s "$1" ] ;;
    '*') true ;;
    *) grep -qE -e "$2" "$1" ;;
  esac
}

as_expected() { [ "$rc" = "$1" ] && matches "$T/out" "$2" && matches "$T/err" "$3"; }

# expect SENTENCE CODE OUT ERR ARGS...: runs the command and checks all three.
expect() {
  sentence=$1 code=$2 out=$3 err=$4
  shift 4
  run "$@"
  ok "$sentence" as_expected "$code" "$out" "$err"
}

# One JSON document that the strict parser takes, on one line.
is_json() { "$MXQUANT" inspect --as json "$1" >/dev/null && [ "$(wc -l <"$1")" = 1 ]; }

# bytes N...: those bytes, decimal.
bytes() { for b; do printf "\\$(printf %03o "$b")"; done; }
le64() {
  v=$1
  for i in 1 2 3 4 5 6 7 8; do bytes $((v % 256)); v=$((v / 256)); done
}

# weights COUNT SEED: f32 values of both signs and some sizes, not random, not zero.
weights() {
  printf "$(awk -v n="$1" -v s="$2" 'BEGIN {
    for (i = 0; i < n; i++) {
      s = (s * 1103515245 + 12345) % 2147483648; a = int(s / 65536)
      s = (s * 1103515245 + 12345) % 2147483648; b = int(s / 65536)
      e = 122 + a % 5 # the exponent
      printf "\\%03o\\%03o\\%03o\\%03o", a % 256, b % 256, int(a / 256) % 128 + 128 * (e % 2), int(e / 2) + 128 * (int(b / 256) % 2)
    }
  }')"
}

# safetensors FILE HEADER: data comes from standard input.
safetensors() {
  { le64 ${#2}; printf %s "$2"; cat; } >"$1"
}

# A small model: two matrices, one of ragged rows, a vector, an integer tensor and one of f64.
small_model() {
  { weights 2048 1; weights 400 2; weights 64 3; bytes 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0; weights 128 4; } |
    safetensors "$1" '{"__metadata__":{"note":"small"},"a.weight":{"dtype":"F32","shape":[32,64],"data_offsets":[0,8192]},"b.weight":{"dtype":"F32","shape":[10,40],"data_offsets":[8192,9792]},"norm":{"dtype":"F32","shape":[64],"data_offsets":[9792,10048]},"steps":{"dtype":"I64","shape":[2],"data_offsets":[10048,10064]},"wide":{"dtype":"F64","shape":[2,32],"data_offsets":[10064,10576]}}'
}

finish() {
  echo "1..$n"
  exit $bad
}
