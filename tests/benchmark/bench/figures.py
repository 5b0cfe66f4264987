"""Arithmetic on what was measured: pure, so that it can be tested without a server."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Acknowledged(NamedTuple):
    """One insert that the client was told to be committed: its number, when (monotonic), by which server."""

    number: int
    at: float
    server: int


class NoGap(ValueError):
    """The client never changed to another server, so there is no outage to speak of."""


def outage(rows: Sequence[Acknowledged], since: float) -> tuple[float, float]:
    """The last acknowledgement before the hand-over and the first after it.

    That is the longest gap after ``since`` between one server and another. A gap within one server is a slow commit,
    which a hand-over may cause too (its checkpoints), or a connection that was cut, but not the hand-over.
    """
    gaps = [
        (before.at, after.at)
        for before, after in itertools.pairwise(rows)
        if after.at > since and after.server != before.server
    ]
    if not gaps:
        raise NoGap("the client never wrote to another server")
    return max(gaps, key=lambda gap: gap[1] - gap[0])


def side_by_side(
    direct: Sequence[Acknowledged], proxied: Sequence[Acknowledged], since: float, session_ended: float
) -> dict[str, float]:
    """What two clients saw of one hand-over after ``since``, one of them through a proxy.

    ``later``: how much after the other the proxied one wrote to the new server. ``session_after``: when a session
    ended, after the last write that the old server acknowledged to either; ``session_before``: how long before the
    first that the new one did, so less than 0 where it lived on beside it.
    """
    (last, first), (proxied_last, proxied_first) = outage(direct, since), outage(proxied, since)
    return {
        "outage": first - last,
        "outage_proxied": proxied_first - proxied_last,
        "later": proxied_first - first,
        "session_after": session_ended - max(last, proxied_last),
        "session_before": min(first, proxied_first) - session_ended,
    }


def first_after(rows: Iterable[Acknowledged], moment: float, not_by: int) -> float | None:
    """When the first insert after ``moment`` was acknowledged by another server than ``not_by``.

    That one may still answer what it was asked before, when it is thawed to be killed.
    """
    return next((row.at for row in rows if row.at > moment and row.server != not_by), None)


def last_before(rows: Iterable[Acknowledged], moment: float) -> float:
    """When the last insert up to ``moment`` was acknowledged."""
    return max(row.at for row in rows if row.at <= moment)


def lost(rows: Iterable[Acknowledged], found: Iterable[int]) -> list[int]:
    """The acknowledged numbers that are not in the table."""
    return sorted({row.number for row in rows} - set(found))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was measured, and with few values rather too high than too low."""
    if not values or not 0 < share <= 1:
        raise ValueError("a percentile wants values, and a share above 0 and up to 1")
    return sorted(values)[math.ceil(share * len(values)) - 1]


class Spread(NamedTuple):
    """How a figure spread over its runs."""

    runs: int
    least: float
    median: float
    p95: float
    most: float


def spread(values: Sequence[float]) -> Spread | None:
    """None where nothing was measured."""
    if not values:
        return None
    return Spread(len(values), min(values), statistics.median(values), percentile(values, 0.95), max(values))


def overhead(plain: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """What ours costs beside the plain way: medians, their ratio and difference, and the median difference of a pair.

    Both in the same order. Raises ``ValueError`` when a pair lacks one of its two.
    """
    middle, own = statistics.median(plain), statistics.median(ours)
    differences = [one - other for one, other in zip(ours, plain, strict=True)]
    return {
        "plain": middle,
        "ours": own,
        "ratio": own / middle,
        "difference": own - middle,
        "difference_of_a_pair": statistics.median(differences),
    }
