# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever waits for a paused container is interrupted; whoever waits for a busy one is not."""

from __future__ import annotations

import signal
import threading

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils._paused_container import ContainerPausedError, watched


def wait() -> bool:
    """As for an answer: a lock that nobody gives up."""
    return threading.Event().wait(0.5)


def test_a_wait_for_a_frozen_is_interrupted() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with pytest.raises(ContainerPausedError), watched(lambda: "paused", patience=0.05, interval=0.01):
        wait()
    assert signal.getsignal(signal.SIGUSR1) is before


@pytest.mark.parametrize("states", [["running"], ["paused", "running"]], ids=["never paused", "not for long"])
def test_a_wait_for_one_that_works_is_not(states: list[str]) -> None:
    count = iter(range(10_000))
    with watched(lambda: states[next(count) % len(states)], patience=0.05, interval=0.01):
        wait()
    assert next(count) > 5


def test_an_engine_that_does_not_answer_says_nothing() -> None:
    def silent() -> str:
        raise RelevoError("no engine answers")

    with watched(silent, patience=0.05, interval=0.01):
        wait()
