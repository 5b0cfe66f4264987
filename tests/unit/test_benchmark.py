"""The benchmark's arithmetic: a wrong figure is worse than none."""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path

import pytest
from benchmark_client import READY, acknowledged, answer
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from bench import report
from bench.figures import NoGap, first_after, last_before, lost, outage, percentile, spread
from bench.prober import hosts_of, insert
from bench.rounds import GIVE_UP_AFTER, Turns, order
from bench.targets import Row, Target, emergency_targets, is_quiet, planned_targets, values
from systems.base import BenchmarkError, NotOffered, multi_host_dsn


def row(system: str, kind: str, variant: str = "", /, **figures: object) -> Row:
    return {"system": system, "variant": variant, "kind": kind, "round": 1, **figures}


# --- figures -----------------------------------------------------------------------------------------------------


def test_the_outage_is_the_longest_gap_between_two_servers() -> None:
    rows = acknowledged((1.0, 1), (1.5, 1), (3.0, 1), (3.25, 0), (3.5, 0), (4.5, 1), (4.75, 1))
    assert outage(rows, since=2.9) == (3.5, 4.5)


def test_a_slow_commit_at_one_server_is_no_outage() -> None:
    rows = acknowledged((1.0, 1), (9.0, 1), (9.5, 2))
    assert outage(rows, since=0) == (9.0, 9.5)


def test_an_outage_before_the_hand_over_does_not_count() -> None:
    rows = acknowledged((1.0, 1), (5.0, 2), (6.0, 2), (6.5, 3))
    assert outage(rows, since=5.5) == (6.0, 6.5)


def test_an_outage_that_had_begun_when_the_command_came_counts() -> None:
    assert outage(acknowledged((1.0, 1), (5.0, 2)), since=3.0) == (1.0, 5.0)


def test_a_client_that_never_wrote_elsewhere_saw_no_hand_over() -> None:
    with pytest.raises(NoGap):
        outage(acknowledged((1.0, 1), (2.0, 1)), since=0)


def test_the_first_write_comes_after_the_command_and_from_another_server() -> None:
    # The third insert is one that the old server had been sent before it was paused; it answered when it was thawed.
    rows = acknowledged((1.0, 1), (2.0, 1), (3.0, 1), (4.0, 2), (5.0, 2))
    assert first_after(rows, 2.0, not_by=1) == 4.0
    assert first_after(rows, 4.0, not_by=1) == 5.0
    assert first_after(rows, 5.0, not_by=1) is None
    assert last_before(rows, 2.5) == 2.0


def test_lost_rows_are_the_acknowledged_ones_that_are_gone() -> None:
    rows = acknowledged((1.0, 1), (2.0, 1), (3.0, 1))
    # The server may have a row whose acknowledgement never came.
    assert lost(rows, [1, 3, 4]) == [2]
    assert lost(rows, [1, 2, 3]) == []


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.95, 5.0),
        ([float(number) for number in range(1, 11)], 0.95, 10.0),
        ([float(number) for number in range(20, 0, -1)], 0.95, 19.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([3.0, 1.0, 2.0], 1.0, 3.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.5)])
def test_a_percentile_of_nothing_is_an_error(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, share)


def test_a_spread_tells_how_often_was_measured() -> None:
    assert spread([0.4, 0.1, 0.2]) == (3, 0.1, 0.2, 0.4, 0.4)
    assert spread([]) is None


def test_the_client_tries_each_host_by_itself() -> None:
    first, second = (conninfo_to_dict(host.decode()) for host in hosts_of(multi_host_dsn(25432, 25433)))
    assert (first["host"], first["port"], second["port"]) == ("127.0.0.1", "25432", "25433")
    assert second["target_session_attrs"] == "read-write"


# What a server says to a client that logs in, prepares a statement, and executes it (protocol 3.0).
LOGGED_IN = b"R\0\0\0\x08\0\0\0\0" + READY
PREPARED = b"1\0\0\0\x04" + READY
INSERTED = b"2\0\0\0\x04" + b"n\0\0\0\x04" + b"C\0\0\0\x0fINSERT 0 1\0"
TERMINATED = b"E\0\0\0\x18SFATAL\0C57P01\0Mbye\0\0"


