"""What the control API costs: the health that it tells many load balancers, and a hand-over that is asked for over it.

Import it only where ``systems.relevo`` may be imported, which names the tests' cluster.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import many_clients
from api_server import Server, free_port, serving

from bench import bare_app
from bench.figures import spread
from bench.rounds import say
from bench.targets import Row
from systems.base import BenchmarkError, wait_until
from systems.relevo import NODES, Relevo, play

CLIENTS = 200
#: Seconds between an answer and the next question: as load balancers ask, and as fast as the server lets them.
PACES = {"each second": 1.0, "without a pause": 0.0}
#: Says the same for ever, as the watcher does. Its arguments: a line, and how often.
SAYS = "import sys, time\nwhile True:\n    print(sys.argv[1], flush=True)\n    time.sleep(0.5)"


def health_row(what: str, pace: str, expected: dict[str, int], heard: many_clients.Heard, seconds: float) -> Row:
    """What was heard, as a row of the results; ``expected``: the status by path."""
    found = spread(heard.seconds)
    return {
        "what": what,
        "pace": pace,
        "clients": CLIENTS,
        "answers": len(heard.seconds),
        "per_second": round(len(heard.seconds) / seconds, 1),
        "wrong": sum(number for (path, status), number in heard.answers.items() if expected[path] != status),
        "errors": dict(heard.errors),
        "median": found.median if found else None,
        "p95": found.p95 if found else None,
        "most": found.most if found else None,
    }


def expectations(primaries: list[str], standbys: list[str]) -> dict[str, int]:
    """The status of each path, when these are what they are. Others are fit for nothing."""
    right = {f"/nodes/{name}/primary" for name in primaries} | {f"/nodes/{name}/replica" for name in standbys}
    paths = (f"/nodes/{name}/{question}" for name in NODES for question in ("primary", "replica"))
    return {path: 200 if path in right else 503 for path in paths}


def ask(what: str, port: int, expected: dict[str, int], seconds: float, method: str = "OPTIONS") -> Iterator[Row]:
    for pace, pause in PACES.items():
        heard = many_clients.ask(port, list(expected), CLIENTS, seconds, pause, method)
        row = health_row(what, pace, expected, heard, seconds)
        say(f"{what}, {pace}: p95 {row['p95']}, {row['per_second']} answers a second, {row['wrong']} wrong")
        yield row


@contextmanager
def bare_server() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(bare_app.__file__), str(port)])
    try:
        wait_until(lambda: _answers(port), "a bare server to answer", 30)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _wait_for(server: Server, expected: dict[str, int]) -> None:
    def told() -> bool:
        return all(httpx.options(f"{server.url}{path}").status_code == status for path, status in expected.items())

    wait_until(told, "the API to say who is what", 60)


def _says(line: dict[str, Any]) -> list[str]:
    return [sys.executable, "-c", SAYS, json.dumps(line)]


def two_primaries() -> dict[str, Any]:
    """A line of a watcher that sees what should never be."""
    nodes = [{"name": name, "role": "primary", "streaming": False, "replay_lag_bytes": None} for name in NODES]
    return {"cluster": "main", "primaries": list(NODES), "nodes": nodes}


def health(installed: Server, relevo: Relevo, seconds: float) -> Iterator[Row]:
    """Every case, each at every pace; the floor first."""
    with bare_server() as port:
        yield from ask("floor", port, {"/": 200}, seconds)
    primary = relevo.primary()
    well = expectations([primary], [relevo.other(primary)])
    _wait_for(installed, well)
    # Once every five minutes the service has a play look at the backups; the first one is over then.
    looked = "relevo_check_timestamp_seconds"
    with installed.client(installed.token("bench", "read")) as client:
        wait_until(
            lambda: looked in client.get("/metrics").text,
            "the API to have looked at the backups",
            120,
        )
    yield from ask("`/healthz`", installed.port, {"/healthz": 200}, seconds, "GET")
    yield from ask("a primary and its standby", installed.port, well, seconds)
    for what, watcher, known in (("two primaries", _says(two_primaries()), 200), ("nothing known", [], 503)):
        with tempfile.TemporaryDirectory() as folder:
            # Without playbooks, none of which is needed, it starts none that would take a core meanwhile.
            settings = {**installed.settings, "watcher": watcher, "playbooks": folder}
            with serving(Path(folder), settings) as server:
                _wait_for(server, {f"/nodes/{NODES[0]}/health": known})
                yield from ask(what, server.port, expectations([], []), seconds)


def hand_overs(installed: Server, relevo: Relevo, rounds: int) -> Iterator[Row]:
    """``failover.yml`` and ``failback.yml`` by themselves, and over the old endpoints, which answer at the end."""
    if relevo.primary() != NODES[0]:
        play("playbooks/failback.yml")
    for number in range(rounds):
        ways = ("playbook", "api")
        for way in ways if number % 2 == 0 else reversed(ways):
            for operation in ("failover", "failback"):
                relevo.ready()
                seconds = _over_api(installed, operation) if way == "api" else play(f"playbooks/{operation}.yml")[0]
                say(f"{operation} by {way}: {seconds:.1f} s")
                yield {"operation": operation, "way": way, "round": number + 1, "seconds": seconds}


def _over_api(installed: Server, operation: str) -> float:
    started = time.monotonic()
    answer = httpx.post(f"{installed.url}/{operation}", timeout=600)
    if answer.status_code != 200:
        raise BenchmarkError(f"POST /{operation} answered {answer.status_code}: {answer.text[:500]}")
    return time.monotonic() - started


@contextmanager
def api_of(relevo: Relevo) -> Iterator[Server]:
    """The API as api.yml sets it up for Relevo's pair and ``make api`` runs it."""
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "control_api_service": "none",
            "control_api_venv": "",
            "control_api_open_legacy": True,
            "control_api_directory": folder,
            "control_api_port": free_port(),
        }
        play("playbooks/api.yml", "-e", json.dumps(given))
        relevo.ready()
        server = Server.installed(Path(folder)).start()
        try:
            yield server
        finally:
            server.stop()


def measure(relevo: Relevo, seconds: float, rounds: int) -> dict[str, Any]:
    """Health for ``seconds`` in each case, and ``rounds`` of hand-overs."""
    with api_of(relevo) as installed:
        return {
            "health": list(health(installed, relevo, seconds)),
            "hand_overs": list(hand_overs(installed, relevo, rounds)),
        }
