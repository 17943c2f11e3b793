# SPDX-License-Identifier: Apache-2.0
"""Hosts of one platform: each an httpd with a sidecar, a server root and a state directory of its own,
on one MongoDB and one Redis. Nothing but those and the secrets is shared."""

import os
import shutil
import tempfile

from hb_httpd import CACHE, RUN_USER, STORE, is_root, store_for_one
from hb_live import LiveServer


def shared(folder, store=None, cache=None):
    """Directives that make servers hosts of one new platform; its secrets are files in folder."""
    settings = {"HaloBuzzStore": store or store_for_one(),
                "HaloBuzzCache": "%s?prefix=p%s:" % (cache or CACHE, os.urandom(4).hex())}
    for directive in "HaloBuzzAuthSecret", "HaloBuzzAuthRefreshSecret":
        path = os.path.join(folder, directive)
        with open(path, "w") as f:
            f.write(os.urandom(40).hex())
        os.chmod(path, 0o600)
        if is_root():
            shutil.chown(path, RUN_USER, RUN_USER)
        settings[directive] = "file:" + path
    os.chmod(folder, 0o755)
    return settings


class Hosts(list):
    """n hosts of one platform, started one after the other."""

    def __init__(self, n=2, settings=None, **args):
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="hb", dir="/tmp")
        self.settings = {**shared(self.folder), **(settings or {})}
        self.args = args
        for _ in range(n):
            self.add()

    def add(self):
        one = LiveServer(settings=self.settings, **self.args)
        self.append(one)
        return one

    def start(self):
        for one in self:
            one.start()
        return self

    def stop(self):
        for one in self:
            one.stop()

    def close(self):
        for one in self:
            one.kill()
            one.remove()
        shutil.rmtree(self.folder)


def at(server, user):
    """The same person, with the same token, at another host."""
    from hb_client import Client
    return Client(server, user.token)


HAVE_BOTH = bool(STORE and CACHE)