@pytest.mark.parametrize(("after", "acknowledged"), [(READY, True), (TERMINATED, False), (b"", False)])
def test_an_insert_is_acknowledged_when_its_transaction_has_ended(after: bytes, acknowledged: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A process, since libpq waits without letting other threads of this one work.
        server = multiprocessing.get_context("fork").Process(
            target=answer, args=(listener, [LOGGED_IN, PREPARED, INSERTED + after])
        )
        server.start()
        port = listener.getsockname()[1]
        dsn = f"host=127.0.0.1 port={port} user=u dbname=d sslmode=disable gssencmode=disable connect_timeout=5"
        connection = pq.PGconn.connect(dsn.encode())
        assert connection.prepare(b"probe", b"INSERT").status == pq.ExecStatus.COMMAND_OK
        assert insert(connection, 1) is acknowledged
        connection.finish()
        server.join(5)


# --- turns -------------------------------------------------------------------------------------------------------


class Someone:
    name, variant = "someone", "tuned"


def failing(error: Exception) -> Row:
    raise error


def test_every_other_round_goes_backwards() -> None:
    first, second = Someone(), Someone()
    assert order([first, second], 0) == [first, second]
    assert order([first, second], 1) == [second, first]


def test_a_failure_is_kept_and_who_fails_again_and_again_is_left_out() -> None:
    turns = Turns()
    for number in range(GIVE_UP_AFTER + 2):
        turns.take(Someone(), "quiet", number, lambda: failing(BenchmarkError("It fell over.")))  # type: ignore[arg-type]
    assert [one["failure"] for one in turns.rows] == ["It fell over."] * GIVE_UP_AFTER


def test_what_failed_first_is_not_hidden_by_what_it_led_to() -> None:
    def work() -> Row:
        try:
            return failing(BenchmarkError("Nobody was\npromoted."))
        finally:
            failing(BenchmarkError("Nobody answers."))

    turns = Turns()
    turns.take(Someone(), "killed", 0, work)  # type: ignore[arg-type]
    assert [one["failure"] for one in turns.rows] == ["Nobody was promoted. Then: Nobody answers."]


def test_a_success_between_forgives_the_failures() -> None:
    turns = Turns()
    for number in range(9):
        work = (lambda: {"outage": 0.1}) if number % 3 == 2 else (lambda: failing(NoGap("no gap")))
        turns.take(Someone(), "quiet", number, work)  # type: ignore[arg-type]
    assert len(turns.rows) == 9


def test_what_is_not_offered_is_asked_once_and_is_no_failure() -> None:
    turns = Turns()
    for number in range(3):
        turns.take(Someone(), "killed", number, lambda: failing(NotOffered("It has none.")))  # type: ignore[arg-type]
    (only,) = turns.rows
    assert only["not_offered"] == "It has none."
    assert "failure" not in only


# --- targets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("t", 3, 3.0), "met"),
        (Target("t", 3, 3.001), "missed"),
        (Target("t", 3, None), "not measured"),
        (Target("t", 3, 9.0, asked=False), "not asked"),
        (Target("t", 0, 0.0), "met"),
    ],
)
def test_a_target_is_judged_by_its_figure(target: Target, verdict: str) -> None:
    assert target.verdict == verdict


def test_failed_runs_and_other_systems_are_not_in_a_figure() -> None:
    rows = [
        row("relevo", "quiet", outage=0.1),
        row("relevo", "quiet", outage=9.0, failure="It fell over."),
        row("relevo", "load", outage=8.0),
        row("floor", "quiet", outage=7.0),
    ]
    assert values(rows, "outage", "quiet", ("relevo", "")) == [0.1]
    assert values(rows, "outage") == [0.1, 8.0, 7.0]


PLANNED = [
    *(row("relevo", "quiet", outage=seconds, lost=0, **{"failover.yml": 9.0}) for seconds in (0.10, 0.20, 0.12)),
    *(row("relevo", "load", outage=seconds, lost=1, **{"failback.yml": 21.0}) for seconds in (0.10, 0.31)),
    *(row("floor", "quiet", outage=seconds) for seconds in (0.05, 0.10, 0.90)),
    row("patroni", "quiet", "defaults", outage=1.5),
    row("patroni", "quiet", "tuned", outage=0.2),
    row("repmgr", "quiet", "defaults", outage=1.0),
]


