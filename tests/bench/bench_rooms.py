# SPDX-License-Identifier: Apache-2.0
"""What a delivery costs the sidecar: 100 rooms of 50 beside one room of 5 000. A case of bench.py."""

import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "realtime"))

MEMBERS = 5000
ROOMS = 100
RATE = 20


def case_rooms(f, o):
    os.environ["HB_BUILD"] = o.build
    from hb_live import Live, LiveServer, Users
    server = LiveServer(settings={
        "HaloBuzzRealtimePerUser": "100000", "HaloBuzzRealtimeViewerGrace": "0s"})
    try:
        server.start()
        user = Users(server).make()
        rooms = [Live(server).id for _ in range(ROOMS)]
        settings = os.path.join(server.root, "run", "halobuzz-realtime.conf")

        def measure(streams):
            done = subprocess.run(
                [os.path.join(o.build, "tests/bench/bench_rooms"), "--settings", settings,
                 "--token", user.token, "--members", str(MEMBERS), "--rate", str(RATE),
                 "--seconds", str(o.seconds), *streams],
                capture_output=True, text=True, timeout=240)
            assert done.returncode == 0, done.stderr
            expected, delivered, cost, memory = done.stdout.split()
            assert expected == delivered, done.stdout
            memories.append(int(memory))
            return float(cost)

        one, many, memories = [], [], []
        for _ in range(o.rounds):
            one.append(measure(rooms[:1]))
            many.append(measure(rooms))
        a, b = statistics.median(many), statistics.median(one)
        f.value("CPU of a delivery, %d rooms of %d : one of %d" % (ROOMS, MEMBERS // ROOMS, MEMBERS),
                a / b, "", below=1.15, note="(%.2f us against %.2f us)" % (a, b))
        # Later rounds find memory that earlier ones gave back.
        f.value("memory of the sidecar for a connection in a room", memories[0] / 1024, "KiB",
                below=4)
    finally:
        server.stop()
        server.kill()
        server.remove()


def case_deflate(f, o):
    """What permessage-deflate saves and costs; printed as it is, for it is no ratio of ours to theirs."""
    subprocess.run([os.path.join(o.build, "tests/bench/bench_deflate")], check=True)
