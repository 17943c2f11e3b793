# SPDX-License-Identifier: Apache-2.0
"""Health, metrics and server-status: who sees what, in which shape."""

import re
import time

import pytest

from hb_client import Client, assert_problem, raw

PUBLIC = ["/health", "/healthz", "/livez", "/readyz"]
DETAILED = ["/api/v1/monitoring/health", "/api/v1/health"]
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

pytestmark = pytest.mark.smoke


def from_afar(server, path, more=b""):
    """As an outside client, through the proxy the server believes."""
    return raw(server, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
               b"X-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n" + more + b"\r\n",
               source=("127.0.0.9", 0))


@pytest.mark.parametrize("path", PUBLIC)
def test_the_public_body(client, path):
    reply = client.get(path)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert set(body) == {"status", "timestamp", "uptime", "environment"}
    assert body["status"] == "healthy" and body["environment"] == "test"
    assert STAMP.match(body["timestamp"]) and isinstance(body["uptime"], int)
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PUBLIC + DETAILED)
def test_head(client, path):
    reply = client.head(path)
    assert reply.status_code == 200 and reply.content == b""
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.shm
@pytest.mark.parametrize("path", DETAILED)
def test_details_for_this_host(client, path):
    body = client.get(path).json()
    assert body["services"] == {"database": "connected", "cache": "connected",
                                "redis": "not_used", "ai_engine": "not_used"}
    metrics = body["metrics"]
    assert re.match(r"^\d+%$", metrics["memory_usage"])
    assert re.match(r"^\d+%$", metrics["cpu_usage"])
    assert metrics["uptime"] == body["uptime"]
    assert metrics["threads_busy"] >= 1


def test_no_details_for_others(server):
    reply = from_afar(server, "/api/v1/monitoring/health")
    assert reply.status == 200
    assert b"services" not in reply.body and b"metrics" not in reply.body
    assert b'"status":"healthy"' in reply.body


def test_a_forwarded_request_is_not_local(client):
    """A proxy on this host that mod_remoteip does not know makes nobody local."""
    body = client.get("/api/v1/monitoring/health",
                      headers={"X-Forwarded-For": "203.0.113.7"}).json()
    assert "services" not in body
    assert_problem(client.get("/api/v1/monitoring/metrics",
                              headers={"Forwarded": "for=203.0.113.7"}), 401, "auth.required")


def test_metrics_are_not_for_others(server):
    assert from_afar(server, "/api/v1/monitoring/metrics").status == 401


def test_metrics_are_for_listed_addresses(make_server):
    server = make_server(modules=["remoteip"], settings={
        "HaloBuzzMonitorAddress": "198.51.100.0/24, 203.0.113.7"},
        extra="RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.9\n")
    assert from_afar(server, "/api/v1/monitoring/metrics").status == 200
    assert b"services" in from_afar(server, "/api/v1/health").body


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_]\w*="(?:[^"\\]|\\.)*"'
                    r'(?:,[a-zA-Z_]\w*="(?:[^"\\]|\\.)*")*\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)$')


def parse(text):
    """{(name, labels): value}; the whole grammar of text format 0.0.4 that we use."""
    samples, typed, current = {}, {}, None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert len(line.split(" ", 3)) == 4
            assert current not in typed, "family %s twice" % current
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and kind in ("counter", "gauge", "histogram")
            typed[name] = kind
        else:
            match = SAMPLE.match(line)
            assert match, line
            name, labels, value = match.groups()
            family = re.sub(r"_(bucket|sum|count)$", "", name) if name not in typed else name
            assert family == current, line
            assert (name, labels or "") not in samples, line
            samples[(name, labels or "")] = float(value)
    return samples


def scrape(client, path="/api/v1/monitoring/metrics"):
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(reply.text)


