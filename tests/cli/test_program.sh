# SPDX-License-Identifier: MIT
# inspect and verify of programs: what is shown of them, as text and as JSON.
. tests/cli/lib.sh
models=testdata/pt2/models
samples=testdata/pt2/programs
# narrow FILE: no line is wider than a terminal, but for the first, where the path is as long as it is.
narrow() { ! sed 1d "$1" | LC_ALL=C.UTF-8 grep -qE '^.{81}'; }

expect 'the table tells kinds' 0 '^k +f32 +2 +8 constant$' '' inspect $models/with_default.pt2
ok 'and ties' grep -qx '  tied: the same values as words.weight' "$T/out"
ok 'and inputs with dtype and shape' grep -qx 'inputs      x f32 \[2, 4\]' "$T/out"
ok 'and outputs' grep -qx '            mul f32 \[2\]' "$T/out"
ok 'and operators by count' grep -qE '^operators   2 linear, 1 add.Tensor, 1 embedding' "$T/out"
ok 'and what weights feed' grep -qE '^weights     .*feed.* embedding.*-v lists each' "$T/out"
ok 'and sample inputs that stay closed' grep -qE '^samples     [0-9,]+ bytes, a pickle that is not opened$' "$T/out"
ok 'and the other programs' grep -qx 'programs    encoder, model (this one) (--model NAME shows another)' "$T/out"
ok 'in 80 columns' narrow "$T/out"
expect 'another program is shown by name' 0 '^inputs      x f32 \[s[0-9]+, 8\]$' '' inspect $models/several.pt2 --model encoder
ok 'symbolic sizes have their range' grep -qE '^sizes       s[0-9]+ in 1\.\.64$' "$T/out"
expect 'each use of a weight is listed on demand' 0 '^weights     fc\.weight -> linear \(weight\), axis 1 summed$' '' inspect -v $models/with_default.pt2
ok 'also of embeddings' grep -qx '            words.weight -> embedding (weight), rows along axis 1 looked up' "$T/out"
ok 'and of constants' grep -qx '            k -> returned by the program' "$T/out"
expect 'one tensor is told with its uses' 0 '^  used by       linear \(weight\), axis 1 summed; node linear$' '' inspect $models/objects.pt2 --tensor fc.weight
ok 'its device' grep -qx '  device        cuda:1' "$T/out"
ok 'its strides' grep -qx '  strides       4, 1' "$T/out"
ok 'and how it would be blocked' grep -qE '^  blocking      axis 1, summed by linear' "$T/out"
run inspect $models/objects.pt2 --tensor head.weight
ok 'and what it is tied to' grep -qx '  tied to       words.weight' "$T/out"
expect 'objects are listed with their class' 0 '^objects     queue of class __torch__\.torch\.classes\.my\.Queue$' '' inspect $models/objects.pt2
ok 'and their record' grep -qx '              12 bytes in data/constants/custom_obj_0, not opened' "$T/out"

