# SPDX-License-Identifier: MIT
# inspect, verify and compare.
. tests/cli/lib.sh
small_model "$T/m.safetensors"
m=$T/m.safetensors a=$T/a.pt2
"$MXQUANT" quantize -q "$m" -o "$a" --format mxfp4 || exit 1
has() { grep -qE -e "$2" "$1"; }
narrow() { awk 'length > 80 { print; bad = 1 } END { exit bad }' "$1"; }

expect 'inspect lists tensors' 0 '^a.weight +mxfp4 +32x64 +1,088$' '' inspect "$a"
ok 'in 80 columns' narrow "$T/out"
ok 'and says what kind of file it is' has "$T/out" 'a.pt2: pt2, weights archive by mxquant'
ok 'kept tensors have a dtype' has "$T/out" '^steps +i64 +2 +16$'
expect 'inspect --json has the keys that scripts rely on' 0 '\{"name":"a.weight","format":"mxfp4","shape":\[32,64\],"bytes":1088,.*"layout":"even-low","axes":\[1,1\],"block":32,"scale_rule":"auto",.*"round":"rne",.*"source_dtype":"f32"' '' inspect "$a" --json
ok 'and schema, file, container, bytes' has "$T/out" "^\{\"schema\":1,\"file\":\"$a\",\"container\":\"pt2\",.*\"bytes\":$(wc -c <"$a")\}$"
ok 'and the metadata of the source' has "$T/out" '"metadata":\{"note":"small"\}'
ok 'and is valid JSON' is_json "$T/out"
expect '--tensor tells everything about one tensor' 0 '^  scale rule +auto$' '' inspect "$a" --tensor a.weight
expect '--tensor with --json prints that one' 0 '"tensors":\[\{"name":"norm","dtype":"f32"[^]]*\]' '' inspect "$a" --tensor norm --json
ok 'and no other' test "$(grep -o '"name":' "$T/out" | wc -l)" = 1
expect 'an unknown tensor is an error that names it' 1 '' "no tensor 'x'" inspect "$a" --tensor x
expect '-v tells everything about each' 0 '^  source dtype +f32$' '' inspect "$a" -v
expect 'inspect reads safetensors' 0 'm.safetensors: safetensors' '' inspect "$m"
expect '--as zip lists the members' 0 '^model/data/weights/[^ ]+ +stored +[0-9a-f]{8} ' '' inspect "$a" --as zip
expect '--as zip has JSON' 0 '"container":"zip","members":\[\{"name":"model/' '' inspect "$a" --as zip --json
ok 'that is valid' is_json "$T/out"
echo '[1, 2.5e3, "x"]' >"$T/ok.json"
echo '[1, 2.5e3, "x",]' >"$T/bad.json"
expect '--as json says valid' 0 '^valid$' '' inspect --as json "$T/ok.json"
expect '--as json names the byte of a defect' 2 '' 'bad.json: .*byte' inspect --as json "$T/bad.json"
expect '--as zip of something else is exit 2' 2 '*' 'ok.json: ' inspect --as zip "$T/ok.json"
expect '--as npy of a safetensors file is exit 2' 2 '' 'm.safetensors: ' inspect --as npy "$m"
expect '--as pt2 of an archive is what happens anyway' 0 'a.weight' '' inspect --as pt2 "$a"