@pytest.mark.embedded
def test_the_metrics_page_parses_and_has_the_names_of_the_alerts(client):
    client.get("/health")
    client.get("/api/v1/no/such/thing")
    time.sleep(0.1)
    samples = scrape(client)
    names = {name for name, _ in samples}
    for name in ("http_requests_total", "http_request_duration_seconds_bucket",
                 "http_request_duration_seconds_sum", "http_request_duration_seconds_count",
                 "halobuzz_active_streams", "halobuzz_registrations_total",
                 "halobuzz_store_operations_total", "halobuzz_cache_entries",
                 "halobuzz_rate_limit_slots", "process_resident_memory_bytes",
                 "process_start_time_seconds", "halobuzz_threads", "halobuzz_build_info"):
        assert name in names, name
    assert samples[("up", '{job="sqlite"}')] == 1
    labels = " ".join(text for name, text in samples if name == "http_requests_total")
    assert 'route="/health"' in labels and 'status="200"' in labels
    bounds = re.findall(r'le="([^"]+)"', " ".join(text for name, text in samples))
    assert {"0.2", "0.5", "2", "+Inf"} <= set(bounds)
    assert samples[("process_resident_memory_bytes", "")] > 1 << 20


def test_counts_grow_by_what_was_asked(client):
    def count(samples):
        return sum(v for (name, text), v in samples.items()
                   if name == "http_requests_total" and 'route="/livez"' in text)

    before = count(scrape(client))
    for _ in range(25):
        client.get("/livez")
    time.sleep(0.1)
    assert count(scrape(client)) == before + 25


def test_counts_survive_a_reload(make_server):
    server = make_server()
    client = Client(server)
    for _ in range(5):
        client.get("/livez")
    server.graceful()
    time.sleep(0.1)
    samples = scrape(client)
    assert sum(v for (name, text), v in samples.items()
               if name == "http_requests_total" and 'route="/livez"' in text) == 5


@pytest.mark.embedded
def test_the_handler_serves_the_same_page(make_server):
    server = make_server(extra="""
<Location "/metrics">
    SetHandler halobuzz-metrics
    Require local
</Location>
""")
    assert ("up", '{job="sqlite"}') in scrape(Client(server), "/metrics")
    assert Client(server).post("/metrics").status_code == 405


def test_uptime_counts_over_reloads(make_server):
    server = make_server()
    time.sleep(1.2)
    server.graceful()
    assert Client(server).get("/health").json()["uptime"] >= 1


@pytest.mark.embedded
def test_server_status_has_our_section(client):
    page = client.get("/server-status").text
    assert "<h2>HaloBuzz</h2>" in page and "Registrations" in page
    lines = dict(line.split(": ", 1) for line in client.get("/server-status?auto").text.splitlines()
                 if ": " in line)
    assert lines["HaloBuzzStore"] == "sqlite up"
    assert int(lines["HaloBuzzRegistrations"]) >= 0


def test_maintenance(make_server):
    server = make_server(settings={"HaloBuzzMaintenance": "on"})
    client = Client(server)
    for path in PUBLIC + DETAILED:
        reply = client.get(path)
        assert reply.status_code == 200 and reply.json()["maintenance"] is True, path
    refused = client.get("/api/v1/users/me")
    assert_problem(refused, 503, "maintenance")
    assert int(refused.headers["Retry-After"]) > 0
    assert scrape(client)[("halobuzz_maintenance", "")] == 1
    server.settings["HaloBuzzMaintenance"] = "off"
    server.write_conf()
    server.graceful()
    assert "maintenance" not in client.get("/health").json()


def test_a_store_that_cannot_be_opened(make_server, claims):
    """Up, but unhealthy: 503 for balancers, and every call says why."""
    claims("HB02024", "HB02002", "~HB01")
    server = make_server(settings={"HaloBuzzStore": "sqlite:/nowhere/at/all/records.db"})
    client = Client(server)
    for path in ("/health", "/readyz", "/api/v1/monitoring/health"):
        reply = client.get(path)
        assert reply.status_code == 503 and reply.json()["status"] == "unhealthy", path
    assert client.get("/livez").status_code == 200
    assert client.get("/api/v1/health").json()["services"]["database"] == "disconnected"
    assert scrape(client)[("up", '{job="sqlite"}')] == 0
