"""What a case plays with: the nodes by their roles when the play begins, and the states that it can begin in."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from clients import NeverTwo, Writer, more, takes_writes, wait_until_streaming
from cluster import (
    NETWORK,
    PGDATA,
    PRIMARY,
    REDIS,
    REPOSITORY,
    STANDBY,
    VERSION,
    docker,
    psql,
    shell,
)
from controller import Ended, run

#: As tests/machines/test_d_faults.py has them. Their Redis is on the repository host.
ON_MACHINES = "RELEVO_TEST_INVENTORY" in os.environ
NODES = (PRIMARY, STANDBY, REPOSITORY) if ON_MACHINES else (PRIMARY, STANDBY, REPOSITORY, REDIS)
BINARY = f"/usr/lib/postgresql/{VERSION}/bin/postgres"
FENCE = "/var/lib/postgresql/relevo/fence.json"


class Broken(AssertionError):
    """The cluster is not as a case must find it."""


@dataclass
class Scene:
    """``primary`` and ``standby`` are those of the begin; in an emergency, the dead one and the candidate."""

    primary: str
    standby: str
    writer: Writer
    watch: NeverTwo
    undo: ExitStack = field(default_factory=ExitStack)

    def node(self, role: str) -> str:
        return {"primary": self.primary, "standby": self.standby, "repository": REPOSITORY, "redis": REDIS}[role]


# --- containers ------------------------------------------------------------------------------------------------------


def status(node: str) -> str:
    """``running``, ``paused``, ``exited``, or ``missing``."""
    done = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.Status}}", node], capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip() if done.returncode == 0 else "missing"


def connected(node: str) -> bool:
    return NETWORK in json.loads(docker("inspect", "-f", "{{json .NetworkSettings.Networks}}", node))


def signal_process(node: str, pid: str, name: str) -> None:
    shell(node, "kill", f"-{name}", pid)


def signal_if_there(node: str, pid: str, name: str) -> None:
    """For a process that may have ended by itself meanwhile."""
    shell(node, "sh", "-c", f"! kill -0 {pid} 2>/dev/null || kill -{name} {pid}")


def wait_inside(node: str, condition: str, what: str, timeout: int = 60) -> None:
    """Wait for a condition of the shell, asked in the node itself so that it is seen at once."""
    script = f"until {condition}; do sleep 0.02; done"
    done = subprocess.run(
        ["docker", "exec", node, "timeout", str(timeout), "sh", "-c", script], capture_output=True, timeout=timeout + 30
    )
    assert done.returncode == 0, f"timed out after {timeout} s waiting for {what} on {node}"


def start(node: str) -> None:
    if status(node) == "exited":
        docker("start", node)
        if ON_MACHINES:
            wait_inside(node, "systemctl is-active --quiet ssh", "its sshd", 120)


def unpause(node: str) -> None:
    if status(node) == "paused":
        docker("unpause", node)


def connect(node: str) -> None:
    if status(node) != "missing" and not connected(node):
        docker("network", "connect", NETWORK, node)


# --- whole, and made whole again -------------------------------------------------------------------------------------


def current_primary() -> str | None:
    """The one node that takes writes."""
    found = [node for node in (PRIMARY, STANDBY) if takes_writes(node)]
    return found[0] if len(found) == 1 else None


def demand_whole() -> str:
    """Everything runs, one node is primary, the other streams, nothing is fenced. Returns the primary."""
    for node in NODES:
        if status(node) != "running" or not connected(node):
            raise Broken(f"{node} is {status(node)}")
    found = current_primary()
    if found is None:
        raise Broken("there is not exactly one primary")
    if psql(found, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "1":
        raise Broken("no standby streams")
    if backup_processes():
        raise Broken("a backup is at work")
    for node in (PRIMARY, STANDBY):
        if shell(node, "sh", "-c", f"ls {FENCE} {PGDATA}.new 2>/dev/null || :"):
            raise Broken(f"{node} is fenced, or was left in the middle of a copy")
    return found


def backup_processes() -> list[str]:
    """What a case has left running on the repository host, and what would keep the next backup from its lock."""
    listed = shell(REPOSITORY, "ps", "-u", "postgres", "-o", "pid=,args=").splitlines()
    return [line.split()[0] for line in listed if re.search(r"pgbackrest .*backup\b", line)]


def must(name: str, *arguments: str) -> Ended:
    ended = run(name, *arguments)
    assert ended.code == 0, f"{name} {' '.join(arguments)}: {ended.said}\n{ended.output[-3000:]}"
    return ended


def provision() -> None:
    """From nothing to a cluster with a backup and the table that the clients write."""
    assert not ON_MACHINES, "machines are made anew by the test that comes next"
    must("playbooks/down.yml", "-e", "down_data=true")
    must("site.yml")
    must("backup.yml", "-e", "day=1")


def repair() -> str:
    """Make the cluster whole after a case that broke it; returns what that took."""
    for node in NODES:
        unpause(node)
        connect(node)
        start(node)
    for number in backup_processes():
        signal_if_there(REPOSITORY, number, "TERM")
    for node in (PRIMARY, STANDBY):
        if status(node) == "running":
            # Whatever a case has frozen.
            shell(node, "kill", "-CONT", "--", "-1")
    for name in ("rejoin.yml", "failover.yml", "rejoin.yml"):
        if run(f"playbooks/{name}").code == 0:
            try:
                demand_whole()
            except AssertionError:
                continue
            return name
    provision()
    return "made anew"


def ensure(wanted: str) -> str:
    """The cluster is whole and ``wanted`` is primary. Returns what had to be repaired, which is no part of a case."""
    repaired = ""
    try:
        found = demand_whole()
    except AssertionError:
        repaired = repair()
        found = demand_whole()
    if found != wanted:
        must("playbooks/failback.yml" if wanted == PRIMARY else "playbooks/failover.yml")
        wait_until_streaming(wanted)
    return repaired


# --- states that a play begins in ------------------------------------------------------------------------------------


def nothing(scene: Scene) -> None:
    more(scene.writer)


def primary_killed(scene: Scene) -> None:
    """The primary dies with rows that only it has."""
    docker("network", "disconnect", NETWORK, scene.standby)
    more(scene.writer, 40)
    docker("kill", scene.primary)
    docker("network", "connect", NETWORK, scene.standby)


def server_dead(scene: Scene) -> None:
    """On a machine that goes on, the primary's server dies with rows that only it has, and cannot be started again."""
    docker("network", "disconnect", NETWORK, scene.standby)
    more(scene.writer, 40)
    gone = f"{BINARY}.away"
    shell(scene.primary, "sh", "-ec", f"mv {BINARY} {gone}; systemctl kill --signal=KILL relevo-postgresql")
    scene.undo.callback(shell, scene.primary, "mv", gone, BINARY)
    docker("network", "connect", NETWORK, scene.standby)


