# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition, with a deadline and a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from ._errors import RelevoError

T = TypeVar("T")


class TimedOutError(RelevoError):
    """What was waited for did not happen in its time."""


def wait_until(
    condition: Callable[[], T | None], what: str | Callable[[], str], timeout: float, interval: float = 0.05
) -> T:
    """Return the first true answer of ``condition``, asked every ``interval`` seconds.

    Raises ``TimedOutError`` after ``timeout`` seconds, saying ``what`` was waited for, which may be known only then.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimedOutError(f"Timed out after {timeout:g} s waiting for {what() if callable(what) else what}.")
        time.sleep(interval)


def wait_while_it_goes_on(
    condition: Callable[[], T | None],
    progress: Callable[[], object],
    what: str,
    patience: float,
    timeout: float,
    interval: float = 0.05,
) -> T:
    """As ``wait_until``, but for as long as ``progress`` answers something new.

    Raises ``TimedOutError`` after ``patience`` seconds in which it has not, or after ``timeout`` seconds in all.
    """
    moved = began = time.monotonic()
    before = progress()
    while True:
        answer = condition()
        if answer:
            return answer
        now, found = time.monotonic(), progress()
        if found != before:
            moved, before = now, found
        if now - moved >= patience:
            raise TimedOutError(f"Timed out after {patience:g} s in which nothing went on, waiting for {what}.")
        if now - began >= timeout:
            raise TimedOutError(f"Timed out after {timeout:.0f} s, although it still goes on, waiting for {what}.")
        time.sleep(interval)
