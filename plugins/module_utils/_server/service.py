# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service manager that keeps PostgreSQL running on a node: runit in our container image, systemd elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from .._errors import RelevoError
from .._wait import TimedOutError, wait_until
from .server import DB_SHUTDOWNED, DB_SHUTDOWNED_IN_RECOVERY, Server

SERVICE_DIR = Path("/etc/service")
#: Where runsv's status has what is wanted, "u" or "d", and the state.
WANT, STATE, DOWN = 17, 19, 0
#: How systemctl ends where there is no such unit to be stopped (systemctl(1), EXIT STATUS: program is not installed).
NOT_LOADED = 5


class Service(Protocol):
    """What a hand-over needs of a service manager."""

    def dont_restart(self) -> None:
        """From now on leave the service down when its process ends; sends no signal. Returns at once."""

    def start(self) -> None:
        """Ask for the service to run; returns without waiting for it to be ready."""

    def stop(self, timeout: float) -> None:
        """Stop it (PostgreSQL: fast shutdown) and wait for its processes to end."""

    def ask_to_stop(self) -> None:
        """Ask for the service to be down, and to stay so; returns without waiting for its processes to end."""

    def stopped(self) -> bool:
        """Whether it is down, and the manager does not mean to start it."""

    def wanted(self) -> bool:
        """Whether the manager means it to run."""


class Runit:
    """A service under ``runsv``, controlled by its FIFO: ``sv`` itself polls only every 0.42 s."""

    def __init__(self, name: str, service_dir: Path = SERVICE_DIR) -> None:
        self.name = name
        self.directory = service_dir / name

    def _control(self, command: str) -> None:
        fifo = self.directory / "supervise" / "control"
        try:
            handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise RelevoError(
                f"The supervisor of the service {self.name} does not listen at {fifo} ({error.strerror}). "
                "Restart the node: its first process must be runsvdir."
            ) from error
        try:
            os.write(handle, command.encode())
        finally:
            os.close(handle)

    def _status(self) -> tuple[bool, bool]:
        """Whether it is down, and whether it is wanted.

        From what runsv writes for ``sv`` (runsv.c, update_status). The text beside it calls a service that ends again
        and again just ``down`` in the second before its next start, as one that was stopped.
        """
        status = (self.directory / "supervise" / "status").read_bytes()
        return status[STATE] == DOWN, status[WANT : WANT + 1] == b"u"

    def dont_restart(self) -> None:
        self._control("o")

    def start(self) -> None:
        self._control("u")

    def stop(self, timeout: float) -> None:
        self.ask_to_stop()
        wait_until(self.stopped, f"the service {self.name} to stop", timeout)

    def ask_to_stop(self) -> None:
        self._control("d")

    def stopped(self) -> bool:
        down, wanted = self._status()
        return down and not wanted

    def wanted(self) -> bool:
        return self._status()[1]


