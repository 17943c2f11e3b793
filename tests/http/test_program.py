# SPDX-License-Identifier: Apache-2.0
"""The supervisor of programs beside httpd, with a stand-in for halobuzz-realtimed."""

import os
import pwd
import re
import signal
import stat
import time

import pytest

from hb_client import Client
from hb_httpd import RUN_USER, is_root, processes_of
from hb_realtime import SIDECAR, arguments, metrics, notes, sidecars, started, wait_for


@pytest.fixture
def make_realtime(make_server):
    def make(settings=None, **args):
        return make_server(**arguments(settings, **args))
    return make


def test_it_runs_as_the_run_user_with_nothing_left_open(make_realtime):
    server = make_realtime()
    pid = started(server)
    said = "\n".join(notes(server))
    with open("/proc/%d/status" % pid) as f:
        uid = int(re.search(r"^Uid:\s+(\d+)", f.read(), re.M).group(1))
    assert uid == (pwd.getpwnam(RUN_USER).pw_uid if is_root() else os.getuid()), said
    # 0-2, the control socket, the memory file, the lock; and listdir's own
    fds = eval(re.search(r"descriptors (\[.*\])", said).group(1))
    assert len(fds) <= 7 and max(fds) <= 6, fds
    socket_dir = os.path.join(server.root, "run", "halobuzz")
    assert stat.S_IMODE(os.stat(socket_dir).st_mode) == 0o750
    conf = os.stat(os.path.join(server.root, "run", "halobuzz-realtime.conf"))
    assert stat.S_IMODE(conf.st_mode) == 0o640
    with open(os.path.join(socket_dir, "realtime.pid")) as f:
        assert int(f.read()) == pid
    client = Client(server)
    assert "HaloBuzzProgram-realtime: process %d\n" % pid in client.get("/server-status?auto").text
    assert metrics(client)['up{job="halobuzz-realtimed"}'] == 1


def test_a_reload_leaves_it_running_and_tells_it(make_realtime):
    server = make_realtime()
    pid = started(server)
    for i in range(5):
        server.settings["HaloBuzzEnvironment"] = "round-%d" % i
        server.write_conf()
        server.graceful()
        wait_for(lambda: any("%d hup round-%d" % (pid, i) == x for x in notes(server)),
                 why="not told: %s" % notes(server))
    assert sidecars(server) == [pid]


def test_a_reload_while_it_starts(make_realtime):
    server = make_realtime()
    for _ in range(5):
        server.process.send_signal(signal.SIGHUP)       # a new one each time ...
        server.graceful()                               # ... told at once
    wait_for(lambda: sidecars(server) and "HB02055" not in server.log_text())
    started(server)


def test_it_starts_again_at_once_then_later(make_realtime, claims):
    claims("HB02055")
    server = make_realtime()
    pid = started(server)
    os.kill(pid, signal.SIGKILL)
    second = started(server, 2)
    assert second != pid and "it starts again at once" in server.log_text()
    os.kill(second, signal.SIGKILL)
    begun = time.monotonic()
    wait_for(lambda: "it starts again in 2 s" in server.log_text(), why=server.log_text()[-1000:])
    third = started(server, 3)
    assert time.monotonic() - begun > 1.5 and third not in (pid, second)


def test_254_is_believed_until_the_next_reload(make_realtime, claims):
    claims("HB02056")
    server = make_realtime(start=False)
    told = os.path.join(server.state, "sidecar.exit")
    with open(told, "w") as f:
        f.write("254")
    server.start()
    wait_for(lambda: "HB02056" in server.log_text())
    time.sleep(1.5)
    assert metrics(Client(server))['up{job="halobuzz-realtimed"}'] == 0
    assert sidecars(server) == [] and len([n for n in notes(server) if "exits" in n]) == 1
    os.unlink(told)
    server.graceful()
    started(server)


def test_a_program_that_is_missing_is_said(make_realtime, claims):
    claims("HB02056", "~cannot run")
    server = make_realtime({"HaloBuzzRealtimeProgram": "/nonexistent/halobuzz-realtimed"})
    wait_for(lambda: "HB02056" in server.log_text())
    assert "cannot run /nonexistent/halobuzz-realtimed: No such file" in server.log_text()


