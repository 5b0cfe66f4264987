"""Relevo on machines: systemd, sshd, sudo with a password; the tests' machines, under names of the benchmark."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

# First: it names the tests' cluster, whose driver reads that name when it is imported.
from systems.relevo import Relevo  # isort: skip
import cluster

from systems.base import PREFIX, BenchmarkError, in_node

NAME, FIRST_PORT = f"{PREFIX}_machines", 25632
INVENTORY = cluster.ROOT / ".cache" / "machines" / NAME / "hosts.yml"
#: It reads the names of its cluster when it is imported, so it has a process of its own.
DRIVER = cluster.ROOT / "tests" / "support" / "machines.py"
NAMES = {
    "RELEVO_TEST_CLUSTER": NAME,
    "RELEVO_TEST_PORT": str(FIRST_PORT),
    "RELEVO_TEST_INVENTORY": str(INVENTORY),
}
#: The image is built where there is none yet.
SECONDS = 3000
UNIT = "relevo-postgresql"
BINARY = f"/usr/lib/postgresql/{cluster.VERSION}/bin/postgres"


@functools.cache
def machines() -> Machines:
    return Machines()


def driver(what: str) -> None:
    """``make`` new machines, on which nothing is installed, or ``remove`` them."""
    done = subprocess.run(
        [sys.executable, str(DRIVER), what],
        env=os.environ | NAMES,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"The machines could not be made or removed ({what}): {done.stderr[-1500:]}")


class Machines(Relevo):
    variant = "machines"
    inventory = INVENTORY
    nodes = (f"{NAME}_primary", f"{NAME}_standby")
    ports = (FIRST_PORT, FIRST_PORT + 1)

    def up(self) -> None:
        driver("make")
        super().up()

    def down(self) -> None:
        driver("remove")
        self._up = False

    def kill_primary(self) -> None:
        """Its machine goes on, and systemd would bring the server back: its program is gone."""
        script = f"mv {BINARY} {BINARY}.away; systemctl kill --signal=KILL {UNIT}"
        in_node(self.primary(), "sh", "-ec", script, user="root")

    def heal(self) -> None:
        for node in self.nodes:
            in_node(node, "sh", "-ec", f"[ ! -e {BINARY}.away ] || mv {BINARY}.away {BINARY}", user="root")
        self.play("playbooks/rejoin.yml")
        self.ready()
