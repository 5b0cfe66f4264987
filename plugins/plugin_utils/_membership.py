# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which standbys were removed from their cluster, as their disks have it: one may still run, where that was cut off.

None of them is promoted, and an emergency has to know before it fences anybody. All are asked at once, while the
witnesses are: in an emergency each question costs time in which nobody takes writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._nodes.offline_node import removed_text
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker, removed_refusal
from ansible_collections.relevo.postgres.plugins.plugin_utils import _machines, _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._witnesses import DEADLINE

#: Why a node takes over nothing, as a sentence; empty where nothing forbids it.
Ask = Callable[[], str]


def asker(name: str, variables: Mapping[str, Any], context: PlayContext) -> Ask:
    """What asks the disk of a node. One that cannot be asked is judged at its promotion."""
    try:
        own = _machines.settled(variables, context)
    except AnsibleError:
        return lambda: ""

    def ask() -> str:
        try:
            if _offline_nodes.kind_of(own) == _offline_nodes.DOCKER:
                # The engine reads a file in a hundredth of the time that a program takes to start.
                text = removed_text(_offline_nodes.containers([name])[name])
                return "" if text is None else removed_refusal(name, Marker.from_json("removed", text))
            answer = _machines.run_program(name, own, context, "_server.marker", {"node": name}, DEADLINE)
        except (AnsibleError, RelevoError):
            return ""
        return str(answer["refusal"])

    return ask


class Question:
    """The question to all of them, which goes on while others are asked. ``known``: what some have answered before."""

    def __init__(self, asks: Mapping[str, Ask], known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})
        self._pool = ThreadPoolExecutor(max_workers=max(1, len(asks)))
        self._asked: dict[str, Future[str]] = {name: self._pool.submit(ask) for name, ask in asks.items()}

    def answers(self) -> dict[str, str]:
        """Why each of those that take over nothing does not. Who takes too long is left behind."""
        found = {name: why for name, why in self._known.items() if why}
        for name, asked in self._asked.items():
            try:
                why = asked.result(timeout=DEADLINE)
            except TimeoutError:
                continue
            if why:
                found[name] = why
        self._pool.shutdown(wait=False)
        return found
