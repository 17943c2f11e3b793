# SPDX-License-Identifier: Apache-2.0
"""A server with members of finance on it, and coins that hosts have earned."""

import contextlib
import os
import subprocess

from hb_users import Mails, Users


@contextlib.contextmanager
def bank_with(settings=None, prepare=None, **more):
    """
    A server on which staff need no second factor, for cases of a whole module; prepare(server) is
    called before it starts.
    """
    from hb_guard import serving
    from hb_httpd import Httpd
    one = Httpd(settings={"HaloBuzzAuthStaffTOTP": "off", **(settings or {})}, **more)
    try:
        if prepare is not None:
            prepare(one)
    except BaseException:
        one.kill()
        one.remove()
        raise
    with serving(one):
        yield one


def ctl(server, *args):
    """halobuzzctl on the server's records, as the operator calls it."""
    return said_by(settings_of(server), [os.path.join(server.libs, "halobuzzctl"), *args])


def run_job(server, name, at):
    """A job of the clock as if it were that moment (RFC 3339)."""
    return said_by(settings_of(server), [os.path.join(server.libs, "halobuzz-crond"),
                                         "--once", name, "--at", at])


def settings_of(server):
    return {**os.environ, "LD_LIBRARY_PATH": server.libs,
            "HALOBUZZ_SETTINGS": os.path.join(server.root, "run", "halobuzz-settings")}


def said_by(env, command):
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def boss_of(server, people, address):
    """The superadmin whom HaloBuzzAdminEmail names, signed in after its address was proved."""
    boss = people.make(username="theboss", email_address=address)
    code = Mails(server).code(address)
    assert boss.post("/api/v1/auth/email/verify", {"code": code}).status_code == 200
    return boss.login()


def finance(server, name):
    """Somebody of finance, signed in."""
    one = Users(server).make(username=name, email_address=name + "@halobuzz.test")
    ctl(server, "user", "role", name, "finance")
    return one.login()


def key():
    return {"Idempotency-Key": os.urandom(8).hex()}


def give_coins(staff, user, coins):
    reply = staff.post("/api/v1/admin/adjustments", {"userId": user.id, "coins": coins,
                                                     "reason": "a test"}, headers=key())
    assert reply.status_code == 201, reply.text
