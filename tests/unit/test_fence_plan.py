"""Whether anybody may be promoted after a primary has gone: a test for each row of what is decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._handover.fence_plan import (
    Fenced,
    FenceRequest,
    Means,
    archived_from,
    beside_the_living,
    means_of,
    means_without_service,
    needs_record,
    obstacle,
    refusal,
    will_need_record,
)

CONTAINERS = FenceRequest(
    primary="a",
    candidate="b",
    timeline=3,
    requested_by="alice",
    means={"a": "engine", "c": "engine"},
    repository="backup",
    record_possible=True,
)
MACHINES = replace(CONTAINERS, means={"a": "command", "c": "command"})
ANSWERING = replace(CONTAINERS, means={"a": "service", "c": "service"})
HELPLESS = replace(CONTAINERS, means={"a": "none", "c": "none"})
MARKED = Fenced("a", proved=True, evidence="the engine says so", marked=True)
STOPPED = replace(MARKED, marked=False)
UNPROVED = Fenced("a", proved=False, evidence="status 1")
GONE = Fenced("c", proved=True, evidence="the engine says so", marked=True)
NO_MARK = "Neither the disk of a nor the repository on backup can be written to"


@pytest.mark.parametrize(
    ("kind", "command", "answers", "means"),
    [
        ("docker", [], False, "engine"),
        ("docker", ["off"], True, "engine"),
        # Whether its server answers or not: it is the machine's own proof, and costs no word of anybody.
        ("ssh", [], True, "service"),
        ("ssh", ["off"], True, "service"),
        ("ssh", ["off"], False, "command"),
        ("ssh", [], False, "none"),
    ],
)
def test_a_node_is_fenced_by_what_can_reach_it(kind: str, command: list[str], answers: bool, means: Means) -> None:
    assert means_of(kind, command, answers) == means


def test_a_machine_that_cannot_prove_it_itself_is_fenced_by_the_command() -> None:
    assert means_without_service(["off"]) == "command"
    assert means_without_service([]) == "none"


def test_a_primary_that_its_own_machine_finds_alive_is_spared() -> None:
    said = beside_the_living("a")
    assert "Nobody was promoted; nothing was touched." in said
    assert "fence_living=true" in said
    assert "force=" not in said


# --- before anything is touched --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        CONTAINERS,
        # A marker on the old primary's disk is enough.
        replace(CONTAINERS, record_possible=False),
        replace(CONTAINERS, unreachable=("c",)),
        replace(CONTAINERS, lost=("a",)),
        MACHINES,
        replace(MACHINES, unreachable=("c",)),
        ANSWERING,
        # Its own disk carries the marker.
        replace(ANSWERING, record_possible=False),
        replace(ANSWERING, unreachable=("c",)),
    ],
)
def test_nothing_is_in_the_way_of_a_fence_that_can_be_proved_and_marked(wanted: FenceRequest) -> None:
    assert obstacle(wanted) == ""


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            HELPLESS,
            "a could not be proved to be stopped: the machine does not answer, and failover_fence_command",
        ),
        (replace(MACHINES, record_possible=False), NO_MARK),
        (replace(CONTAINERS, lost=("a",), record_possible=False), NO_MARK),
        (
            replace(CONTAINERS, means={"a": "engine", "c": "none"}, unreachable=("c",)),
            "c does not answer, and could not be proved to be stopped: failover_fence_command is empty",
        ),
    ],
)
def test_what_must_fail_is_refused_before_anything_is_touched(wanted: FenceRequest, words: str) -> None:
    assert obstacle(wanted).startswith(words)
    assert "Nobody was promoted" in obstacle(wanted)
    assert "othing was touched." in obstacle(wanted)
    assert "force=true" in obstacle(wanted)
    assert obstacle(replace(wanted, force=True)) == ""


def test_a_node_that_nobody_can_fence_matters_only_when_it_does_not_answer() -> None:
    assert obstacle(replace(CONTAINERS, means={"a": "engine", "c": "none"})) == ""


def test_a_record_that_cannot_be_left_is_known_before_the_fence() -> None:
    bucket = "No record of a fence can be kept here: The repository is not a directory of this host (repo1-type=s3)."
    assert will_need_record(MACHINES)
    assert will_need_record(replace(CONTAINERS, lost=("a",)))
    said = obstacle(MACHINES, bucket)
    assert said.startswith(
        f"{NO_MARK} (the machine a does not answer; backup answers: No record of a fence can be kept"
    )
    assert said.endswith("Nothing was touched.")
    # Nobody is asked who would not need one, or does not answer.
    for other in (CONTAINERS, replace(MACHINES, force=True), replace(MACHINES, record_possible=False)):
        assert not will_need_record(other)
    assert obstacle(CONTAINERS, bucket) == obstacle(replace(MACHINES, force=True), bucket) == ""


# --- after the fences ------------------------------------------------------------------------------------------------


def test_the_record_is_for_a_disk_that_does_not_show_the_fence() -> None:
    assert not needs_record(MARKED)
    assert needs_record(STOPPED)


@pytest.mark.parametrize(
    ("wanted", "primary", "others"),
    [
        (CONTAINERS, MARKED, []),
        (replace(CONTAINERS, record_possible=False), MARKED, []),
        # Stopped, and the record was left.
        (MACHINES, STOPPED, []),
        (CONTAINERS, MARKED, [GONE]),
        (ANSWERING, MARKED, [GONE]),
        # Stopped by its service manager, and its data disk is gone: the record was left.
        (ANSWERING, STOPPED, []),
        # A machine has no marker; a standby starts in spite of one.
        (MACHINES, STOPPED, [replace(GONE, marked=False)]),
    ],
)
def test_somebody_may_be_promoted(wanted: FenceRequest, primary: Fenced, others: list[Fenced]) -> None:
    assert refusal(wanted, primary, others) == ""


@pytest.mark.parametrize(
    ("primary", "others", "no_record", "words"),
    [
        (UNPROVED, [], "", "a could not be proved to be stopped (status 1)"),
        # A marker is no proof.
        (replace(UNPROVED, marked=True), [], "", "a could not be proved to be stopped (status 1)"),
        (STOPPED, [], "The disk is full.", f"{NO_MARK} (a took no marker; backup answers: The disk is full)"),
        (MARKED, [replace(GONE, proved=False)], "", "c does not answer, and could not be proved to be stopped (the"),
        (MARKED, [replace(GONE, newer_timeline=4)], "", "c does not answer, and was promoted to timeline 4, which b"),
        (MARKED, [GONE, replace(GONE, node="d", proved=False)], "", "d does not answer, and could not be proved"),
    ],
)
def test_nobody_may_be_promoted(primary: Fenced, others: list[Fenced], no_record: str, words: str) -> None:
    said = refusal(CONTAINERS, primary, others, no_record)
    assert said.startswith(words)
    assert "Nobody was promoted" in said
    assert "force=true" in said
    assert refusal(replace(CONTAINERS, force=True), primary, others, no_record) == ""


LOST, AWAY = replace(CONTAINERS, lost=("a",)), "it does not answer"


@pytest.mark.parametrize(
    ("wanted", "no_record", "why", "advice"),
    [
        # What is not there cannot be made to answer.
        (
            LOST,
            "It is full.",
            "there is no container a any more; backup answers: It is full",
            "Fix what backup says",
        ),
        (
            replace(LOST, record_possible=False),
            AWAY,
            "there is no container a any more; the repository host backup does not answer",
            "Start backup",
        ),
        (
            MACHINES,
            "It is full.",
            "the machine a does not answer; backup answers: It is full",
            "Make a answer, so that its own disk can be marked",
        ),
        (
            replace(MACHINES, record_possible=False),
            AWAY,
            "the machine a does not answer; the repository host backup does not answer",
            "Start backup, or make a answer, so that its own disk can be marked",
        ),
        # Its disk is full.
        (CONTAINERS, "It is full.", "a took no marker; backup answers: It is full", "Make the disk of a writable"),
        (
            replace(ANSWERING, record_possible=False),
            AWAY,
            "a took no marker; the repository host backup does not answer",
            "Start backup, or make the disk of a writable",
        ),
    ],
)
def test_what_is_away_and_what_is_gone_are_told_apart(
    wanted: FenceRequest, no_record: str, why: str, advice: str
) -> None:
    said = refusal(wanted, STOPPED, [], no_record)
    assert said == (
        f"{NO_MARK} ({why}), so nothing would keep the old primary from coming back. Nobody was promoted. {advice}, "
        "then run this again; or go on with -e force=true and make sure yourself that a stays off."
    )
    if not wanted.marks_disk:
        # Known before the fence, in the same words.
        assert obstacle(wanted, "" if no_record == AWAY else no_record) == f"{said} Nothing was touched."


# --- the marker ------------------------------------------------------------------------------------------------------


def test_the_marker_holds_up_to_the_timeline_that_ends() -> None:
    marker = CONTAINERS.marker("c")
    assert (marker.kind, marker.node, marker.successor, marker.by) == ("fence", "c", "b", "alice")
    assert marker.in_force(3)
    assert not marker.in_force(4)


def test_forced_it_holds_for_each_timeline() -> None:
    """The fenced node may be on a newer timeline than the candidate."""
    assert replace(CONTAINERS, force=True).marker("a").in_force(9)


# --- what the candidate has to fetch from the archive ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "interrupted", "first"),
    [
        # All that the archive has of it is on the disk as well, and came from there.
        (["09", "0A"], False, ""),
        # Nobody knows what the rest of the disk had.
        (["09"], True, "09"),
        ([], True, "09"),
        # The disk could not be read, or had already recycled it.
        ([], False, "09"),
    ],
)
def test_what_the_disk_did_not_give_is_fetched_from_the_archive(
    segments: list[str], interrupted: bool, first: str
) -> None:
    assert archived_from("09", segments, interrupted) == first


def test_the_role_has_no_default_of_its_own_for_what_a_promotion_is_decided_with() -> None:
    """One that is forgotten would be taken for "nothing newer is known", and somebody promoted."""
    tasks = (Path(__file__).resolve().parents[2] / "roles/handover/tasks/promote.yml").read_text(encoding="utf-8")
    assert "default(" not in tasks.replace("default(omit)", "")
