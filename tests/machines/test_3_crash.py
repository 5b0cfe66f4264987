"""A server crashed on a machine that lives: systemd brings it back, or cannot, or does so while the play acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from clients import NeverTwo, Writer, more, takes_writes
from cluster import FAILOVER, PRIMARY, STANDBY, guard_says, missing, play, play_with, rows_of, shell, wait_until
from machines import (
    BINARY,
    UNIT,
    back_to_the_start,
    kill_server,
    systemctl,
    unit_state,
)

pytestmark = pytest.mark.long

#: How many times a crash under load is tried, and by how many clients at once.
TRIES = 20
CLIENTS = 4
FOLDER = f"/run/systemd/system/{UNIT}.service.d"
#: The steps of an emergency, as the play names them.
STEPS = [
    "Find out who answers",
    "Ask the servers who is primary, and plan",
    "Fence the old primary",
    "Promote the candidate",
    "Finish",
]


@pytest.fixture
def not_by_itself() -> Iterator[None]:
    """systemd waits for an hour before it starts a crashed server again: only who asks for it brings it back."""
    shell(PRIMARY, "mkdir", "-p", FOLDER)
    shell(PRIMARY, "tee", f"{FOLDER}/test.conf", stdin="[Service]\nRestartSec=3600\n")
    systemctl(PRIMARY, "daemon-reload")
    yield
    shell(PRIMARY, "rm", "-r", FOLDER)
    systemctl(PRIMARY, "daemon-reload")


def test_a_server_that_came_back_is_found_alive_and_hands_over() -> None:
    """Case a: what systemd has started again is a primary like any other; nobody is fenced."""
    with Writer() as writer, NeverTwo():
        more(writer)
        kill_server()
        wait_until(lambda: takes_writes(PRIMARY), "systemd to bring the server back", 60)
        more(writer)
        said = play(FAILOVER).text
        assert takes_writes(STANDBY)
        assert "is fenced" not in said
        assert f"{PRIMARY} follows" in said or f"{PRIMARY} is a standby" in said, said[-1500:]
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []


@pytest.mark.parametrize("attempt", range(TRIES))
def test_a_crash_under_load_needs_no_flag_and_costs_no_row(attempt: int) -> None:
    """Case b: killed, and its program is gone. Each try falls into another moment of the load."""
    with ExitStack() as stack:
        writers = [stack.enter_context(Writer(pause=0.0, series=number)) for number in range(CLIENTS)]
        stack.enter_context(NeverTwo())
        for writer in writers:
            more(writer, 100 + 7 * attempt)
        shell(PRIMARY, "mv", BINARY, f"{BINARY}.away")
        kill_server()
        said = play(FAILOVER)
        assert takes_writes(STANDBY)
        assert f"{PRIMARY} is fenced" in said.text
        for writer in writers:
            more(writer)
        shell(PRIMARY, "mv", f"{BINARY}.away", BINARY)
        back_to_the_start()
    for writer in writers:
        own = {row for row in rows_of(PRIMARY) if row // 10**9 == writer.series}
        assert missing(own, writer.acknowledged) == []
    print(f"try {attempt}: {sum(len(writer.acknowledged) for writer in writers)} rows acknowledged, none missing")


@pytest.mark.parametrize("step", STEPS)
def test_a_restart_that_falls_into_a_step_never_makes_a_second_primary(step: str, not_by_itself: None) -> None:
    """Case c: the server is started again the moment that the step begins."""
    with Writer() as writer, NeverTwo():
        more(writer)
        kill_server()
        said = play_with(FAILOVER, step, lambda: systemctl(PRIMARY, "start", "--no-block", UNIT))
        print(f"started at {step}: status {said.code}")
        if said.code:
            # It was noticed before anybody was promoted, so it is the primary still.
            assert "Nobody was promoted" in said.text
            more(writer)
            play(FAILOVER)
        elif step in STEPS[-2:]:
            wait_until(lambda: guard_says(PRIMARY)["verdict"] == "refuse", "the start guard's verdict", 30)
            assert unit_state(PRIMARY) == "activating"
        assert takes_writes(STANDBY)
        more(writer)
        back_to_the_start()
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
