# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rejoin.yml is about to do, for people and programs: what each node's forecast says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._cluster.topology import Topology
from .._operation_plan import Effect, OperationPlan
from .._tables import plural

#: By the method that would be tried first: what it means for the node.
WORDS = {
    "follow": "is told to follow {primary}",
    "clean": "is started as a standby of {primary}",
    "rewind": "is taken back to where its history left that of {primary} (pg_rewind)",
    "restore": "is restored from the newest backup that leads to {primary}, in place of its data",
    "basebackup": "is copied anew from {primary}, in place of its data",
}
DISCARDS = ("rewind", "restore", "basebackup")


def describe_rejoin(
    topology: Topology,
    cluster: str,
    forecasts: Mapping[str, Mapping[str, Any]],
    down: Mapping[str, str],
    cannot_start: Mapping[str, str],
) -> OperationPlan:
    """``forecasts``: the results of ``pg_rejoin`` in check mode; ``down``: the containers that do not run, and
    ``cannot_start`` why some of them would not be started."""
    primary = topology.require_primary().name
    affects, risks = [], []
    for state in topology.states:
        if state.name == primary:
            continue
        forecast = forecasts.get(state.name)
        if state.name in cannot_start:
            risks.append(f"{state.name} stays as it is. {cannot_start[state.name]}")
        elif state.name in down:
            affects.append(Effect(state.name, f"is started ({down[state.name]}) and made a standby of {primary}"))
            risks.append(f"What the rejoin of {state.name} has to copy or to discard is not known before it answers.")
        elif forecast is None:
            risks.append(f"{state.name} cannot be reached and stays as it is.")
        elif forecast.get("removed"):
            risks.append(str(forecast["removed"]))
        elif forecast.get("cut_off"):
            risks.append(f"{state.name} is cut off from {primary} and stays as it is.")
        elif forecast["method"] != "none":
            affects.append(Effect(state.name, WORDS[forecast["method"]].format(primary=primary)))
            if forecast["method"] in DISCARDS:
                risks.append(f"What only {state.name} has, of the time in which it was not a standby, is discarded.")
    message = f"{primary} stays primary; {plural(len(affects), 'node rejoins', 'nodes rejoin')}."
    expected = ["It ends with the proof that archiving works."]
    return OperationPlan("rejoin", cluster, "rejoin" if affects else "finish", message, affects, expected, risks)
