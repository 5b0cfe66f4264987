# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan needs to know, asked while the machines are still asked whether they answer.

The repository host asks the servers who is primary, and each machine its disk whether it may take over. In an emergency
these would come one after the other, and nobody takes writes meanwhile. What the servers are asked with is what the
engine said of the containers, which is known at once; whoever plans asks again where that was not all.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import Topology
from ansible_collections.relevo.postgres.plugins.module_utils._server.arguments import nodes_spec
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _membership

T = TypeVar("T")

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

#: Seconds for which the other machines are kept waiting until the repository host has answered. To open several
#: connections at once takes each of them longer, and what comes after its own takes longer than theirs.
HEAD_START = 0.4


class EarlyQuestion:
    """Begun by ``start``; no answer where it was not, where it failed, and where it is too old.

    ``disks``: what asks the machines of servers, by name, why they take over nothing.
    """

    def __init__(
        self,
        observer: str,
        variables: Mapping[str, Any],
        context: PlayContext,
        nodes: Sequence[Mapping[str, Any]],
        down: Mapping[str, str],
        disks: Mapping[str, _membership.Ask],
    ) -> None:
        self._down = dict(down)
        self._question = {"nodes": list(nodes), "unreachable": self._down, "timeout": TIMEOUT} | PATHS
        self._observer, self._context = observer, context
        self._variables: dict[str, Any] | None = None
        with contextlib.suppress(AnsibleError):
            self._variables = _machines.settled(variables, context)
        self._asked: Future[tuple[float, dict[str, Any]]] | None = None
        self._disks, self._refusals = dict(disks), dict[str, Future[str]]()
        self._observer_answered = threading.Event()

    def start(self) -> None:
        if self._variables is not None:
            self._asked = _begin(partial(self._ask, self._variables))

    def after(self, machines: Mapping[str, _machines.Ask]) -> dict[str, _machines.Ask]:
        """The questions to the machines whether they answer, upon which what comes next is asked there."""
        if self._observer not in machines:
            self._observer_answered.set()
        return {name: self._after(name, ask) for name, ask in machines.items()}

    def _after(self, name: str, ask: _machines.Ask) -> _machines.Ask:
        def both() -> str | None:
            if name == self._observer:
                try:
                    why_not = ask()
                finally:
                    self._observer_answered.set()
                if why_not is None:
                    self.start()
                return why_not
            self._observer_answered.wait(HEAD_START)
            why_not = ask()
            if why_not is None and name in self._disks:
                self._refusals[name] = _begin(self._disks[name])
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
        if time.monotonic() - when > FRESH:
            return {}
        # A disk that takes longer is not waited for here: it may be that of the old primary, and hang.
        refusals = {name: asked.result() for name, asked in self._refusals.copy().items() if asked.done()}
        return {"unreachable": self._down, "answer": answer, "refusals": refusals}


def _begin(ask: Callable[[], T]) -> Future[T]:
    """Left behind where nobody waits for its answer any more."""
    pool = ThreadPoolExecutor(max_workers=1)
    asked = pool.submit(ask)
    pool.shutdown(wait=False)
    return asked


def topology_of(result: Mapping[str, Any], unreachable: Mapping[str, str]) -> Topology | None:
    """The answer, where the nodes that are known not to answer are those that were left out."""
    if not result or result["unreachable"] != unreachable:
        return None
    return Topology.from_result(result["answer"])
