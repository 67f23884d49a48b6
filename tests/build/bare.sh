#!/bin/sh
# SPDX-License-Identifier: MIT
# bare.sh DIR [TARGET...]: what a newcomer sees. Puts a minimal Debian bookworm with git and make in DIR (root and debootstrap are needed), clones
# the committed state into it and runs `make TARGET` there, demo and check if none is named. DIR must not exist; it stays for a look.
# BASE=FILE.tar: unpack that root instead of making one.
set -eu
root=$1
shift
[ $# -gt 0 ] || set -- demo check
repo=$(cd "$(dirname "$0")/../.." && pwd)
[ ! -e "$root" ] || { echo "$root exists already." >&2; exit 1; }

mkdir -p "$root"
if [ -n "${BASE:-}" ]; then tar -C "$root" -xf "$BASE"; else
  debootstrap --variant=minbase --include=git,make,ca-certificates bookworm "$root" ${MIRROR:-}
fi
# The way to the network is the host's.
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp -r /etc/ssl/certs/. "$root/etc/ssl/certs"
if [ -d /etc/apt/apt.conf.d ]; then grep -l -i -r 'proxy' /etc/apt/apt.conf.d | while read -r f; do cp "$f" "$root$f"; done; fi
if [ -e /etc/pip.conf ]; then cp /etc/pip.conf "$root/etc/pip.conf"; fi

git clone -q --no-hardlinks "$repo" "$root/project"
trap 'umount "$root/dev/pts" "$root/dev" "$root/proc"' EXIT
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
for target in "$@"; do
  echo "\$ make $target"
  chroot "$root" sh -c 'cd /project && exec make -j"$(nproc)" "$1"' sh "$target"
done
