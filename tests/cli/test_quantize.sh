# SPDX-License-Identifier: MIT
# quantize, dequantize and plan: what they do, say and print as JSON.
. tests/cli/lib.sh
small_model "$T/m.safetensors"
m=$T/m.safetensors

has() { grep -qE -e "$2" "$1"; }
field() { sed -n 's/.*"'"$2"'":\([^,}]*\)[,}].*/\1/p' "$1"; }
is_field() { [ "$(field "$1" "$2")" = "$3" ] || { echo "$2 is $(field "$1" "$2"), not $3"; false; }; }

expect 'quantize says nothing on standard output, and a summary on standard error' 0 '' 'quantized  2 tensors to mxfp4' quantize "$m" -o "$T/a.pt2" --format mxfp4
ok 'the summary tells bits per weight and SQNR' has "$T/err" 'quality    [0-9]\.[0-9]+ bits per weight, SQNR [0-9]+\.[0-9]+ dB'
ok 'the summary tells what was clipped, zeroed, overflowed, not finite' has "$T/err" 'clipped, [0-9,]+ zeroed, 0 blocks overflowed, 0 non-finite'
ok 'the summary groups what was kept by the reason' has "$T/err" '1-D \(1: norm\)'
ok 'a kept f64 tensor is named' has "$T/err" 'kept too   wide: f64'
ok 'the summary tells bytes and time' has "$T/err" 'bytes      [0-9,]+ -> [0-9,]+ \('
ok 'the summary fits 80 columns' awk 'length > 80 && !/ -> / { exit 1 }' "$T/err"
expect 'the archive passes verify' 0 'SHA-256' '' verify "$T/a.pt2"

for f in mxfp4 mxfp6 mxfp6-e2m3 mxfp6-e3m2 mxfp8 mxfp8-e4m3 mxfp8-e5m2 mxint8; do
  expect "--format $f works" 0 '' '' quantize -q "$m" -o "$T/$f.pt2" --format $f
done
ok 'mxfp6 is mxfp6-e2m3' cmp "$T/mxfp6.pt2" "$T/mxfp6-e2m3.pt2"
ok 'mxfp8 is mxfp8-e4m3' cmp "$T/mxfp8.pt2" "$T/mxfp8-e4m3.pt2"
run quantize -q "$m" -o "$T/other name.pt2" --format mxfp4 -j 3 --cpu reference
ok 'the bytes depend neither on the name of the output nor on -j nor on --cpu' cmp "$T/a.pt2" "$T/other name.pt2"

expect 'with --json the summary is one JSON line on standard output' 0 '"schema":1' '' quantize "$m" -o "$T/j.pt2" --format mxfp8 --json
ok 'and it is valid JSON' is_json "$T/out"
for pair in tensors=5 quantized=2 kept=3 nonfinite=0 elements=2448 blocks=84 'format="mxfp8-e4m3"' 'graph="each"' "bytes_in=$(wc -c <"$m")" "bytes_out=$(wc -c <"$T/j.pt2")"; do
  ok "the summary says $pair" is_field "$T/out" "${pair%%=*}" "${pair#*=}"
done
ok 'kept tensors stand there with their reasons' has "$T/out" '"name":"norm","reason":"1-D"'
ok 'bits per weight are 8 * (codes + scales) / elements' sh -c 'awk -v x="$1" "BEGIN { d = x - 8 * 84 * 33 / 2448; exit !(d * d < 1e-20) }"' sh "$(field "$T/out" bits_per_weight)"
expect '-q --json prints the JSON and nothing else' 0 '"schema":1' '' quantize "$m" -o "$T/j.pt2" --format mxfp8 --json -q -f
expect '-q prints nothing' 0 '' '' quantize "$m" -o "$T/j.pt2" --format mxfp8 -q -f
expect '-v lists each tensor' 0 '' '^  steps +i64 +kept' quantize "$m" -o "$T/j.pt2" --format mxfp8 -v -f
expect '--progress=json writes JSON lines to standard error' 0 '' '^\{"done_bytes":[0-9]+,"total_bytes":10576,"tensor":"[a-z.]+"\}$' quantize "$m" -o "$T/j.pt2" --format mxfp8 --progress=json -f
run quantize "$m" -o "$T/j.pt2" --format mxfp8 --progress=json -f -q
ok '-q silences progress too' test ! -s "$T/err"
expect 'without a terminal there is no progress' 0 '' '^[^%]*$' quantize "$m" -o "$T/j.pt2" --format mxfp8 -f

