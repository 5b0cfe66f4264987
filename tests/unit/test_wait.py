"""Waiting: for a condition, and for one that comes nearer."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _wait
from ansible_collections.relevo.postgres.plugins.module_utils._wait import TimedOutError, wait_while_it_goes_on


class Clock:
    """One that goes on only while somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(_wait, "time", found)
    return found


def test_what_goes_on_is_waited_for(clock: Clock) -> None:
    """Each step takes nearly as long as anybody would wait for it."""
    wait_while_it_goes_on(
        lambda: clock.now >= 900, lambda: clock.now // 50, "it", patience=60, timeout=1000, interval=1
    )
    assert clock.now == 900


def test_what_stands_is_given_up(clock: Clock) -> None:
    with pytest.raises(TimedOutError, match=r"^Timed out after 60 s in which nothing went on, waiting for it\.$"):
        wait_while_it_goes_on(lambda: False, lambda: min(clock.now, 100), "it", patience=60, timeout=1000, interval=1)
    assert clock.now == 160


def test_what_never_ends_is_given_up_too(clock: Clock) -> None:
    steps = itertools.count()
    with pytest.raises(TimedOutError, match=r"^Timed out after 1000 s, although it still goes on, waiting for it\.$"):
        wait_while_it_goes_on(lambda: False, lambda: next(steps), "it", patience=60, timeout=1000, interval=1)
    assert clock.now == 1000


def test_what_is_there_is_not_waited_for(clock: Clock) -> None:
    assert wait_while_it_goes_on(lambda: "x", lambda: 0, "it", patience=0, timeout=0) == "x"
    assert clock.now == 0
