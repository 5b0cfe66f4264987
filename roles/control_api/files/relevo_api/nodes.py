# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watcher says of the nodes, and how a load balancer's question is answered from it.

The watcher is a process of the collection with standing connections to the servers; it prints a JSON line for each
cluster several times per second. SQL and its meaning are there.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Question = Literal["primary", "replica", "read-only", "health"]
#: Bytes in a line of the watcher at most.
LONGEST_LINE = 1 << 20
#: Seconds until a watcher that ended is started again.
PAUSE_S = 2.0
SIZES = {"": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


@dataclass(frozen=True)
class ClusterView:
    """A line of the watcher, and when it came, by this process's clock."""

    cluster: str
    nodes: list[dict[str, Any]]
    primaries: list[str]
    came: float

    def find(self, node: str) -> dict[str, Any] | None:
        return next((one for one in self.nodes if one["name"] == node), None)


def lag_limit(given: str) -> int | None:
    """Patroni's ``lag``: bytes, or with a unit, ``10MB``. None where it is neither."""
    found = re.fullmatch(r"(\d{1,15})\s*([a-zA-Z]{0,2})", given.strip())
    unit = SIZES.get(found[2].lower()) if found else None
    return int(found[1]) * unit if found and unit else None


def answers(view: ClusterView, node: str, question: Question, lag: int | None = None) -> bool:
    """Whether a node is what is asked for. With two primaries nobody is fit to be written to, nor to be read from."""
    known = view.find(node)
    if known is None or known["role"] is None:
        return False
    if question == "health":
        return True
    if len(view.primaries) > 1:
        return False
    if known["role"] == "primary":
        return question in ("primary", "read-only")
    if question == "primary" or not known["streaming"]:
        return False
    return lag is None or (known["replay_lag_bytes"] is not None and known["replay_lag_bytes"] <= lag)


class Watcher:
    """Starts the process, reads it, and starts it again when it ends."""

    def __init__(self, command: list[str], fresh_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.command, self.fresh_s, self.clock = command, fresh_s, clock
        self.views: dict[str, ClusterView] = {}
        self.problem = "The watcher has not been started." if command else "No watcher is configured."

    def fresh(self, cluster: str) -> ClusterView | None:
        """What is known of a cluster now; None when nothing is, or what is known is old."""
        view = self.views.get(cluster)
        return view if view and self.clock() - view.came <= self.fresh_s else None

    def take(self, line: bytes) -> None:
        try:
            told = json.loads(line)
            view = ClusterView(told["cluster"], told["nodes"], told["primaries"], self.clock())
        except (ValueError, KeyError, TypeError):
            self.problem = f"The watcher said what is not understood: {line[:200].decode(errors='replace')}"
            return
        self.views[view.cluster] = view
        self.problem = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        while self.command:
            try:
                await self._once()
            except Exception as failure:  # noqa: BLE001
                # Nobody waits for this task: without it no node would be known until somebody restarts the service.
                self.problem = f"The watcher could not be read: {failure}."
                print(f"{self.problem} {traceback.format_exc()}", file=sys.stderr, flush=True)
            await asyncio.sleep(PAUSE_S)

    async def _once(self) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.command,
                # It ends when this pipe is closed, in whatever way the API ends.
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_LINE,
                # Ctrl-C at a terminal is for the API, which ends it.
                start_new_session=True,
            )
        except OSError as failure:
            self.problem = f"The watcher could not be started: {failure}."
            print(self.problem, file=sys.stderr, flush=True)
            return
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self.take(line)
            self.problem = f"The watcher ended with {await process.wait()}."
            print(self.problem, file=sys.stderr, flush=True)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
