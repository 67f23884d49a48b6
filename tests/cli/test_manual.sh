# SPDX-License-Identifier: MIT
# The manual page and the completion say what the command does.
. tests/cli/lib.sh
man=tools/mxquant.1
for c in quantize dequantize inspect verify compare plan bench; do
  run help $c
  cp "$T/out" "$T/help"
  ok "the manual has a section for $c" grep -qx ".B $c" "$man"
  for o in $(grep -oE '^ +(-[a-z], )?--[a-z-]+' "$T/help" | grep -oE -- '--[a-z-]+'); do
    escaped=$(echo "$o" | sed 's/-/\\\\-/g')
    ok "the manual explains $o of $c" grep -qE "^\.(B|BR|BI) .*$escaped" "$man"
  done
done
for o in $(grep -E '^\.(B|BR|BI) .*\\-\\-' "$man" | grep -oE '\\-\\-[a-z\\-]+' | sed 's/\\//g' | sort -u); do
  ok "$o, which the manual explains, is in some command's help" eval "for c in quantize dequantize inspect verify compare plan bench; do \"\$MXQUANT\" help \$c; done | grep -qE -- '$o( |\$)'"
done
if command -v mandoc >/dev/null; then
  ok 'mandoc finds nothing to say about the manual' eval 'mandoc -T lint "$man" >"$T/lint"; test ! -s "$T/lint"'
fi
if command -v groff >/dev/null; then
  ok 'groff finds nothing to say about the manual' eval 'groff -man -ww -z "$man" >"$T/lint" 2>&1; test ! -s "$T/lint"'
fi
if command -v bash >/dev/null; then
  complete() { # WORDS...: what completion offers for the last one
    PATH=$(dirname "$MXQUANT"):$PATH bash -c '. tools/completion.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); compopt() { :; }; _mxquant; printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
  }
  ok 'completion offers commands' eval 'complete mxquant qu | grep -qx quantize'
  ok 'completion offers options of the command' eval 'complete mxquant quantize --sc | grep -qx -- --scale-rule'
  ok 'and none of others' eval '! complete mxquant verify --fo | grep -q format'
  ok 'completion offers values' eval 'complete mxquant quantize x --format mxfp6-e | grep -qx mxfp6-e3m2'
  ok 'completion offers values behind =' eval 'complete mxquant quantize x --format = mxi | grep -qx mxint8'
  ok 'completion offers files that can be read' eval 'complete mxquant inspect testdata/mod | grep -qx testdata/model.safetensors'
  ok 'completion offers the names of tensors' eval 'complete mxquant inspect testdata/model.safetensors --tensor "" | grep -q weight'
  complete mxquant inspect testdata/pt2/decoders/fp4_table.pt2 --tensor '' >"$T/names"
  ok 'and not those of codes, inputs and operators' eval '[ "$(echo $(cat "$T/names"))" = "fc.weight fc.lut" ]'
fi
finish
