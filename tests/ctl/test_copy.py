# SPDX-License-Identifier: Apache-2.0
"""halobuzzctl store copy, indexes, reindex, and backups of a MongoDB.

Cases with a MongoDB need HALOBUZZ_TEST_MONGODB_URI (tests/servers/with-mongodb)."""

import json
import os
import signal
import sqlite3
import subprocess
import time
import uuid

import pytest

from hb_httpd import BUILD
from hb_users import Users

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
MONGODB = os.environ.get("HALOBUZZ_TEST_MONGODB_URI")
MESSAGES = 60000


@pytest.fixture
def filled(ctl, make_place):
    """A place with people, payments and gifts."""
    place = make_place(HaloBuzzPaySandbox="on", HaloBuzzPasswordCost="4", HaloBuzzPayoutMin="10")
    done = ctl("demo", "--gifts", "20", place=place)
    assert done.code == OK, done.out + done.err
    return place


def on(place, make_place, url):
    """The same settings with other records."""
    lines = dict(line.split(" ", 1) for line in open(place.settings).read().splitlines())
    return make_place(**{**lines, "HaloBuzzStore": url})


def database():
    """A MongoDB database of its own."""
    return MONGODB.rstrip("/") + "/ctl_" + uuid.uuid4().hex[:12]


def records(place, ctl):
    figures = ctl("store", "stats", "--json", place=place).json["collections"]
    return {name: one["records"] for name, one in figures.items() if one["records"]}


def test_there(ctl, filled, make_place):
    done = ctl("store", "copy", "configured", "sqlite:other.db", place=filled)
    assert done.code == OK, done.out + done.err
    assert "the same on both sides" in done.out and "HaloBuzzStore sqlite:" in done.out
    other = on(filled, make_place, "sqlite:other.db")
    assert records(other, ctl) == records(filled, ctl)
    proofs = [ctl("ledger", "verify", "--json", place=p).json for p in (filled, other)]
    assert proofs[0] == proofs[1] and proofs[0]["clean"]
    assert ctl("store", "verify", place=other).code == OK
    # It holds records now; they are thrown away only when that is said.
    done = ctl("store", "copy", "configured", "sqlite:other.db", place=filled)
    assert done.code == FAILED and "--force" in done.err
    done = ctl("store", "copy", "configured", "sqlite:other.db", "--force", "--json", place=filled)
    result = json.loads(done.out.splitlines()[-1])
    assert result["copied"] and result["ledger"]["root"] == proofs[0]["root"]
    assert result["collections"]["users"]["records"] == records(filled, ctl)["users"]
    assert len(result["collections"]["users"]["sum"]) == 64


@pytest.mark.parametrize("args,code,words", [
    (("sqlite:a.db",), USAGE, "missing"),
    (("sqlite:a.db", "fly:away"), USAGE, "accepted: sqlite:FILE"),
    (("configured", "configured"), USAGE, "the same"),
    (("sqlite:nowhere.db", "sqlite:b.db"), FAILED, "no such file"),
    (("file:/nowhere", "sqlite:b.db"), FAILED, "does not exist"),
])
def test_what_it_refuses(ctl, place, args, code, words):
    done = ctl("store", "copy", *args, place=place)
    assert done.code == code and words in done.err, done.err


def test_a_live_source(ctl, make_server, make_place):
    server = make_server()
    place = make_place(HaloBuzzStateDir=server.state)
    users = Users(server)
    users.make(), users.make()
    done = ctl("store", "copy", "configured", "sqlite:other.db", place=place)
    assert done.code == FAILED and "is in use" in done.err and "--live" in done.err
    done = ctl("store", "copy", "configured", "sqlite:other.db", "--live", place=place)
    assert done.code == OK, done.out + done.err
    assert "snapshot of sqlite:" in done.out
    users.make()
    other = on(place, make_place, "sqlite:other.db")
    assert records(other, ctl)["users"] == records(place, ctl)["users"] - 1
    assert not [name for name in os.listdir(server.state) if "copying" in name]
    # And nobody copies over what a server has open.
    done = ctl("store", "copy", "sqlite:other.db", "configured", place=place)
    assert done.code == FAILED and "is in use" in done.err


def add_messages(path, n):
    """Chat messages put into a store's file directly."""
    db = sqlite3.connect(path)
    columns = [row[1] for row in db.execute("PRAGMA table_info(messages)")][2:-1]
    docs = ({"streamId": "%024x" % (i % 100), "userId": "%024x" % (i % 999), "kind": "chat",
             "createdAt": 1700000000000 + i, "text": "message %d" % i} for i in range(n))
    db.executemany("INSERT INTO messages VALUES (NULL,?%s)" % (",?" * (len(columns) + 1)),
                   (("%024x" % i, *[d.get(c[2:]) for c in columns], json.dumps(d, separators=(",", ":")))
                    for i, d in enumerate(docs)))
    db.commit()
    db.close()