run inspect --json $models/objects.pt2
ok 'the JSON is one document' is_json "$T/out"
ok 'a tensor has strides, offset, device and storage' grep -q '"name":"fc.weight","dtype":"f32","shape":\[8,4\],.*"strides":\[4,1\],"storage_offset":0,"device":"cuda:1","requires_grad":true,"storage":[0-9]*,' "$T/out"
ok 'tied tensors name each other' grep -q '"tied_to":\["head.weight"\].*"tied_to":\["words.weight"\]' "$T/out"
ok 'uses have operator, node, argument and axes' grep -q '"uses":\[{"operator":"torch.ops.aten.linear.default","node":"linear","argument":"weight","use":"contracts","axes":\[1,1\]}\]' "$T/out"
ok 'objects are there' grep -q '"objects":\[{"name":"queue","record":"data/constants/custom_obj_0","class":"__torch__.torch.classes.my.Queue","bytes":12}' "$T/out"
ok 'operators are counted' grep -q '"operators":{"torch.ops.aten.linear.default":2,.*"operator_count":' "$T/out"
run inspect --json testdata/pt2/good_noncontiguous.pt2
ok 'the record of a strided tensor is there, where strides and offset lead' grep -q '"name":"every_other",.*"strides":\[2\],"storage_offset":1,.*"storage":2,"record":{"member":"pytorch_noncontiguous/data/weights/weight_2","offset":448,"size":36}' "$T/out"
# What PyTorch says of its own tensors; the digest is of the codes as torchao made them, one a byte.
run inspect --json testdata/pt2/good_mxfp6_unpacked.pt2
ok 'codes are a tensor with a name, dtype, shape and place of their own' grep -qF '"codes":{"name":"fc.weight_q","dtype":"u8","shape":[4,64],"kind":"buffer","offset":256,"size":256,"strides":[64,1],"storage_offset":0,"device":"cpu"}' "$T/out"
ok 'scales too' grep -qF '"scales":{"name":"fc.weight_s","dtype":"f8_e8m0","shape":[4,2],"kind":"buffer","offset":640,"size":8,"strides":[2,1],' "$T/out"
ok 'and their bytes are there' eval 'tail -c +257 testdata/pt2/good_mxfp6_unpacked.pt2 | head -c 256 | sha256sum | grep -q ^31d9cf9e2f09612c9450a79eb9e3d9297623a725ae72831327320b55efe6d4a6'
run inspect --json $models/several.pt2 --model encoder
ok 'symbols have a range' grep -qE '"symbols":\[\{"name":"s[0-9]+","min":1,"max":64\}\]' "$T/out"
ok 'symbolic sizes are texts, others numbers' grep -qE '"inputs":\[\{"name":"x","type":"tensor","dtype":"f32","shape":\["s[0-9]+",8\]\}\]' "$T/out"
ok 'programs are listed' grep -q '"model":"encoder","models":\["encoder","decoder"\],"sample_inputs":[1-9]' "$T/out"

expect 'an archive without a default program names what it holds' 2 '' 'encoder, decoder.*--model' inspect $models/several.pt2
expect 'so does an unknown name' 1 '' "no program 'x'.*encoder, decoder" inspect $models/several.pt2 --model x
expect 'other files hold no programs' 1 '' 'only .pt2 archives' inspect testdata/model.safetensors --model x
expect 'compare asks both archives for it' 0 '^3 tensors: 3 identical, 0 different' '' compare $models/several.pt2 $models/several.pt2 --model encoder
run dequantize -q $models/several.pt2 --model encoder -o "$T/encoder.safetensors"
expect 'and other files for nothing' 0 ' identical, 0 different, 0 in one' '' compare "$T/encoder.safetensors" $models/several.pt2 --model encoder
expect 'an unknown one is named there too' 1 '' "no program 'x'.*encoder, decoder" compare "$T/encoder.safetensors" $models/several.pt2 --model x
expect 'verify reads all programs' 0 ' 8 tensors' '' verify $models/several.pt2
expect 'and finds the defect of one that is not the default' 4 'NOT READ HERE, 1 finding' 'schema version' verify $models/bad_second.pt2
expect 'PyTorch 2.8 is refused by name' 2 '' 'PyTorch 2\.8' inspect $models/pytorch_2_8.pt2
expect 'and what came before it' 2 '' 'before 2\.8' inspect $models/pytorch_2_7.pt2
expect 'which verify does not call damaged' 4 ': NOT READ HERE, 1 finding$' 'before 2\.8' verify $models/pytorch_2_7.pt2

run quantize $models/several.pt2 --model decoder --format none -o "$T/copy.pt2"
ok 'an archive of several programs is copied with the index of one' [ "$rc" = 0 ]
expect 'verify finds whose index it is' 0 ' 8 tensors' '' verify "$T/copy.pt2"
expect 'also when another program is asked for' 0 ' 3 tensors' '' verify "$T/copy.pt2" --model encoder

for f in "$samples"/*.pt2; do
  run inspect -v "$f"
  ok "${f##*/} is shown" [ "$rc" = 0 ]
  run inspect "$f"
  ok "${f##*/} fits a terminal" narrow "$T/out"
  run inspect --json "$f"
  ok "the JSON of ${f##*/} is one document" is_json "$T/out"
done
finish