def test_another_program_takes_its_place(make_realtime):
    server = make_realtime(start=False)
    copy = os.path.join(server.root, "hb_sidecar.py")
    with open(SIDECAR) as f, open(copy, "w") as out:
        out.write(f.read())
    os.chmod(copy, 0o755)
    server.settings["HaloBuzzRealtimeProgram"] = copy
    server.start()
    wait_for(lambda: any(x.endswith(" started") for x in notes(server)))
    os.utime(copy, (1, 1))      # an upgrade
    server.graceful()
    wait_for(lambda: len([x for x in notes(server) if x.endswith(" started")]) == 2,
             why=server.log_text()[-2000:])
    assert len({x.split()[0] for x in notes(server) if x.endswith(" started")}) == 2


def test_a_hard_restart_makes_a_new_one(make_realtime):
    server = make_realtime()
    pid = started(server)
    server.graceful(how=signal.SIGHUP)
    assert started(server, 2) != pid


def test_prefork_restarts_its_own_and_no_program(make_realtime):
    """Its parent sends SIGHUP and SIGTERM to all of its group."""
    server = make_realtime(mpm="prefork", mpm_settings="StartServers 2\nMaxRequestWorkers 8")
    pid = started(server)
    assert os.getpgid(pid) == pid != server.process.pid
    server.graceful(how=signal.SIGHUP)
    assert started(server, 2) != pid
    assert not [x for x in notes(server) if " hup " in x], notes(server)


def test_no_orphan_when_the_parent_is_killed(make_realtime, claims):
    claims("AH00098")           # its pid file is still there
    server = make_realtime()
    pid = started(server)
    session = server.process.pid
    server.process.kill()
    server.process.wait()
    wait_for(lambda: pid not in processes_of(session), why="the program outlived httpd")
    server.kill_session(session)
    # and a server that comes at once gets one of its own
    server.start_again()
    assert started(server, 2) != pid


def test_it_gets_its_secrets_and_no_others(make_realtime):
    server = make_realtime(start=False)
    url = server.settings.get("HaloBuzzStore") or "sqlite:hidden.db"
    for name, value in (("auth", "a" * 64), ("smtp", "hush"), ("url", url)):
        path = os.path.join(server.root, name)
        with open(path, "w") as f:
            f.write(value + "\n")
        os.chmod(path, 0o600)
    server.settings.update({"HaloBuzzAuthSecret": "file:%s/auth" % server.root,
                            "HaloBuzzSMTPPassword": "file:%s/smtp" % server.root,
                            "HaloBuzzStore": "file:%s/url" % server.root})
    server.start()
    started(server)
    with open(os.path.join(server.root, "run", "halobuzz-realtime.conf")) as f:
        said = dict(line.rstrip("\n").partition(" ")[::2] for line in f)
    assert said["HaloBuzzSMTPPassword"] == ""
    path = said["HaloBuzzAuthSecret"].partition(":")[2]
    assert path == os.path.join(server.root, "run", "halobuzz-realtime.auth_secret")
    with open(path) as f:
        assert f.read() == "a" * 64
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    # The URL of the records is such a secret too: used, and shown by nothing.
    path = said["HaloBuzzStore"].partition(":")[2]
    with open(path) as f:
        assert f.read() == url
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
    assert Client(server).get("/health").status_code == 200
    with open(os.path.join(server.root, "run", "halobuzz-settings")) as f:
        shown = f.read()
    with open(server.error_log) as f:
        shown += f.read()
    shown += server.command("-t", "-D", "DUMP_HB_SETTINGS").stdout
    assert "HaloBuzzStore file:%s/url" % server.root in shown
    assert url not in shown
    # What is taken out of the configuration does not stay in its copies.
    server.settings["HaloBuzzStore"] = url
    del server.settings["HaloBuzzAuthSecret"]
    server.write_conf()
    server.graceful()
    assert not [n for n in os.listdir(os.path.join(server.root, "run"))
                if n.startswith("halobuzz-realtime.") and n != "halobuzz-realtime.conf"]


def test_unprivileged(make_realtime):
    server = make_realtime(run_as=RUN_USER if is_root() else None)
    started(server)
