# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes answer, concluded from what the engine says of containers and what the connections to machines gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._errors import RelevoError
from .offline_node import Status, why_not_started


@dataclass(frozen=True)
class Reachability:
    """Who answers. ``states``: the engine's word for each container. ``down``: the containers that do not run, and what
    they are instead; their servers need not be asked, since a paused one would cost a timeout. ``cannot_start``: those
    of them that nobody can just start, with the sentence for it. ``unreachable``: all that do not answer, with the
    reason."""

    states: dict[str, Status]
    answering: list[str]
    down: dict[str, str]
    cannot_start: dict[str, str]
    unreachable: dict[str, str]

    def require_any(self) -> None:
        """Refuse to go on when nobody answers."""
        if not self.answering:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.unreachable.items())
            raise RelevoError(
                f"No node answers ({reasons}). Nothing was touched. Start the nodes, then run this again.",
                states=self.states,
            )


def reachability(
    names: Sequence[str], containers: Mapping[str, Status], machines: Mapping[str, str | None]
) -> Reachability:
    """``machines``: None for one that answered over its connection, otherwise why it did not.

    A machine's server is asked even when its connection fails: it may still be primary.
    """
    down = {
        name: f"its container is {containers[name]}" for name in names if containers.get(name, "running") != "running"
    }
    failed = {name: why for name in names if (why := machines.get(name)) is not None}
    unreachable = down | failed
    return Reachability(
        states={name: containers[name] for name in names if name in containers},
        answering=[name for name in names if name not in unreachable],
        down=down,
        cannot_start={name: why for name in down if (why := why_not_started(name, containers[name]))},
        unreachable=unreachable,
    )
