#!/bin/sh
# SPDX-License-Identifier: MIT
# A staged install, and programs that know the library from its pkg-config file only. MXQ_BUILD: where all was built.
set -eu
export LC_ALL=C
stage=$MXQ_BUILD/stage prefix=/opt/mxq
lib=$stage$prefix/lib
rm -rf "$stage"
make V=0 install DESTDIR="$stage" PREFIX=$prefix >/dev/null
export PKG_CONFIG_SYSROOT_DIR="$stage" PKG_CONFIG_PATH="$lib/pkgconfig"

verdict() { # SENTENCE STATUS
  if [ "$2" = 0 ]; then echo "ok - $1"; else echo "not ok - $1"; fi
}
check() { # SENTENCE COMMAND...
  sentence=$1; shift
  if "$@"; then verdict "$sentence" 0; else verdict "$sentence" 1; fi
}

outside() { [ -z "$(find "$stage" -mindepth 1 -not -path "$stage/opt" -not -path "$stage$prefix" -not -path "$stage$prefix/*")" ]; }
check 'install writes below DESTDIR/PREFIX only' outside
version() { [ "$("$stage$prefix/bin/mxquant" --version)" = "mxquant $($PKG_CONFIG --modversion libmxq)" ]; }
check 'the installed command runs and has the version of the pkg-config file' version
links() { [ "$(readlink "$lib/libmxq.so")" = libmxq.so.0 ] && [ -e "$lib/libmxq.so" ]; }
check 'libmxq.so leads to the soname, and that to a file' links

complete() { [ -s "$stage$prefix/share/man/man1/mxquant.1" ] && [ -s "$stage$prefix/share/bash-completion/completions/mxquant" ]; }
check 'the manual and the completion are where their readers look' complete

san=
if [ -n "${MXQ_SAN:-}" ]; then san="-fsanitize=$MXQ_SAN -fno-sanitize-recover=all"; fi
strict="-std=c11 -Wall -Wextra -Wpedantic -Werror -O2 $san"
needs() { objdump -p "$1" | grep -q 'NEEDED *libmxq\.so\.'; }

quantizes() {
  "$1" testdata/pt2/programs/products.pt2 "$2" >"$2.txt" && grep -q '^ *matmul = torch\.ops\.aten\.matmul\.default$' "$2.txt" &&
    grep -q '^right: mxfp4, axis 0, summed by matmul$' "$2.txt"
}

examples=$MXQ_BUILD/examples
for kind in shared static; do
  mkdir -p "$examples/$kind"
  for source in tests/examples/*.c; do
    program=$examples/$kind/$(basename "$source" .c)
    # shellcheck disable=SC2046
    if [ $kind = shared ]; then
      $CC $strict $($PKG_CONFIG --cflags libmxq) "$source" -o "$program" $($PKG_CONFIG --libs libmxq) -lm
      check "$source is linked with the shared library" needs "$program"
    else
      $CC $strict $($PKG_CONFIG --cflags libmxq) "$source" -o "$program" $($PKG_CONFIG --static --libs libmxq | sed 's/-lmxq/-l:libmxq.a/')
      if needs "$program"; then verdict "$source is linked with the static library" 1; else verdict "$source is linked with the static library" 0; fi
    fi
  done
  archive=$examples/$kind/example.pt2
  rm -f "$archive"
  if [ $kind = shared ]; then export LD_LIBRARY_PATH="$lib"; else unset LD_LIBRARY_PATH; fi
  check "codec runs ($kind)" "$examples/$kind/codec"
  check "save writes an archive ($kind)" "$examples/$kind/save" "$archive"
  check "load reads it ($kind)" "$examples/$kind/load" "$archive"
  check "the command finds nothing wrong with it ($kind)" "$stage$prefix/bin/mxquant" verify "$archive"
  rm -f "$archive"
  check "program lists a program and quantizes it ($kind)" quantizes "$examples/$kind/program" "$archive"
  check "the command finds nothing wrong with that ($kind)" "$stage$prefix/bin/mxquant" verify "$archive"
done
unset LD_LIBRARY_PATH

make V=0 uninstall DESTDIR="$stage" PREFIX=$prefix >/dev/null
left() { [ -z "$(find "$stage" -type f -o -type l)" ]; }
check 'uninstall takes away every file' left
