#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# From a fresh checkout to a measurement: sets up, builds, and runs both ends of a load test in one process. Needs no
# NIC, no huge pages, and root only if packages are missing. From any working directory.
#
#   apps/demo.sh [flags of `millrace-load pair`]
set -eu
cd "$(dirname "$0")/.."

config/setup.sh

# Quiet unless it fails.
quietly() {
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    exit 1
  fi
  rm -f "$log"
}

[ -f build/build.ninja ] || { echo "demo: configuring"; quietly meson setup build; }
echo "demo: building"
quietly ninja -C build apps/millrace-load apps/millrace-echo

[ $# -gt 0 ] || set -- --duration 5
exec build/apps/millrace-load pair "$@"
