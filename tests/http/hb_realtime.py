# SPDX-License-Identifier: Apache-2.0
"""Servers with mod_halobuzz_realtime and the stand-in for the sidecar."""

import os
import re
import time

from hb_httpd import HERE, OWN_MODULES, SOURCE, processes_of

SIDECAR = os.path.join(HERE, "hb_sidecar.py")
OWN = OWN_MODULES + ("halobuzz_realtime",)

# 25 threads a child, as in the figures; room for children that end slowly.
EVENT = """StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
MinSpareThreads 1
MaxSpareThreads 25
ServerLimit 8
AsyncRequestWorkerFactor 600
"""


def arguments(settings=None, **args):
    """Of make_server."""
    args.setdefault("own", OWN)
    args.setdefault("modules", ())
    if args.get("mpm", "event") == "event":
        args.setdefault("mpm_settings", EVENT)
    with open(os.path.join(SOURCE, "conf", "halobuzz_realtime.conf")) as f:
        args["extra"] = f.read() + '<Location "/server-status">\nSetHandler server-status\n' \
            "</Location>\n" + args.get("extra", "")
    args["settings"] = {"HaloBuzzRealtimeProgram": SIDECAR,
                        "HaloBuzzRateLimit realtime": "1000000/60s",
                        "HaloBuzzMonitorAddress": "127.0.0.1", **(settings or {})}
    return args


def wait_for(what, seconds=30, why="it did not happen"):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(why() if callable(why) else why)


def notes(server):
    """What the stand-in wrote about itself."""
    try:
        with open(os.path.join(server.state, "sidecar.log")) as f:
            return f.read().splitlines()
    except FileNotFoundError:
        return []


def sidecars(server, program=SIDECAR):
    """Processes of the server that run the program."""
    found = []
    for pid in processes_of(server.process.pid):
        try:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                if program.encode() in f.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def started(server, n=1):
    wait_for(lambda: len([x for x in notes(server) if x.endswith(" started")]) >= n,
             why=lambda: "not started %d times: %s" % (n, notes(server)))
    # At a restart the one before may be gone, and the next one not yet what it becomes.
    pid, = wait_for(lambda: len(sidecars(server)) == 1 and sidecars(server),
                    why=lambda: "it runs as %s" % sidecars(server))
    return pid


def metrics(client):
    """The page of metrics, as {name{labels}: value}."""
    text = client.get("/api/v1/monitoring/metrics").text
    return {m.group(1): float(m.group(2))
            for m in re.finditer(r"^(\w+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def held(client):
    """(WebSockets, held requests)"""
    page = metrics(client)
    return page["halobuzz_realtime_websockets"], page["halobuzz_realtime_held_requests"]
