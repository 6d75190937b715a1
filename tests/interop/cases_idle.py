# SPDX-License-Identifier: BSD-3-Clause
"""Cores that sleep behind a tap: how often they wake, what wakes them, and that nothing waits for another thing to happen.

What is judged is counted by the core, between two questions of millrace-stat: a question wakes it, and has its answer in a
few turns. A core that spins has a million turns in the second that passes meanwhile."""
import time

from bulk import order
from cases_stat import stat
from clients import connect, round_trip
from registry import case
from system import demand, sh, until
from world import TAP, Watch

FEW = 3000  # turns: some hundreds for each time that it is woken


def of_cores(world, echo):
    return stat(world, echo, "stats")["endpoints"]


def turns_between(before, after):
    """Of each core: turns, sleeps, and the part of the time in which it was asleep."""
    rows = []
    for old, new in zip(before, after):
        since = {name: new[name] - old[name] for name in ("turns", "sleeps", "asleep_cycles", "total_cycles")}
        rows.append((since["turns"], since["sleeps"], since["asleep_cycles"] / max(since["total_cycles"], 1)))
    return rows


def idle_turns(world, echo, seconds):
    before = of_cores(world, echo)
    time.sleep(seconds)
    return turns_between(before, of_cores(world, echo))


def demand_asleep(rows):
    for turns, sleeps, share in rows:
        demand(turns <= FEW and sleeps >= 1, f"an idle core took {turns} turns and slept {sleeps} times")
        demand(share > 0.5, f"it was asleep for {100 * share:.0f} % of its time")


@case("an idle core sleeps, with silent connections too, and answers when it is asked")
def sleeps(world):
    with world.echo() as echo:
        demand("idle: sleep, by rx interrupt" in echo.output, echo.output)
        demand_asleep(idle_turns(world, echo, 1))
        socks = [connect() for _ in range(20)]
        for sock in socks:
            round_trip(sock)
        time.sleep(0.1)  # delayed ACKs, and what else there is to be done
        demand_asleep(idle_turns(world, echo, 1))
        for sock in socks:
            time.sleep(0.01)
            round_trip(sock, b"x" * 5000)
            sock.close()


@case("2 cores with a queue each sleep, and 3 with one queue: each is woken for its flows")
def sleeps_on_cores(world):
    for flags in (("--cores", "2"), ("--cores", "3", "--queues", "1")):
        with world.echo(*flags) as echo:
            demand_asleep(idle_turns(world, echo, 1))
            for number in range(30):
                time.sleep(0.005)
                with connect() as sock:
                    round_trip(sock, b"x" * (100 + 500 * number))
            rows = of_cores(world, echo)
            demand(all(row["wakeups"] > 0 for row in rows), f"{[row['wakeups'] for row in rows]} wakeups")
            demand(all(row["retransmitted"] == 0 for row in rows), f"{[row['retransmitted'] for row in rows]} sent again")
            echo.stop()


@case("an application's thread sleeps, too: it is woken for events, and wakes the core")
def sleeps_in_thread(world):
    with world.echo("--mode", "thread", "--cores", "2") as echo:
        demand_asleep(idle_turns(world, echo, 1))
        with connect() as sock:
            for number in range(50):
                time.sleep(0.005)
                round_trip(sock, b"x" * (1 + 100 * number))


# The peer has gone: what was sent is sent again, at twice the time each time, and between that the core sleeps.
@case("retransmissions of a core that sleeps leave in time, and nothing else wakes it")
def timers(world):
    with world.bulk("--set", "tcp.tail_loss_probe=false") as bulk, connect() as sock, Watch() as watch:
        sh("iptables", "-A", "INPUT", "-i", TAP, "-j", "DROP")  # the kernel sends its order, and hears no answer
        sock.sendall(order(send=1000))
        port = sock.getsockname()[1]
        first = watch.until("text", 5, lambda p: p.from_millrace and p.target == port and p.length > 0)
        copies = []
        end = time.monotonic() + 3.5
        while (packet := watch.next(end)) is not None:
            if packet.from_millrace and packet.target == port and packet.seq == first.seq and packet.length > 0:
                copies.append(packet)
        demand(len(copies) >= 2, f"{len(copies)} retransmissions in 3.5 s: 0.2, 0.6, 1.4, 3.0 s are their times")
        sh("iptables", "-D", "INPUT", "-i", TAP, "-j", "DROP")
        row = of_cores(world, bulk)[0]
        demand(row["retransmitted"] >= 2 and row["sleeps"] > row["wakeups"], f"{row['sleeps']} sleeps, {row['wakeups']} wakeups")
        until("the rest", 10, lambda: len(sock.recv(2000)) > 0)


@case("Ctrl-C ends all sleep at once")
def interrupted(world):
    for flags in ((), ("--cores", "3"), ("--mode", "thread", "--cores", "2")):
        with world.echo(*flags, capture=False) as echo:
            demand_asleep(idle_turns(world, echo, 1))
            echo.stop()
            demand(echo.end_seconds < 1, f"the end took {echo.end_seconds:.2f} s")


@case("--idle spin never sleeps, --idle pause neither")
def spins(world):
    for how in ("spin", "pause"):
        with world.echo("--idle", how, capture=False) as echo:
            demand(f"idle: {how}" in echo.output, echo.output)
            (turns, sleeps_, share), = idle_turns(world, echo, 0.5)
            demand(turns > FEW and sleeps_ == 0 and share == 0, f"{turns} turns, {sleeps_} sleeps")
            echo.stop()
