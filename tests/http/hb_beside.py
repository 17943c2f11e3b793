#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What runs of tests that go on at once must not take from each other: ports, and the build tree.
As a command it prints a free port."""

import fcntl
import os
import random
import socket
import subprocess

# Those above are given to clients, also to one that calls while a server of ours restarts.
RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
FIRST, LAST = 10240, 32767

claims = {}                             # by port, a name of this process alone


def _last():
    try:
        with open(RANGE) as f:
            return min(LAST, int(f.read().split()[0]) - 1)
    except OSError:
        return LAST


def free_port():
    """A TCP port of the loopback that nobody uses, and no other run gets until it is released or
    this process has ended."""
    last = max(_last(), FIRST + 1000)
    while True:
        port = random.SystemRandom().randint(FIRST, last)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind("\0halobuzz-test-port-%d" % port)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claims[port] = claim
        return port


def release_port(port):
    claim = claims.pop(port, None)
    if claim is not None:
        claim.close()


def make_target(build, target):
    """Make a target that only tests want; another run may want it in this moment."""
    with open(os.path.join(build, "tree.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "-C", build, target], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(free_port())
