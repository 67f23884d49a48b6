#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh COMMAND MODEL DIR: converts a model to every MX format, verifies what came out, prints a table of what that costs.
set -eu
export LC_ALL=C
command=$1 model=$2 dir=$3
mkdir -p "$dir"
summary=$dir/summary.json
trap 'rm -f "$summary"' EXIT
stem=$(basename "${model%.*}")

field() { # KEY: a number of the summary
  sed -n 's/.*"'"$1"'": *\([-0-9.eE+]*\|null\)[,}].*/\1/p' "$summary"
}

echo "$model, $(wc -c < "$model" | awk '{ printf "%.2f MB", $1 / 1e6 }')"
echo
printf '%-12s  %11s  %11s  %8s  %8s  %8s  %8s\n' format bits/weight 'file size' 'of input' 'SQNR' seconds speed
for format in mxfp4 mxfp6-e2m3 mxfp6-e3m2 mxfp8-e4m3 mxfp8-e5m2 mxint8; do
  archive=$dir/$stem-$format.pt2
  "$command" quantize "$model" -o "$archive" --format $format --json -f -q > "$summary"
  "$command" verify -q "$archive"
  for key in bits_per_weight bytes_out bytes_in sqnr_db seconds mb_per_s; do
    if [ -z "$(field $key)" ]; then echo "quantize --json says nothing of $key:" >&2; cat "$summary" >&2; exit 1; fi
  done
  echo "$format $(field bits_per_weight) $(field bytes_out) $(field bytes_in) $(field sqnr_db) $(field seconds) $(field mb_per_s)" |
    awk '{
      sqnr = $5 == "null" ? "inf" : sprintf("%.2f", $5)
      printf "%-12s  %11.4g  %8.3f MB  %7.1f%%  %5s dB  %8.4f  %4.0f MB/s\n", $1, $2, $3 / 1e6, 100 * $3 / $4, sqnr, $6, $7
    }'
done
echo
echo "Each archive was read back and verified, every byte of it. They lie here:"
echo "  $dir/$stem-*.pt2"
echo "What to type next:"
echo "  $command inspect $dir/$stem-mxfp4.pt2"
echo "  $command compare $model $dir/$stem-mxfp4.pt2"
echo "  python3 -c \"import torch; print(torch.export.load("
echo "      '$dir/$stem-mxfp4.pt2').module()().keys())\"    # torch 2.12 or newer"
