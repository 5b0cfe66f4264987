# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation is about to do, in one shape for all of them: shown before anything is touched, read by programs.

docs/reference/plan.md describes the JSON; the text is a view of it. ``VERSION`` counts up when a reader has to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

VERSION = 1


@dataclass(frozen=True)
class Effect:
    """What becomes of a node, or of the repository."""

    name: str
    change: str


@dataclass(frozen=True)
class OperationPlan:
    """``action`` is the word for what is done, ``message`` the sentence.

    ``expected``: what will be seen while and after it is done. ``risks``: what it may cost. ``refusals``: why it would
    not be begun now.
    """

    operation: str
    cluster: str
    action: str
    message: str
    affects: list[Effect] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def refused(self, why: str) -> OperationPlan:
        return replace(self, refusals=[*self.refusals, why])

    def with_risks(self, more: Sequence[str]) -> OperationPlan:
        return replace(self, risks=[*self.risks, *more])

    def as_dict(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> OperationPlan:
        """The reverse of ``as_dict``."""
        known = {name: given[name] for name in ("operation", "cluster", "action", "message")}
        return cls(
            **known,
            affects=[Effect(**effect) for effect in given["affects"]],
            expected=list(given["expected"]),
            risks=list(given["risks"]),
            refusals=list(given["refusals"]),
        )

    @property
    def text(self) -> str:
        """For people, in lines."""
        lines = [f"Plan of {self.operation} for {self.cluster}: {self.message}"]
        lines += [f"  {effect.name} {effect.change}." for effect in self.affects]
        lines += [f"  Expected: {one}" for one in self.expected]
        lines += [f"  Risk: {one}" for one in self.risks]
        lines += [f"  REFUSED: {one}" for one in self.refusals]
        if not self.affects and not self.refusals:
            lines.append("  Nothing would be changed.")
        return "\n".join(lines)


def together(plans: Sequence[OperationPlan]) -> OperationPlan:
    """One plan of several of the same operation on the same cluster, in their order."""
    first = plans[0]
    return OperationPlan(
        first.operation,
        first.cluster,
        next((plan.action for plan in plans if plan.action != "none"), "none"),
        " ".join(plan.message for plan in plans),
        [effect for plan in plans for effect in plan.affects],
        # What is said of both is said once.
        list(dict.fromkeys(one for plan in plans for one in plan.expected)),
        list(dict.fromkeys(one for plan in plans for one in plan.risks)),
        list(dict.fromkeys(one for plan in plans for one in plan.refusals)),
    )


def refusal(operation: str, cluster: str, why: str) -> OperationPlan:
    """The plan of an operation that would not be begun."""
    return OperationPlan(operation, cluster, "none", "It would not be begun.", refusals=[why])
