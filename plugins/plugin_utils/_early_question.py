# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question who is primary, asked by the repository host while the machines are still asked whether they answer.

In an emergency the two would come one after the other, and nobody takes writes meanwhile. What it is asked with is what
the engine said of the containers, which is known at once; whoever plans asks again where that was not all.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import nodes_spec
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines

#: Where every node has what it logs in with at its peers.
PATHS = {name: option["default"] for name, option in nodes_spec().items() if name in ("passfile", "ca_file")}

#: Seconds for each server's answer.
TIMEOUT = 4.0

#: Seconds for the whole question: each server is given its time twice.
DEADLINE = 2 * TIMEOUT + 4

#: An answer that is older when all machines have been asked is asked for again. One that is switched off is waited for
#: for 10 s, and with it comes the emergency in which this counts most. What is dead by this answer is asked once more,
#: by whoever else there is, and the promotion looks for rivals.
FRESH = 12.0


class EarlyQuestion:
    """Begun by ``start``; no answer where it was not, where it failed, and where it is too old."""

    def __init__(
        self,
        observer: str,
        variables: Mapping[str, Any],
        context: PlayContext,
        nodes: Sequence[Mapping[str, Any]],
        down: Mapping[str, str],
    ) -> None:
        self._down = dict(down)
        self._question = {"nodes": list(nodes), "unreachable": self._down, "timeout": TIMEOUT} | PATHS
        self._observer, self._context = observer, context
        self._variables: dict[str, Any] | None = None
        with contextlib.suppress(AnsibleError):
            self._variables = _machines.settled(variables, context)
        self._asked: Future[tuple[float, dict[str, Any]]] | None = None

    def start(self) -> None:
        if self._variables is None:
            return
        pool = ThreadPoolExecutor(max_workers=1)
        self._asked = pool.submit(self._ask, self._variables)
        pool.shutdown(wait=False)

    def after(self, ask: _machines.Ask) -> _machines.Ask:
        """The question to the observer's machine whether it answers, upon which this one is begun."""

        def both() -> str | None:
            why_not = ask()
            if why_not is None:
                self.start()
            return why_not

        return both

    def _ask(self, variables: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        answer = _machines.run_program(
            self._observer, variables, self._context, "_cluster.ask", self._question, DEADLINE
        )
        return time.monotonic(), answer

    def result(self) -> dict[str, Any]:
        """What ``topology_of`` takes; empty where there is no answer."""
        if self._asked is None:
            return {}
        try:
            when, answer = self._asked.result(timeout=DEADLINE)
        except (AnsibleError, TimeoutError):
            # Two primaries, too: it is asked again, and then told.
            return {}
        return {"unreachable": self._down, "answer": answer} if time.monotonic() - when <= FRESH else {}


def topology_of(result: Mapping[str, Any], unreachable: Mapping[str, str]) -> Topology | None:
    """The answer, where the nodes that are known not to answer are those that were left out."""
    if not result or result["unreachable"] != unreachable:
        return None
    return Topology.from_result(result["answer"])
