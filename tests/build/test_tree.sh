#!/bin/sh
# SPDX-License-Identifier: MIT
# The house from outside: names at the top, a licence line in each source file, no file too long to be read.
set -eu
if git ls-files --error-unmatch Makefile >/dev/null 2>&1; then list() { git ls-files -- "$@"; }; else
  list() { find "$@" -type f -not -path './.*' -not -path './build*'; }
fi

strange=$(list . | sed 's,^\./,,; s,/.*,,' | sort -u | grep -v -x -E 'Makefile|README\.md|LICENSE|include|lib|formats|tools|tests|testdata|\..*' || true)
if [ -n "$strange" ]; then echo "not ok - nothing strange at the top:" $strange; else echo 'ok - nothing strange at the top'; fi

bare='' long=''
for file in $(list include lib formats tools tests testdata | grep -E '\.(c|h|def|py|sh|awk|map|bash)$'); do
  [ -e "$file" ] || continue
  head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || bare="$bare $file"
  lines=$(wc -l < "$file")
  [ "$lines" -lt 400 ] || long="$long $file($lines)"
done
if [ -n "$bare" ]; then echo "not ok - every source file has its licence line:$bare"; else echo 'ok - every source file has its licence line'; fi
if [ -n "$long" ]; then echo "# at or over 400 lines:$long"; fi
echo 'ok - files were measured'