expect 'verify says what it checked' 0 'a.pt2: ok' '' verify "$a"
ok 'with digests' has "$T/out" 'checked: structure, CRC and SHA-256 digests'
expect 'verify of a safetensors file says that there are no checksums' 0 'no checksums' '' verify "$m"
expect 'verify --json of a good file' 0 '"findings":\[\],"ok":true,"container":"pt2","digests":true,"resaved":false' '' verify "$a" --json
ok 'is valid' is_json "$T/out"
expect 'verify -q prints nothing' 0 '' '' verify -q "$a"
size=$(wc -c <"$a")
flip() { # FILE BYTE: a copy with one bit of that byte changed
  cp "$a" "$1"
  v=$(od -An -tu1 -j "$2" -N 1 "$a")
  bytes $((v ^ 1)) | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
i=0
while [ "$i" -lt "$size" ]; do
  flip "$T/flip.pt2" "$i"
  run verify "$T/flip.pt2"
  [ "$rc" = 4 ] && [ -s "$T/err" ] || break
  i=$((i + 61))
done
ok 'a changed bit is found wherever it is' test "$i" -ge "$size"
flip "$T/flip.pt2" $((size / 2))
expect 'verify names the file and the member of the first damage' 4 'DAMAGED' 'flip.pt2: ' verify "$T/flip.pt2"
expect 'verify --json lists the findings' 4 '"findings":\[\{"code":"[a-z]+","subject":"[^"]*","offset":[0-9nul]+,"text":"' '*' verify "$T/flip.pt2" --json
ok 'as valid JSON' is_json "$T/out"
expect 'verify -q of a damaged file only reports it' 4 '' 'flip.pt2' verify -q "$T/flip.pt2"
for cut in 0 1 100 $((size / 2)) $((size - 1)); do
  head -c "$cut" "$a" >"$T/cut.pt2"
  expect "an archive cut to $cut of $size bytes is damaged" 4 'DAMAGED' 'cut.pt2' verify "$T/cut.pt2"
  expect "and inspect refuses it with exit 2" 2 '' 'cut.pt2' inspect "$T/cut.pt2"
done
expect 'verify --as zip finds damage' 4 'DAMAGED' 'flip.pt2' verify --as zip "$T/flip.pt2"
expect 'verify --as json of good JSON' 0 'JSON syntax' '' verify --as json "$T/ok.json"
expect 'verify --as json of bad JSON' 4 'DAMAGED' 'bad.json' verify --as json "$T/bad.json"
expect 'verify of a missing file is exit 2' 2 '' 'nothing.pt2: ' verify "$T/nothing.pt2"
expect 'verify of what is no format read here is exit 2' 2 '' 'ok.json' verify "$T/ok.json"

expect 'compare of a file with itself is exit 0' 0 '^a.weight +identical$' '' compare "$m" "$m"
expect 'compare of different files is exit 5' 5 '^a.weight +[0-9.e+-]+ +[0-9.]+ +0\.9[0-9]+' '' compare "$m" "$a"
ok 'in 80 columns' narrow "$T/out"
expect 'compare --json has the keys that scripts rely on' 5 '\{"name":"a.weight","identical":false,"max_abs":[0-9.e+-]+,"sqnr_db":[0-9.]+,"cosine":0\.[0-9]+,"clipped":[0-9]+,"zeroed":[0-9]+' '' compare "$m" "$a" --json
ok 'and schema and identical' has "$T/out" '^\{"schema":1,.*"identical":false'
ok 'and is valid' is_json "$T/out"
expect 'equal tensors have an infinite ratio, which is null in JSON' 0 '"name":"norm","identical":true,"max_abs":0,"sqnr_db":null,"cosine":1' '' compare "$m" "$m" --json
expect '--min-sqnr below the ratio is exit 0' 0 'a.weight' '' compare "$m" "$a" --min-sqnr 10
expect '--min-sqnr above the ratio is exit 5' 5 'a.weight' '' compare "$m" "$a" --min-sqnr 40.5
expect 'compare -q tells by the exit code alone' 5 '' '' compare -q "$m" "$a"
weights 2048 1 | safetensors "$T/one.safetensors" '{"a.weight":{"dtype":"F32","shape":[32,64],"data_offsets":[0,8192]}}'
expect 'a missing tensor is a difference' 5 '^norm +only in the first file' '' compare "$m" "$T/one.safetensors"
expect 'also with --min-sqnr' 5 'only in the second file' '' compare "$T/one.safetensors" "$m" --min-sqnr 1
weights 2048 1 | safetensors "$T/shape.safetensors" '{"a.weight":{"dtype":"F32","shape":[64,32],"data_offsets":[0,8192]}}'
expect 'another shape is a difference' 5 'the shapes differ' '' compare "$T/one.safetensors" "$T/shape.safetensors" --min-sqnr -100
expect 'compare with a missing file is exit 2 and names it' 2 '' 'gone: ' compare "$m" "$T/gone"
finish
