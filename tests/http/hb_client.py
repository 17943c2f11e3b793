# SPDX-License-Identifier: Apache-2.0
"""Requests to a server under test."""

import socket
import ssl

import requests

TIMEOUT_SEC = 20


class Client:
    """One caller with a connection pool of its own; token is sent when it is set."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.session = requests.Session()
        self.session.trust_env = False
        self.reloads = server.reloads
        if server.tls:
            self.session.verify = server.certificate

    def request(self, method, path, token=None, headers=None, **args):
        if self.reloads != self.server.reloads:
            # Children that go close what is idle, perhaps as it is asked.
            self.reloads = self.server.reloads
            self.session.close()
        headers = dict(headers or {})
        token = token or self.token
        if token:
            headers.setdefault("Authorization", "Bearer " + token)
        args.setdefault("timeout", TIMEOUT_SEC)
        args.setdefault("allow_redirects", False)
        return self.session.request(method, self.server.url + path, headers=headers, **args)

    def get(self, path, **args):
        return self.request("GET", path, **args)

    def head(self, path, **args):
        return self.request("HEAD", path, **args)

    def post(self, path, json=None, **args):
        return self.request("POST", path, json=json, **args)

    def patch(self, path, json=None, **args):
        return self.request("PATCH", path, json=json, **args)

    def put(self, path, json=None, **args):
        return self.request("PUT", path, json=json, **args)

    def delete(self, path, json=None, **args):
        return self.request("DELETE", path, json=json, **args)

    def options(self, path, **args):
        return self.request("OPTIONS", path, **args)

    def close(self):
        self.session.close()


class RawReply:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.data = data
        self.status = int(lines[0].split()[1]) if lines[0].startswith(b"HTTP/") else None
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            self.headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")


def raw(server, data, timeout=TIMEOUT_SEC, source=None):
    """Send bytes as they are, read until the server closes or the time is over."""
    with socket.create_connection(("127.0.0.1", server.port), timeout, source) as plain:
        s = plain
        if server.tls:
            context = ssl.create_default_context(cafile=server.certificate)
            s = context.wrap_socket(plain, server_hostname="localhost")
        chunks = []
        try:
            s.sendall(data)
            while True:
                chunk = s.recv(65536)
                if not chunk:
                    break
                chunks.append(chunk)
        except (socket.timeout, ConnectionResetError, BrokenPipeError):
            pass
        return RawReply(b"".join(chunks))


def assert_problem(reply, status, code=None):
    """A refusal in the one shape of the platform; gives the document."""
    assert reply.status_code == status, (reply.status_code, reply.text[:500])
    assert reply.headers["Content-Type"] == "application/problem+json", reply.headers
    document = reply.json()
    assert {"type", "title", "status", "code", "requestId"} <= set(document), document
    assert set(document) <= {"type", "title", "status", "code", "requestId", "detail", "errors"}
    assert document["status"] == status
    assert document["type"].endswith("/docs/errors#" + document["code"])
    assert document["requestId"] == reply.headers["X-Request-Id"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert int(reply.headers["Content-Length"]) == len(reply.content)
    if status == 401:
        assert reply.headers["WWW-Authenticate"]
    if code is not None:
        assert document["code"] == code, document
    return document
