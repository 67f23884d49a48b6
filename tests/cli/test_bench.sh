# SPDX-License-Identifier: MIT
# bench: what it lists, measures, prints and refuses. Speeds themselves are no test's affair.
. tests/cli/lib.sh

lines() { [ "$(grep -cE "$1" "$T/out")" = "$2" ]; }
fits() { awk 'length > 80 { print; bad = 1 } END { exit bad }' "$T/out"; }

expect 'the list names the row of every encoder' 0 '^encode/e2m1/f32 +[a-z0-9]+$' '' bench --list
ok 'of 18 encoders, 18 for rare recipes and 18 decoders' eval 'lines "^encode/" 18 && lines "^encode-any/" 18 && lines "^decode/" 18'
ok 'of the statistics' lines '^measure +[a-z0-9]+$' 1
ok 'and layout conversions' eval 'grep -qE "^layout/ggml/even-low" "$T/out" && grep -qE "^layout/scales/nvidia-128x4" "$T/out"'
expect 'weaker levels are served by weaker rows' 0 '^decode/int8/f16 +scalar$' '' bench --list --cpu scalar
ok 'and by none above' eval '! grep -qE "avx|neon" "$T/out"'
expect 'the list filters' 0 '^measure' '' bench --list --filter measure
ok 'by any part of a name' lines '.' 1
expect 'the list is JSON too' 0 '"kernels":\[\{"name":"encode/e2m1/f32","row":"' '' bench --list --json
ok 'a valid one' is_json "$T/out"
expect 'rare rules are served by the slot for them' 0 '^encode/e2m1/f32/half-away' '' bench --list --round half-away
ok 'and only encoders have rules' eval '! grep -qE "^(decode|layout|measure)" "$T/out"'

expect 'a run prints the machine, yardsticks, and each kernel in the strongest and the portable row' 0 '^encode/e2m1/f32 +scalar +[0-9.]+ GB/s +[0-9.]+ read +[0-9.]+ traffic' '' \
  bench --filter e2m1/f32 --size 64K --rounds 1
ok 'all yardsticks' eval 'for y in read write memcpy traffic/encode/e2m1 traffic/decode/e2m1; do lines "^$y +- +[0-9.]+ GB/s +[0-9.]+ read" 1 || exit 1; done'
ok 'with caches and pages' lines 'caches .* in 2 MiB pages; 1 thread$' 1
ok 'decoders against writing' lines '^decode/e2m1/f32 +[a-z0-9]+ .* write +[0-9.]+ traffic' "$(grep -c '^encode/e2m1/f32' "$T/out")"
expect 'several sizes, by name too' 0 '*' '' bench --filter encode/e4m3/bf16 --size l2,l3,1M --rounds 1 --json --cpu scalar
ok 'are in the JSON' eval 'is_json "$T/out" && for s in l2 l3 1M; do grep -q "\"name\":\"encode/e4m3/bf16\",\"row\":\"scalar\",\"size\":\"$s\",\"threads\":1,\"rounds\":1,\"bytes\":[0-9]*,\"seconds\":[0-9.e-]*,\"gbps\":[0-9.e-]*,\"against\":\"traffic\"" "$T/out" || exit 1; done'
ok 'with the machine' eval 'grep -q "\"machine\":{\"cpu\":.*\"l3_bytes\":[1-9]" "$T/out"'
expect 'two threads' 0 '^layout/even-low/ggml .* memcpy' '' bench --filter even-low/ggml --size 1M --rounds 2 -j 2
ok 'say so' lines '; 2 threads$' 1
expect 'all rules that an element type has' 0 '^encode/e2m1/f32/nearest-log2f ' '' bench --filter encode/e2m1/f32 --size 64K --rounds 1 --scale-rule all
ok 'are measured' eval 'for r in auto floor ceil even rceil rceil-725 mse even-strict; do grep -q "^encode/e2m1/f32/$r " "$T/out" || exit 1; done'
expect 'stochastic rounding' 0 '^encode/int8/f16/stochastic' '' bench --filter int8/f16 --size 64K --rounds 1 --round stochastic:7
expect 'a preset, for the types it has' 0 '^encode/e2m1/f32/ggml' '' bench --filter /f32 --size 64K --rounds 1 --compat ggml
ok 'and no others' eval '! grep -qE "^encode/e4m3" "$T/out"'
expect 'swizzles' 0 '^layout/amd-32x8/scales ' '' bench --filter 32x8 --size 64K --rounds 1
ok 'the results fit 80 columns' eval '"$MXQUANT" bench --filter e3m2/bf16 --size 64K --rounds 1 | tail -n +2 >"$T/out" && fits'

