"""What keeps a planned hand-over from beginning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover import Situation, obstacles
from ansible_collections.relevo.postgres.plugins.module_utils._handover.switchover_check import (
    RepositoryState,
    SwitchoverRequest,
    refusal,
    reserves_timelines,
)

GOOD = Situation()
REQUEST = SwitchoverRequest("a", "b", 2, "backup")
IDLE = RepositoryState(running=None, newest_timeline=2)


@pytest.mark.parametrize(
    "situation", [GOOD, replace(GOOD, oldest_query_s=60)], ids=["nothing special", "a query as long as it may be"]
)
def test_a_candidate_that_streams_can_take_over(situation: Situation) -> None:
    assert obstacles(situation, "b", "a", 60) == []


@pytest.mark.parametrize(
    ("situation", "words"),
    [
        (replace(GOOD, same_cluster=False), "belongs to another cluster"),
        (replace(GOOD, replay_paused=True), "replay is paused on b"),
        (replace(GOOD, apply_delay_ms=5), "b replays with a delay"),
        (replace(GOOD, restore_command="x"), "restore_command is set: run rejoin.yml"),
        (replace(GOOD, oldest_query_s=61), "a query on b has run for 61 s"),
        (replace(GOOD, synchronous="nobody would acknowledge"), "nobody would acknowledge"),
        (replace(GOOD, sender_state=""), "b does not stream from a"),
        (replace(GOOD, sender_state="catchup"), "b does not stream from a"),
    ],
)
def test_each_obstacle_is_named(situation: Situation, words: str) -> None:
    (found,) = obstacles(situation, "b", "a", 60)
    assert words in found


def test_all_obstacles_are_named_at_once() -> None:
    assert len(obstacles(replace(GOOD, replay_paused=True, apply_delay_ms=5, sender_state=""), "b", "a", 60)) == 3


@pytest.mark.parametrize(
    ("request_", "repository"),
    [
        (REQUEST, IDLE),
        (replace(REQUEST, unreachable=("c",)), IDLE),
        # Abandoned: everybody is there, and nobody is on it.
        (REQUEST, replace(IDLE, newest_timeline=3)),
    ],
)
def test_a_hand_over_that_can_end_may_begin(request_: SwitchoverRequest, repository: RepositoryState) -> None:
    assert refusal(request_, repository) == ""


@pytest.mark.parametrize(
    ("request_", "repository", "words"),
    [
        (REQUEST, None, "The repository host backup does not answer"),
        (REQUEST, replace(IDLE, running="10 % done"), "A backup is running (10 % done)"),
        (
            replace(REQUEST, unreachable=("c", "d")),
            replace(IDLE, newest_timeline=3),
            "newer timeline (3) than that of a (2), so another node was promoted, maybe c or d,",
        ),
    ],
)
def test_one_that_could_not_is_refused(
    request_: SwitchoverRequest, repository: RepositoryState | None, words: str
) -> None:
    assert words in refusal(request_, repository)
    assert "Nothing was changed" in refusal(request_, repository)
    assert refusal(replace(request_, force=True), repository) == ""


@pytest.mark.parametrize(
    ("request_", "repository", "reserves"),
    [
        (REQUEST, IDLE, False),
        (REQUEST, replace(IDLE, newest_timeline=3), True),
        (replace(REQUEST, force=True), None, True),
    ],
)
def test_numbers_of_abandoned_timelines_are_reserved(
    request_: SwitchoverRequest, repository: RepositoryState | None, reserves: bool
) -> None:
    assert reserves_timelines(request_, repository) is reserves
