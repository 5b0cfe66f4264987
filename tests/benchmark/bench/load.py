"""pgbench at a bounded rate, through the same DSN as the client.

It runs in a container of the nodes' own image on this machine's network, so that its version is the servers', and it is
started again whenever it ends, since it ends when its server goes.
"""

from __future__ import annotations

import re
from types import TracebackType

from systems.base import PREFIX, BenchmarkError, command, docker, wait_until

RATE = 200
CLIENTS = 4
CONTAINER = f"{PREFIX}_load"
IMAGE = "relevo/node-postgres"
PGBENCH = "/usr/lib/postgresql/17/bin/pgbench"
PROGRESS = re.compile(r"^progress: [\d.]+ s, ([\d.]+) tps", re.MULTILINE)
LOOP = f'while :; do {PGBENCH} -n -R {RATE} -c {CLIENTS} -P 1 -T 3600 "$DSN" 2>&1; sleep 0.05; done'


def image() -> str:
    """The newest image of a node, under its full name."""
    found = docker("image", "ls", IMAGE, "--format", "{{.Repository}}:{{.Tag}}").split()
    if not found:
        raise BenchmarkError(f"There is no image {IMAGE}, in which pgbench is. Provision once: make up.")
    return found[0]


def prepare(dsn: str, scale: int) -> None:
    """Make pgbench's tables."""
    docker("run", "--rm", "--network=host", "--entrypoint", PGBENCH, image(), "-i", "-q", "-s", str(scale), dsn)


class Load:
    """pgbench from ``__enter__``, which waits until it is at work, to ``__exit__``."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.tps = 0.0

    def __enter__(self) -> Load:
        remove()
        docker("run", "-d", "--name", CONTAINER, "--network=host", "-e", f"DSN={self._dsn}", "--init",
               "--entrypoint", "/bin/sh", image(), "-c", LOOP)  # fmt: skip
        try:
            wait_until(self._at_work, f"pgbench to reach half of its {RATE} transactions per second", 60, interval=0.5)
        except BenchmarkError as error:
            raise BenchmarkError(f"{error} It says: {self._said()[-500:]}") from error
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        remove()

    @staticmethod
    def _said() -> str:
        return docker("logs", CONTAINER)

    def _at_work(self) -> bool:
        newest = PROGRESS.findall(self._said())[-1:]
        self.tps = float(newest[0]) if newest else 0.0
        return self.tps >= RATE / 2


def remove() -> None:
    """By name, whether it is there or not."""
    if command("docker", "ps", "-aq", "--filter", f"name=^{CONTAINER}$").strip():
        docker("rm", "-f", CONTAINER)