def test_the_planned_targets_compare_with_the_floor_and_with_the_fastest_default() -> None:
    by_text = {target.text.split(":")[0]: target for target in planned_targets(PLANNED, quiet_machine=False)}
    targets = planned_targets(PLANNED, quiet_machine=False)
    assert [(round(target.figure or 0, 3), target.verdict) for target in targets] == [
        (1.2, "met"),
        (0.12, "met"),
        (0.12, "not asked"),
        (0.12, "not asked"),
        (0.31, "missed"),
        (2.0, "missed"),
        (0.0, "met"),
        (9.0, "met"),
        (21.0, "missed"),
    ]
    assert "acknowledged rows lost in 5 hand-overs" in by_text


def test_a_quiet_machine_is_asked_for_more() -> None:
    verdicts = [target.verdict for target in planned_targets(PLANNED, quiet_machine=True)]
    assert verdicts[2:4] == ["missed", "met"]
    assert is_quiet(0.5, cores=2)
    assert not is_quiet(0.6, cores=2)


def test_a_failed_hand_over_of_ours_misses_a_target() -> None:
    (failed,) = [target for target in planned_targets([row("relevo", "quiet", failure="It.")], False) if
                 target.text == "hand-overs that failed"]  # fmt: skip
    assert (failed.figure, failed.verdict) == (1.0, "missed")


def test_without_rivals_nothing_is_claimed_about_them() -> None:
    mine = [one for one in PLANNED if not one["variant"]]
    assert [target.verdict for target in planned_targets(mine, True)][1:3] == ["not measured"] * 2


def test_emergencies_are_judged_by_their_longest_less_what_is_measured_by_itself() -> None:
    rows = [
        row("relevo", "killed", first_write=2.0, salvage=0.0, lost=0),
        row("relevo", "killed", first_write=3.75, salvage=0.25, lost=0),
        row("relevo", "killed with a tail", first_write=5.0, salvage=2.5, lost=0),
        row("relevo", "paused", first_write=4.5, fencing=0.5, salvage=0.5, lost=0),
        row("relevo", "paused", first_write=9.0, failure="It fell over."),
        row("floor", "killed", first_write=9.0, lost=7),
    ]
    targets = emergency_targets(rows)
    assert [(target.figure, target.verdict) for target in targets] == [
        (3.5, "missed"),
        (2.5, "met"),
        (3.5, "missed"),
        (None, "not measured"),
        (0.0, "met"),
    ]


# --- the page ----------------------------------------------------------------------------------------------------

RUN = {
    "at": "2026-01-01 00:00 UTC",
    "quick": True,
    "minutes": 3.0,
    "machine": {"processor": "x", "cores": 2, "memory_gib": 8.0, "kernel": "k", "engine": "e", "storage_driver": "o"},
    "load_before": [0.1, 0.2, 0.3],
    "load_after": [0.1, 0.2, 0.3],
    "versions": {"relevo": {"PostgreSQL": "17"}},
}


def test_the_page_shows_each_target_with_its_figure_and_what_failed() -> None:
    rows = [*PLANNED, row("repmgr", "load", "defaults", failure="It | fell\nover.")]
    page = report.page({"planned": {"run": RUN, "rows": rows}})
    assert "| outage under load: p95 | 0.300 s | 0.310 s | **missed** |" in page
    assert "- repmgr (defaults), load: It | fell over." in page
    assert "## Emergency" not in page
    assert "`make bench`" in page


def test_neither_the_machine_nor_its_paths_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "quietly")
    rows = [row("relevo", "quiet", failure=f"{tmp_path}/run failed on quietly, unquietly.")]
    docs = tmp_path / "docs"
    docs.mkdir()
    report.publish({"planned": {"run": RUN, "rows": rows}}, docs, tmp_path)
    for file in (report.PAGE, report.DATA):
        written = (docs / file).read_text()
        assert "./run failed on the controller, unquietly." in written
        assert str(tmp_path) not in written


def test_a_part_that_was_not_measured_here_stays_on_the_page() -> None:
    """A fresh checkout has no results of its own: with one part measured, the page once lost all others."""
    published = {"planned": {"run": {"at": "2026-11-25 14:57 UTC"}}, "scale": {"run": {"at": "2026-11-25 15:14 UTC"}}}
    here = {"scale": {"run": {"at": "2026-11-28 01:11 UTC"}}}
    assert report.latest([published, here]) == published | here
    assert report.latest([here, published]) == published | here
    assert report.latest([]) == {}
