"""Relevo: our own playbooks on a pair of our own container nodes, run as a user would run them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from systems.base import (
    DATABASE,
    FIRST_PORTS,
    PASSWORD,
    PREFIX,
    USER,
    BenchmarkError,
    System,
    docker,
    in_node,
    multi_host_dsn,
    wait_until,
)

# The tests' driver of a cluster takes its names from the environment when it is imported.
os.environ["RELEVO_TEST_CLUSTER"] = PREFIX
os.environ["RELEVO_TEST_PORT"] = str(FIRST_PORTS["relevo"])
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

import cluster

PLAY_SECONDS = 600
NODES = (cluster.PRIMARY, cluster.STANDBY)
IN_RECOVERY = "SELECT pg_is_in_recovery()"
#: The standby streams and has all, the archiver has pushed all and did not fail last.
WHOLE = """
SELECT (SELECT count(*) FROM pg_stat_replication
         WHERE state = 'streaming' AND replay_lsn >= pg_current_wal_lsn() - 65536) = 1
   AND (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') = 0
   AND (SELECT coalesce(last_archived_time > coalesce(last_failed_time, '-infinity'), false) FROM pg_stat_archiver)
"""
#: WAL that only the primary has when it dies, in messages of 1 MB.
TAIL_MEGABYTES = 64
TAIL = f"SELECT pg_logical_emit_message(true, 'tail', repeat('x', 1000000)) FROM generate_series(1, {TAIL_MEGABYTES})"


def systems() -> list[System]:
    return [relevo()]


@functools.cache
def relevo() -> Relevo:
    """One pair for whoever measures on it: the floor does too."""
    return Relevo()


class Task:
    """A task of a play as Ansible's own record of events (callback ansible.posix.jsonl) tells of it."""

    def __init__(self, event: dict[str, Any]) -> None:
        self.results: list[dict[str, Any]] = list(event["hosts"].values())

    @property
    def changed(self) -> bool:
        return any(result.get("changed") for result in self.results)

    def ran(self, module: str) -> bool:
        return any(result.get("action") == f"relevo.postgres.{module}" for result in self.results)


def tasks_of(output: str) -> Iterator[Task]:
    """The tasks that ended well, in order."""
    for line in output.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        # A task that loops ends for each item, and then as a whole.
        if event.get("_event") == "v2_runner_on_ok":
            yield Task(event)


def failure_of(output: str) -> str:
    """Why a play failed, in the words of the task that did."""
    for line in output.splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("_event") in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
            for result in event["hosts"].values():
                return f"{event['task']['name']}: {result.get('msg', 'no reason given')}"
    return output[-500:] or "it said nothing"


def play(name: str, *arguments: str, inventory: Path = cluster.INVENTORY) -> tuple[float, list[Task]]:
    """Run a playbook; its seconds from the command's start to its end, and its tasks."""
    command = cluster.command_line(name, *arguments, inventory=inventory)
    events = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    started = time.monotonic()
    try:
        done = subprocess.run(
            command,
            cwd=cluster.ROOT,
            env=cluster.controller_environment() | events,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PLAY_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{name} did not end within {PLAY_SECONDS} s.") from None
    seconds = time.monotonic() - started
    if done.returncode:
        raise BenchmarkError(f"{name} failed. {failure_of(done.stdout) if done.stdout else done.stderr[-500:]}")
    return seconds, list(tasks_of(done.stdout))


class Relevo:
    name = "relevo"
    variant = ""
    automatic = False
    inventory: Path = cluster.INVENTORY
    nodes: tuple[str, str] = NODES
    ports: tuple[int, ...] = tuple(cluster.PORTS.values())

    def __init__(self) -> None:
        self._up = False

    def play(self, name: str, *arguments: str) -> tuple[float, list[Task]]:
        return play(name, *arguments, inventory=self.inventory)

    # --- make and remove -----------------------------------------------------------------------------------------

    def up(self) -> None:
        if self._up:
            return
        self.play("site.yml")
        primary = self.primary()
        if not self.ask(primary, f"SELECT true FROM pg_roles WHERE rolname = '{USER}'"):
            self.ask(primary, f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        if not self.ask(primary, f"SELECT true FROM pg_database WHERE datname = '{DATABASE}'"):
            self.ask(primary, f"CREATE DATABASE {DATABASE} OWNER {USER}")
        self._up = True

    def down(self) -> None:
        self.play("playbooks/down.yml", "-e", "down_data=true")
        self._up = False

    def versions(self) -> dict[str, str]:
        node = self.primary()
        ansible = json.loads(subprocess.run(
            [sys.executable, "-c", "import ansible.release, json; print(json.dumps(ansible.release.__version__))"],
            capture_output=True, text=True, check=True,
        ).stdout)  # fmt: skip
        return {
            "PostgreSQL": self.ask(node, "SHOW server_version"),
            "pgBackRest": in_node(node, "pgbackrest", "version").split()[-1],
            "ansible-core": ansible,
        }

    def provision_again(self) -> dict[str, float]:
        """``site.yml`` where there is nothing to do."""
        seconds, tasks = self.play("site.yml")
        if any(task.changed for task in tasks):
            raise BenchmarkError("A second site.yml changed something. Run it by hand to see what.")
        return {"command": seconds}

    # --- look ----------------------------------------------------------------------------------------------------

    @staticmethod
    def ask(node: str, sql: str) -> str:
        """A superuser's answer over the node's socket."""
        return in_node(node, "psql", "-XAtqc", sql, timeout=60).strip()

    def primary(self) -> str:
        """The node that takes writes now."""
        running = docker("ps", "--format", "{{.Names}}").split()
        found = [node for node in self.nodes if node in running and self._takes_writes(node)]
        if len(found) != 1:
            raise BenchmarkError(f"One primary was expected; these take writes: {', '.join(found) or 'none'}.")
        return found[0]

    def _takes_writes(self, node: str) -> bool:
        try:
            return self.ask(node, IN_RECOVERY) == "f"
        except BenchmarkError:
            # It is starting, or stopped: it takes none.
            return False

    def other(self, node: str) -> str:
        return self.nodes[1 - self.nodes.index(node)]

    def dsn(self) -> str:
        return multi_host_dsn(*self.ports, sslmode="require")

    def ready(self) -> None:
        def whole() -> bool:
            try:
                return self.ask(self.primary(), WHOLE) == "t"
            except BenchmarkError:
                return False

        wait_until(whole, "Relevo's pair to be whole: a primary, its standby streaming, its archive complete", 120)

    # --- planned -------------------------------------------------------------------------------------------------

    def hand_over(self) -> dict[str, float]:
        """``failover.yml`` away from the preferred primary, ``failback.yml`` back to it."""
        playbook = "failover.yml" if self.primary() == self.nodes[0] else "failback.yml"
        seconds, tasks = self.play(f"playbooks/{playbook}")
        return {
            "command": seconds,
            playbook: seconds,
            "window": result_of(tasks, "pg_switchover", "window_seconds")["window_seconds"],
        }

    # --- emergencies ---------------------------------------------------------------------------------------------

    def kill_primary(self) -> None:
        docker("kill", "-s", "KILL", self.primary())

    def disasters(self) -> dict[str, Callable[[], None]]:
        """What can happen to a primary, beside being killed."""
        return {"paused": self.pause_primary, "cut off": self.cut_off_primary, "killed with a tail": self.kill_ahead}

    def pause_primary(self) -> None:
        docker("pause", self.primary())

    def cut_off_primary(self) -> None:
        docker("network", "disconnect", cluster.NETWORK, self.primary())

    def kill_ahead(self) -> None:
        """Kill the primary when it has WAL that its standby never got."""
        primary = self.primary()
        docker("network", "disconnect", cluster.NETWORK, self.other(primary))
        self.ask(primary, TAIL)
        docker("kill", "-s", "KILL", primary)
        docker("network", "connect", cluster.NETWORK, self.other(primary))

    def emergency(self) -> dict[str, float]:
        """``failover.yml``. Its salvage: the copy of the dead primary's WAL and the replay. Its fencing: with proof and
        marker."""
        seconds, tasks = self.play("playbooks/failover.yml")
        fence, promotion = result_of(tasks, "pg_fence", "wal"), result_of(tasks, "pg_promote", "salvage_seconds")
        return {
            "command": seconds,
            "fencing": fence["seconds"],
            "salvage": fence["wal"]["seconds"] + promotion["salvage_seconds"],
            "salvaged_bytes": promotion["salvaged_bytes"],
        }

    def heal(self) -> None:
        """``rejoin.yml``, after what kept the node away has been fixed."""
        for node in self.nodes:
            if cluster.NETWORK not in json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", node)):
                docker("network", "connect", cluster.NETWORK, node)
            if docker("inspect", "-f", "{{.State.Paused}}", node).strip() == "true":
                docker("unpause", node)
        self.play("playbooks/rejoin.yml")
        self.ready()


def result_of(tasks: list[Task], module: str, key: str) -> dict[str, Any]:
    """What the call of the module that measured ``key`` returned."""
    for task in tasks:
        if task.ran(module) and key in task.results[0]:
            return task.results[0]
    raise BenchmarkError(f"No call of {module} returned {key}: nothing was handed over. Look at status.yml.")