def stop_midway(place, number, *args):
    """Start a copy and send it a signal once the target keeps a first part of the messages."""
    env = dict(os.environ, HALOBUZZ_SETTINGS=place.settings,
               LD_LIBRARY_PATH=os.path.join(BUILD, ".libs"))
    child = subprocess.Popen([os.path.join(BUILD, ".libs", "halobuzzctl"), "store", "copy",
                              "configured", "sqlite:other.db", *args], env=env,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    other = os.path.join(place.state, "other.db")
    deadline = time.monotonic() + 20
    while child.poll() is None and time.monotonic() < deadline:
        try:
            with sqlite3.connect("file:%s?mode=ro" % other, uri=True) as db:
                note = db.execute("SELECT value FROM meta WHERE key='copy'").fetchone()
            if note and "messages" in json.loads(note[0])["copied"]:
                break
        except sqlite3.Error:
            pass
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    return child.returncode, out, err


def test_stopped_and_killed(ctl, place, make_place):
    assert ctl("seed", place=place).code == OK
    add_messages(os.path.join(place.state, "halobuzz.db"), MESSAGES)
    code, _, err = stop_midway(place, signal.SIGINT)
    assert code == FAILED and "the same command goes on" in err, err
    other = on(place, make_place, "sqlite:other.db")
    done = ctl("store", "stats", place=other)
    assert done.code == UNREACHABLE and "not finished" in done.err
    code, _, err = stop_midway(place, signal.SIGKILL)
    assert code == -signal.SIGKILL, err
    done = ctl("store", "copy", "configured", "sqlite:other.db", "--json", place=place)
    assert done.code == OK, done.err
    result = json.loads(done.out.splitlines()[-1])
    assert result["resumed"] and result["written"] < MESSAGES
    assert result["collections"]["messages"]["records"] == MESSAGES
    assert records(other, ctl) == records(place, ctl)


def test_indexes(ctl, place):
    assert ctl("seed", place=place).code == OK
    path = os.path.join(place.state, "halobuzz.db")
    listed = ctl("store", "indexes", "--json", place=place).json
    assert {one["state"] for one in listed} == {"good"}
    phone = [one for one in listed if (one["collection"], one["index"]) == ("users", "phone")][0]
    assert phone["unique"] and phone["partial"] and phone["fields"] == "phone"
    with sqlite3.connect(path) as db:
        db.execute('DROP INDEX "users_phone"')
        db.execute('DROP INDEX "users_email"')
        db.execute('CREATE INDEX "users_email" ON users(id)')
        db.execute("CREATE INDEX mine ON users(doc)")
    done = ctl("store", "indexes", place=place)
    assert done.code == FAILED and "2 indexes" in done.err
    lines = {line.split()[2]: line.split()[1] for line in done.out.splitlines()}
    assert lines["users.phone"] == "missing" and lines["users.email"] == "different"
    assert lines["users.mine"] == "extra"
    assert ctl("store", "reindex", place=place).code == OK
    assert ctl("store", "indexes", place=place).code == OK
    assert ctl("store", "reindex", "--all", place=place).code == OK
    assert ctl("store", "verify", place=place).code == OK


# --- with a MongoDB

needs_mongodb = pytest.mark.skipif(not MONGODB, reason="HALOBUZZ_TEST_MONGODB_URI is not set")


@needs_mongodb
def test_mongodb_and_back(ctl, filled, make_place):
    url = database()
    done = ctl("store", "copy", "configured", "file:" + filled.file("url", url + "\n"), place=filled)
    assert done.code == OK, done.out + done.err
    there = on(filled, make_place, url)
    assert records(there, ctl) == records(filled, ctl)
    assert {one["state"] for one in ctl("store", "indexes", "--json", place=there).json} == {"good"}
    assert ctl("store", "verify", place=there).code == OK
    done = ctl("store", "copy", "configured", "sqlite:back.db", place=there)
    assert done.code == FAILED and "cannot be seen" in done.err and "--live" in done.err
    done = ctl("store", "copy", "configured", "sqlite:back.db", "--live", place=there)
    assert done.code == OK, done.out + done.err
    # A backup is such a file, too; and both are what it began with.
    backup = os.path.join(filled.state, "backup.db")
    assert ctl("store", "backup", backup, place=there).out == backup + "\n"
    roots = set()
    for name in ("halobuzz.db", "back.db", "backup.db"):
        one = on(filled, make_place, "sqlite:" + name)
        assert records(one, ctl) == records(filled, ctl)
        roots.add(ctl("ledger", "verify", "--json", place=one).json["root"])
        with sqlite3.connect(os.path.join(filled.state, name)) as db:
            roots.add(db.execute("SELECT group_concat(doc) FROM (SELECT doc FROM transactions "
                                 "ORDER BY id)").fetchone()[0])
    assert len(roots) == 2


@needs_mongodb
def test_backups_of_mongodb(ctl, filled, make_place):
    """The same commands; only what is restored goes in by store copy."""
    url = database()
    assert ctl("store", "copy", "configured", "file:" + filled.file("url", url + "\n"),
               place=filled).code == OK
    there = on(filled, make_place, url)
    done = ctl("backup", "--json", place=there)
    assert done.code == OK and done.json["full"], done.err
    done = ctl("backup", "--json", place=there)
    assert done.code == OK and not done.json["full"], done.err
    done = ctl("backup", "test", "--json", place=there)
    assert done.code == OK and done.json["whole"], done.err
    done = ctl("restore", place=there)
    assert done.code != OK and "store copy" in done.err
    out = os.path.join(there.state, "unpacked.db")
    assert ctl("backup", "unpack", out, place=there).code == OK
    assert records(on(filled, make_place, "sqlite:" + out), ctl) == records(filled, ctl)
