"""Hold a server, or a playbook, in the middle of what it does: processes are stopped, and go on when they are let."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import (
    INVENTORY,
    PGDATA,
    ROOT,
    Play,
    command_line,
    controller_environment,
    psql,
    running,
    shell,
    wait_until,
)

FENCE = "/var/lib/postgresql/relevo/fence.json"
PROMOTE = f"{PGDATA}/promote"
LOCK_HOLDER = """
SELECT coalesce(max(application_name), '') FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'"""


def processes(node: str, title: str) -> list[str]:
    """The numbers, inside the node, of the processes of postgres whose title matches."""
    listed = shell(node, "ps", "-u", "postgres", "-o", "pid=,args=")
    rows = [line.split(None, 1) for line in listed.splitlines()]
    return [number for number, title_found in rows if re.search(title, title_found)]


def send(node: str, number: str, title: str) -> None:
    """Send a signal to the server's processes with this title; there must be one."""
    found = processes(node, title)
    assert found, f"no process {title} on {node}"
    shell(node, "kill", f"-{number}", *found)


@contextmanager
def frozen(node: str, title: str) -> Iterator[None]:
    """Stop processes for a while. What they were killed or replaced by meanwhile is left alone."""
    found = processes(node, title)
    assert found, f"no process {title} on {node}"
    shell(node, "kill", "-STOP", *found)
    try:
        yield
    finally:
        if running(node):
            left = [number for number in processes(node, title) if number in found]
            if left:
                shell(node, "kill", "-CONT", *left)


class Controller:
    """A playbook that runs in the background."""

    def __init__(self, name: str, *arguments: str, inventory: Path = INVENTORY) -> None:
        self.name = name
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            command_line(name, *arguments, inventory=inventory),
            cwd=ROOT,
            env=controller_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._read = ""

    def read_until(self, pattern: str) -> None:
        """Wait until it prints a line that matches; fails the test when it ends without one."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._read += line
            if re.search(pattern, line):
                return
        raise AssertionError(f"{self.name} ended and never printed {pattern}: {self._read[-4000:]}")

    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As a machine's end would: the controller and all that it has started on this side."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate(timeout=30)

    def wait(self) -> Play:
        output, _nothing = self._process.communicate(timeout=300)
        result = Play(self._process.returncode, self._read + output, time.monotonic() - self._started)
        print(f"\n$ ansible-playbook {self.name} &   [{result.seconds:.1f} s, status {result.code}]")
        return result


@contextmanager
def controller(name: str, *arguments: str) -> Iterator[Controller]:
    """Run a playbook beside the test; it does not outlive it."""
    started = Controller(name, *arguments)
    try:
        yield started
    finally:
        if started.running():
            started.kill()


def wait_for_lock(node: str) -> str:
    """Wait until a hand-over holds its lock on a node; returns who that is."""
    wait_until(lambda: psql(node, LOCK_HOLDER, "relevo") != "", f"a hand-over to hold its lock on {node}", 60)
    return psql(node, LOCK_HOLDER, "relevo")


def exists(node: str, path: str) -> bool:
    return shell(node, "sh", "-c", f"if test -e {path}; then echo yes; fi").strip() == "yes"
