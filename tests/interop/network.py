# SPDX-License-Identifier: BSD-3-Clause
"""A router between the kernel and Millrace, which may lose what it forwards."""
import os

from system import demand, go_to_network, new_network, sh, sysctl, this_network
from world import TAP


def routed(offloads=True):
    """The case goes to a second namespace, from which Millrace is one router away: what is lost there is lost on the
    network, while what a host's own OUTPUT drops is known to its TCP. Gives the way back to the first one.
    Without offloads the kernel's segments are frames of their own, and are lost one by one."""
    router = this_network()
    sysctl("net/ipv4/ip_forward", 1)
    new_network()
    client = this_network()
    sh("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    if not offloads:
        sh("ethtool", "-K", "veth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")
    sh("ip", "link", "set", "veth1", "netns", f"/proc/{os.getpid()}/fd/{router}")
    sh("ip", "address", "add", "10.8.0.2/24", "dev", "veth0")
    sh("ip", "link", "set", "veth0", "up")
    go_to_network(router)
    sh("ip", "address", "add", "10.8.0.1/24", "dev", "veth1")
    sh("ip", "link", "set", "veth1", "up")
    go_to_network(client)
    sh("ip", "route", "add", "default", "via", "10.8.0.1")
    return router, client


def lose(percent):
    """Both ways, from now on. Call it on the router."""
    for way in ("-i", "-o"):
        sh("iptables", "-A", "FORWARD", way, TAP, "-m", "statistic", "--mode", "random", "--probability", percent / 100,
           "-j", "DROP")


def lost():
    """How many of Millrace's segments, and how many of the kernel's."""
    counts = [int(line.split()[0]) for line in sh("iptables", "-L", "FORWARD", "-n", "-v", "-x").splitlines()[2:]]
    demand(len(counts) == 2 and min(counts) > 0, f"nothing was lost: {counts}")
    return counts
