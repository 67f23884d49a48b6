# SPDX-License-Identifier: MIT
# Bad input: each command says which file, what, and where; nothing is written.
. tests/cli/lib.sh
small_model "$T/m.safetensors"

# Each command that reads must refuse the file with exit 2, name it, and write nothing; verify says 4 where a format was meant.
refused() { # SENTENCE FILE PATTERN VERIFY
  expect "$1: inspect" 2 '' "$3" inspect "$2"
  expect "$1: quantize" 2 '' "$3" quantize "$2" -o "$T/out.pt2" --format mxfp4
  expect "$1: dequantize" 2 '' "$3" dequantize "$2" -o "$T/out.pt2"
  expect "$1: plan" 2 '' "$3" plan "$2" --format mxfp4
  expect "$1: compare" 2 '*' "$3" compare "$T/m.safetensors" "$2"
  expect "$1: verify" "$4" '*' "$3" verify "$2"
  ok "$1: nothing was written" test -z "$(ls -A "$T" | grep out.pt2)"
}
: >"$T/empty.safetensors"
refused 'an empty file' "$T/empty.safetensors" 'empty.safetensors: .*empty' 4
: >"$T/empty"
refused 'an empty file of no name' "$T/empty" 'empty: .*empty' 2
head -c 9000 "$T/m.safetensors" >"$T/cut.safetensors"
refused 'a truncated safetensors file' "$T/cut.safetensors" 'cut.safetensors: ' 4
head -c 5 "$T/m.safetensors" >"$T/five.safetensors"
refused 'a safetensors file of five bytes' "$T/five.safetensors" 'five.safetensors: ' 4
echo 'hello world, this is a text' >"$T/text"
refused 'a text' "$T/text" 'text: not a file format that is read here' 2
{ bytes 71 71 85 70 3 0 0 0; head -c 100 /dev/zero; } >"$T/x.gguf"
refused 'a GGUF file' "$T/x.gguf" 'x.gguf: .*GGUF' 2
refused 'a folder' "$T" ': ' 2
refused 'a missing file' "$T/nothing.safetensors" 'nothing.safetensors: ' 2

lie() { # NAME HEADER BYTES PATTERN
  head -c "$3" /dev/zero | safetensors "$T/$1.safetensors" "$2"
  expect "a header that lies is refused with tensor and byte: $1" 2 '' "$1.safetensors: .*$4" inspect "$T/$1.safetensors"
  expect "and verify calls it damaged: $1" 4 'DAMAGED' "$1.safetensors: .*$4" verify "$T/$1.safetensors"
}
lie beyond '{"h.0":{"dtype":"F32","shape":[32,32],"data_offsets":[0,4096]}}' 4000 "h.0.*byte"
lie size '{"h.0":{"dtype":"F32","shape":[32,32],"data_offsets":[0,4000]}}' 4000 "h.0.*byte"
lie overlap '{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}' 12 "byte"
lie hole '{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[12,20]}}' 20 "byte"
lie dtype '{"h.0":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}' 4 "F33"
lie twice '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}' 8 "byte"
lie overflow '{"h.0":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}' 0 "h.0"
lie syntax '{"h.0":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},}' 4 "byte"
{ bytes 255 255 255 255 255 255 255 127; echo '{}'; } >"$T/length.safetensors"
expect 'a header longer than the file is refused' 2 '' 'length.safetensors: ' inspect "$T/length.safetensors"

# NaN and Inf
nonfinite() { # NAME: 64 floats, of which number 37 has the bytes $2...
  name=$1
  shift
  { weights 37 5; bytes "$@"; weights 26 6; } | safetensors "$T/$name.safetensors" '{"h.0.w":{"dtype":"F32","shape":[2,32],"data_offsets":[0,256]}}'
}
nonfinite nan 0 0 192 127
nonfinite inf 0 0 128 255
expect 'NaN is an error that names tensor and index, and what to choose' 2 '' "nan.safetensors: tensor 'h.0.w': .*37.*NaN.*nonfinite" quantize "$T/nan.safetensors" -o "$T/out.pt2" --format mxfp4
expect 'so is Inf' 2 '' "inf.safetensors: tensor 'h.0.w': .*37.*-Inf.*nonfinite" quantize "$T/inf.safetensors" -o "$T/out.pt2" --format mxfp4
ok 'and nothing was written' test -z "$(ls -A "$T" | grep out.pt2)"
expect '--nonfinite block takes both, and counts them' 0 '"nonfinite":1' '' quantize "$T/nan.safetensors" -o "$T/b.pt2" --format mxfp4 --nonfinite block --json
expect '--nonfinite saturate takes Inf' 0 '"nonfinite":1' '' quantize "$T/inf.safetensors" -o "$T/s.pt2" --format mxfp4 --nonfinite saturate --json
expect '--nonfinite saturate refuses NaN' 2 '' "tensor 'h.0.w': .*37.*NaN" quantize "$T/nan.safetensors" -o "$T/out.pt2" --format mxfp4 --nonfinite saturate
expect 'a tensor that is kept may hold NaN' 0 '"quantized":0' '' quantize "$T/nan.safetensors" -o "$T/k.pt2" --format mxfp4 --rule 'h=none' --json

# Names that would act on a terminal
weights 32 7 | safetensors "$T/evil.safetensors" '{"a\u001b]0;owned\u0007\n\u202eb\u009b31m":{"dtype":"F32","shape":[1,32],"data_offsets":[0,128]}}'
clean() { ! LC_ALL=C grep -q "$(printf '[\001-\011\013-\037\177\302\342]')" "$1"; }
for c in "inspect $T/evil.safetensors" "inspect -v $T/evil.safetensors" "plan $T/evil.safetensors --format mxfp4" "compare $T/evil.safetensors $T/evil.safetensors" \
  "quantize $T/evil.safetensors -o $T/evil.pt2 --format mxfp4 -v -f" "quantize $T/evil.safetensors -o $T/evil2.pt2 --format mxfp4 --progress=always -f"; do
  # shellcheck disable=SC2086
  run $c
  ok "no control character of a name reaches the terminal: ${c%% *}" test "$rc" = 0
  tr -d '\r' <"$T/err" >"$T/err2"
  ok "on standard output and on standard error: ${c%% *}" eval 'clean "$T/out" && clean "$T/err2"'
done
expect 'a control character in a name is shown as its number' 0 '^a\\x1b\]0;owned\\x07\\x0a\\u202eb\\u009b31m|^a.*\.\.\.' '' inspect "$T/evil.safetensors"
expect 'inspect --json of such a name is JSON' 0 'u001b' '' inspect "$T/evil.safetensors" --json
ok 'and valid' is_json "$T/out"
expect 'a path with control characters is escaped too' 2 '' 'no\\x1bfile' inspect "$(printf 'no\033file')"
name=$(printf 'caf\351.safetensors')
cp "$T/m.safetensors" "$T/$name"
expect 'a path that is no UTF-8 can be opened' 0 'caf\\xe9' '' inspect "$T/$name"
expect 'and in JSON becomes a replacement character' 0 'caf.ufffd' '' inspect "$T/$name" --json
ok 'which is valid' is_json "$T/out"
finish