#: The emergency of the kind of node. A machine that is switched off needs a fence command, and gives up no WAL.
die = server_dead if ON_MACHINES else primary_killed


def cut(scene: Scene, node: str) -> None:
    """No client outside reaches it then, so whether it takes writes is asked inside."""
    docker("network", "disconnect", NETWORK, node)
    scene.watch.inside.add(node)

    def repair() -> None:
        connect(node)
        scene.watch.inside.discard(node)

    scene.undo.callback(repair)


def old_primary_down(scene: Scene) -> None:
    """After an emergency: the preferred primary is down, fenced, and has to be rewound."""
    die(scene)
    must("playbooks/failover.yml")
    # It can be started by now, and is kept down by nothing but its fence.
    scene.undo.close()
    scene.primary, scene.standby = scene.standby, scene.primary
    more(scene.writer)


def standby_stopped(scene: Scene) -> None:
    docker("stop", scene.standby)
    more(scene.writer)


def two_full_backups(scene: Scene) -> None:
    """The older one can go."""
    must("backup.yml", "-e", "day=1", "-e", "backup_force=true")
    more(scene.writer)


def standby_lost(scene: Scene) -> None:
    """Its machine is gone with its disk."""
    docker("rm", "--force", scene.standby)
    docker("volume", "rm", f"{scene.standby}_data", f"{scene.standby}_etc")
    more(scene.writer)


#: The state's name as the table shows it; who is primary before, and what is done then.
STATES: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "": (PRIMARY, nothing),
    "after a failover": (STANDBY, nothing),
    "primary killed": (PRIMARY, die),
    "old primary down": (PRIMARY, old_primary_down),
    "standby stopped": (PRIMARY, standby_stopped),
    "standby lost": (PRIMARY, standby_lost),
    "two full backups": (PRIMARY, two_full_backups),
}
