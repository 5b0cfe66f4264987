"""The write outage of planned hand-overs, on a quiet pair and under pgbench."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

from bench import load
from bench.figures import outage
from bench.prober import Prober
from bench.rounds import Row, Turns, order, say
from systems.base import System, label

QUIET, LOADED = "quiet", "load"
#: How long a client waits for the new primary after the command has ended.
MOVED_SECONDS = 90


def measure(systems: Sequence[System], rounds: int, scale: int) -> list[Row]:
    """``rounds`` hand-overs of each system and kind; one row each."""
    for system in systems:
        say(f"{label(system)}: making pgbench's tables")
        system.ready()
        load.prepare(system.dsn(), scale)
        system.ready()
    turns = Turns()
    for number in range(rounds):
        for kind in (QUIET, LOADED):
            # A pair that two share would otherwise see each of them in one direction only.
            for system in order(systems, number):
                turns.take(system, kind, number, partial(one, system, kind))
    return turns.rows


def one(system: System, kind: str) -> Row:
    """One hand-over under the eyes of a client."""
    system.ready()
    row: Row = {}
    with ExitStack() as stack:
        if kind == LOADED:
            row["tps"] = stack.enter_context(load.Load(system.dsn())).tps
        client = stack.enter_context(Prober(system.dsn()))
        before, since = client.server, time.monotonic()
        row |= system.hand_over()
        client.wait_moved(before, MOVED_SECONDS)
        row["lost"] = len(client.finish())
        row["acknowledged"] = len(client.acknowledged)
    last, first = outage(client.acknowledged, since)
    return row | {"outage": first - last}
