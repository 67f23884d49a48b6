# SPDX-License-Identifier: MIT
# Outputs appear whole or not at all, whatever happens.
. tests/cli/lib.sh
small_model "$T/m.safetensors"
m=$T/m.safetensors o=$T/dir/o.pt2
mkdir "$T/dir"
only() { [ "$(ls -A "$T/dir")" = "$1" ] || { ls -la "$T/dir"; false; }; }

expect 'an output is written' 0 '' '' quantize -q "$m" -o "$o" --format mxfp4
ok 'and nothing else' only o.pt2
cp "$o" "$T/before"
expect 'an existing output is not replaced, and -f is offered' 3 '' 'o.pt2: .*-f' quantize "$m" -o "$o" --format mxfp8
ok 'it is as it was' cmp "$o" "$T/before"
expect 'with -f it is replaced' 0 '' '' quantize -q "$m" -o "$o" --format mxfp8 -f
ok 'by the new one' eval '! cmp -s "$o" "$T/before"'
cp "$o" "$T/before"
expect 'a failing conversion leaves the old output alone' 2 '' 'short.safetensors' quantize "$T/short.safetensors" -o "$o" --format mxfp8 -f
ok 'it still is as it was' cmp "$o" "$T/before"
ok 'and nothing lies beside it' only o.pt2

# Input = output
cp "$m" "$T/in.safetensors"
ln -s in.safetensors "$T/soft"
ln "$T/in.safetensors" "$T/hard"
mkdir "$T/sub"
for same in "$T/in.safetensors" "$T/soft" "$T/hard" "$T/sub/../in.safetensors"; do
  expect "input = output is refused, also with -f: ${same##*/T.*/}" 1 '' 'same file' quantize "$T/in.safetensors" -o "$same" --format mxfp4 -f
  expect "and without: ${same##*/}" 1 '' 'same file' quantize "$T/in.safetensors" -o "$same" --format mxfp4
done
expect 'dequantize refuses it too' 1 '' 'same file' dequantize "$T/soft" -o "$T/hard" -f
ok 'the input is as it was' cmp "$m" "$T/in.safetensors"
weights 2048 1 | safetensors "$T/model-1.safetensors" '{"a":{"dtype":"F32","shape":[32,64],"data_offsets":[0,8192]}}'
echo '{"metadata":{},"weight_map":{"a":"model-1.safetensors"}}' >"$T/model.safetensors.index.json"
cp "$T/model-1.safetensors" "$T/shard"
expect 'an output that is a shard of the input is refused' 1 '' 'part of the input' quantize "$T/model.safetensors.index.json" -o "$T/model-1.safetensors" --format mxfp4 -f
ok 'the shard is as it was' cmp "$T/shard" "$T/model-1.safetensors"
expect 'the index itself can be converted' 0 '' '' quantize -q "$T/model.safetensors.index.json" -o "$T/sharded.pt2" --format mxfp4

# Names that say something else
for name in o.safetensors O.NPZ o.npy o.safetensors.index.json; do
  expect "quantize writes no $name" 1 '' "$name: quantize writes a .pt2 archive, not \\.(safetensors|np[yz])" quantize "$m" -o "$T/$name" --format mxfp4
  ok 'and nothing is there' test ! -e "$T/$name"
done
expect 'dequantize writes no .npz' 1 '' 'o.npz: dequantize writes .safetensors or .pt2, not .npz' dequantize "$T/sharded.pt2" -o "$T/o.npz"
expect 'nor an index of shards' 1 '' 'not .safetensors.index.json' dequantize "$T/sharded.pt2" -o "$T/o.safetensors.index.json"
expect 'a name without a meaning will do' 0 '' '' quantize -q "$m" -o "$T/archive" --format mxfp4

