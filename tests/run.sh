#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Sets up, builds, and runs every suite. From any directory; one line a suite, and the last line counts test cases.
#
#   [BUILD_ROOT=DIR] tests/run.sh
#
# The builds lie in DIR/build and DIR/build-*, the logs in DIR/build-logs; DIR is the tree unless given. Two runs with one
# DIR wait for each other.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
root=${BUILD_ROOT:-$PWD}
mkdir -p "$root/build-logs" || exit 1
root=$(cd "$root" && pwd)
logs=$root/build-logs

exec 9>"$logs/lock"
flock -n 9 || { echo "run: waiting for another run in $root"; flock 9; }
rm -f "$logs"/*.log "$logs"/*.json

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
    grep -E -A 5 '^FAIL|FAILED' "$logs/$suite.log"
    # A bad end counts, even if all that was counted had passed.
    [ $status -ne 0 ] && [ "$(echo "$counts" | cut -d' ' -f2)" = 0 ] && counts=$(echo "$counts" | awk '{print $1, 1, $3}')
  fi
  # shellcheck disable=SC2086  # three words
  count "$suite" $counts "$(since "$start")"
}

# build NAME OPTIONS... [-- TARGETS...]: quiet unless it fails.
build() {
  local name=$1 log=$logs/$1.build.log options=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  [ $# -gt 0 ] && shift
  if [ ! -f "$root/$name/build.ninja" ]; then
    meson setup "$root/$name" "${options[@]}" >"$log" 2>&1 9>&-
  elif [ ${#options[@]} -gt 0 ]; then
    # They may have changed since the directory was made.
    meson configure "$root/$name" "${options[@]}" >"$log" 2>&1 9>&-
  fi && ninja -C "$root/$name" "$@" >>"$log" 2>&1 9>&- && return 0
  grep -E -A 20 'FAILED|ERROR|error:' "$log" | head -n 100
  count "building $name" 0 1 0 "all of it: $log"
  return 1
}

# tests_of BUILD: a line "suite|name|gtest or exitcode|timeout|program and arguments" for each.
tests_of() {
  meson introspect --tests "$root/$1" | python3 -c '
import json, shlex, sys
for test in json.load(sys.stdin):
    suite = test["suite"][0].split(":")[-1]
    print(suite, test["name"], test["protocol"], test["timeout"], shlex.join(test["cmd"]), sep="|")'
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
    eval "timeout $((seconds * 4)) $command" >"$log" 2>&1 </dev/null 9>&-
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
    fi
  done < <(tests_of "$1")
  [ $((p + f + s)) -eq 0 ] || count "$label" $p $f $s "$(since "$start")"
}

# The simulator's seeds, by two processes with sanitizers.
run_simulator() {
  local sim=$root/$1/tests/sim/millrace-sim start first counts p=0 f=0 s=0 cp cf cs
  start=$(date +%s)
  for first in 1 501; do
    timeout 1200 "$sim" --seed $first --seeds 500 >"$logs/sim.$first.log" 2>&1 9>&- &
  done
  wait
  for first in 1 501; do
    counts=$(counts_of "$logs/sim.$first.log")
    if [ -z "$counts" ]; then
      tail -n 30 "$logs/sim.$first.log"
      counts="0 1 0"
    fi
    grep FAILED "$logs/sim.$first.log"
    read -r cp cf cs <<<"$counts"
    p=$((p + cp)) f=$((f + cf)) s=$((s + cs))
  done
  count sim $p $f $s "$(since "$start")"
}

# One digest of all that ten seeds emit: for two runs, two compilers, with and without optimisation.
run_determinism() {
  local start p=0 f=0 reference name digest
  start=$(date +%s)
  digest_of() { timeout 600 "$root/$1/tests/sim/millrace-sim" --seed 1 --seeds 10 2>&1 9>&- | sed -n 's/.*, digest //p'; }
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
release=
sanitized=
build build && release=yes
# -O1 without line tables: optimising what the sanitizers add takes longer than it saves. The checks that cost on the
# packet path are on.
build build-sanitize -Dprograms=false -Dbuildtype=plain -Doptimization=1 -Ddebug=false -Ddebug_checks=true \
  -Db_sanitize=address,undefined && sanitized=yes
others=()
for compiler in g++ clang++; do
  for level in 0 3; do
    [ "$compiler$level" = g++3 ] && continue  # that is the release build
    name=build-$compiler-O$level
    CXX=$compiler build "$name" -Dprograms=false -Dbuildtype=plain -Doptimization=$level -- tests/sim/millrace-sim &&
      others+=("$name")
  done
done
echo "built ($(since "$begin"))"

core_tests=
if [ -n "$sanitized" ]; then
  run_suite build-sanitize unit
  run_suite build-sanitize conformance
  run_suite build-sanitize fuzz
  run_simulator build-sanitize
  core_tests=$(tests_of build-sanitize | cut -d'|' -f2 | tr '\n' ' ')
fi
if [ -n "$release" ]; then
  # DPDK and sanitizers do not go together well: what needs it runs as it is released.
  run_suite build unit unit-dpdk "$core_tests"
  run_determinism ${others[@]+"${others[@]}"}
  run_suite build nic
  run_suite build apps
  [ -f tests/lint/run.py ] && own_count lint python3 -B tests/lint/run.py "$root/build"
  own_count interop python3 -B tests/interop/run.py "$root/build"
fi
echo "all of it took $(since "$begin")"
finish
