"""The floor: the barest script that hands over, on Relevo's pair, without a check, a lock or a mark.

It runs in one process in the primary's container: two checkpoints, SIGINT, wait for the control file to say
"shut down", wait for the standby's replay, promote. Nobody should run it in production: it only shows what PostgreSQL
itself costs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from systems.base import BenchmarkError, System, docker, in_node
from systems.images import ROOT
from systems.relevo import NODES, Relevo, play, relevo

#: Run inside the containers.
SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
SCRIPT, FOLLOW = SCRIPTS / "floor_hand_over.py", SCRIPTS / "floor_follow.py"
#: Where FOLLOW finds the product's own Python in a container.
LIBRARY = "/tmp/relevo-floor/ansible_collections/relevo/postgres/plugins"
PROMOTE = "SELECT pg_promote()"


def systems() -> list[System]:
    return [Floor(relevo())]


class Floor:
    name = "floor"
    variant = ""
    automatic = False

    def __init__(self, pair: Relevo) -> None:
        self._pair = pair

    def up(self) -> None:
        self._pair.up()

    def down(self) -> None:
        self._pair.down()

    def versions(self) -> dict[str, str]:
        return self._pair.versions()

    def dsn(self) -> str:
        return self._pair.dsn()

    def ready(self) -> None:
        self._pair.ready()

    def hand_over(self) -> dict[str, float]:
        old = self._pair.primary()
        new = self._pair.other(old)
        started = time.monotonic()
        figures: dict[str, float] = json.loads(_python(old, SCRIPT, new))
        figures["command"] = time.monotonic() - started
        self._pair.ask(new, "CHECKPOINT")
        self._pair.ask(new, f"SELECT pg_create_physical_replication_slot('{old}', true)")
        in_node(old, "mkdir", "--parents", LIBRARY, user="root")
        docker("cp", str(ROOT / "plugins" / "module_utils"), f"{old}:{LIBRARY}")
        _python(old, FOLLOW, old, new)
        # From when it was the primary; on a standby it would only keep WAL.
        self._pair.ask(
            old, f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{new}'"
        )
        return figures

    def kill_primary(self) -> None:
        self._pair.kill_primary()

    def disasters(self) -> dict[str, Callable[[], None]]:
        return {}

    def emergency(self) -> dict[str, float]:
        running = docker("ps", "--format", "{{.Names}}").split()
        left = [node for node in NODES if node in running]
        if len(left) != 1:
            raise BenchmarkError(f"One of the pair was expected to run; these do: {', '.join(left) or 'none'}.")
        started = time.monotonic()
        self._pair.ask(left[0], PROMOTE)
        return {"command": time.monotonic() - started}

    def heal(self) -> None:
        """By our own playbook, which also closes the gap that such a promotion leaves in the archive."""
        primary = self._pair.primary()
        self._pair.ask(primary, "CHECKPOINT")
        docker("start", self._pair.other(primary))
        play("playbooks/failover.yml", "-e", f"candidate={primary}")
        self.ready()


def _python(node: str, script: Path, *arguments: str) -> str:
    return in_node(node, "python3", "-", *arguments, user="root", stdin=script.read_text(), timeout=120)