for v in 0 1K 63K x l4 1M, ,1M 1M,,2M 65G 1T '' 1,1,1,1,1,1,1,1,1; do
  expect "--size '$v' is refused" 1 '' "bad --size '$v'" bench --size "$v"
done
for v in 0 65 x ''; do
  expect "--rounds '$v' is refused" 1 '' "bad --rounds '$v'" bench --rounds "$v"
done
expect 'an unknown rule is refused' 1 '' "unknown --scale-rule 'round'" bench --scale-rule round
expect 'an unknown rounding is refused' 1 '' "unknown --round 'up'" bench --round up
expect 'an unknown peer is refused' 1 '' "unknown --compat 'nobody'" bench --compat nobody
expect 'a filter without a match is refused' 1 '' "name contains 'e9m9'" bench --filter e9m9
expect 'in the list too' 1 '' "name contains 'e9m9'" bench --list --filter e9m9
expect 'a rule that the type has not is no match' 1 '' 'name contains' bench --scale-rule even-strict --filter int8

# A library with ggml's functions, right and wrong.
library() { # FLAGS
  ${CC:-cc} -std=c11 -O1 -fPIC -shared $1 tests/cli/ggml.c -o "$T/lib/libggml-base.so" -lm
}
mkdir "$T/lib" "$T/none"
expect 'a path that is not there is named' 2 '' "'$T/nothing': no such file" bench --ggml "$T/nothing"
expect 'so is a folder without the library' 2 '' "'$T/none': no libggml" bench --ggml "$T/none"
echo text >"$T/none/libggml.so"
expect 'and what is no library' 2 '' "'$T/none/libggml.so': .*libggml.so" bench --ggml "$T/none/libggml.so" --size 64K
if [ -z "${MXQ_SAN:-}" ] && library ''; then
  expect 'speeds stand beside those of ggml' 0 '^encode/e2m1/f32 +[a-z0-9]+ +[0-9.]+ GB/s +[0-9.]+ ggml$' '' bench --ggml "$T/lib" --size 64K,1M --rounds 1
  ok 'and its own' eval 'lines "^ggml/quantize +ggml +[0-9.]+ GB/s$" 2 && lines "^ggml/dequantize" 2 && lines "^decode/e2m1/f32/ggml .* ggml$" 2'
  expect 'in JSON too' 0 '"name":"encode/e2m1/f32/ggml",.*"against":"ggml","ratio":[0-9]' '' bench --ggml "$T/lib/libggml-base.so" --size 64K --rounds 1 --json
  ok 'a valid one' is_json "$T/out"
  library -DWRONG_BLOCKS
  expect 'a block that differs is named' 2 '' "quantize_row_mxfp4_ref .*block 77; nothing is timed" bench --ggml "$T/lib" --size 64K
  library -DWRONG_VALUES
  expect 'values that differ are named' 2 '' "dequantize_row_mxfp4 .*nothing is timed" bench --ggml "$T/lib" --size 64K
  library -DOLD
  expect 'ggml without MXFP4 is refused' 2 '' "has no MXFP4" bench --ggml "$T/lib" --size 64K
fi
finish
