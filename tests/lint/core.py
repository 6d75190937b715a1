# SPDX-License-Identifier: BSD-3-Clause
"""What the text of the core must not hold. Comments and strings are not looked at."""

import re

import includes
import tree

CORE_ONLY = {
    "unordered": (r"\bstd::unordered_\w+|#\s*include\s*<unordered_\w+>", "{}: its order is no one's"),
    "thread_local": (r"\bthread_local\b|\b__thread\b", "{}: state outside a Stack"),
    "allocation": (r"\bnew\b(?!\s*\(|>)|(?<!=)(?<!= )\bdelete\b"
                   r"|\b(?:malloc|calloc|realloc|aligned_alloc|posix_memalign|strdup)\s*\(|\bstd::free\b"
                   r"|\bstd::(?:make_unique|make_shared|unique_ptr|shared_ptr|allocator|pmr)\b",
                   "{}: memory enters once"),
    "containers": (r"\bstd::(?:string|vector|function|map|set|multimap|multiset|list|forward_list|deque|any)\b"
                   r"|#\s*include\s*<(?:string|vector|functional|map|set|list|forward_list|deque|any)>",
                   "{}: allocates"),
    "input_output": (r"\bstd::(?:cout|cerr|clog|cin|ostream|istream|stringstream|format)\b|\b(?:f|s|sn|v)?printf\s*\("
                     r"|#\s*include\s*<(?:iostream|ostream|istream|fstream|sstream|iomanip|cstdio|stdio\.h)>",
                     "{}: the core does no I/O"),
    "clock_and_chance": (r"\bstd::(?:chrono|random_device|mt19937\w*|rand)\b|\b(?:rand|time|clock_gettime)\s*\(\s*(?:\)|"
                         r"NULL|nullptr|CLOCK_)|\b__?(?:builtin_ia32_)?rdtscp?\b"
                         r"|#\s*include\s*<(?:chrono|random|ctime|time\.h)>",
                         "{}: time and randomness are arguments"),
    "assert": (r"\bassert\s*\(|#\s*include\s*<(?:cassert|assert\.h)>", "{}: ensure() or debug_ensure()"),
    "exceptions": (r"\b(?:throw|try|catch|dynamic_cast|typeid)\b", "{}: the core is built without it"),
}
FLOATING = re.compile(r"\b(?:float|double)\b|(?:\.|->)seconds\(\)|#\s*include\s*<(?:cmath|math\.h)>"
                      r"|(?<![\w.'])\d[\d']*(?:\.\d*(?:[eE][-+]?\d+)?|[eE][-+]?\d+)[fFlL]?(?![\w.])")
STATIC = re.compile(r"\bstatic\b(?!\s*_)([^;{}()=]*)([;{(=])")
INLINE = re.compile(r"(?m)^inline\b([^;{}()=]*)([;{=])")
# Made for people who print a duration, and for nothing else.
SECONDS = ("lib/include/millrace/time.h", re.compile(r"\bdouble seconds\(\) const\b"))


def banned(case, what):
    pattern, why = CORE_ONLY[what]
    for file in tree.core_files():
        tree.search(case, file, tree.code(file), re.compile(pattern), why)


def seen_by_core():
    """The core's files and the public headers that they include, directly or not."""
    seen, waiting = set(), tree.core_files()
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [t for t in (includes.resolve(file, what) for _, _, what in includes.includes(file)) if t]
    return sorted(seen)


def floating_point(case):
    for file in seen_by_core():
        allowed = SECONDS[1].search if file == SECONDS[0] else None
        tree.search(case, file, tree.code(file), FLOATING, "{}: floating point", allowed)


def static_state(case):
    """`static` or `inline` variables that are not const; functions end in a parenthesis before anything else."""
    for file in tree.core_files():
        body = tree.code(file)
        for pattern in (STATIC, INLINE):
            for match in pattern.finditer(body):
                words = set(re.findall(r"\w+", match[1]))
                if match[2] == "(" or words & {"const", "constexpr", "consteval", "namespace", "struct", "class"}:
                    continue
                case.fail(file, tree.line_of(body, match.start()), f"{match[0].split(';')[0].strip()}: state")
