"""Machines beside containers in one run: hand-overs, emergencies, and a site.yml that finds nothing to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from bench import emergency, planned
from bench.rounds import Row, Turns, order, say
from systems.base import System, label

PLANNED, KILLED, SITE = "planned", "killed", "site.yml"


class Provisioned(System, Protocol):
    """A pair that our playbooks have made."""

    def provision_again(self) -> Mapping[str, float]:
        """``site.yml`` where there is nothing to do; ``command`` is how long that took."""


def site(system: Provisioned) -> Row:
    system.ready()
    return dict(system.provision_again())


def measure(containers: Provisioned, machines: Provisioned, rounds: int) -> dict[str, Any]:
    """``rounds`` of each, in turns; the machines are made before the first and removed after the last."""
    try:
        say(f"{label(machines)}: provisioning")
        machines.up()
        rows = take_turns([containers, machines], rounds)
        return {"rows": rows, "machine_versions": dict(machines.versions())}
    finally:
        machines.down()


def take_turns(systems: Sequence[Provisioned], rounds: int) -> list[Row]:
    turns = Turns()
    for number in range(rounds):
        for system in order(systems, number):
            turns.take(system, SITE, number, partial(site, system))
            turns.take(system, PLANNED, number, partial(planned.one, system, planned.QUIET))
            killed = partial(emergency.one, system, system.kill_primary, command=True)
            turns.take(system, KILLED, number, killed)
    return turns.rows