# Rules
expect 'a rule wins over --format' 0 '' 'mxfp4 \(1\), mxint8 \(1\)' quantize "$m" -o "$T/r.pt2" --format mxfp4 --rule '^b=mxint8'
run inspect "$T/r.pt2" --json
ok 'and inspect shows both' has "$T/out" '"name":"b.weight","format":"mxint8"'
expect 'the first rule that matches wins' 0 '"name":"a.weight","source_dtype":"f32","shape":\[32,64\],"format":"mxfp8-e4m3"' '' plan "$m" --rule 'a=mxfp8' --rule 'weight=mxfp4' --json
expect 'a rule of one dimension quantizes a vector' 0 '"name":"norm",[^}]*"format":"mxint8"' '' plan "$m" --rule 'norm=mxint8' --json
expect 'none in a rule keeps the tensor' 0 '"name":"a.weight",[^}]*"keep":true' '' plan "$m" --format mxfp4 --rule 'a.w=none' --json
printf '["b.*=mxint8", {"regex": "weight", "format": "mxfp4"}]' >"$T/rules.json"
expect 'rules come from a file too' 0 '"rule":"b\.\*=mxint8","rule_index":0' '' plan "$m" --rules "$T/rules.json" --json
expect 'rules of a file and of the command line apply in the order given' 0 '"name":"b.weight",[^}]*"format":"mxfp8-e5m2"' '' plan "$m" --rule 'b=mxfp8-e5m2' --rules "$T/rules.json" --json
printf '["b=mxint8"' >"$T/bad.json"
expect 'a broken rules file is named with the byte' 2 '' 'bad.json: .*byte' plan "$m" --rules "$T/bad.json"
printf '["b=mxint9"]' >"$T/bad.json"
expect 'an unknown format in a rules file is named' 1 '' "bad.json: .*mxint9" plan "$m" --rules "$T/bad.json"
expect 'a missing rules file is named' 2 '' 'nothing.json: cannot open' plan "$m" --rules "$T/nothing.json"

# Plan
expect 'plan writes a table' 0 '^a.weight +f32 +32x64 +mxfp4 +8,192 > 1,088' '' plan "$m" --format mxfp4
ok 'the table fits 80 columns' awk 'length > 80 { exit 1 }' "$T/out"
ok 'the plan tells memory' has "$T/out" '^memory '
run plan "$m" --format mxfp4 --json
ok 'plan --json is valid JSON' is_json "$T/out"
run quantize -q "$m" -o "$T/p.pt2" --format mxfp4 --root other --align 4096 --graph none
run plan "$m" --format mxfp4 --root other --align 4096 --graph none --json
ok 'plan foretells the size of the file to the byte' is_field "$T/out" file_bytes "$(wc -c <"$T/p.pt2")"
expect '--ragged keep keeps ragged rows' 0 '"name":"b.weight",[^}]*"keep":true[^}]*multiple of 32' '' plan "$m" --format mxfp4 --ragged keep --json

# Copies
expect '--format none of a safetensors file keeps every tensor in an archive' 0 '' 'quantized  0 tensors' quantize "$m" -o "$T/n.pt2" --format none
expect 'such an archive holds the same values' 0 '5 identical' '' compare "$m" "$T/n.pt2"
expect '--format none of an archive copies it' 0 '' 'copied     5 tensors' quantize "$T/a.pt2" -o "$T/c.pt2" --format none
ok 'and a canonical archive comes out as it was' cmp "$T/a.pt2" "$T/c.pt2"
expect 'the copy as JSON' 0 '"quantized":0,"kept":5.*"sqnr_db":null' '' quantize "$T/a.pt2" -o "$T/c.pt2" --format none --json -f
ok 'is valid JSON' is_json "$T/out"
expect 'what is MX already is kept' 0 '"name":"a.weight",[^}]*"keep":true[^}]*mxfp4 already' '' plan "$T/a.pt2" --format mxfp4 --json
expect 'a rule that would encode it again is refused' 1 '' "a.weight.*mxfp4 already" plan "$T/a.pt2" --rule 'a=mxfp8'

# The way back
expect 'dequantize writes a summary' 0 '' 'decoded    2 tensors to the dtype of their source; 3 copied$' dequantize "$T/a.pt2" -o "$T/b.safetensors"
expect 'what it writes equals the archive' 0 '5 identical' '' compare "$T/a.pt2" "$T/b.safetensors"
rm -f "$T/b16.safetensors"
run dequantize "$T/a.pt2" -o "$T/b16.safetensors" --dtype bf16 -q
expect '--dtype bf16 is obeyed' 0 '"name":"a.weight","dtype":"bf16"' '' inspect "$T/b16.safetensors" --json
"$MXQUANT" dequantize "$T/a.pt2" -o - -q | cat >"$T/piped.safetensors"
ok 'dequantize -o - writes the same bytes to a pipe' cmp "$T/b.safetensors" "$T/piped.safetensors"
"$MXQUANT" dequantize "$T/a.pt2" -o - -q >"$T/file.safetensors"
ok 'and to a file that the shell opened' cmp "$T/b.safetensors" "$T/file.safetensors"
expect 'dequantize --json is one line' 0 '"decoded":2,"kept":3,"became_inf":0' '' dequantize "$T/a.pt2" -o "$T/b.safetensors" --json -f
ok 'of valid JSON' is_json "$T/out"
expect '-o - and --json do not go together' 1 '' 'both write to standard output' dequantize "$T/a.pt2" -o - --json
{ for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32; do bytes 0 0 0 113; done; } |
  safetensors "$T/large.safetensors" '{"w":{"dtype":"F32","shape":[1,32],"data_offsets":[0,128]}}'
run quantize "$T/large.safetensors" -o "$T/large.pt2" --format mxfp8 -q
expect 'values that become infinite in the target dtype are counted' 0 '"became_inf":32' '' dequantize "$T/large.pt2" -o "$T/large.f16.safetensors" --dtype f16 --json
expect 'and mentioned in the summary' 0 '' '32 values beyond the range of f16 became Inf' dequantize "$T/large.pt2" -o "$T/large.f16.safetensors" --dtype f16 -f
finish
