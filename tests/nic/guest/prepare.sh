#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Fetches what the guest is made of into a cache directory, and prints that directory: QEMU with igb if the installed
# one has none, a kernel, busybox, and an initramfs. Needs no root. Does nothing when all is there.
#
#   tests/nic/guest/prepare.sh
#
# MILLRACE_GUEST_CACHE names another directory than ~/.cache/millrace-guest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${MILLRACE_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-guest}
first="virtio_pci 9pnet_virtio 9p uio_pci_generic vfio-pci"
nics="igb e1000e vmxnet3 virtio_net" # loaded when those that are DPDK's have their driver

recipe=$(cat "$here/prepare.sh" "$here/init" | sha256sum | cut -c1-16)
if [ "$(cat "$cache/recipe" 2>/dev/null)" = "$recipe" ]; then
  echo "$cache"
  exit
fi
fail() {
  echo "prepare: $*" >&2
  exit 1
}
mkdir -p "$(dirname "$cache")"
work=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# Package lists of our own, from the mirror that this machine has its packages from, with the backports.
mkdir -p lists/partial root qemu
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
# shellcheck disable=SC2016  # they are apt's
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
  awk -v release="$release" '$2 == release {print $1; exit}')
[ -n "$mirror" ] || fail "no Debian mirror in this machine's package sources"
for suite in "$release" "$release-updates" "$release-backports"; do
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done >sources.list
options=(-q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o "Dir::State::Lists=$work/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=)
apt-get "${options[@]}" update >apt.log 2>&1 || fail "no package lists: $(tail -n 1 apt.log)"

# fetch DIRECTORY PACKAGE...
fetch() {
  local to=$1
  shift
  apt-get "${options[@]}" download "$@" >apt.log 2>&1 || fail "no $*: $(tail -n 1 apt.log)"
  for package in ./*.deb; do dpkg -x "$package" "$to"; done
  rm -- ./*.deb
}

if qemu-system-x86_64 -device help 2>/dev/null | grep -q '"igb"'; then
  rm -r qemu
else
  # Beside the installed one, whose libraries it uses.
  fetch qemu -t "$release-backports" qemu-system-x86 qemu-system-common qemu-system-data seabios
  QEMU_MODULE_DIR=$work/qemu/usr/lib/x86_64-linux-gnu/qemu \
    qemu/usr/bin/qemu-system-x86_64 -version >qemu.log 2>&1 || fail "QEMU does not start: $(tail -n 1 qemu.log)"
fi

kernel=$(apt-cache "${options[@]}" depends linux-image-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
fetch root "$kernel" busybox-static kmod
version=${kernel#linux-image-}
# Uncompressed, as it unpacks itself slowly under emulation.
python3 - "root/boot/vmlinuz-$version" vmlinux <<'PYTHON'
import lzma, sys
data = open(sys.argv[1], "rb").read()
open(sys.argv[2], "wb").write(lzma.LZMADecompressor().decompress(data[data.index(b"\xfd7zXZ\0"):]))
PYTHON
ln -sf kmod root/bin/depmod
ln -sf kmod root/bin/modprobe
root/bin/depmod -b root "$version"

mkdir -p initramfs/{bin,modules/nics,r,proc,sys,dev}
cp root/bin/busybox initramfs/bin/
ln -s busybox initramfs/bin/sh
# place DIRECTORY MODULE...: with what each needs, and their order.
place() {
  local to=initramfs/$1
  shift
  for module in "$@"; do
    root/bin/modprobe -d root -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r path; do
    [ ! -e "initramfs/modules/$(basename "$path")" ] || continue
    cp "$path" "$to/"
    basename "$path"
  done >order
  mv order "$to/"
}
# shellcheck disable=SC2086  # they are lists
place modules $first
# shellcheck disable=SC2086
place modules/nics $nics
cp "$here/init" initramfs/init
chmod +x initramfs/init
(cd initramfs && find . | ../root/bin/busybox cpio -H newc -o 2>/dev/null) | gzip -1 >initramfs.gz

rm -rf initramfs root lists sources.list ./*.log
echo "$recipe" >recipe
# Another run may have been faster, and may use its own by now: an old one is renamed, then removed.
if [ -e "$cache" ]; then mv "$cache" "$work.old"; fi
mv -T "$work" "$cache"
rm -rf "$work.old"
echo "$cache"
