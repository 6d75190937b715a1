#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Sets up, builds, and runs every suite. From any directory; one line a suite, and the last line counts test cases.
#
#   [MILLRACE_BUILD_DIR=DIR] tests/run.sh
#
# The builds lie in DIR/build and DIR/build-*, the logs in DIR/build-logs; DIR is the tree unless given. Two runs with one
# DIR wait for each other.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=${MILLRACE_BUILD_DIR:-$PWD}
mkdir -p "$root/build-logs" || exit 1
root=$(cd "$root" && pwd)
logs=$root/build-logs

exec 9>"$logs/lock"
flock -n 9 || { echo "run: waiting for another run in $root"; flock 9; }
rm -f "$logs"/*.log "$logs"/*.json
# shellcheck disable=SC2046  # some words
trap 'kill $(jobs -p) 2>/dev/null' EXIT

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

passed=0 failed=0 skipped=0

# count SUITE PASSED FAILED SKIPPED [NOTE]: one line, and the sums.
count() {
  echo "$1: $2 passed, $3 failed, $4 skipped${5:+ ($5)}"
  passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

finish() {
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" -eq 0 ] && exit 0
  exit 1
}

since() { echo "$(($(date +%s) - $1)) s"; }

# counts_of LOG: "P F S" from a last line "P passed, F failed, S skipped"; nothing if it is another.
counts_of() {
  tail -n 1 "$1" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p'
}

# own_count SUITE COMMAND...: a program that prints its own count as its last line.
own_count() {
  local suite=$1 start counts status
  shift
  start=$(date +%s)
  timeout 1200 "$@" >"$logs/$suite.log" 2>&1 9>&-
  status=$?
  counts=$(counts_of "$logs/$suite.log")
  if [ -z "$counts" ]; then
    tail -n 40 "$logs/$suite.log"
    counts="0 1 0"
  else
    # With the indented lines below each; and why what was skipped was.
    awk '/^FAIL/ {on = 1; print; next} /^[ \t]/ {if (on) print; next} {on = 0}' "$logs/$suite.log" | head -n 100
    sed -n 's/^skip .*: /skipped: /p' "$logs/$suite.log" | sort | uniq -c
    # A bad end counts, even if all that was counted had passed.
    [ $status -ne 0 ] && [ "$(echo "$counts" | cut -d' ' -f2)" = 0 ] && counts=$(echo "$counts" | awk '{print $1, 1, $3}')
  fi
  # shellcheck disable=SC2086  # three words
  count "$suite" $counts "$(since "$start")"
}

# build_failed NAME: what matters of the log.
build_failed() {
  grep -E -A 20 'FAILED|ERROR|error:' "$logs/$1.build.log" | head -n 100
  count "building $1" 0 1 0 "all of it: $logs/$1.build.log"
  return 1
}

# configure NAME OPTIONS...
configure() {
  local name=$1 log=$logs/$1.build.log
  shift
  if [ ! -f "$root/$name/build.ninja" ]; then
    meson setup "$root/$name" "$@" >"$log" 2>&1 9>&-
  elif [ $# -gt 0 ]; then
    # They may have changed since the directory was made.
    meson configure "$root/$name" "$@" >"$log" 2>&1 9>&-
  fi || build_failed "$name"
}

# compile NAME [TARGET...]
compile() {
  local name=$1
  shift
  timeout 2400 ninja -C "$root/$name" "$@" >>"$logs/$name.build.log" 2>&1 9>&- || build_failed "$name"
}

# tests_of BUILD: a line "suite|name|gtest or exitcode|timeout|program and arguments" for each.
tests_of() {
  meson introspect --tests "$root/$1" | python3 -c '
import json, shlex, sys
for test in json.load(sys.stdin):
    suite = test["suite"][0].split(":")[-1]
    print(suite, test["name"], test["protocol"], test["timeout"], shlex.join(test["cmd"]), sep="|")'
}

# targets_of BUILD WITHOUT: the programs of its tests, but those that are named in WITHOUT.
targets_of() {
  meson introspect --tests "$root/$1" | python3 -c '
import json, os, sys
without = sys.argv[2].split()
for test in json.load(sys.stdin):
    if test["name"] not in without:
        print(os.path.relpath(test["cmd"][0], sys.argv[1]))' "$root/$1" "$2"
}

# What a gtest binary wrote -> "P F S". It has written nothing if it crashed.
gtest_counts() {
  python3 - "$1" "$2" <<'PYTHON'
import json, sys
passed = failed = skipped = 0
try:
    with open(sys.argv[1], encoding="utf-8") as file:
        for suite in json.load(file)["testsuites"]:
            for test in suite["testsuite"]:
                if test.get("failures"):
                    failed += 1
                elif test["status"] == "NOTRUN" or test["result"] == "SKIPPED":
                    skipped += 1
                else:
                    passed += 1
except (OSError, ValueError):
    pass
# A sanitizer may speak up after the last test.
if int(sys.argv[2]) != 0 and failed == 0:
    failed = 1
print(passed, failed, skipped)
PYTHON
}

# run_suite BUILD SUITE [LABEL [WITHOUT]]: the tests of one suite, but those that are named in WITHOUT.
run_suite() {
  local label=${3:-$2} without=${4:-} start status p=0 f=0 s=0 counts log
  local suite name protocol seconds command
  start=$(date +%s)
  while IFS='|' read -r suite name protocol seconds command; do
    [ "$suite" = "$2" ] || continue
    case " $without " in *" $name "*) continue ;; esac
    log=$logs/$label.$(echo "$name" | tr / .).log
    if [ "$protocol" = gtest ]; then
      command="$command --gtest_output=json:$(printf %q "${log%.log}.json")"
    fi
    # Sanitizers and a shared machine make all of it slower than it was meant.
    (cd "$root/$1" && eval "timeout $((seconds * 4)) $command") >"$log" 2>&1 </dev/null 9>&-
    status=$?
    if [ "$protocol" = gtest ]; then
      counts=$(gtest_counts "${log%.log}.json" $status)
    elif [ $status -eq 77 ]; then
      counts="0 0 1"  # meson's convention
    elif [ $status -eq 0 ]; then
      counts="1 0 0"
    else
      counts="0 1 0"
    fi
    read -r cp cf cs <<<"$counts"
    p=$((p + cp)) f=$((f + cf)) s=$((s + cs))
    if [ "$cf" -ne 0 ]; then
      echo "$name: exit code $status; all of it: $log"
      grep -E -B 8 '^\[  FAILED  \]|ERROR: |runtime error|ensure' "$log" | head -n 60
    elif [ "$cs" -ne 0 ]; then
      grep -A 1 ': Skipped$' "$log" | grep -v -e ': Skipped$' -e '^--$' | sort | uniq -c | sed 's/^/skipped:/'
    fi
  done < <(tests_of "$1")
  [ $((p + f + s)) -eq 0 ] || count "$label" $p $f $s "$(since "$start")"
}

# simulate LABEL BUILD FIRST COUNT: the simulator's seeds, by two processes.
simulate() {
  local label=$1 sim=$root/$2/tests/sim/millrace-sim half=$(($4 / 2)) start first counts p=0 f=0 s=0 cp cf cs
  start=$(date +%s)
  for first in "$3" $(($3 + half)); do
    timeout 1200 "$sim" --seed "$first" --seeds $half >"$logs/$label.$first.log" 2>&1 9>&- &
  done
  wait
  for first in "$3" $(($3 + half)); do
    counts=$(counts_of "$logs/$label.$first.log")
    if [ -z "$counts" ]; then
      tail -n 30 "$logs/$label.$first.log"
      counts="0 1 0"
    fi
    grep -a FAILED "$logs/$label.$first.log"
    read -r cp cf cs <<<"$counts"
    p=$((p + cp)) f=$((f + cf)) s=$((s + cs))
  done
  count "$label" $p $f $s "$(since "$start")"
}

# One digest of all that fifty seeds emit: for two runs, two compilers, with and without optimisation.
run_determinism() {
  local start p=0 f=0 reference name digest
  start=$(date +%s)
  digest_of() { timeout 600 "$root/$1/tests/sim/millrace-sim" --seed 1 --seeds 50 2>&1 9>&- | sed -n 's/.*, digest //p'; }
  reference=$(digest_of build)
  for name in build "$@"; do
    digest=$(digest_of "$name")
    if [ -n "$reference" ] && [ "$digest" = "$reference" ]; then
      p=$((p + 1))
    else
      f=$((f + 1))
      echo "determinism: ${digest:-nothing} from $name, ${reference:-nothing} from build"
    fi
  done
  count determinism $p $f 0 "$(since "$start")"
}

if ! config/setup.sh --tests >"$logs/setup.log" 2>&1 9>&-; then
  tail -n 20 "$logs/setup.log"
  count setup 0 1 0
  finish
fi

begin=$(date +%s)
echo "building in $root"

# What needs no DPDK, with sanitizers and the checks that cost on the packet path. Clang builds and runs this in half of
# GCC's time; -O1 without line tables, since optimising what the sanitizers add takes longer than it saves.
sanitized=
CXX=clang++ configure build-sanitize -Dprograms=false -Dbuildtype=plain -Doptimization=1 -Ddebug=false \
  -Ddebug_checks=true -Db_sanitize=address,undefined && compile build-sanitize && sanitized=yes

# What several threads touch and needs no DPDK.
threads=
CXX=clang++ configure build-threads -Dprograms=false -Dbuildtype=plain -Doptimization=1 -Ddebug=true -Db_sanitize=thread \
  -Db_lundef=false && compile build-threads tests/unit/nic/unit_wakeup && threads=yes

# As it is released: the programs, the simulator, and the tests that are not in the other build. DPDK and sanitizers do
# not go together well.
release=
packetdrill=tests/packetdrill/millrace-packetdrill
core_tests=
[ -n "$sanitized" ] && core_tests=$(tests_of build-sanitize | cut -d'|' -f2 | tr '\n' ' ')
if configure build; then
  mapfile -t targets < <(targets_of build "$core_tests")
  compile build apps/millrace-echo apps/millrace-load apps/millrace-stat tests/interop/call-back tests/interop/millrace-bulk \
    tests/sim/millrace-sim tests/sim/millrace-path tests/sim/millrace-heavy-loss "$packetdrill.so" "$packetdrill-info.so" "${targets[@]}" && release=yes
fi

simulators=()
for compiler in g++ clang++; do
  for level in 0 3; do
    [ "$compiler$level" = g++3 ] && continue  # that is the release build
    name=build-$compiler-O$level
    CXX=$compiler configure "$name" -Dprograms=false -Dbuildtype=plain -Doptimization=$level &&
      compile "$name" tests/sim/millrace-sim && simulators+=("$name")
  done
done
echo "built ($(since "$begin"))"

if [ -n "$sanitized" ]; then
  run_suite build-sanitize unit
  run_suite build-sanitize conformance
  run_suite build-sanitize fuzz
  simulate sim-sanitized build-sanitize 1 400
fi
if [ -n "$threads" ]; then
  run_suite build-threads unit threads "$(tests_of build-threads | cut -d'|' -f2 | grep -v '^unit/wakeup$' | tr '\n' ' ')"
fi
if [ -n "$release" ]; then
  run_suite build unit unit-dpdk "$core_tests"
  simulate sim build 401 1600
  run_suite build sim paths sim/seeds
  run_determinism ${simulators[@]+"${simulators[@]}"}
  run_suite build nic
  own_count nic-guest python3 -B tests/nic/guest/run.py "$root/build"
  run_suite build apps
  own_count lint python3 -B tests/lint/run.py "$root/build"
  own_count sdk python3 -B tests/sdk/run.py "$root/build"
  own_count packetdrill python3 -B tests/packetdrill/run.py "$root/build/$packetdrill"{,-info}.so
  own_count interop python3 -B tests/interop/run.py "$root/build"
fi
echo "all of it took $(since "$begin")"
finish
