"""What the benchmark wants of every system that it measures, and what all of them share.

``systems/NAME.py`` has a function ``systems() -> list[System]`` that returns its variants; `run` imports it by its name
(patroni, repmgr, pg_auto_failover, relevo, floor), so that a file that is missing is one sentence and no traceback.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Protocol

#: Every container, volume, network and image of the benchmark has a name that begins so.
PREFIX = "relevo_bench"
DATABASE = USER = "bench"
#: It guards nothing: the servers listen on 127.0.0.1 of this machine, for the time of a run.
PASSWORD = "bench"

#: The first published port of each system's nodes on 127.0.0.1; a tuned variant has the next ten. The floor is a script
#: on Relevo's own pair.
FIRST_PORTS = {"relevo": 25432, "patroni": 25452, "repmgr": 25472, "pg_auto_failover": 25492}
TUNED_OFFSET = 10

#: The settings that decide how long a stop, a checkpoint and a catch-up take: the same in all systems. Data checksums
#: are on in all as well. Whatever else a system sets by itself stays as its users get it.
POSTGRESQL_SETTINGS = {
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "wal_keep_size": "512MB",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "max_connections": "100",
    "archive_mode": "on",
    "archive_timeout": "5min",
    "logging_collector": "on",
    "log_checkpoints": "on",
}


class BenchmarkError(Exception):
    """One sentence that says what went wrong and what to do."""


class NotOffered(BenchmarkError):
    """The system has no such operation; the sentence says so, and the table shows it."""


class System(Protocol):
    """A pair of PostgreSQL servers under somebody's care. Figures are seconds."""

    @property
    def name(self) -> str:
        """The name of its file, as on the command line."""

    @property
    def variant(self) -> str:
        """``defaults``, ``tuned`` (what its users recommend for speed), or nothing where there is one only."""

    @property
    def automatic(self) -> bool:
        """Whether it promotes the standby of a dead primary by itself, without a command."""

    def versions(self) -> dict[str, str]:
        """What runs in it, asked of itself: programs and their versions."""

    def up(self) -> None:
        """Make it from nothing, or finish what is missing: two nodes, archiving by pgBackRest over TLS to a repository
        host, the database ``bench`` and a role ``bench`` that may create tables in it."""

    def down(self) -> None:
        """Remove all of it, by name."""

    def dsn(self) -> str:
        """Both nodes over their published ports, whichever takes writes: ``target_session_attrs=read-write``."""

    def ready(self) -> None:
        """Wait, with a deadline, until one primary takes writes, the standby streams from it, and archiving works."""

    def hand_over(self) -> dict[str, float]:
        """Move the role to the other node, by the system's own command.

        ``command`` is how long that took, whatever else is the system's own figure. It may return before the pair is
        whole again: ``ready`` waits for that.
        """

    def kill_primary(self) -> None:
        """``docker kill -s KILL`` of the node that takes writes."""

    def emergency(self) -> dict[str, float]:
        """What an operator types when the primary is dead; ``command`` is how long that took.

        Raises ``NotOffered`` where there is no such command.
        """

    def heal(self) -> None:
        """Bring the dead node back as a standby, in the system's own way, then ``ready``."""


def label(system: System) -> str:
    """How a system is called in tables and files."""
    return f"{system.name} ({system.variant})" if system.variant else system.name


def multi_host_dsn(*ports: int, sslmode: str = "prefer") -> str:
    """The clients' DSN: libpq tries the hosts in this order and takes the first that takes writes."""
    hosts = ",".join("127.0.0.1" for _port in ports)
    return (
        f"host={hosts} port={','.join(map(str, ports))} dbname={DATABASE} user={USER} password={PASSWORD}"
        f" target_session_attrs=read-write connect_timeout=2 sslmode={sslmode}"
    )


def command(*arguments: str, timeout: float = 300, stdin: str | None = None) -> str:
    """Run a program and return what it printed; a ``BenchmarkError`` when it fails or takes longer than ``timeout``."""
    shown = " ".join(arguments)[:200]
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            # A program that asks a question must not wait for the terminal.
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"`{shown}` did not end within {timeout:g} s.") from None
    if done.returncode:
        ends = f"{done.stdout[-2000:]}{done.stderr[-2000:]}".strip()
        raise BenchmarkError(f"`{shown}` ended with status {done.returncode}: {ends}")
    return str(done.stdout)


def docker(*arguments: str, timeout: float = 300, stdin: str | None = None) -> str:
    """Run a command of the Docker client."""
    return command("docker", *arguments, timeout=timeout, stdin=stdin)


def in_node(node: str, *arguments: str, user: str = "postgres", timeout: float = 300, stdin: str | None = None) -> str:
    """Run a program in a container."""
    interactive = [] if stdin is None else ["-i"]
    return docker("exec", *interactive, "-u", user, node, *arguments, timeout=timeout, stdin=stdin)


def wait_until(condition: Callable[[], bool], what: str, timeout: float, interval: float = 0.1) -> None:
    """Wait for a condition; a ``BenchmarkError`` says what did not come within ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"Timed out after {timeout:g} s waiting for {what}.")
        time.sleep(interval)
