#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Brings a fresh Debian 12 to the point where Millrace builds (and, with --tests, where its tests run).
# May be run again at any time; does nothing when all is there.
#
#   config/setup.sh [--tests] [--hugepages N]
set -eu

build_packages="build-essential meson ninja-build pkg-config libdpdk-dev dpdk-dev libnuma-dev nlohmann-json3-dev
  libcli11-dev libtomlplusplus-dev libgtest-dev libbenchmark-dev libhttp-parser-dev libpcap-dev
  dpdk iproute2 kmod ethtool libcap2-bin"  # the last line: tools that messages and pages name
test_packages="clang libclang-rt-14-dev tshark tcpdump nginx-light wrk apache2-utils netcat-openbsd curl
  python3 valgrind iptables hping3 qemu-system-x86"

usage() {
  sed -n '3,6s/^# \{0,1\}//p' "$0"
  exit "$1"
}

packages=$build_packages
hugepages=
guest=
while [ $# -gt 0 ]; do
  case $1 in
    --tests)
      packages="$packages $test_packages"
      guest=yes
      ;;
    --hugepages)
      [ $# -ge 2 ] || usage 2 >&2
      hugepages=$2
      shift
      ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
  esac
  shift
done
case $hugepages in *[!0-9]*) usage 2 >&2 ;; esac

# Runs a command as root, or says which one to run.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    echo "setup: this needs root; run as root: $*" >&2
    exit 1
  fi
}

# One query for all: what is not installed.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p' | sort -u)
missing=
for package in $packages; do
  printf '%s\n' "$installed" | grep -qx "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
  echo "setup: installing$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  # shellcheck disable=SC2086  # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
else
  echo "setup: all packages are installed"
fi

# A kernel and a QEMU of the backports, for tests on emulated NICs. Without them those are skipped.
if [ -n "$guest" ]; then
  echo "setup: looking for what a guest is made of"
  "$(dirname "$0")/../tests/nic/guest/prepare.sh" || echo "setup: no guest: tests/nic/guest will be skipped" >&2
fi

if [ -n "$hugepages" ]; then
  echo "setup: reserving $hugepages huge pages of the default size"
  as_root sh -c "echo $hugepages > /proc/sys/vm/nr_hugepages"
  got=$(cat /proc/sys/vm/nr_hugepages)
  if [ "$got" -lt "$hugepages" ]; then
    echo "setup: the kernel found memory for $got of $hugepages: ask again after a reboot" >&2
    exit 1
  fi
fi
