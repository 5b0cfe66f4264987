"""From the command to the first accepted write, when the primary has gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.figures import first_after, last_before
from bench.prober import Prober
from bench.rounds import Row, Turns, say
from systems.base import System, label

KILLED, AUTOMATIC = "killed", "killed, without a command"
#: Between the disaster and the command, so that all of the machine has noticed what it can notice by itself.
REACTION = 0.5
#: How long a client waits for a server that takes writes.
MOVED_SECONDS = 300


def measure(systems: Sequence[System], rounds: int) -> list[Row]:
    """``rounds`` emergencies of each kind that a system has; one row each.

    Systems that wait for their own time-outs, tens of seconds in which the machine is idle, do so all at the same time;
    those that act on a command only are alone on the machine while they are measured.
    """
    turns = Turns()
    for number in range(rounds):
        for system in systems:
            if not system.automatic:
                for kind, disaster in disasters(system).items():
                    turns.take(system, kind, number, partial(one, system, disaster, command=True))
    waiting = [threading.Thread(target=_waits, args=(turns, system, rounds)) for system in systems if system.automatic]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    return turns.rows


def _waits(turns: Turns, system: System, rounds: int) -> None:
    say(f"{label(system)}: emergencies, at the same time as the other automatic systems")
    for number in range(rounds):
        for kind, command in ((KILLED, True), (AUTOMATIC, False)):
            turns.take(system, kind, number, partial(one, system, system.kill_primary, command=command))


def disasters(system: System) -> dict[str, Callable[[], None]]:
    """What is measured: a killed primary for all, and whatever else a system names in a ``disasters`` of its own."""
    further: Callable[[], dict[str, Callable[[], None]]] = getattr(system, "disasters", dict)
    return {KILLED: system.kill_primary} | further()


def one(system: System, disaster: Callable[[], None], *, command: bool) -> Row:
    """One disaster, up to the pair that is whole again, also where the emergency itself was not met."""
    system.ready()
    try:
        return _watched(system, disaster, command)
    finally:
        system.heal()


def _watched(system: System, disaster: Callable[[], None], command: bool) -> Row:
    row: Row = {}
    with Prober(system.dsn()) as client:
        before = client.server
        began = time.monotonic()
        disaster()
        if command:
            time.sleep(REACTION)
            asked = time.monotonic()
            row |= system.emergency()
        client.wait_moved(before, MOVED_SECONDS)
        row["lost"] = len(client.finish())
        row["acknowledged"] = len(client.acknowledged)
    taken = first_after(client.acknowledged, began, before)
    assert taken is not None, "wait_moved has seen inserts at another server"
    row["outage"] = taken - last_before(client.acknowledged, began)
    if command:
        # An automatic system may have been quicker than the operator; then there is no time from the command on.
        row["before_command"] = taken < asked
        if taken >= asked:
            row["first_write"] = taken - asked
    return row
