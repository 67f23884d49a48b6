# SPDX-License-Identifier: MIT
# Completion of mxquant's arguments in bash. Installed as .../bash-completion/completions/mxquant.
_mxquant()
{
  local cur prev command i formats='mxfp4 mxfp6 mxfp6-e2m3 mxfp6-e3m2 mxfp8 mxfp8-e4m3 mxfp8-e5m2 mxint8 none'
  COMPREPLY=()
  # --option=value arrives as three words where = breaks words.
  cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  local commands='quantize dequantize inspect verify compare plan bench'
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$commands help --help --version" -- "$cur")
    return
  fi
  command=${COMP_WORDS[1]}
  case $prev in
    help) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur"); return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "$formats" -- "$cur"); return ;;
    --rule) # REGEX=FORMAT: the format, once there is an equals sign
      if [[ ${COMP_WORDS[COMP_CWORD-1]} == = ]]; then mapfile -t COMPREPLY < <(compgen -W "$formats" -- "$cur"); fi
      return ;;
    --size) mapfile -t COMPREPLY < <(compgen -W 'l2 l3 256M 1G' -- "$cur"); return ;;
    --ggml) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -X '!*.so*' -- "$cur"; compgen -d -- "$cur"); return ;;
    --scale-rule) mapfile -t COMPREPLY < <(compgen -W 'auto floor ceil even rceil rceil-725 mse even-175 even-strict floor-log2f ceil-log2f rceil-log2f rceil-725-log2f even-strict-log2f nearest-log2f' -- "$cur"); return ;;
    --round) mapfile -t COMPREPLY < <(compgen -W 'rne half-away half-zero trunc stochastic:' -- "$cur"); return ;;
    --compat) mapfile -t COMPREPLY < <(compgen -W 'ocp torchao torchao-0.18 ggml compressed-tensors microxcaling fbgemm quark mlx modelopt auto-round' -- "$cur"); return ;;
    --nonfinite) mapfile -t COMPREPLY < <(compgen -W 'error block saturate' -- "$cur"); return ;;
    --ragged) mapfile -t COMPREPLY < <(compgen -W 'pad keep' -- "$cur"); return ;;
    --target) mapfile -t COMPREPLY < <(compgen -W 'torch-2.11 torch-2.12' -- "$cur"); return ;;
    --graph) mapfile -t COMPREPLY < <(compgen -W 'each none' -- "$cur"); return ;;
    --dtype) mapfile -t COMPREPLY < <(compgen -W 'source f32 bf16 f16' -- "$cur"); return ;;
    --as) mapfile -t COMPREPLY < <(compgen -W 'zip json npy safetensors pt2' -- "$cur"); return ;;
    --progress) mapfile -t COMPREPLY < <(compgen -W 'auto always never json' -- "$cur"); return ;;
    --cpu) mapfile -t COMPREPLY < <(compgen -W 'reference scalar neon avx2 avx512 avx512vbmi' -- "$cur"); return ;;
    --rules) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -X '!*.json' -- "$cur"; compgen -d -- "$cur"); return ;;
    --axes|--root|--align|--model|--min-sqnr|--jobs|-j|--filter|--rounds) return ;;
    --tensor)
      for ((i = 2; i < COMP_CWORD; i++)); do
        [[ -f ${COMP_WORDS[i]} ]] || continue
        mapfile -t COMPREPLY < <(compgen -W "$(mxquant inspect --json -- "${COMP_WORDS[i]}" 2>/dev/null |
          grep -oE '[[,]\{"name":"[^"\\]*","(dtype|format)"' | cut -d '"' -f 4)" -- "$cur")
      done
      return ;;
  esac
  if [[ $cur == -* ]]; then
    # The command itself says which options it takes.
    mapfile -t COMPREPLY < <(compgen -W "$(mxquant help "$command" 2>/dev/null | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+')" -- "$cur")
    return
  fi
  compopt -o filenames
  local end='@(safetensors|json|npy|npz|pt2)'
  [[ $prev == -o || $prev == --output ]] && end='@(safetensors|pt2)'
  local had
  had=$(shopt -p extglob)
  shopt -s extglob
  mapfile -t COMPREPLY < <(compgen -f -X "!*.$end" -- "$cur"; compgen -d -- "$cur")
  eval "$had"
}
complete -F _mxquant mxquant
