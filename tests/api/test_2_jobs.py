# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: one at a time for a cluster, started once per key, and outliving the server. The plays are real, and refuse."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from api_server import Server, events_in, in_background, is_problem
from cluster import wait_until

SENTENCE = "Nothing was touched. Start the nodes, then run this again."


def running(server: Server) -> list[str]:
    folders = (server.directory / "jobs").iterdir()
    return [path.name for path in folders if (path / "job.json").exists() and not (path / "outcome.json").exists()]


def wait_for_a_job(server: Server) -> str:
    wait_until(lambda: bool(running(server)), "a job to run", 20)
    return running(server)[0]


def process_of(server: Server, name: str) -> int:
    """The process of a job's play, once the play has begun."""
    state = server.directory / "jobs" / name / "state.json"
    wait_until(state.exists, "its play to begin", 20)
    return int(json.loads(state.read_text())["process"])


@contextmanager
def held(process: int) -> Iterator[None]:
    """A job that cannot end: these plays refuse so soon that they would be over before a server has been stopped."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.fixture(autouse=True)
def nobody_works(server: Server) -> Iterator[None]:
    yield
    # What one test has failed over must not fail the next.
    if server.process is None:
        server.start()
    wait_until(lambda: not running(server), "every job to end", 60)


def test_a_refusal_is_412_with_the_one_sentence(server: Server, api: httpx.Client) -> None:
    answer = api.post("/v1/clusters/main/failover", json={})
    problem = is_problem(answer, 412)
    assert problem["detail"].endswith(SENTENCE)
    assert problem["wanted"] == "Start the nodes, then run this again."
    assert problem["suggestion"]["command"].startswith("ansible-playbook playbooks/")
    job = api.get(answer.headers["location"]).json()
    assert (job["state"], job["requested_by"], job["admitted"]) == ("failed", "operate", False)
    assert job["problem"]["detail"] == problem["detail"]
    assert SENTENCE in " ".join(api.get(f"/v1/jobs/{job['id']}/log").text.split())
    last = server.audit()[-1]
    assert (last["who"], last["from"], last["what"], last["result"], last["job"]) == (
        "operate",
        "127.0.0.1",
        "failover",
        "failed",
        job["id"],
    )


def test_a_plan_that_cannot_be_made_is_412_and_no_job(server: Server, api: httpx.Client) -> None:
    before = api.get("/v1/jobs").json()["total"]
    is_problem(api.post("/v1/clusters/main/failback?plan=true", json={}), 412)
    assert api.get("/v1/jobs").json()["total"] == before


def test_the_old_endpoint_fails_honestly(anybody: httpx.Client) -> None:
    problem = is_problem(anybody.post("/failback"), 412)
    assert problem["detail"].endswith(SENTENCE)


def test_two_at_once_and_the_second_learns_who_the_first_is(server: Server, api: httpx.Client) -> None:
    first = in_background(api.post, "/v1/clusters/main/failover", json={})
    name = wait_for_a_job(server)
    with held(process_of(server, name)):
        # Any operation that works on the same thing, by any way.
        for answer in (api.post("/v1/clusters/main/rejoin", json={}), api.post("/failback")):
            problem = is_problem(answer, 409)
            assert problem["holder"]["job"] == name
            assert problem["holder"]["requested_by"] == "operate"
            assert problem["suggestion"]["command"].endswith(f"/v1/jobs/{name}")
    assert server.audit()[-1]["result"] == "refused"
    assert first().status_code == 412


def test_also_across_two_servers_of_one_installation(server: Server, api: httpx.Client) -> None:
    second = Server(server.directory, {**server.settings})
    try:
        second.start()
        first = in_background(api.post, "/v1/clusters/main/failover", json={})
        name = wait_for_a_job(server)
        with held(process_of(server, name)), second.client(server.token("bob")) as other:
            assert is_problem(other.post("/v1/clusters/main/failback", json={}), 409)["holder"]["job"] == name
        assert first().status_code == 412
    finally:
        second.stop()
        server.file.write_text(json.dumps(server.settings))


def test_the_same_key_never_starts_a_second_job(api: httpx.Client) -> None:
    before = api.get("/v1/jobs").json()["total"]
    key = {"Idempotency-Key": "once"}
    answers = [in_background(api.post, "/v1/clusters/main/rejoin", json={}, headers=key) for _ in range(3)]
    problems = [is_problem(answer(), 412) for answer in answers]
    assert len({one["job"] for one in problems}) == 1
    assert api.get("/v1/jobs").json()["total"] == before + 1
    is_problem(api.post("/v1/clusters/main/failback", json={}, headers=key), 422)
    assert api.get("/v1/jobs").json()["total"] == before + 1


def test_events_go_on_after_the_last_that_was_seen(api: httpx.Client) -> None:
    job = is_problem(api.post("/v1/clusters/main/failover", json={}), 412)["job"]
    with api.stream("GET", f"/v1/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = list(events_in(answer.iter_lines()))
    numbers = [one["id"] for one in events[:-1]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {"task", "failed", "state"} <= {one["event"] for one in events}
    assert events[-1]["event"] == "end"
    assert events[-1]["data"]["state"] == "failed"
    with api.stream("GET", f"/v1/jobs/{job}/events", headers={"Last-Event-ID": str(numbers[-2])}) as answer:
        rest = list(events_in(answer.iter_lines()))
    assert [one["id"] for one in rest[:-1]] == numbers[-1:]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_outlives_its_request_and_its_server(server: Server, tokens: dict[str, str], number: int) -> None:
    with server.client(tokens["operate"]) as client:
        asked = in_background(lambda: _or_cut_off(client))
        name = wait_for_a_job(server)
        with held(process_of(server, name)):
            server.stop(number)
            # uvicorn answers for what it cut off itself.
            assert asked() in ("cut off", 500)
            assert name in running(server)
            server.start()
            # It is still the one operation of its cluster.
            with server.client(tokens["operate"]) as again:
                problem = is_problem(again.post("/v1/clusters/main/failback", json={}), 409)
                assert problem["holder"]["job"] == name
    with server.client(tokens["read"]) as client:
        job = server.wait_for_job(client, name)
    assert job["state"] == "failed"
    assert job["problem"]["detail"].endswith(SENTENCE)


def test_a_job_whose_own_process_was_killed_is_told_from_the_cluster(server: Server, tokens: dict[str, str]) -> None:
    with server.client(tokens["operate"]) as client:
        asked = in_background(lambda: _or_cut_off(client))
        name = wait_for_a_job(server)
        process = process_of(server, name)
        # It stays stopped: a killed process is not woken first.
        os.kill(process, signal.SIGSTOP)
        server.stop(signal.SIGKILL)
        os.kill(process, signal.SIGKILL)
        asked()
    server.start()
    with server.client(tokens["read"]) as client:
        assert client.get(f"/v1/jobs/{name}").json()["state"] == "interrupted"
        wait_until(lambda: bool(client.get(f"/v1/jobs/{name}").json().get("found")), "the cluster's word", 60)
        job = client.get(f"/v1/jobs/{name}").json()
    assert "nobody is primary" in job["found"]["sentence"]
    assert job["problem"]["suggestion"]["command"] == "ansible-playbook playbooks/failover.yml -e cluster=main"
    assert [line for line in server.audit() if line["job"] == name][-1]["result"] == "interrupted"


def test_who_waits_for_its_admission_waits_no_longer_than_is_said(server: Server) -> None:
    second = Server(server.directory, {**server.settings, "admission_s": 0.2})
    try:
        second.start()
        with second.client(server.token("ana")) as client:
            answer = client.post("/v1/clusters/main/rejoin", json={})
            assert answer.status_code == 202
            assert (answer.json()["state"], answer.json()["admitted"]) == ("running", False)
            assert second.wait_for_job(client, answer.json()["id"])["state"] == "failed"
    finally:
        second.stop()
        server.file.write_text(json.dumps(server.settings))


def _or_cut_off(client: httpx.Client) -> str | int:
    try:
        return client.post("/v1/clusters/main/failover", json={}).status_code
    except httpx.TransportError:
        return "cut off"


def test_jobs_are_paged_and_filtered(api: httpx.Client) -> None:
    every = api.get("/v1/jobs?limit=1000").json()
    assert every["total"] == len(every["items"]) > 3
    second = api.get("/v1/jobs?limit=1&offset=1").json()
    assert second["items"] == every["items"][1:2]
    assert api.get("/v1/jobs?state=interrupted").json()["total"] == 1
    assert api.get("/v1/jobs?cluster=other").json()["total"] == 0


def test_what_is_kept_is_for_nobody_else(server: Server) -> None:
    for name in ("jobs", "claims", "keys", "views"):
        assert (server.directory / name).stat().st_mode & 0o077 == 0, name
    for name in ("tokens.json", "audit.log"):
        assert (server.directory / name).stat().st_mode & 0o077 == 0, name


def test_what_failed_last_is_a_metric(api: httpx.Client) -> None:
    before = time.time()
    is_problem(api.post("/v1/clusters/main/failback", json={}), 412)
    metrics = api.get("/metrics").text
    found = re.search(
        r'^relevo_job_last_failure_timestamp_seconds{cluster="main",operation="failback"} (\S+)$', metrics, re.MULTILINE
    )
    assert found
    # In whole seconds.
    assert float(found[1]) >= int(before)
    assert "relevo_job_last_success_timestamp_seconds{" not in metrics