class Systemd:
    """A unit under systemd. Its ``Restart=`` must not cover a clean exit, so ``dont_restart`` has nothing to do."""

    def __init__(self, name: str, runs_it: Callable[[], str] = str) -> None:
        self.unit = f"relevo-{name}.service"
        self._runs_it = runs_it

    def _others(self) -> list[str]:
        """The unit that runs an adopted server until its next start. Its drop-in keeps it from starting that again."""
        unit = self._runs_it()
        return [unit] if unit and unit != self.unit else []

    def _systemctl(self, *arguments: str, timeout: float = 30, unit: str = "") -> str:
        words = [*arguments, unit or self.unit]
        try:
            done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise RelevoError(f"systemctl {' '.join(words)} did not end within {timeout:g} s.") from None
        answered = arguments[0] == "is-active" or (arguments[0] == "stop" and done.returncode == NOT_LOADED)
        if done.returncode and not answered:
            raise RelevoError(f"systemctl {' '.join(words)} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def dont_restart(self) -> None:
        return None

    def start(self) -> None:
        self._systemctl("start", "--no-block")

    def stop(self, timeout: float) -> None:
        for unit in self._others():
            self._systemctl("stop", timeout=timeout, unit=unit)
        self._systemctl("stop", timeout=timeout)

    def ask_to_stop(self) -> None:
        for unit in self._others():
            self._systemctl("stop", "--no-block", unit=unit)
        # A stop that was asked for is followed by no start, whatever Restart= says, and takes back one that was due.
        self._systemctl("stop", "--no-block")

    def stopped(self) -> bool:
        # A unit that waits for its next start is "activating", one whose processes are ending "deactivating". An
        # adopted server is not in it: that has stopped when no unit runs it.
        return self._property("ActiveState") in ("inactive", "failed") and not self._others()

    def _property(self, name: str) -> str:
        return self._systemctl("show", "--value", f"--property={name}")

    def wanted(self) -> bool:
        return bool(self._others()) or self._systemctl("is-active") in ("active", "activating", "reloading")


def stop_for_good(service: Service, server: Server, timeout: float = 30, archiver: float | None = None) -> bool:
    """Stop the service, the waiting start guard included, and whatever runs on the node's data without it.

    ``archiver``: the server ends with its last checkpoint, which may take ``timeout`` seconds, and its archiver has
    that many more; what is left is ready in ``pg_wal/archive_status``. Without it a server that has not stopped in its
    time is ended. Returns whether a server ran. It is down when this returns; ``RelevoError`` otherwise.
    """
    running = server.postmaster_pid() is not None
    if running and archiver is not None:
        _shut_down(service, server, timeout, archiver)
    try:
        service.stop(timeout)
    except RelevoError:
        # An archiver or a sender that hangs.
        server.signal_postmaster(signal.SIGQUIT)
        service.stop(15)
    if server.postmaster_pid() is not None:
        # Started by hand, not by the service.
        server.signal_postmaster(signal.SIGINT)
        wait_until(lambda: server.postmaster_pid() is None, "the server of this node to stop", timeout)
    return running


def _shut_down(service: Service, server: Server, checkpoint: float, archiver: float) -> None:
    """Until the last WAL is written, and ``archiver`` seconds for who pushes it: a repository may be away."""
    service.ask_to_stop()
    # One that was started by hand is no service's.
    server.signal_postmaster(signal.SIGINT)
    wait_until(
        lambda: (
            server.postmaster_pid() is None or server.quick_state()[0] in (DB_SHUTDOWNED, DB_SHUTDOWNED_IN_RECOVERY)
        ),
        "the last checkpoint of the server of this node",
        checkpoint,
    )
    try:
        wait_until(lambda: server.postmaster_pid() is None, "its archiver to end", archiver)
    except TimedOutError:
        server.signal_postmaster(signal.SIGQUIT)


def running_unit() -> str:
    """The unit that runs this node's server; empty where there is none."""
    pid = Server().postmaster_pid()
    return unit_of(pid) if pid else ""


def unit_of(pid: int) -> str:
    """The unit of systemd that a process belongs to; empty where it belongs to none."""
    path = Path(f"/proc/{pid}/cgroup")
    for line in path.read_text().splitlines() if path.exists() else []:
        _number, controllers, group = line.split(":", 2)
        # The hierarchy that systemd keeps its units in, by the older and the newer kind.
        if controllers in ("", "name=systemd") and group.endswith(".service"):
            return group.rpartition("/")[2]
    return ""


def service_for(manager: str, name: str = "postgresql") -> Service:
    """The service ``name`` under ``manager`` (the inventory's ``node_service_manager``)."""
    if manager == "runit":
        return Runit(name)
    if manager == "systemd":
        return Systemd(name, running_unit if name == "postgresql" else str)
    raise RelevoError(f"Unknown service manager {manager}: set node_service_manager to runit or systemd.")
