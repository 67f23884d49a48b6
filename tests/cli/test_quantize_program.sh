# SPDX-License-Identifier: MIT
# quantize, plan and dequantize on programs, and the options that go with them.
. tests/cli/lib.sh
small_model "$T/m.safetensors"
m=$T/m.safetensors p=testdata/pt2/programs
has() { grep -qE -e "$2" "$1"; }
narrow() { awk 'length > 80 && !/ -> / { print; bad = 1 } END { exit bad }' "$1"; }

# Plan
expect 'plan says which operator and which axis' 0 '^    axis 0, summed by matmul$' '' plan $p/products.pt2 --format mxfp4
ok 'and that the program stays' has "$T/out" '^program kept'
ok 'in 80 columns' narrow "$T/out"
expect 'plan --json tells axes, reason and operators' 0 '"name":"right",[^]]*\],"format":"mxfp4","keep":false,"axes":\[0,0\],"reason":"axis 0, summed by matmul","uses":\[\{"operator":"torch.ops.aten.matmul.default","node":"[a-z_0-9]+","argument":"[a-z0-9]+","axes":\[0,0\]\}' '' plan $p/products.pt2 --format mxfp4 --json
ok 'as valid JSON' is_json "$T/out"
ok 'with program true and no graph' has "$T/out" '"graph":null,"program":true'
expect 'a weight whose use is not understood stays, with the reason' 0 '^    used by mul.Tensor' '' plan $p/elementwise.pt2 --format mxfp4

# Quantize
for f in mxfp4 mxfp6-e2m3 mxfp6-e3m2 mxfp8-e4m3 mxfp8-e5m2 mxint8; do
  for t in torch-2.12 torch-2.11; do
    expect "products to $f for $t" 0 '' '' quantize -q $p/products.pt2 -o "$T/q.pt2" -f --format $f --target $t
    expect 'it passes verify' 0 'SHA-256' '' verify "$T/q.pt2"
    expect 'it decodes to safetensors' 0 '' '' dequantize -q "$T/q.pt2" -o "$T/q.safetensors" -f
    expect 'and back to a program' 0 '' '' dequantize -q "$T/q.pt2" -o "$T/back.pt2" -f
    expect 'with the same values' 0 '0 different, 0 in one file only' '' compare "$T/back.pt2" "$T/q.safetensors"
  done
done
unzip -p $p/products.pt2 '*models/model.json' >"$T/graph.1" 2>/dev/null && unzip -p "$T/back.pt2" '*models/model.json' >"$T/graph.2" &&
  ok 'the program is byte for byte what it was before' cmp "$T/graph.1" "$T/graph.2"
expect '-v tells each reason whole' 0 '' '^  right +f32 +mxfp4 axis 0, summed by matmul$' quantize -v $p/products.pt2 -o "$T/v.pt2" --format mxfp4
ok 'in 80 columns' narrow "$T/err"
expect 'the summary names what is kept though somebody may expect otherwise' 0 '' '^  kept too   gate: used by mul.Tensor' quantize $p/elementwise.pt2 -o "$T/e.pt2" --format mxfp8
ok 'and says that the program stays' has "$T/err" '^  program    kept'
ok 'in 80 columns' narrow "$T/err"
expect 'a rule names such a weight' 0 '' 'quantized  1 tensor to mxfp8-e4m3' quantize $p/elementwise.pt2 -o "$T/e.pt2" -f --rule gate=mxfp8
expect 'what the program writes to is kept under a rule too' 0 '' 'kept too   count: written' quantize $p/changed.pt2 -o "$T/c.pt2" --rule '^count=mxfp4'
expect 'the summary as JSON' 0 '"quantized":5,.*"graph":null,"program":true' '' quantize $p/tied.pt2 -o "$T/t.pt2" --format mxfp4 --json
ok 'is valid JSON' is_json "$T/out"
expect 'two formats for one weight are refused' 1 '' "'head.weight': .*'e.weight', which is the same weight" quantize $p/tied.pt2 -o "$T/t.pt2" -f --rule head=mxfp4 --rule e.w=mxfp8
expect 'what is MX already is kept' 0 '"name":"twice",[^}]*mxfp4 already' '' plan "$T/t.pt2" --format mxfp8 --json
expect 'and never encoded in another format' 1 '' "'twice': .*mxfp4 already" plan "$T/t.pt2" --rule twice=mxfp8
run quantize -q "$T/t.pt2" -o "$T/t2.pt2" --format mxfp8
ok 'so that a second run changes nothing' cmp "$T/t.pt2" "$T/t2.pt2"
expect 'a program keeps its folder, and --root and --graph are noted' 0 '' 'note: .*--root and --graph' quantize $p/tied.pt2 -o "$T/t3.pt2" --format mxfp4 --root other --graph none
ok 'for they change nothing' cmp "$T/t.pt2" "$T/t3.pt2"
run plan $p/tied.pt2 --format mxfp4 --align 4096 --json
cp "$T/out" "$T/plan"
run quantize -q $p/tied.pt2 -o "$T/t4.pt2" --format mxfp4 --align 4096
ok 'plan foretells the size of the file to the byte' has "$T/plan" "\"file_bytes\":$(wc -c <"$T/t4.pt2"),"
expect 'progress counts what is copied too' 0 '' '"done_bytes":[0-9]+,"total_bytes":[0-9]+' quantize $p/products.pt2 -o "$T/pr.pt2" --format mxfp4 --progress=json

