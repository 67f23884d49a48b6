#!/bin/sh
# SPDX-License-Identifier: MIT
# deps.sh [--install] DIR STAGE...: looks for the packages of these stages of packages.txt and writes their flags, as make variables,
# to DIR/deps-STAGE.mk. What is missing is installed (as root, or with sudo), or else named with the line to type.
set -eu
install=
if [ "$1" = --install ]; then install=1; shift; fi
dir=$1
shift
stages=" $* "
list=$(dirname "$0")/packages.txt
CC=${CC:-cc} PKG_CONFIG=${PKG_CONFIG:-pkg-config}

has() { command -v "$1" >/dev/null 2>&1; }

present() { # PACKAGE PROBE
  case $2 in
    compiler) has "${CC%% *}" ;;
    command:*) if [ "$1" = pkg-config ]; then has "$PKG_CONFIG"; else has "${2#*:}"; fi ;;
    pc:*) has "$PKG_CONFIG" && "$PKG_CONFIG" --exists "${2#*:}" ;;
    header:*) has "${CC%% *}" && echo "#include <${2#*:}>" | $CC -x c -fsyntax-only - >/dev/null 2>&1 ;;
    python:*) has python3 && python3 -c "import ${2#*:}" >/dev/null 2>&1 ;;
    file:*) test -e "${2#*:}" ;;
    *) echo "$list: unknown probe '$2'" >&2; exit 1 ;;
  esac
}

missing() {
  while read -r at package probe; do
    case $stages in *" $at "*) present "$package" "$probe" || echo "$package" ;; esac
  done < "$list" | sort -u | paste -sd ' '
}

lacking=$(missing)
if [ -n "$lacking" ]; then
  line="apt-get install -y --no-install-recommends $lacking"
  as=
  if [ "$(id -u)" != 0 ]; then as=sudo; fi
  if [ -z "$install" ] || ! has apt-get || { [ -n "$as" ] && ! sudo -n true 2>/dev/null && [ ! -t 0 ]; } || { [ -n "$as" ] && ! has sudo; }; then
    printf 'Missing packages. As root, type:\n\n  %s\n\n' "$line" >&2
    exit 1
  fi
  echo "Installing $lacking" >&2
  { $as apt-get update -qq && $as env DEBIAN_FRONTEND=noninteractive $line -qq; } >/dev/null
  lacking=$(missing)
  if [ -n "$lacking" ]; then
    echo "Still missing after installing: $lacking (is CC='$CC' right?)" >&2
    exit 1
  fi
fi

mkdir -p "$dir"
for stage in $stages; do
  modules=$(awk -v s="$stage" '$1 == s && $3 ~ /^pc:/ { print substr($3, 4) }' "$list")
  {
    echo "CFLAGS_$stage := ${modules:+$("$PKG_CONFIG" --cflags $modules)}"
    echo "LIBS_$stage := ${modules:+$("$PKG_CONFIG" --libs $modules)}"
  } > "$dir/deps-$stage.mk"
done
