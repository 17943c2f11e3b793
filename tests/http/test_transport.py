# SPDX-License-Identifier: Apache-2.0
"""The same answers over TLS, HTTP/2 and HTTP/1.0, and bodies that come in any form."""

import shutil
import socket
import subprocess
import time

import pytest

from hb_client import Client, assert_problem, raw
from hb_httpd import has_module

LOGIN = "/api/v1/auth/login"
JSON = {"Content-Type": "application/json"}


@pytest.mark.smoke
def test_over_tls(make_server):
    server = make_server(tls=True)
    client = Client(server)
    assert client.get("/health").json()["status"] == "healthy"
    assert_problem(client.get("/api/v1/nothing"), 404, "not_found")


def curl(server, *args):
    done = subprocess.run(["curl", "-sS", "--cacert", server.certificate, "--max-time", "20",
                           *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not has_module("http2"), reason="mod_http2 is not there")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_over_http2(make_server, claims):
    claims("AH10034")           # prefork has no HTTP/2
    server = make_server(tls=True, h2=True)
    if server.mpm == "prefork":
        pytest.skip("prefork has no HTTP/2")
    form = "%{http_version} %{http_code} %{content_type}\n"
    url = server.url
    assert curl(server, "--http2", "-o", "/dev/null", "-w", form, url + "/health") \
        == "2 200 application/json\n"
    assert curl(server, "--http2", "-o", "/dev/null", "-w", form, url + "/api/v1/nothing") \
        == "2 404 application/problem+json\n"
    assert curl(server, "--http2", "-o", "/dev/null", "-w", form, "-H",
                "Content-Type: application/json", "-d", "{", url + LOGIN) \
        == "2 400 application/problem+json\n"
    both = curl(server, "--http2", "-Z", *["-o/dev/null"] * 20, "-w", form,
                *[url + "/livez?%d" % n for n in range(20)])
    assert both == "2 200 application/json\n" * 20
    # Refused before the body was looked at: the stream is not reset behind the answer.
    many = curl(server, "--http2", *["-o/dev/null"] * 100, "-w", form, "-H",
                "Content-Type: application/json", "-d", '{"title":"x"}',
                *[url + "/api/v1/streams"] * 100)
    assert many == "2 401 application/problem+json\n" * 100


def test_http_1_0(server):
    reply = raw(server, b"GET /livez HTTP/1.0\r\n\r\n")
    assert reply.status == 200 and reply.body.startswith(b'{"status":"healthy"')


# --- bodies

def test_no_body(client):
    assert_problem(client.post(LOGIN), 400, "body.missing")


@pytest.mark.parametrize("body", [b"{", b"nope", b'{"a":1}{', b"{'a':1}", b'{"a":NaN}',
                                  b'{"a":1,"a":2}', b'\xff\xfe{}', b'{"a":"\xed\xa0\x80"}',
                                  b'{"a":' * 40 + b"1" + b"}" * 40, b"\x00"])
def test_not_json(client, body):
    document = assert_problem(client.post(LOGIN, data=body, headers=JSON), 400, "body.syntax")
    assert document["detail"]


@pytest.mark.parametrize("given", ["text/plain", "application/x-www-form-urlencoded",
                                   "application/jsonp", "application/+json", "json",
                                   "application/json; charset=latin-1"])
def test_not_called_json(client, given):
    assert_problem(client.post(LOGIN, data=b"{}", headers={"Content-Type": given}), 415, "body.type")


@pytest.mark.parametrize("given", ["application/json", "application/JSON;charset=UTF-8",
                                   'application/json; charset="utf-8"',
                                   "application/vnd.api+json"])
def test_called_json(client, given):
    assert_problem(client.post(LOGIN, data=b"{}", headers={"Content-Type": given}), 422,
                   "input.invalid")


def test_no_content_type(server):
    reply = raw(server, b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert reply.status == 415


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip"])
def test_a_compressed_body(client, encoding):
    assert_problem(client.post(LOGIN, data=b"\x1f\x8b", headers={
        **JSON, "Content-Encoding": encoding}), 415, "body.encoding")


def test_a_body_that_is_announced_too_large(client):
    assert_problem(client.post(LOGIN, data=b" " * (2 << 20), headers=JSON), 413, "body.too_large")


def test_a_chunked_body_that_becomes_too_large(client):
    def chunks():
        for _ in range(40):
            yield b" " * 65536
    try:
        reply = client.post(LOGIN, data=chunks(), headers=JSON)
    except Exception:           # the server may close before the client has sent all of it
        reply = None
    if reply is not None:
        assert_problem(reply, 413, "body.too_large")


def test_a_chunked_body_is_read(client):
    reply = client.post(LOGIN, data=iter([b'{"email":', b'"x"}']), headers=JSON)
    assert_problem(reply, 422, "input.invalid")


def test_a_refused_upload_is_not_waited_for(server):
    began = time.monotonic()
    reply = raw(server, b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n", timeout=10)
    assert reply.status == 413 and reply.headers["connection"] == "close"
    assert time.monotonic() - began < 8


def test_a_body_that_breaks_off(server):
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        s.shutdown(socket.SHUT_WR)
        data = b""
        while True:
            got = s.recv(65536)
            if not got:
                break
            data += got
    assert data == b"" or data.startswith(b"HTTP/1.1 400"), data


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}", b"-1\r\n{}\r\n",
                                    b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"])
def test_malformed_chunks(server, claims, chunks):
    claims("AH01588", "AH02446", "AH01590", "AH01591")
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                  b"application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
        s.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: s.recv(65536), b""))
    assert data == b"" or data.split()[1] in (b"400", b"413"), data


@pytest.mark.slow
def test_a_body_that_does_not_come(make_server, claims):
    claims("AH01382")           # mod_reqtimeout says so
    server = make_server(extra="RequestReadTimeout body=1")
    reply = raw(server, b"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{", timeout=10)
    assert reply.status == 408
    assert b'"code":"body.timeout"' in reply.body
