# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over a real cluster: the old commands move the primary, load balancers see it, one operation at a time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import httpx
import many_clients
import pytest
from api_server import Server, free_port, in_background, is_problem, serving
from browser import enter, page_of
from cluster import PRIMARY, SECRETS, STANDBY, docker, labels, play, psql, running, wait_until
from holding import controller, frozen
from operation_lock import wait_for_operation, wait_until_free
from playwright.sync_api import Browser, expect

SUCCESS = {
    "failover": '{"status":"success","message":"Failover ejecutado correctamente"}',
    "failback": '{"status":"success","message":"Failback ejecutado correctamente"}',
}

#: What has to be said even for a plan.
PLANNED = {
    "backups": {"day": "auto", "backup_force": True},
    "restores": {"target_type": "latest", "to": "cluster"},
    "cleanup": {"operation": "keep", "keep": 9},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Made for this file; with RELEVO_API_KEEP one that is there is used, and left."""
    if "RELEVO_API_KEEP" not in os.environ:
        play("playbooks/down.yml", "-e", "down_data=true")
    play("site.yml")
    if not labels():
        play("backup.yml")
    yield
    if "RELEVO_API_KEEP" not in os.environ:
        play("playbooks/down.yml", "-e", "down_data=true")


@pytest.fixture(scope="module")
def server(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As api.yml sets it up and ``make api`` runs it."""
    directory = tmp_path_factory.mktemp("api")
    settings = (
        "control_api_service=none",
        "control_api_venv=",
        "control_api_open_legacy=true",
        f"control_api_directory={directory}",
        f"control_api_port={free_port()}",
        '{"control_api_limits": {"rate": 1000, "burst": 5000}}',
    )
    arguments = [word for setting in settings for word in ("-e", setting)]
    done = play("playbooks/api.yml", *arguments)
    assert f"--settings {directory}/settings.json serve" in done.text
    assert play("playbooks/api.yml", *arguments).changed == 0
    installed = Server.installed(directory)
    # A refusal is waited for, however slow the machine is.
    installed.file.write_text(json.dumps({**installed.settings, "admission_s": 120}))
    started = installed.start()
    yield started
    started.stop()


@pytest.fixture
def api(server: Server) -> Iterator[httpx.Client]:
    with server.client(server.token()) as client:
        yield client


@pytest.fixture
def free() -> Iterator[None]:
    yield
    wait_until_free(15)


def primary() -> str:
    found = [node for node in (PRIMARY, STANDBY) if psql(node, "SELECT pg_is_in_recovery()") == "f"]
    assert len(found) == 1
    return found[0]


def health(server: Server, node: str, question: str) -> int:
    return httpx.options(f"{server.url}/nodes/{node}/{question}").status_code


def secrets() -> list[str]:
    words = [path.read_text().strip() for path in SECRETS.iterdir() if path.is_file()]
    assert len(words) > 3
    return words


def curl(server: Server, path: str) -> str:
    """As in the old documentation."""
    command = ["curl", "-sS", "-X", "POST", f"{server.url}{path}"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


def test_plain_http_has_to_be_said_where_others_reach_it(cluster: None, tmp_path: Path) -> None:
    given = (
        "control_api_service=none",
        "control_api_venv=",
        f"control_api_directory={tmp_path}",
        f"control_api_port={free_port()}",
        "control_api_listen=0.0.0.0",
    )
    arguments = [word for setting in given for word in ("-e", setting)]
    refused = play("playbooks/api.yml", *arguments, expect=2)
    assert "or control_api_plain_http=true behind a proxy" in refused.text
    assert not (tmp_path / "settings.json").exists()
    play("playbooks/api.yml", *arguments, "-e", "control_api_plain_http=true")
    started = Server.installed(tmp_path).start()
    try:
        assert started.settings["listen"] == "0.0.0.0"
        # Any address of this machine is one that it listens on, not only the first of its loopback.
        socket.create_connection(("127.0.0.2", started.port), timeout=10).close()
        assert httpx.get(f"{started.url}/healthz").status_code == 200
    finally:
        started.stop()


def test_load_balancers_see_who_is_what(server: Server, api: httpx.Client) -> None:
    wait_until(lambda: api.get("/readyz").status_code == 200, "the watcher to see the cluster", 30)
    wait_until(lambda: health(server, STANDBY, "replica") == 200, "the standby to stream", 30)
    assert [health(server, PRIMARY, one) for one in ("primary", "replica", "read-only", "health")] == [
        200,
        503,
        200,
        200,
    ]
    assert [health(server, STANDBY, one) for one in ("primary", "replica", "read-only", "health")] == [
        503,
        200,
        200,
        200,
    ]
    assert health(server, STANDBY, "replica?lag=16MB") == 200
    assert health(server, STANDBY, "replica?lag=much") == 422
    live = api.get("/v1/clusters").json()["clusters"][0]
    assert live["primary"] == live["preferred"] == PRIMARY
    assert api.get("/v1/clusters/main/nodes").json() == {**live, "nodes": ANY}
    metrics = api.get("/metrics").text
    assert f'relevo_node_role{{cluster="main",node="{PRIMARY}",role="primary"}} 1.0' in metrics
    assert f'relevo_replication_lag_bytes{{cluster="main",node="{STANDBY}"}}' in metrics
    for method in ("GET", "HEAD"):
        for node, question in ((PRIMARY, "primary"), (STANDBY, "replica")):
            answer = httpx.request(method, f"{server.url}/nodes/{node}/{question}")
            assert (answer.status_code, answer.content) == (200, b"")


def test_a_replica_that_is_behind_is_one_for_who_allows_it(server: Server) -> None:
    wait_until(lambda: health(server, STANDBY, "replica?lag=1MB") == 200, "the standby to have caught up", 30)
    psql(STANDBY, "SELECT pg_wal_replay_pause()")
    try:
        psql(
            PRIMARY,
            "SELECT pg_logical_emit_message(false, 'lag', repeat('x', 1000000), true) FROM generate_series(1, 4)",
        )
        wait_until(lambda: health(server, STANDBY, "replica?lag=1MB") == 503, "the lag to be seen", 10)
        assert health(server, STANDBY, "replica") == health(server, STANDBY, "replica?lag=1GB") == 200
    finally:
        psql(STANDBY, "SELECT pg_wal_replay_resume()")
    wait_until(lambda: health(server, STANDBY, "replica?lag=1MB") == 200, "the standby to have caught up", 30)


def test_what_the_check_of_the_backups_measures_is_a_metric_too(api: httpx.Client) -> None:
    def named() -> set[str]:
        return set(re.findall(r"^# TYPE (\w+) ", api.get("/metrics").text, re.MULTILINE))

    wait_until(lambda: "relevo_check_timestamp_seconds" in named(), "the first check of the backups", 120)
    assert {"relevo_backups", "relevo_catalog_up", "relevo_node_role", "relevo_jobs"} <= named()


def test_two_hundred_load_balancers_at_once_get_the_right_answer(server: Server) -> None:
    wait_until(lambda: health(server, STANDBY, "replica") == 200, "the standby to stream", 30)
    right = {f"/nodes/{PRIMARY}/primary": 200, f"/nodes/{PRIMARY}/replica": 503}
    right |= {f"/nodes/{STANDBY}/primary": 503, f"/nodes/{STANDBY}/replica": 200}
    heard = many_clients.ask(server.port, list(right), clients=200, seconds=5)
    assert heard.errors == {}
    assert set(heard.answers) == set(right.items())
    assert sum(heard.answers.values()) >= 200


def test_two_primaries_are_fit_for_nothing(server: Server, tmp_path: Path) -> None:
    """The watcher is told that the standby is where the primary is, so that it sees two."""
    told = json.loads((server.directory / "watch.json").read_text())
    nodes = {one["name"]: one for one in told["clusters"][0]["nodes"]}
    nodes[STANDBY].update(nodes[PRIMARY], name=STANDBY)
    watched = tmp_path / "watch.json"
    watched.write_text(json.dumps(told))
    watcher = [*server.settings["watcher"][:-1], str(watched)]
    with serving(tmp_path, {**server.settings, "watcher": watcher}) as other:
        wait_until(lambda: {health(other, node, "health") for node in nodes} == {200}, "both to be seen", 30)
        paths = [f"/nodes/{node}/{what}" for node in nodes for what in ("primary", "replica", "read-only")]
        heard = many_clients.ask(other.port, paths, clients=200, seconds=2)
    assert heard.errors == {}
    assert set(heard.answers) == {(path, 503) for path in paths}


def test_what_the_plays_say_is_served(api: httpx.Client) -> None:
    status = api.get("/v1/clusters/main").json()
    assert (status["primary"], status["version"]) == (PRIMARY, 1)
    assert status["age_s"] < 60
    started = time.monotonic()
    assert api.get("/v1/clusters/main?max_age=3600").json()["at"] == status["at"]
    assert time.monotonic() - started < 2
    backups = api.get("/v1/clusters/main/backups").json()
    assert backups["total"] == len(labels())
    assert {one["etiqueta"] for one in backups["items"]} == set(labels())
    assert api.get("/v1/clusters/main/backups?type=incremental&before=2000-01-01").json()["total"] == 0
    window = api.get("/v1/clusters/main/window?max_age=3600").json()
    assert window["window"]["from"] < window["window"]["until"]
    assert window["holes"] == []
    plan = api.post("/v1/clusters/main/switchover?plan=true", json={"candidate": STANDBY}).json()
    assert (plan["operation"], plan["action"], plan["refusals"]) == ("failover", "switchover", [])
    assert primary() == PRIMARY


def test_the_old_failover_command_moves_the_primary(server: Server, api: httpx.Client, free: None) -> None:
    asked = in_background(curl, server, "/failover")
    wait_until(lambda: api.get("/v1/jobs?state=running").json()["total"] == 1, "the job to run", 60)
    # Two at once: the second gets the holder.
    problem = is_problem(api.post("/v1/clusters/main/failover", json={}), 409)
    assert problem["holder"]["requested_by"] == "local"
    assert asked() == SUCCESS["failover"]
    assert primary() == STANDBY
    wait_until(lambda: health(server, STANDBY, "primary") == 200, "load balancers to see it", 5)
    wait_until(lambda: health(server, PRIMARY, "replica") == 200, "the old primary to stream", 30)
    assert [line["result"] for line in server.audit()] == ["refused", "succeeded"]
    # A desired state: said again, it moves nothing back.
    assert curl(server, "/failover") == SUCCESS["failover"]
    assert primary() == STANDBY


def brought_back(server: Server, api: httpx.Client, node: str) -> None:
    """A node that is down is a standby again: the plan says that, and changes nothing; the operation does it."""
    other = primary_beside(node)
    plan = api.post("/v1/clusters/main/rejoin?plan=true", json={}).json()
    assert (plan["operation"], plan["action"], plan["refusals"]) == ("rejoin", "rejoin", [])
    assert plan["message"] == f"{other} stays primary; 1 node rejoins."
    assert [one["name"] for one in plan["affects"]] == [node]
    assert not running(node)
    answer = api.post("/v1/clusters/main/rejoin", json={})
    assert answer.status_code == 202, answer.text
    job = server.wait_for_job(api, answer.json()["id"])
    assert (job["state"], job["operation"]) == ("succeeded", "rejoin"), job
    assert f"{node} follows" in job["report"]
    wait_until(lambda: health(server, node, "replica") == 200, f"{node} to stream", 30)
    assert primary() == other


def primary_beside(node: str) -> str:
    """The other one, which is primary."""
    other = {PRIMARY: STANDBY, STANDBY: PRIMARY}[node]
    assert psql(other, "SELECT pg_is_in_recovery()") == "f"
    return other


def test_a_rejoin_brings_the_old_primary_back_that_was_stopped(server: Server, api: httpx.Client, free: None) -> None:
    docker("kill", PRIMARY)
    wait_until(lambda: health(server, PRIMARY, "health") == 503, "load balancers to see it", 10)
    brought_back(server, api, PRIMARY)


def test_a_failback_goes_on_when_the_api_is_killed_in_its_middle(server: Server, free: None) -> None:
    token = server.token()
    with server.client(token) as client:
        job = client.post("/v1/clusters/main/failback", json={}, headers={"Idempotency-Key": "back"}).json()
    server.stop(signal.SIGKILL)
    server.start()
    with server.client(token) as client:
        again = client.post("/v1/clusters/main/failback", json={}, headers={"Idempotency-Key": "back"}).json()
        assert again["id"] == job["id"]
        ended = server.wait_for_job(client, job["id"])
        assert (ended["state"], ended["admitted"]) == ("succeeded", True)
        assert "primary" in ended["report"]
        # The status is from after it.
        assert client.get("/v1/clusters/main?max_age=3600").json()["primary"] == PRIMARY
    assert primary() == PRIMARY


def test_a_play_at_a_terminal_is_a_conflict_too(api: httpx.Client, free: None) -> None:
    with frozen(PRIMARY, "postgres: checkpointer"), controller("backup.yml", "-e", "day=2"):
        wait_for_operation("backup")
        problem = is_problem(api.post("/v1/clusters/main/failover", json={}), 409)
        assert problem["holder"]["operation"] == "backup"
        assert "backup.yml by" in problem["holder"]["sentence"]
        plain = is_problem(api.post("/failback"), 409)
        assert plain["check"] == "operation-lock"
    assert primary() == PRIMARY


def test_a_backup_from_here_is_named_to_those_at_a_terminal(server: Server, api: httpx.Client, free: None) -> None:
    with frozen(PRIMARY, "postgres: checkpointer"):
        job = api.post("/v1/clusters/main/backups", json={"day": "2"}).json()
        wait_for_operation("backup")
        shown = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        assert not [word for word in secrets() if any(word.encode() in line for line in shown)]
        refused = play("playbooks/failover.yml", expect=2)
        assert f"ana (API job {job['id']})" in refused.text
    assert server.wait_for_job(api, job["id"])["state"] == "succeeded"


@pytest.mark.long
def test_every_operation_shows_its_plan_to_a_reader_and_changes_nothing(server: Server) -> None:
    before = (primary(), labels())
    plays = {"switchover": "failover", "backups": "backup", "drills": "drill", "restores": "restore"}
    with server.client(server.token("reader", "read")) as reader:
        for name in [one["name"] for one in reader.get("/v1/operations").json()["operations"]]:
            answer = reader.post(f"/v1/clusters/main/{name}?plan=true", json=PLANNED.get(name, {}))
            assert answer.status_code == 200, answer.text
            assert (answer.json()["operation"], answer.json()["cluster"]) == (plays.get(name, name), "main")
        # None of them is a job.
        assert not [one for one in reader.get("/v1/jobs").json()["items"] if one["requested_by"] == "reader"]
    assert (primary(), labels()) == before


@pytest.mark.long
def test_a_drill_a_restore_and_a_cleanup_are_asked_for(server: Server, api: httpx.Client, free: None) -> None:
    known = set(labels())

    def done(client: httpx.Client, operation: str, body: dict[str, Any]) -> str:
        answer = client.post(f"/v1/clusters/main/{operation}", json=body)
        assert answer.status_code == 202, answer.text
        job = server.wait_for_job(client, answer.json()["id"])
        assert job["state"] == "succeeded", job
        return str(job["report"])

    done(api, "drills", {})
    drilled = api.get("/v1/clusters/main/drills").json()
    assert drilled["total"] == 1
    assert drilled["items"][0]["etiqueta"] in known
    assert drilled["items"][0]["resultado"] == "correcto"

    plan = api.post("/v1/clusters/main/restores?plan=true", json={"target_type": "latest"}).json()
    assert (plan["operation"], plan["refusals"]) == ("restore", [])
    restored = done(api, "restores", {"target_type": "latest"})
    [name] = set(re.findall(r"remove=(\S+)", restored))
    done(api, "restores", {"remove": name})

    with server.client(server.token("root", "destroy")) as owner:
        shown = owner.post("/v1/clusters/main/cleanup?plan=true", json={"operation": "keep", "keep": 9}).json()
        assert (shown["operation"], shown["refusals"]) == ("cleanup", [])
        done(owner, "cleanup", {"operation": "keep", "keep": 9, "confirm": "main"})
    assert known <= set(labels())


def descendants(process: int) -> list[int]:
    """A process and all that it started, wherever that has gone."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # "number (name) state parent"; a name may hold anything.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@pytest.mark.long
def test_what_became_of_a_failover_that_was_killed_is_asked_of_the_cluster(server: Server, free: None) -> None:
    token = server.token()
    with server.client(token) as client:
        job = client.post("/v1/clusters/main/failover", json={"candidate": STANDBY}).json()
        assert (job["state"], job["admitted"]) == ("running", True)
    state = json.loads((server.directory / "jobs" / job["id"] / "state.json").read_text())
    server.stop(signal.SIGKILL)
    for number in descendants(state["process"]):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    server.start()
    with server.client(token) as client:
        assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "interrupted"
        wait_until(lambda: bool(client.get(f"/v1/jobs/{job['id']}").json().get("found")), "the cluster's word", 180)
        found = client.get(f"/v1/jobs/{job['id']}").json()["found"]
    # What had begun in the node ends there, whoever has asked for it.
    assert found["primary"] in (PRIMARY, STANDBY, None)
    assert f"{found['primary'] or 'nobody'} is primary" in found["sentence"]
    wait_until_free(15)
    # The same again finishes what was cut off.
    assert curl(server, "/failover") == SUCCESS["failover"]
    assert primary() == STANDBY
    assert curl(server, "/failback") == SUCCESS["failback"]
    assert primary() == PRIMARY


@pytest.mark.long
def test_an_emergency_is_ended_from_here_and_the_dead_primary_brought_back(
    server: Server, api: httpx.Client, free: None
) -> None:
    docker("kill", PRIMARY)
    job = server.wait_for_job(api, api.post("/v1/clusters/main/failover", json={}).json()["id"])
    assert (job["state"], primary_beside(PRIMARY)) == ("succeeded", STANDBY), job
    wait_until(lambda: health(server, STANDBY, "primary") == 200, "load balancers to see it", 5)
    # It would come back as a second primary.
    assert not running(PRIMARY)
    brought_back(server, api, PRIMARY)
    assert curl(server, "/failback") == SUCCESS["failback"]
    assert primary() == PRIMARY


@pytest.mark.long
def test_a_hand_over_is_clicked_and_seen_to_its_end(
    browser: Browser, server: Server, api: httpx.Client, free: None
) -> None:
    with page_of(browser, server) as page:
        enter(page, server, server.token("clicker"))
        expect(page.locator("#headline")).to_have_text(f"{PRIMARY} is primary.")
        page.click("[data-operation=switchover]")
        page.click("#askPlan")
        expect(page.locator("#askYes")).to_be_enabled(timeout=240_000)
        page.click("#askYes")
        expect(page.locator("#headline")).to_have_text(f"{STANDBY} is primary.", timeout=240_000)
        # Not by its words: the log within it has them too.
        expect(page.locator(".job").first).to_have_attribute("data-state", "succeeded", timeout=240_000)
        expect(page.locator(".job .state").first).to_have_text("done")
        log = page.locator(".job .log")
        expect(log).to_contain_text("Show the plan")
        expect(log).to_contain_text(f"{STANDBY} accepts writes (write outage ")
    assert primary() == STANDBY
    assert curl(server, "/failback") == SUCCESS["failback"]
    assert primary() == PRIMARY


def test_no_secret_is_in_what_is_kept(server: Server) -> None:
    """Settings, jobs with their events and logs, the audit file, the log of the server; all but the passfile."""
    kept = [path for path in server.directory.rglob("*") if path.is_file() and path.name != "pgpass"]
    assert len(kept) > 20
    found = [(path, word[:3]) for path in kept for word in secrets() if word in path.read_text()]
    assert found == []


def test_a_primary_that_is_paused_is_not_known(server: Server) -> None:
    """Nobody answers, and no connection is closed either."""
    docker("pause", PRIMARY)
    try:
        wait_until(lambda: health(server, PRIMARY, "primary") == 503, "the answer to be old", 8)
        assert health(server, STANDBY, "replica") == 200
    finally:
        docker("unpause", PRIMARY)
    wait_until(lambda: health(server, PRIMARY, "primary") == 200, "it to be asked again", 10)


def test_the_health_paths_answer_at_once(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:

        def median_s(path: str) -> float:
            seconds = []
            for _ in range(100):
                started = time.perf_counter()
                assert client.get(path).status_code == 200
                seconds.append(time.perf_counter() - started)
            return sorted(seconds)[50]

        # What a machine with other work takes for an answer at all is none of theirs.
        assert median_s(f"/nodes/{PRIMARY}/primary") < max(0.05, 2 * median_s("/healthz"))
