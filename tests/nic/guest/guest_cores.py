# SPDX-License-Identifier: BSD-3-Clause
"""Millrace against itself with several cores, by two NICs: who brings frames to their cores, and whether all connect.

In all of these a server has one address and one port for all of its cores, and so has a client its address.
"""
from programs import PATIENT, client, demand_clean, server
from groups import case
from system import demand

HARDWARE = "RSS in hardware, its key and table read back"


def by_core(result, name):
    return [core.get(name, 0) for core in result["tcp_by_core"]]


def demand_shares(counts, total, what):
    """Each core has its share: half of the mean at least, and twice at most."""
    demand(sum(counts) == total, f"{what}: {sum(counts)} of {total} connections, by core {counts}")
    mean = total / len(counts)
    demand(all(mean / 2 <= n <= 2 * mean for n in counts), f"{what}: no even shares: {counts}")


def demand_handed_over(result, what, collectors):
    """Each frame came in on one of the `collectors`, and what is others' was handed over: no more, no less.

    A core gets from others all that it receives, if it is none of those; else what the mode leaves to chance. ARP is
    copied to all, which is no hand-over.
    """
    tcp = result["tcp"]
    demand(tcp["frames_handed_over"] == tcp["frames_taken_over"] + tcp["drop_handover"],
           f"{what}: {tcp['frames_handed_over']} frames left a core, {tcp['frames_taken_over']} came to one")
    for core in result["tcp_by_core"]:
        number, taken, segments = core["core"], core.get("frames_taken_over", 0), core.get("segments_received", 0)
        expected = 0 if number in collectors else segments
        demand(taken == expected, f"{what}: core {number} took {taken} frames over, not {expected} of its {segments}")
        demand(number in collectors or not core.get("frames_handed_over", 0), f"{what}: core {number} handed frames over")


def demand_whole(result, what, connections):
    demand_clean(result, what)
    demand(result["connections"] == connections and result["requests"] == connections,
           f"{what}: {result['connections']} connections, {result['requests']} requests")
    tcp = result["tcp"]
    demand(tcp["resets_sent"] == tcp["resets_received"] == 0, f"{what}: {tcp['resets_sent']} resets sent")
    # A core that does not keep up loses frames that are handed to it, and counts them.
    demand(tcp["retransmitted"] == 0 or tcp["drop_handover"] > 0, f"{what}: {tcp['retransmitted']} segments were sent again")
    opens = "active_opens" if what == "client" else "passive_opens"
    demand_shares(by_core(result, opens), connections, what)


def figures(result):
    tcp = result["tcp"]
    shares = by_core(result, "active_opens" if tcp["active_opens"] else "passive_opens")
    return (f"{sum(shares)} connections, by core {' '.join(map(str, shares))}; of {tcp['frames_received']} frames "
            f"{tcp['frames_handed_over']} handed over; {tcp['retransmitted']} retransmitted, {tcp['drop_handover']} dropped")


def connects(world, count, banner, collectors, *words):
    """So many connects; both ends have the same cores and queues, and say `banner` of them. Gives both programs."""
    with server("--protocol", "echo", *PATIENT, *words) as ours:
        ours.wait_for("listening on")
        with client("--workload", "cps", "--connections", 256, "--requests", count, *PATIENT, *words) as theirs:
            with ours.aside():
                theirs.wait_for("address: ")
            results = {"client": (theirs, theirs.ended(240))}
        results["server"] = ours, ours.stop()
    for what, (program, result) in results.items():
        world.note(f"{what}: {figures(result)}")
        demand(world.group.pmd in program.output, f"{what}: not {world.group.pmd}: {program.output}")
        demand(banner in program.output, f"{what}: no '{banner}' in the banner: {program.output}")
    for what, (_, result) in results.items():
        demand_whole(result, what, count)
        demand_handed_over(result, what, collectors)
    return ours, theirs


def many(cores):
    def run(world):
        connects(world, 10_000, f"{cores} rx, {cores} tx for {cores} cores: {HARDWARE}", range(cores), "--cores", cores,
                 "--idle", "spin")
    return run


for number in (2, 4, 8):
    case(f"{number} cores, {number} queues: 10,000 connects", "igb", seconds=300)(many(number))


@case("4 cores, 2 queues: 3,000 connects", "igb", seconds=300)
def fewer_queues(world):
    connects(world, 3_000, f"2 rx, 2 tx for 4 cores: {HARDWARE}", range(2), "--cores", 4, "--queues", 2)


@case("8 cores, 1 queue: 500 connects", "igb", seconds=300)
def one_queue(world):
    connects(world, 500, "1 rx, 1 tx for 8 cores: steering in software (one queue)", [0], "--cores", 8, "--queues", 1)


@case("4 cores, 4 queues, steering in software: 2,000 connects", "igb", seconds=200)
def software_steering(world):
    connects(world, 2_000, "4 rx, 4 tx for 4 cores: steering in software (as asked for)", [0], "--cores", 4,
             "--software-steering")


@case("4 cores, a driver without RSS: 2,000 connects", "e1000e", "vmxnet3", "virtio", seconds=200)
def offers_less(world):
    queues, why = {"e1000e": (2, "the driver offers no RSS for TCP"),
                   "vmxnet3": (4, "its redirection table cannot be used"),
                   "virtio": (1, "one queue")}[world.group.name]
    connects(world, 2_000, f"{queues} rx, {queues} tx for 4 cores: steering in software ({why})", [0], "--cores", 4,
             "--idle", "spin")