# Weights only
expect '--weights-only writes an archive of weights' 0 '' 'quantized  [0-9]+ tensors to mxfp4' quantize $p/products.pt2 -o "$T/w.pt2" --format mxfp4 --weights-only
ok 'without the program' eval '! has "$T/err" "^  program"'
expect 'blocked as the program sums' 0 '"name":"right","format":"mxfp4",[^}]*"axes":\[0,0\]' '' inspect --json "$T/w.pt2"
expect 'with --format none the weights stay as they are' 0 '' 'quantized  0 tensors' quantize $p/products.pt2 -o "$T/w0.pt2" --format none --weights-only
expect 'with the same values' 0 '0 different, 0 in one file only' '' compare $p/products.pt2 "$T/w0.pt2"
expect 'dequantize makes plain weights of it, as .pt2 too' 0 '' 'decoded    [0-9]+ tensors' dequantize "$T/w.pt2" -o "$T/wp.pt2"
run dequantize -q "$T/w.pt2" -o "$T/wp.safetensors"
expect 'with the values that a safetensors file gets' 0 '0 different, 0 in one file only' '' compare "$T/wp.pt2" "$T/wp.safetensors"

# The way back
expect 'a program keeps the dtypes that it computes with' 1 '' "'.*': the program computes with this weight as f32" dequantize "$T/t.pt2" -o "$T/tb.pt2" --dtype bf16
expect 'dequantize says that the program stays' 0 '' '^  program    kept' dequantize "$T/t.pt2" -o "$T/tb.pt2"
expect 'and in JSON' 0 '"program":true' '' dequantize "$T/t.pt2" -o "$T/tb.pt2" -f --json

# Axes
expect '--axes blocks along a run, counted from the end too' 0 '"name":"a.weight",[^}]*"axes":\[0,0\],"reason":"axis 0, as given"' '' plan "$m" --format mxfp4 --axes -2:0 --json
run quantize -q "$m" -o "$T/ax.pt2" --format mxfp8 --axes 0:0
expect 'and the values come back' 0 'sqnr_db' '' compare "$m" "$T/ax.pt2" --min-sqnr 20 --json
for v in '' 1 1: :1 a:b 1:2:3 '1: 2' 64:64 -65:-1 0x1:1 1-2; do
  expect "--axes '$v' is refused" 1 '' 'FIRST:LAST' plan "$m" --format mxfp4 --axes "$v"
done
expect 'axes that a tensor does not have are refused by its name' 1 '' "'a.weight': it has 2 axes" plan "$m" --format mxfp4 --axes 1:2
expect 'a run that ends before it begins is refused' 1 '' "no run from 1 to 0" plan "$m" --format mxfp4 --axes 1:0
printf '[{"regex": "a", "format": "mxfp4", "axes": [0, 1]}, {"regex": "b.weight", "format": "mxint8"}]' >"$T/axes.json"
expect 'a rules file has axes of its own' 0 '"name":"a.weight",[^}]*"axes":\[0,1\].*"name":"b.weight",[^}]*"axes":\[1,1\]' '' plan "$m" --rules "$T/axes.json" --axes 1:1 --json
expect 'an unknown target lists both' 1 '' 'allowed: torch-2.12, torch-2.11' plan "$m" --format mxfp4 --target torch-2.10

# Copies
expect 'a copy keeps the program, and says so' 0 '"graph":null,"program":true' '' quantize $p/products.pt2 -o "$T/copy.pt2" --format none --json
expect 'so does its plan' 0 '"graph":null,"program":true' '' plan $p/products.pt2 --format none --json

# Several programs
expect '--model picks a program' 0 '' 'program    kept' quantize testdata/pt2/models/several.pt2 -o "$T/s.pt2" --model encoder --format mxfp4
finish
