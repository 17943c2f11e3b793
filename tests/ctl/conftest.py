# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the halobuzzctl tests: those of the http tests, and the command itself."""

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
HTTP = os.path.join(os.path.dirname(HERE), "http")
sys.path.insert(0, HTTP)

spec = importlib.util.spec_from_file_location("http_conftest", os.path.join(HTTP, "conftest.py"))
http_conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(http_conftest)
for name in ("claims", "log_guard", "server", "make_server", "client", "users", "user", "as_root",
             "sim_process", "sim", "sim_settings"):
    globals()[name] = getattr(http_conftest, name)

from hb_httpd import BUILD, RUN_USER, is_root     # noqa: E402

TIMEOUT_SEC = 60


class Place:
    """A state directory and a settings file, as a server leaves them."""

    def __init__(self, settings=None, run_as=None):
        self.run_as = run_as
        self.root = tempfile.mkdtemp(prefix="hbctl", dir="/tmp")
        os.chmod(self.root, 0o755)
        self.state = os.path.join(self.root, "state")
        self.settings = os.path.join(self.root, "settings")
        os.mkdir(self.state, 0o750)
        self.owner = os.geteuid()
        if is_root():
            who = pwd.getpwnam(RUN_USER)
            os.chown(self.state, who.pw_uid, who.pw_gid)
            self.owner = who.pw_uid
        self.write({"HaloBuzzStateDir": self.state, "HaloBuzzPasswordCost": "4",
                    "HaloBuzzEnvironment": "test", "HaloBuzzPublicURL": "http://localhost:9",
                    **(settings or {})})

    def write(self, settings):
        with open(self.settings, "w") as f:
            f.writelines("%s %s\n" % item for item in settings.items())

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.root, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)


class Done:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def ctl():
    """ctl("user", "list", place=place): runs the command."""
    def run(*args, place=None, settings=None, stdin=None, environment=None, prefix=()):
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        env["LD_LIBRARY_PATH"] = os.path.join(BUILD, ".libs")
        env.update(environment or {})
        settings = settings or (place.settings if place else None)
        if settings:
            env["HALOBUZZ_SETTINGS"] = settings
        return Done(subprocess.run([*prefix, os.path.join(BUILD, ".libs", "halobuzzctl"), *args],
                                   env=env, input=stdin, text=True, capture_output=True,
                                   timeout=TIMEOUT_SEC))
    return run


@pytest.fixture
def make_place():
    made = []

    def make(**settings):
        made.append(Place(settings))
        return made[-1]

    yield make
    for one in made:
        one.remove()


@pytest.fixture
def place(make_place):
    return make_place()
