"""Systems that take turns, so that each round sees the same machine."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from bench.figures import NoGap
from systems.base import BenchmarkError, NotOffered, System, label

Row = dict[str, Any]
AnySystem = TypeVar("AnySystem")
#: What an answer that does not come, or that nobody can read, leads to: the other systems are measured all the same.
SYSTEM_FAILED = (BenchmarkError, NoGap, psycopg.Error, OSError, ValueError, LookupError, subprocess.SubprocessError)
#: A system that fails this often without a success between is left out of the further rounds.
GIVE_UP_AFTER = 3


def order(systems: Sequence[AnySystem], number: int) -> list[AnySystem]:
    """Every other round backwards: nobody is always first, and a pair that two share moves in both directions."""
    return list(systems) if number % 2 == 0 else list(reversed(systems))


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """Why a measurement failed, and before that what had failed already: an emergency that is not met cannot be healed
    either."""
    said = " ".join(f"{error}".split()) or type(error).__name__
    first = None if error.__suppress_context__ else error.__context__
    return f"{reason(first)} Then: {said}" if isinstance(first, BenchmarkError) else said


class Turns:
    """Runs measurements, keeps each as a row, and keeps a failure as a row that says why."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._failures: dict[tuple[str, str], int] = {}

    def take(self, system: System, kind: str, number: int, work: Callable[[], Row]) -> None:
        """Measure once. A failure belongs to the results: it is shown, and the others go on."""
        key = (label(system), kind)
        if self._failures.get(key, 0) >= GIVE_UP_AFTER:
            return
        row: Row = {"system": system.name, "variant": system.variant, "kind": kind, "round": number + 1}
        try:
            row |= work()
            self._failures[key] = 0
        except NotOffered as error:
            row["not_offered"] = str(error)
            self._failures[key] = GIVE_UP_AFTER
        except SYSTEM_FAILED as error:
            row["failure"] = reason(error)
            self._failures[key] = self._failures.get(key, 0) + 1
        self.rows.append(row)
        say(f"{label(system)}, {kind}, {number + 1}: {_shown(row)}")


def _shown(row: Row) -> str:
    if "failure" in row or "not_offered" in row:
        return str(row.get("failure") or row["not_offered"])
    return ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
        if name not in ("system", "variant", "kind", "round")
    )
