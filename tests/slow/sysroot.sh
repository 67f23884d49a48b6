#!/bin/sh
# SPDX-License-Identifier: MIT
# sysroot.sh ARCHITECTURE DIR: unpacks what a build for another Debian architecture links with, tests included, into DIR. The machine's own
# packages and lists stay as they are.
set -eu
arch=$1 dir=$2
[ ! -e "$dir/complete" ] || exit 0
command -v apt-get >/dev/null || { echo 'Libraries of other architectures come from apt-get, which is not here.'; exit 1; }
rm -rf "$dir"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/archives/partial"
apt() {
  apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o APT::Sandbox::User="$(id -un)" -o Dir::State="$dir/apt" \
    -o Dir::State::lists="$dir/apt/lists" -o Dir::State::status=/dev/null -o Dir::Cache="$dir/apt" "$@"
}
apt update
apt install -y --no-install-recommends --download-only libc6-dev $(awk '$3 ~ /^pc:/ { print $2 }' tools/packages.txt)
for package in "$dir"/apt/archives/*.deb; do dpkg -x "$package" "$dir"; done
rm -r "$dir/apt"
touch "$dir/complete"
