# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second backend: job templates of an AWX, which here is a small stand-in (tests/support/awx_jobs_stand_in.py)."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api_server import CLUSTERS, WIDE, Server, is_problem, runner_settings, serving
from awx_jobs_stand_in import TOKEN, StandIn, awx
from certificates import make


@pytest.fixture(scope="module")
def stand_in() -> Iterator[tuple[StandIn, str]]:
    with awx() as started:
        yield started


@pytest.fixture(scope="module")
def awx_server(
    stand_in: tuple[StandIn, str], nothing: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("awx")
    token = directory / "awx-token"
    token.write_text(TOKEN + "\n")
    backend = {
        "kind": "awx",
        "url": stand_in[1],
        "token_file": str(token),
        "templates": {"rejoin": "our rejoin"},
        "organization": "Databases",
        "poll_s": 0.1,
    }
    settings = {**runner_settings(nothing, CLUSTERS, limits=WIDE, open_legacy=True), "backend": backend}
    with serving(directory, settings) as started:
        yield started


@pytest.fixture
def client(awx_server: Server) -> Iterator[httpx.Client]:
    with awx_server.client(awx_server.token()) as made:
        yield made


def test_an_operation_is_a_job_template(
    awx_server: Server, client: httpx.Client, stand_in: tuple[StandIn, str]
) -> None:
    answer = client.post("/v1/clusters/main/failover", json={"candidate": "b"})
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    job = awx_server.wait_for_job(client, answer.json()["id"])
    assert (job["state"], job["report"], job["admitted"]) == ("succeeded", "b is primary.", True)
    assert job["backend"] == f"AWX job {len(stand_in[0].jobs)}"
    assert stand_in[0].jobs[-1]["template"] == "Relevo failover forced++Databases"
    assert stand_in[0].jobs[-1]["variables"].items() >= {"candidate": "b", "cluster": "main"}.items()
    assert stand_in[0].jobs[-1]["job_type"] == "run"
    log = client.get(f"/v1/jobs/{job['id']}/log").text
    assert "PLAY RECAP" in log
    assert "geheim" not in log + client.get(f"/v1/jobs/{job['id']}/events").text + answer.text


def test_the_old_endpoint_gives_its_answer(awx_server: Server) -> None:
    with awx_server.client() as anybody:
        answer = anybody.post("/failover")
        assert answer.status_code == 200
        assert answer.json() == {"status": "success", "message": "Failover ejecutado correctamente"}


def test_the_old_endpoint_does_not_wait_where_that_is_said(awx_server: Server, client: httpx.Client) -> None:
    with awx_server.client() as anybody:
        answer = anybody.post("/failover?wait=false")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert answer.json()["requested_by"] == "local"
    assert awx_server.wait_for_job(client, answer.json()["id"])["state"] == "succeeded"


def test_a_refusal_comes_through(client: httpx.Client) -> None:
    problem = is_problem(client.post("/v1/clusters/main/failback", json={}), 412)
    assert problem["detail"] == "a is paused. Nothing was changed."


def test_a_plan_comes_through(client: httpx.Client, stand_in: tuple[StandIn, str]) -> None:
    assert client.post("/v1/clusters/main/failback?plan=true", json={}).json() == {"version": 1, "refusals": []}
    assert stand_in[0].jobs[-1]["job_type"] == "check"


def test_answers_are_those_that_the_surveys_take(client: httpx.Client, stand_in: tuple[StandIn, str]) -> None:
    assert client.post("/v1/clusters/main/failover", json={"force": True}).status_code == 202
    assert stand_in[0].jobs[-1]["variables"].items() >= {"force": "true", "fence_living": "false"}.items()
    target = "2026-11-25T12:00:00+01:00"
    assert client.post("/v1/clusters/main/restores", json={"target": target}).status_code == 202
    assert stand_in[0].jobs[-1]["variables"].items() >= {"target": target, "target_type": "time"}.items()


def test_a_restore_in_place_is_a_template_of_its_own(awx_server: Server, stand_in: tuple[StandIn, str]) -> None:
    asked = {"to": "cluster", "target_type": "latest", "timeline": 3, "confirm": "main"}
    with awx_server.client(awx_server.token("root", "destroy")) as owner:
        assert owner.post("/v1/clusters/main/restores?plan=true", json=asked).status_code == 200
        assert owner.post("/v1/clusters/main/restores", json=asked).status_code == 202
    for job, kind in zip(stand_in[0].jobs[-2:], ("check", "run"), strict=True):
        assert (job["template"], job["job_type"]) == ("Relevo restore in place++Databases", kind)
        assert job["variables"].items() >= asked.items()


def test_an_awx_that_is_away_for_a_moment_loses_no_job(
    awx_server: Server, client: httpx.Client, stand_in: tuple[StandIn, str]
) -> None:
    stand_in[0].away = 5
    answer = client.post("/v1/clusters/main/failover", json={})
    assert answer.status_code == 202
    assert awx_server.wait_for_job(client, answer.json()["id"])["state"] == "succeeded"
    assert stand_in[0].away == 0


def test_a_template_may_have_another_name(client: httpx.Client, stand_in: tuple[StandIn, str]) -> None:
    assert client.post("/v1/clusters/main/rejoin", json={}).status_code == 202
    assert stand_in[0].jobs[-1]["template"] == "our rejoin"


def test_variables_that_awx_would_drop_stop_the_job(client: httpx.Client, stand_in: tuple[StandIn, str]) -> None:
    problem = is_problem(client.post("/v1/clusters/main/backups", json={"day": "1"}), 412)
    assert "does not take day" in problem["detail"]
    assert stand_in[0].cancelled == [len(stand_in[0].jobs)]


def test_a_template_that_is_not_there(client: httpx.Client) -> None:
    # status.yml has no template in this stand-in.
    problem = is_problem(client.get("/v1/clusters/main"), 503)
    assert "no job template Relevo status++Databases" in problem["detail"]


def test_an_awx_that_is_away(awx_server: Server, nothing: Path, tmp_path: Path) -> None:
    backend = {**awx_server.settings["backend"], "url": "http://127.0.0.1:1"}
    with (
        serving(tmp_path, {**runner_settings(nothing, CLUSTERS), "backend": backend}) as server,
        server.client(server.token()) as client,
    ):
        problem = is_problem(client.post("/v1/clusters/main/failback", json={}), 412)
        assert "does not answer as it should" in problem["detail"]


@pytest.mark.parametrize("known", [True, False])
def test_an_awx_is_known_by_its_authority(awx_server: Server, nothing: Path, tmp_path: Path, known: bool) -> None:
    """One of a company of its own, that no system knows: without it no job is launched, nor the token sent."""
    authority = make("Company authority")
    node = make("awx", authority, ca=False, address="127.0.0.1")
    (tmp_path / "authority.crt").write_text(authority.certificate)
    (tmp_path / "node.pem").write_text(node.certificate + node.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "node.pem")
    with awx(tls) as (stand_in, address):
        backend = {**awx_server.settings["backend"], "url": address}
        if known:
            backend["authority"] = str(tmp_path / "authority.crt")
        settings = {**runner_settings(nothing, CLUSTERS, limits=WIDE), "backend": backend}
        with serving(tmp_path, settings) as server, server.client(server.token()) as client:
            answer = client.post("/v1/clusters/main/rejoin", json={})
            if known:
                assert answer.status_code == 202
                assert server.wait_for_job(client, answer.json()["id"])["state"] == "succeeded"
                assert len(stand_in.jobs) == 1
            else:
                assert "CERTIFICATE_VERIFY_FAILED" in is_problem(answer, 412)["detail"]
                assert stand_in.jobs == []


def test_no_more_jobs_are_kept_than_that(awx_server: Server, nothing: Path, tmp_path: Path) -> None:
    settings = {
        **runner_settings(nothing, CLUSTERS, limits=WIDE, keep_jobs=2),
        "backend": awx_server.settings["backend"],
    }
    with serving(tmp_path, settings) as server, server.client(server.token()) as client:
        names = []
        for _number in range(4):
            names.append(client.post("/v1/clusters/main/rejoin", json={}).json()["id"])
            server.wait_for_job(client, names[-1])
        # Those before are removed when the next one begins.
        assert [client.get(f"/v1/jobs/{name}").status_code for name in names] == [404, 404, 200, 200]
