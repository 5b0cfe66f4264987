# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server answers without any cluster: who may ask, what is no request, and what is too much of one."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
from api_server import CLUSTERS, NODE, WIDE, Server, is_problem, pause, runner_settings, serving
from cluster import ROOT

INDEX = {
    "message": "API de Control PostgreSQL HA",
    "endpoints": {"failover": "POST /failover", "failback": "POST /failback"},
}


def test_the_old_index_is_what_it_was(anybody: httpx.Client) -> None:
    answer = anybody.get("/")
    assert answer.status_code == 200
    assert answer.json() == INDEX


@pytest.mark.parametrize("path", ["/v1/clusters", "/v1/jobs", "/v1/me", "/metrics", "/readyz", "/openapi.json"])
def test_nothing_else_is_open(anybody: httpx.Client, path: str) -> None:
    answer = anybody.get(path)
    is_problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


#: What is told, or done, without a token; each in its own way.
OPEN = {"/", "/failover", "/failback", "/healthz"}


def test_every_path_of_the_document_wants_a_token(api: httpx.Client, anybody: httpx.Client) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    asked = 0
    for path, item in paths.items():
        if path in OPEN or path.startswith("/nodes/"):
            continue
        for method in item:
            is_problem(anybody.request(method, re.sub(r"{\w+}", "main", path)), 401)
            asked += 1
    assert asked > 20


