#!/bin/sh
# SPDX-License-Identifier: MIT
# qemu.sh NAME 'TESTS': build.sh for AArch64, whose programs run in qemu-user. Fails where NEON is not among the rows that were compared.
set -eu
root=${MXQ_BUILD:?}/sysroot-arm64
sh tests/slow/sysroot.sh arm64 "$root"
export PKG_CONFIG_LIBDIR="$root/usr/lib/aarch64-linux-gnu/pkgconfig:$root/usr/share/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$root"
export MXQ_RUN="qemu-aarch64 -L $root"
out=$(sh tests/slow/build.sh "$1" "CC='aarch64-linux-gnu-gcc --sysroot=$root'" "$2") || { echo "$out"; exit 1; }
echo "$out"
echo "$out" | grep -q '^# rows.* neon' || { echo 'NEON was not compared.'; exit 1; }
