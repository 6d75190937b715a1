# SPDX-License-Identifier: BSD-3-Clause
"""Several cores behind a tap whose queues the kernel fills as it likes: a hash that nobody can predict."""
from cases_icmp import errors_sent, narrow, too_long
from cases_load import Load, Nginx, demand_clean
from cases_network import MB, routed
from clients import exchange
from registry import case
from system import demand, go_to_network
from world import KERNEL, MILLRACE, Watch


def crossed(result, least, most):
    """The part of all frames that came to another core than their owner; each that left one core came to one."""
    tcp = result["tcp"]
    demand(tcp["frames_handed_over"] == tcp["frames_taken_over"],
           f"{tcp['frames_handed_over']} frames left a core, {tcp['frames_taken_over']} came to one")
    part = tcp["frames_handed_over"] / tcp["frames_received"]
    demand(least <= part <= most, f"{part:.2f} of the frames were handed over")
    demand(tcp["drop_handover"] == 0 or part > 0, "frames were dropped, and none handed over")


@case("4 cores with a tap's 4 queues: 48 clients, 300 KB each")
def four_queues(world):
    with world.echo("--cores", "4") as echo:
        demand("4 rx, 4 tx for 4 cores: steering in software" in echo.output, echo.output)
        exchange(48, 300_000, 40)


@case("8 cores with 2 queues: 48 clients, 300 KB each")
def eight_cores_two_queues(world):
    with world.echo("--cores", "8", "--queues", "2") as echo:
        demand("2 rx, 2 tx for 8 cores" in echo.output, echo.output)
        exchange(48, 300_000, 40)


@case("8 cores, their applications on a thread: 24 clients, 300 KB each")
def eight_cores_thread(world):
    with world.echo("--cores", "8", "--mode", "thread"):
        exchange(24, 300_000, 40)


@case("a client of 4 cores against nginx, by 4 queues and by 1", seconds=90)
def client_of_four(world):
    # Another port each time: what the first run leaves in TIME-WAIT is not the second's business.
    for queues, port, least, most in ((4, 8084, 0.0, 0.5), (1, 8081, 0.65, 0.85)):
        with Nginx(world.directory / f"{queues}", port), Load(
                world, "client", "--cores", 4, "--queues", queues, "--workload", "http", "--url",
                f"http://{KERNEL}:{port}/file", "--close", "--connections", 16, "--requests", 1200) as load:
            result = load.ended(0)
        demand_clean(result)
        demand(result["requests"] == 1200 and result["connections"] == 1200, f"{result['requests']} requests")
        # A segment that was sent once more may have its answer when its connection has gone, as with one core.
        tcp = result["tcp"]
        demand(tcp["resets_sent"] <= tcp["retransmitted"] + tcp["tail_loss_probes"], f"{tcp['resets_sent']} resets")
        demand(all(core["cycles_per_request"] > 0 for core in result["cores"]), f"an idle core: {result['cores']}")
        crossed(result, least, most)


@case("a server of 4 cores under clients of the kernel, each core with its share")
def server_shares(world):
    with Load(world, "server", "--cores", 4, "--protocol", "echo", "--port", 7) as load:
        load.wait_for("listening on")
        exchange(200, 2000, 40, address=MILLRACE)
        load.interrupt()
        result = load.ended(0)
        demand_clean(result)
        demand(result["connections"] == 200, f"{result['connections']} connections")
        demand(all(core["cycles_per_request"] > 0 for core in result["cores"]), f"an idle core: {result['cores']}")
        crossed(result, 0, 0.9)


# A router's "fragmentation needed" comes to whatever core; it is the quoted flow's owner that has to hear of it.
@case("path MTU with 4 cores and 1 queue: a narrow link, 8 clients, 500 KB each")
def narrow_path(world):
    with world.echo("--cores", "4", "--queues", "1", "--gateway", KERNEL):
        router, client = routed()
        go_to_network(router)
        narrow()
        before = errors_sent()
        with Watch() as watch:
            go_to_network(client)
            exchange(8, MB // 2, 40)
            go_to_network(router)
            seen = watch.rest()
        demand(too_long(seen), "no segment was too long: nothing was discovered")
        demand(errors_sent() > before, "the router has sent no error")
        # Who is told once for each core that has such a connection does not go on.
        late = too_long(seen[len(seen) * 3 // 4:])
        demand(not late, f"{len(late)} segments were too long in the last quarter")
        go_to_network(client)
