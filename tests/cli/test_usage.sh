# SPDX-License-Identifier: MIT
# Arguments: help, versions, wrong options and values.
. tests/cli/lib.sh
small_model "$T/m.safetensors"
m=$T/m.safetensors

expect 'without arguments the help goes to standard error and the exit code is 1' 1 '' 'Usage: mxquant COMMAND'
expect '--help goes to standard output and the exit code is 0' 0 'Usage: mxquant COMMAND' '' --help
expect 'help is --help' 0 'Usage: mxquant COMMAND' '' help
expect '--version is one line' 0 '^mxquant [0-9]+\.[0-9]+\.[0-9]+$' '' --version
expect 'an unknown command is named, and the commands are listed' 1 '' "unknown command 'quantise'; commands: quantize, dequantize" quantise
expect 'help for an unknown command is an error' 1 '' "unknown command 'nothing'" help nothing
expect 'an unknown option before the command is named' 1 '' "unknown option '--nothing'" --nothing

narrow() { awk 'length > 80 { print; bad = 1 } END { exit bad }' "$1"; }
few_lines() { [ "$(wc -l <"$1")" -le "$2" ]; }
run --help
ok 'the help fits 80 columns' narrow "$T/out"
ok 'the help fits 24 lines' few_lines "$T/out" 24
for c in quantize dequantize inspect verify compare plan bench; do
  expect "$c --help goes to standard output" 0 '^Usage: ' '' $c --help
  cp "$T/out" "$T/help.$c"
  ok "the help of $c fits 80 columns" narrow "$T/out"
  ok "the help of $c fits one screen of 50 lines" few_lines "$T/out" 50
  run help $c
  ok "help $c is $c --help" cmp "$T/out" "$T/help.$c"
  expect "$c without arguments, or with a wrong one, says how it is used" 1 '' 'mxquant' $c --nothing-like-that
  expect "$c --version works too" 0 '^mxquant [0-9.]+$' '' $c --version
done
for c in quantize dequantize inspect verify compare plan bench; do
  ok "the help of $c shows an example" grep -q "^  mxquant $c " "$T/help.$c"
  for o in $(grep -oE '^ +(-[a-z], )?--[a-z-]+' "$T/help.$c" | grep -oE -- '--[a-z-]+'); do
    run $c $([ $c = bench ] && echo --list) "$o"
    ok "$c knows $o, which its help lists" test ! "$(grep -c 'unknown option' "$T/err")" != 0
  done
done

expect 'an option of another command is unknown' 1 '' "unknown option '--format'" verify --format mxfp4 "$m"
expect 'options cannot be shortened' 1 '' "unknown option '--form'.*--format" quantize "$m" -o "$T/o" --form mxfp4
expect 'options cannot be shortened where a value is attached' 1 '' "unknown option '--form=mxfp4'" quantize "$m" -o "$T/o" --form=mxfp4
expect 'an unknown letter is named' 1 '' "unknown option '-x'" verify -x "$m"
expect 'a missing value is named' 1 '' 'option --format needs a value' quantize "$m" -o "$T/o" --format
expect 'a value for an option that takes none is refused' 1 '' 'option --json takes no value' verify --json=1 "$m"
expect 'no input is an error' 1 '' 'no input file is named' inspect
expect 'a second operand is an error' 1 '' "unexpected argument 'b'" inspect a b
expect 'compare needs two files' 1 '' 'a second file is missing' compare "$m"
expect 'standard input is refused, with the reason' 1 '' 'standard input' inspect -
expect 'no output is an error' 1 '' 'use -o' quantize "$m" --format mxfp4
expect 'no format is an error that says what to give' 1 '' '\-\-format mxfp4, or --rule, or --rules' quantize "$m" -o "$T/o"
expect 'an archive cannot go to standard output, with the reason' 1 '' 'seeks back' quantize "$m" -o - --format mxfp4
mkfifo "$T/fifo"
expect 'nor to a pipe, for whose reader it does not wait' 1 '' 'cannot go to a pipe' quantize "$m" -o "$T/fifo" -f --format mxfp4
mkfifo "$T/fifo.pt2"
expect 'an archive of plain tensors neither' 1 '' 'cannot go to a pipe' dequantize "$m" -o "$T/fifo.pt2" -f
ok 'and nothing was written' test ! -e "$T/o"

