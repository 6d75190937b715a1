# SPDX-License-Identifier: BSD-3-Clause
"""The list of cases, filled in by the modules that hold them."""
from dataclasses import dataclass
from typing import Callable


@dataclass
class Case:
    name: str
    function: Callable
    seconds: float  # after which it is ended


cases = []


def case(name, seconds=60):
    def register(function):
        cases.append(Case(name, function, seconds))
        return function

    return register
