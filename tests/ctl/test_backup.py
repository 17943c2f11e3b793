# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl backup and restore: beside a server, against its will, onto a full disk, killed."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from hb_client import Client
from hb_httpd import BUILD
from hb_users import Users

OK, FAILED, USAGE, UNREACHABLE = range(4)

pytestmark = pytest.mark.embedded


def backups(place):
    return sorted(n for n in os.listdir(os.path.join(place.state, "backups")) if n[0].isdigit())


def fill(ctl, place):
    assert ctl("seed", "--demo", place=place).code == OK


def test_take_list_test_unpack_restore(ctl, place):
    fill(ctl, place)
    done = ctl("backup", place=place)
    assert done.code == OK and "-full" in done.out
    done = ctl("backup", "--json", place=place)
    assert done.code == OK and not done.json["full"] and done.json["base"].endswith("-full")
    done = ctl("backup", "list", "--json", place=place)
    assert [b["full"] for b in done.json] == [False, True]
    assert "not proved yet" in ctl("backup", "list", place=place).out
    done = ctl("backup", "test", place=place)
    assert done.code == OK and "9 users" in done.out and "all sums are 0" in done.out
    assert "proved 20" in ctl("backup", "list", place=place).out
    assert ctl("backup", "test", "--previous", place=place).code == FAILED
    assert ctl("backup", "test", "--at", "2001-01-01T00:00:00Z", place=place).code == FAILED
    assert ctl("backup", "test", "--at", "yesterday", place=place).code == USAGE
    assert ctl("restore", "x", "--previous", place=place).code == USAGE

    out = os.path.join(place.state, "looked-at.db")
    assert ctl("backup", "unpack", out, place=place).code == OK
    db = sqlite3.connect(out)
    assert db.execute("select count(*) from users").fetchone() == (9,)
    db.close()
    assert ctl("backup", "unpack", out, place=place).code == UNREACHABLE

    assert ctl("user", "create", "--email", "late@halobuzz.test", "--username", "late",
               "--password-file", place.file("pw", "Kathmandu-26!", mode=0o644), place=place).code == OK
    done = ctl("restore", "--json", place=place)
    assert done.code == OK and done.json["whole"] and done.json["users"] == 9
    assert ctl("user", "list", "--json", "--limit", "50", place=place).out.count("username") == 9
    kept = [n for n in os.listdir(place.state) if ".before-" in n]
    assert len(kept) == 1 and os.listdir(os.path.join(place.state, kept[0])) == ["halobuzz.db"]


def test_sums_can_be_checked_without_us(ctl, place):
    fill(ctl, place)
    assert ctl("backup", place=place).code == OK and ctl("backup", place=place).code == OK
    for name in backups(place):
        folder = os.path.join(place.state, "backups", name)
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
        for root, _, files in os.walk(folder):
            for file in files:
                assert os.stat(os.path.join(root, file)).st_mode & 0o077 in (0, 0o040), file


def test_after_the_loss_of_everything(ctl, place):
    """Another machine: nothing but the directory of backups."""
    fill(ctl, place)
    away = os.path.join(place.root, "elsewhere")
    os.mkdir(away, 0o750)
    shutil.chown(away, place.owner)
    lines = {"HaloBuzzStateDir": place.state, "HaloBuzzPasswordCost": "4",
             "HaloBuzzBackupDir": away, "HaloBuzzPublicURL": "http://localhost:9"}
    place.write(lines)
    assert ctl("backup", place=place).code == OK
    keys = sorted(os.listdir(os.path.join(place.state, "keys")))
    for name in os.listdir(place.state):
        path = os.path.join(place.state, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    done = ctl("restore", place=place)
    assert done.code == OK, done.err
    assert sorted(os.listdir(os.path.join(place.state, "keys"))) == keys
    assert ctl("ledger", "verify", place=place).code == OK
    assert ctl("user", "list", "--json", place=place).out.count("username") == 9


def test_a_damaged_store_is_replaced(ctl, place):
    fill(ctl, place)
    assert ctl("backup", place=place).code == OK
    with open(os.path.join(place.state, "halobuzz.db"), "r+b") as f:
        f.write(b"\xff" * 8192)
    assert ctl("user", "list", place=place).code != OK
    assert ctl("restore", place=place).code == OK
    assert ctl("store", "verify", place=place).code == OK


def test_a_running_server(make_server, ctl, claims):
    """It is asked for its will first; with --live its processes go over by themselves."""
    claims("HB01102")           # a process that finds its file gone says so, when it looks next
    server = make_server()
    users = Users(server)
    users.make()
    place = type("Place", (), {"settings": os.path.join(server.root, "run", "halobuzz-settings")})
    assert ctl("backup", place=place).code == OK
    late = users.make()
    done = ctl("restore", place=place)
    assert done.code == FAILED and "stop it first" in done.err and "--live" in done.err
    assert late.get("/api/v1/users/me").status_code == 200
    done = ctl("restore", "--live", place=place)
    assert done.code == OK, done.err
    until = time.monotonic() + 10
    while late.get("/api/v1/users/me").status_code == 200:
        assert time.monotonic() < until
    while Client(server).get("/health").status_code != 200:     # of another process
        assert time.monotonic() < until


def test_killed_at_any_moment(ctl, place):
    """SIGKILL while it restores: the old records, the new ones, or a refusal; then again."""
    fill(ctl, place)
    assert ctl("backup", place=place).code == OK
    command = [os.path.join(BUILD, ".libs", "halobuzzctl"), "restore"]
    env = {"LD_LIBRARY_PATH": os.path.join(BUILD, ".libs"), "HALOBUZZ_SETTINGS": place.settings}
    for n in range(8):
        work = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            work.wait(timeout=0.004 * (n + 1) ** 2)
        except subprocess.TimeoutExpired:
            work.send_signal(signal.SIGKILL)
        work.wait()
        done = ctl("user", "list", "--json", place=place)
        if done.code == OK:
            assert done.out.count("username") == 9
        else:
            assert "restore a backup" in done.err
    assert ctl("restore", place=place).code == OK
    assert ctl("ledger", "verify", place=place).code == OK
    assert ctl("user", "list", "--json", place=place).out.count("username") == 9


def test_a_full_disk_keeps_the_old_ones(ctl, place, as_root):
    away = os.path.join(place.root, "disk")
    os.mkdir(away)
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0750,uid=%d" % place.owner, "tmpfs", away]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("no file system can be mounted here: " + done.stderr.strip())
    try:
        place.write({"HaloBuzzStateDir": place.state, "HaloBuzzPasswordCost": "4",
                     "HaloBuzzBackupDir": away, "HaloBuzzPublicURL": "http://localhost:9"})
        fill(ctl, place)
        assert ctl("backup", place=place).code == OK
        with open(os.path.join(away, "filler"), "wb") as f:
            f.write(b"x" * (8 << 20))
        done = ctl("backup", "--full", place=place)
        assert done.code == UNREACHABLE and "MB free" in done.err
        with open(os.path.join(place.state, "mail", "large"), "wb") as f:
            f.write(b"x" * (23 << 20))      # there is room for the records, but not for all
        os.unlink(os.path.join(away, "filler"))
        done = ctl("backup", "--full", place=place)
        assert done.code == UNREACHABLE and "No space left" in done.err
        assert sorted(n for n in os.listdir(away) if n != "lock") == sorted(
            json.loads(ctl("backup", "list", "--json", place=place).out)[0]["name"].split())
        assert ctl("backup", "test", place=place).code == OK
    finally:
        subprocess.run(["umount", "-l", away], capture_output=True)