expect 'an unknown format lists the formats' 1 '' "'mxfp5' for --format; allowed: none, mxfp4, mxfp6-e2m3, mxfp6-e3m2, mxfp8-e4m3, mxfp8-e5m2, mxint8" quantize "$m" -o "$T/o" --format mxfp5
expect 'an unknown scale rule lists the rules' 1 '' "allowed: auto, floor, ceil, even, rceil, rceil-725, mse" plan "$m" --format mxfp4 --scale-rule ceiling
expect 'an unknown peer lists the peers' 1 '' 'allowed: ocp, torchao, torchao-0.18, ggml, ' plan "$m" --format mxfp4 --compat nobody
expect 'a peer without the format names those that it has' 1 '' 'ggml has no mxfp6-e2m3; it has mxfp4' plan "$m" --format mxfp6 --compat ggml
expect 'stochastic rounding needs a seed' 1 '' 'it takes a seed, as stochastic:42' plan "$m" --format mxfp4 --round stochastic
expect 'an unknown policy lists the policies' 1 '' 'allowed: block, error, saturate' plan "$m" --format mxfp4 --nonfinite ignore
expect 'an unknown ragged policy lists both' 1 '' 'allowed: pad, keep' plan "$m" --format mxfp4 --ragged cut
expect 'an unknown graph lists both' 1 '' 'allowed: each, none' plan "$m" --format mxfp4 --graph all
expect 'an unknown rounding lists what there is' 1 '' 'allowed: rne' plan "$m" --format mxfp4 --round up
expect 'an unknown dtype lists the dtypes' 1 '' 'allowed: source, f32, bf16, f16' dequantize "$m" -o "$T/o" --dtype f64
expect 'an unknown kind lists the kinds' 1 '' 'allowed: zip, json, npy, safetensors, pt2' inspect "$m" --as gguf
expect 'an unknown CPU level lists those of this machine' 1 '' 'allowed: reference, scalar' inspect "$m" --cpu mmx
expect 'an unknown progress lists what there is' 1 '' 'allowed: auto, always, never, json' quantize "$m" -o "$T/o" --format mxfp4 --progress yes
for v in 0 -1 1.5 2x 1025 '' 99999999999999999999; do
  expect "-j '$v' is refused" 1 '' 'whole number from 1 to 1024' compare "$m" "$m" -j "$v"
done
for v in 0 3 96 65536 -8 x; do
  expect "--align $v is refused" 1 '' '\-\-align' plan "$m" --format mxfp4 --align "$v"
done
for v in x nan '' 3dB; do
  expect "--min-sqnr '$v' is refused" 1 '' 'decibels' compare "$m" "$m" --min-sqnr "$v"
done
expect 'a scale rule that a format does not take is refused with those it takes' 1 '' 'rceil-725' plan "$m" --format mxfp8 --scale-rule rceil-725
expect 'a scale rule that mxint8 does not take is refused' 1 '' 'mxint8|int8' plan "$m" --format mxint8 --scale-rule even
expect 'a rule without = is refused' 1 '' "no '='" plan "$m" --rule mlp
expect 'a rule with an unknown format is refused' 1 '' "unknown format 'mxfp5'" plan "$m" --rule mlp=mxfp5
expect 'a rule whose expression is wrong is refused' 1 '' 'regular expression' plan "$m" --rule '(=mxfp4'
expect 'a rule that matches nothing is an error that quotes it' 1 '' 'm.safetensors.*nosuch=mxfp4.*matches no' plan "$m" --rule 'nosuch=mxfp4'

expect 'options may stand before and behind the operand, and values in one word' 0 '' '' quantize -q --format=mxfp4 "$m" -o"$T/a.pt2" -j1
expect 'letters may be joined' 0 '' '' quantize "$m" -fqo "$T/a.pt2" --format mxfp4
mkdir "$T/d"
cp "$m" "$T/d/-m.safetensors"
(cd "$T/d" && case $MXQUANT in /*) ;; *) MXQUANT=$OLDPWD/$MXQUANT ;; esac && "$MXQUANT" inspect -- -m.safetensors >"$T/out" 2>"$T/err")
rc=$?
ok '-- ends the options' as_expected 0 'a.weight' ''
finish
