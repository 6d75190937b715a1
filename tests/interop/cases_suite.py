# SPDX-License-Identifier: BSD-3-Clause
"""The suite itself: what becomes of a judge (judge.py) is told of its own capture, and holds nobody up."""
import os
import signal
import time

from judge import Judge
from registry import case
from system import demand, until

PRINTED = "1\t10.9.0.2\t\t0x1234\t0x1234\t1\t1\t\t\n"  # a frame, as tshark tells it


def judged(world, *words, seconds=20):
    return Judge("a case", "none", world.directory, list(words), seconds).verdict()


@case("the suite: a judge that is late, dies, or talks nonsense fails its own case")
def bad_judges(world):
    demand(judged(world, "printf", PRINTED) == ("ok", ""), f"a good frame: {judged(world, 'printf', PRINTED)}")
    for words, told in ((("sleep", "60"), "not done after 0.2 s"), (("false",), "ended with 1"),
                        (("sh", "-c", "kill -KILL $$"), "ended with -9"), (("/no/such/program",), "could not be started"),
                        (("echo", "nonsense"), "cannot be read"), (("true",), "no frame with a checksum"),
                        (("printf", PRINTED.replace("\t1\t1\t", "\t0\t1\t")), "frame 1:")):
        outcome, why = judged(world, *words, seconds=0.2 if words[0] == "sleep" else 20)
        demand(outcome == "FAIL" and told in why, f"{words}: {outcome}, {why}")


@case("the suite: a judge that is done is seen to be, whatever has been forked beside it")
def judge_beside(world):
    for _ in range(20):
        judge = Judge("a case", "none", world.directory, ["printf", PRINTED], 20)
        child = os.fork()  # as the next case
        if child == 0:
            time.sleep(60)
            os._exit(0)
        try:
            until("the end of a judge that had nothing to do", 15, judge.is_done)
            demand(judge.verdict() == ("ok", ""), "another verdict")
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
