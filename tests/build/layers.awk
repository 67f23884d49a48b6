# SPDX-License-Identifier: MIT
# Judges the layers from the .d files that the compiler writes: prints each include that leaves its layer, exits 1 if there was one.
# All that a file reaches counts, also through other headers.
BEGIN {
  may["lib/base"] = "include/mxq"
  may["lib/io"] = may["lib/kernels"] = may["lib/convert"] = "include/mxq lib/base"
  may["lib/cuda"] = may["lib/codec"] = "include/mxq lib/base lib/kernels"
  may["lib/device"] = "include/mxq lib/base lib/codec lib/cuda"
  may["lib/edge"] = ""
  may["formats"] = "include/mxq lib/base lib/io"
  may["tools"] = "include/mxq"
  may["tools/bench"] = "include/mxq tools lib/kernels lib/base"
}

function room(path) {
  if (path ~ /^tools\/bench[^\/]*\.c$/) return "tools/bench"
  if (path ~ /^(tools|formats)\//) return substr(path, 1, index(path, "/") - 1)
  return match(path, /^(lib|include)\/[^\/]+/) ? substr(path, 1, RLENGTH) : ""
}

{ sub(/\r$/, ""); line = line $0 }
/\\$/ { sub(/\\$/, " ", line); next }
{
  n = split(line, word, /[ \t]+/); line = ""
  if (n < 2 || word[1] !~ /:$/ || word[2] == "") next # the empty rules that -MP adds
  sub(/^\.\//, "", word[2])
  from = room(word[2])
  if (from == "") next
  if (!(from in may)) { print word[2] ": " from " has no place in the layers (tests/build/layers.awk)"; bad = 1; next }
  files++
  for (i = 3; i <= n; i++) {
    sub(/^\.\//, "", word[i])
    to = room(word[i])
    if (to != "" && to != from && index(" " may[from] " ", " " to " ") == 0) { print word[2] " reaches " word[i]; bad = 1 }
  }
}
END {
  if (files == 0) { print "no file was judged"; bad = 1 }
  exit bad
}
