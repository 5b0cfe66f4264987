# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server of the control API, started as a user would, and what asks it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from cluster import ROOT, controller_environment, wait_until

SOURCE = ROOT / "roles" / "control_api" / "files"
PYTHON_PATH = os.pathsep.join([str(SOURCE), str(ROOT / "collections")])

#: Of an inventory whose containers do not exist.
NETWORK = "relevo_api_nothing"
NODE = f"{NETWORK}_primary"
CLUSTERS = [
    {
        "name": "main",
        "preferred": NODE,
        "nodes": [{"name": NODE, "host": NODE, "address": "127.0.0.1", "port": 1}],
    }
]
#: Many requests of one address are what a test is.
WIDE = {"rate": 1000, "burst": 5000, "refusals": 5000}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One installation: its directory, and the process that serves it, which can be killed and started again."""

    def __init__(self, directory: Path, settings: dict[str, Any]) -> None:
        self.directory = directory
        self.file = directory / "settings.json"
        self.port = free_port()
        self.settings = {**settings, "state_directory": str(directory), "port": self.port}
        self.file.write_text(json.dumps(self.settings))
        self.process: subprocess.Popen[bytes] | None = None
        self.scheme = "https" if settings.get("tls_certificate") else "http"

    @classmethod
    def installed(cls, directory: Path) -> Server:
        """What api.yml has set up."""
        settings = json.loads((directory / "settings.json").read_text())
        made = cls.__new__(cls)
        made.directory, made.file, made.settings = directory, directory / "settings.json", settings
        made.port, made.process, made.scheme = settings["port"], None, "http"
        return made

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``python -m relevo_api``, as at a terminal."""
        return subprocess.run(
            [sys.executable, "-m", "relevo_api", "--settings", str(self.file), *arguments],
            env={**controller_environment(), "PYTHONPATH": PYTHON_PATH},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def token(self, name: str = "ana", scope: str = "operate") -> str:
        done = self.command("token", "make", name, "--scope", scope)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self) -> Server:
        log = (self.directory / "server.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "relevo_api", "--settings", str(self.file), "serve"],
            env={**controller_environment(), "PYTHONPATH": PYTHON_PATH},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        wait_until(self.answers, f"the API to answer (its log: {self.directory}/server.log)", 30)
        return self

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            assert self.process is not None
            assert self.process.poll() is None, (self.directory / "server.log").read_text()
            return False

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None

    def client(self, token: str | None = None, **more: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=200, **more)

    def audit(self) -> list[dict[str, Any]]:
        path = self.directory / "audit.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def wait_for_job(self, client: httpx.Client, name: str, timeout: float = 200) -> dict[str, Any]:
        def ended() -> bool:
            return bool(client.get(f"/v1/jobs/{name}").json()["state"] != "running")

        wait_until(ended, f"the job {name} to end", timeout)
        found: dict[str, Any] = client.get(f"/v1/jobs/{name}").json()
        return found


def runner_settings(inventory: Path, clusters: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Settings of a server that runs the playbooks of this checkout."""
    return {
        "playbooks": str(ROOT / "playbooks"),
        "project_directory": str(ROOT),
        "secrets_directory": str(inventory.parent / ".secrets"),
        "backend": {
            "kind": "runner",
            "ansible_playbook": str(Path(sys.executable).with_name("ansible-playbook")),
            "inventory": [str(inventory)],
            "ansible_config": str(ROOT / "ansible.cfg"),
        },
        "clusters": clusters,
        # A refusal is waited for, however slow the machine is.
        "admission_s": 120,
        **more,
    }


@contextmanager
def serving(directory: Path, settings: dict[str, Any]) -> Iterator[Server]:
    server = Server(directory, settings)
    try:
        yield server.start()
    finally:
        server.stop()


def in_background(work: Any, *arguments: Any, **named: Any) -> Any:
    """Run ``work`` in a thread; call the result to wait for what it returned."""
    kept: list[Any] = []
    thread = threading.Thread(target=lambda: kept.append(work(*arguments, **named)), daemon=True)
    thread.start()

    def answer() -> Any:
        thread.join(300)
        assert kept, "it did not return"
        return kept[0]

    return answer


def events_in(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Server-sent events; ends with the stream."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
        elif "data" in fields:
            yield {"id": int(fields.get("id", 0)), "event": fields["event"], "data": json.loads(fields["data"])}
            fields = {}
        else:
            fields = {}


def pause(seconds: float) -> None:
    """For what has to be slow on purpose."""
    time.sleep(seconds)


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """An answer is a problem document that says what helps."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    for name in ("title", "detail", "check", "found", "wanted"):
        assert isinstance(problem[name], str)
    assert problem["suggestion"]["command"]
    return problem