def test_from_another_address_the_old_endpoints_want_a_token(nothing: Path, tmp_path: Path) -> None:
    """This machine's own address in its network is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent by it.
        probe.connect(("192.0.2.1", 9))
        address = probe.getsockname()[0]
    assert not address.startswith("127.")
    settings = runner_settings(
        nothing, CLUSTERS, open_legacy=True, limits=WIDE, listen="0.0.0.0", allowed_hosts=["127.0.0.1", address]
    )
    with serving(tmp_path, settings) as server:
        away = f"http://{address}:{server.port}"
        problem = is_problem(httpx.post(f"{away}/failover"), 403)
        assert address in problem["detail"]
        assert not list((server.directory / "jobs").iterdir())
        assert httpx.get(f"{server.url}/").json() == INDEX
        # Nor is it one of control_api_health_from.
        assert httpx.get(f"{away}/nodes/{NODE}/health").status_code == 401
        assert httpx.get(f"{server.url}/nodes/{NODE}/health").status_code == 503


def test_a_supervisor_needs_no_token(anybody: httpx.Client) -> None:
    assert anybody.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_forwarded_or_a_browser_s_cross_site_post_does_nothing(
    server: Server, anybody: httpx.Client, headers: dict[str, str]
) -> None:
    before = len(server.audit())
    is_problem(anybody.post("/failover", headers=headers), 403)
    assert len(server.audit()) == before
    assert not list((server.directory / "jobs").iterdir())


def test_under_another_name_nothing_is_served(anybody: httpx.Client) -> None:
    is_problem(anybody.post("/failover", headers={"Host": "evil.example"}), 421)
    is_problem(anybody.get("/ui", headers={"Host": "evil.example:8088"}), 421)


def test_a_bad_a_missing_and_a_revoked_token(server: Server) -> None:
    word = server.token("gone", "read")
    with server.client(word) as client:
        assert client.get("/v1/me").json() == {"name": "gone", "scope": "read"}
        assert server.command("token", "revoke", "gone").returncode == 0
        is_problem(client.get("/v1/me"), 401)
    with server.client("relevo_gone_x") as client:
        is_problem(client.get("/v1/clusters"), 401)
        # An open endpoint is not open to whoever shows a wrong token.
        is_problem(client.post("/failover"), 401)
    listed = server.command("token", "list").stdout
    assert "gone" not in listed
    assert word not in listed


def test_a_scope_that_is_too_small(server: Server, tokens: dict[str, str]) -> None:
    with server.client(tokens["read"]) as client:
        assert client.get("/v1/clusters").status_code == 200
        problem = is_problem(client.post("/v1/clusters/main/failover"), 403)
        assert (problem["found"], problem["wanted"]) == ("read", "operate")
        is_problem(client.post("/failback"), 403)
    with server.client(tokens["operate"]) as client:
        for operation, body in (
            ("cleanup", {"operation": "keep", "keep": 9, "confirm": "main"}),
            ("restores", {"target_type": "latest", "to": "cluster", "confirm": "main"}),
        ):
            problem = is_problem(client.post(f"/v1/clusters/main/{operation}", json=body), 403)
            assert (problem["found"], problem["wanted"]) == ("operate", "destroy")
    assert not list((server.directory / "jobs").iterdir())


@pytest.mark.parametrize("operation", ["keep", "retention", "orphans", "all"])
@pytest.mark.parametrize("confirm", [{}, {"confirm": "other"}, {"confirm": "yes"}])
def test_what_loses_data_wants_the_name_of_the_cluster(
    server: Server, tokens: dict[str, str], operation: str, confirm: dict[str, str]
) -> None:
    with server.client(tokens["destroy"]) as client:
        problem = is_problem(client.post("/v1/clusters/main/cleanup", json={"operation": operation, **confirm}), 428)
        assert '"confirm": "main"' in problem["wanted"]
    assert not list((server.directory / "jobs").iterdir())


def test_a_header_that_is_no_address_is_refused(anybody: httpx.Client) -> None:
    is_problem(anybody.get("/", headers={"Host": "[::1"}), 421)
    is_problem(anybody.post("/failover", headers={"Origin": "http://[::1"}), 403)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/clusters/nobody", 404),
        ("POST", "/v1/clusters/nobody/failover", 404),
        ("GET", "/v1/jobs/nobody", 404),
        ("GET", "/v1/jobs/..%2f..%2fetc", 404),
        ("GET", "/no/such/path", 404),
        ("DELETE", "/v1/clusters", 405),
        ("POST", "/failover?cluster=nobody", 404),
    ],
)
def test_what_is_not_there(api: httpx.Client, method: str, path: str, status: int) -> None:
    is_problem(api.request(method, path), status)


@pytest.mark.parametrize(
    "body",
    [
        '{"candidate": "{{ 1 }}"}',
        '{"ansible_user": "root"}',
        '{"force": "maybe"}',
        "[]",
        "{",
    ],
)
def test_what_a_play_should_never_see(api: httpx.Client, body: str) -> None:
    answer = api.post("/v1/clusters/main/failover", content=body, headers={"Content-Type": "application/json"})
    is_problem(answer, 422)


def test_a_huge_body_is_refused(api: httpx.Client) -> None:
    is_problem(api.post("/v1/clusters/main/failover", content=b"x" * 100_000), 413)


def test_a_slow_body_is_not_waited_for(nothing: Path, tmp_path: Path) -> None:
    settings = runner_settings(nothing, CLUSTERS, limits={**WIDE, "body_s": 1})
    with serving(tmp_path, settings) as server, socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /failover HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
        slow.settimeout(10)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408")
        assert server.client().get("/healthz").status_code == 200


def test_too_many_requests_of_one_address(nothing: Path, tmp_path: Path) -> None:
    settings = runner_settings(nothing, CLUSTERS, limits={"rate": 1, "burst": 5, "refusals": 3})
    with serving(tmp_path, settings) as server:
        token = server.token("ana", "read")
        with server.client(token) as client:
            # More than a slow machine can ask while the allowance grows again.
            codes = [client.get("/v1/clusters").status_code for _ in range(20)]
            assert codes[0] == 200
            limited = client.get("/v1/clusters")
            is_problem(limited, 429)
            assert limited.headers["retry-after"]
            # Load balancers are not counted.
            assert {client.get(f"/nodes/{NODE}/health").status_code for _ in range(30)} == {503}
            pause(float(limited.headers["retry-after"]) + 0.5)
            assert client.get("/v1/clusters").status_code == 200
        with server.client("wrong") as guesser:
            pause(5)
            codes = [guesser.get("/v1/clusters").status_code for _ in range(5)]
            assert codes == [401, 401, 401, 429, 429]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("question", ["primary", "replica", "read-only", "health"])
def test_what_is_not_known_is_503_without_a_body(anybody: httpx.Client, method: str, question: str) -> None:
    answer = anybody.request(method, f"/nodes/{NODE}/{question}", headers={"Host": "haproxy.example"})
    assert (answer.status_code, answer.content) == (503, b"")
    assert anybody.request(method, f"/nodes/nobody/{question}").status_code == 404


def test_health_is_for_the_networks_that_are_named(nothing: Path, tmp_path: Path) -> None:
    with serving(tmp_path, runner_settings(nothing, CLUSTERS, health_from=["192.0.2.0/24"])) as server:
        with server.client() as client:
            assert client.get(f"/nodes/{NODE}/health").status_code == 401
        with server.client(server.token("lb", "read")) as client:
            assert client.get(f"/nodes/{NODE}/health").status_code == 503


def test_a_server_whose_watcher_says_nothing_is_not_ready(api: httpx.Client) -> None:
    assert "main" in is_problem(api.get("/readyz"), 503)["detail"]
    metrics = api.get("/metrics").text
    assert 'relevo_watcher_fresh{cluster="main"} 0.0' in metrics


def test_every_answer_has_the_headers_that_a_browser_needs(anybody: httpx.Client) -> None:
    for path in ("/", "/ui", "/v1/jobs", f"/nodes/{NODE}/health"):
        headers = anybody.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_the_page_is_small_and_asks_nobody_else(anybody: httpx.Client) -> None:
    names = [path.name for path in (ROOT / "roles/control_api/files/relevo_api/page").iterdir()]
    bodies = [anybody.get("/ui").text, *(anybody.get(f"/ui/{name}").text for name in names)]
    assert sum(len(body.encode()) for body in bodies) < 200_000
    for body in bodies:
        assert "https://" not in body
        assert not [word for word in body.split("http://")[1:] if not word.startswith("www.w3.org")]


def test_tls_and_certificates_of_clients(nothing: Path, tmp_path: Path) -> None:
    subprocess.run(
        (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 "
            "-addext subjectAltName=IP:127.0.0.1 -keyout k -out c"
        ).split(),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    certificate, key = str(tmp_path / "c"), str(tmp_path / "k")
    tls = {"tls_certificate": certificate, "tls_key": key}
    trusting = ssl.create_default_context(cafile=certificate)
    with serving(tmp_path, runner_settings(nothing, CLUSTERS, **tls, tls_client_authority=certificate)) as server:
        with pytest.raises(httpx.TransportError):
            server.client(verify=trusting).get("/healthz")
        trusting.load_cert_chain(certificate, key)
        assert server.client(verify=trusting).get("/healthz").status_code == 200