# Places that cannot be written
expect 'a missing folder is named' 3 '' 'none/o.pt2: ' quantize "$m" -o "$T/none/o.pt2" --format mxfp4
expect 'a path below a file is named' 3 '' 'm.safetensors/o.pt2: ' quantize "$m" -o "$m/o.pt2" --format mxfp4
expect 'a folder as output is refused' 3 '' 'dir: ' quantize "$m" -o "$T/dir" --format mxfp4 -f
expect 'a folder that takes no files is named' 3 '' '/proc/o.pt2: ' quantize "$m" -o /proc/o.pt2 --format mxfp4
expect '/dev/full as archive fails' 3 '' '/dev/full: ' quantize "$m" -o /dev/full --format mxfp4 -f
expect '/dev/full as safetensors fails' 3 '' '/dev/full: .*[Nn]o space' dequantize "$o" -o /dev/full -f
ok '/dev/full is still a device' test -c /dev/full
if [ "$(id -u)" != 0 ]; then
  mkdir -m 555 "$T/locked"
  expect 'a folder without permission is named' 3 '' 'locked/o.pt2: ' quantize "$m" -o "$T/locked/o.pt2" --format mxfp4
fi
rc=0
(ulimit -f 1 && "$MXQUANT" quantize "$m" -o "$T/dir/limited.pt2" --format mxfp8) >"$T/out" 2>"$T/err" || rc=$?
ok 'a limit of file sizes is a failure to write, not a crash' as_expected 3 '' 'limited.pt2: '
ok 'and leaves nothing' only o.pt2
mkdir "$T/small"
if mount -t tmpfs -o size=8k none "$T/small" 2>/dev/null; then
  weights 4096 9 | safetensors "$T/16k.safetensors" '{"a":{"dtype":"F32","shape":[64,64],"data_offsets":[0,16384]}}'
  expect 'too little space is known before the start' 3 '' 'small/o.pt2: .*space' quantize "$T/16k.safetensors" -o "$T/small/o.pt2" --format mxint8
  ok 'and nothing is left in the small place' test -z "$(ls -A "$T/small")"
  umount "$T/small"
fi

# Standard output
rc=0
"$MXQUANT" inspect "$o" >/dev/full 2>"$T/err" || rc=$?
: >"$T/out"
ok 'a full standard output is exit 3, and said' as_expected 3 '' 'standard output: .*space'
rc=0
"$MXQUANT" inspect "$o" --json >&- 2>"$T/err" || rc=$?
ok 'a closed standard output is exit 3, and said' as_expected 3 '' 'standard output: '
rc=0
"$MXQUANT" quantize "$m" -o "$T/dir/closed.pt2" --format mxfp4 <&- >&- 2>&- || rc=$?
ok 'with all three streams closed the archive is written all the same' test "$rc" = 0
expect 'and whole, with nothing printed into it' 0 'SHA-256' '' verify "$T/dir/closed.pt2"
rm -f "$T/dir/closed.pt2"
{ rc=0; "$MXQUANT" inspect "$T/m.safetensors" --json 2>"$T/err" || rc=$?; echo "$rc" >"$T/rc"; } | :
ok 'a reader that goes away is not worth a message' test ! -s "$T/err"
{ sleep 0.2; "$MXQUANT" dequantize "$o" -o - 2>"$T/err"; echo $? >"$T/rc"; } | : # which is gone by then
ok 'nor is it for dequantize -o -' test ! -s "$T/err"
rc=0
"$MXQUANT" dequantize "$o" -o - >/dev/full 2>"$T/err" || rc=$?
ok 'dequantize to a full standard output is exit 3' test "$rc" = 3

# Signals: a slow run on a sparse input, stopped once its temporary file is there
h='{"w":{"dtype":"F32","shape":[16384,16384],"data_offsets":[0,1073741824]}}'
safetensors "$T/big.safetensors" "$h" </dev/null
truncate -s $((8 + ${#h} + 1073741824)) "$T/big.safetensors"
for signal in 'INT 130' 'TERM 143' 'HUP 129'; do
  name=${signal% *} code=${signal#* }
  rc=0
  env --default-signal=INT,TERM,HUP "$MXQUANT" quantize "$T/big.safetensors" -o "$T/dir/big.pt2" --format mxfp4 --cpu reference --scale-rule mse -j 1 >"$T/out" 2>"$T/err" &
  pid=$!
  tries=0
  while [ "$(ls -A "$T/dir" | wc -l)" -lt 2 ] && [ $tries -lt 200 ]; do sleep 0.02; tries=$((tries + 1)); done
  kill -s "$name" $pid
  wait $pid || rc=$?
  ok "SIG$name ends a conversion with $code" as_expected "$code" '' ''
  ok "and leaves nothing after SIG$name" only o.pt2
done
finish
