"""The cycle: which day it is, which of its steps are left, and of which server a backup was made."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import cycle

DAYS = cycle.parse_days(
    {1: ["full"], 2: ["incr"], 3: ["incr", "diff"], 4: ["incr"], 5: ["incr", "diff"], 6: ["diff", "full"]}
)
NOW = datetime.datetime(2026, 11, 24, 22, 0, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


class Repository:
    """What pgBackRest would list after the steps of a plan were made."""

    def __init__(self) -> None:
        self.backups: list[dict[str, Any]] = []

    def add(self, at: datetime.datetime, annotation: dict[str, str], minutes: int = 1) -> dict[str, Any]:
        stop = int((at + datetime.timedelta(minutes=minutes)).timestamp())
        # Two backups cannot bear the same second in their labels.
        stop += len(self.backups)
        label = f"{at:%Y%m%d}-{len(self.backups):06d}F"
        self.backups.append({"label": label, "timestamp": {"start": stop - 1, "stop": stop}, "annotation": annotation})
        return self.backups[-1]

    def make(self, plan: cycle.Plan, at: datetime.datetime, only: int | None = None, minutes: int = 1) -> None:
        for step in plan.steps[:only]:
            self.add(at, step.annotations, minutes)

    def plan(self, day: Any = "auto", at: datetime.datetime = NOW, **options: Any) -> cycle.Plan:
        return cycle.plan(self.backups, cycle.CycleRequest(day, DAYS, {"relevo-primary": "a"}, **options), at)


@pytest.fixture
def repository() -> Repository:
    return Repository()


def kinds(plan: cycle.Plan) -> list[tuple[str, str]]:
    return [(step.type, step.annotations["relevo-step"]) for step in plan.steps]


def test_an_empty_repository_begins_with_day_1(repository: Repository) -> None:
    plan = repository.plan()
    assert (plan.day, kinds(plan), plan.next_day) == (1, [("full", "1/1")], 2)
    assert plan.steps[0].annotations == {
        "relevo-primary": "a",
        "relevo-cycle": "20261124T220000Z",
        "relevo-day": "1",
        "relevo-step": "1/1",
        "relevo-requested": "20261124T220000Z",
    }


def test_auto_goes_round_and_leaves_day_1_to_the_first_cycle(repository: Repository) -> None:
    days, cycles = [], []
    for number in range(12):
        at = NOW + number * DAY
        plan = repository.plan(at=at)
        repository.make(plan, at)
        days.append(plan.day)
        cycles.append(plan.cycle)
    assert days == [1, 2, 3, 4, 5, 6, 2, 3, 4, 5, 6, 2]
    # The last day's full opens a cycle, its diff still belongs to the one before.
    assert [len(list(group)) for _name, group in itertools.groupby(cycles)] == [5, 5, 2]
    sixth = [b["annotation"] for b in repository.backups if b["annotation"]["relevo-day"] == "6"]
    assert sixth[0]["relevo-cycle"] == cycles[0]
    assert sixth[1]["relevo-cycle"] == cycles[5]


def test_a_half_done_day_is_finished_first_even_on_another_date(repository: Repository) -> None:
    repository.make(repository.plan("3"), NOW, only=1)
    later = NOW + 3 * DAY
    plan = repository.plan(at=later)
    assert (plan.day, kinds(plan)) == (3, [("diff", "2/2")])
    assert "half done" in plan.reason
    repository.make(plan, later)
    assert repository.plan(at=later).nothing_to_do


def test_half_done_day_6_opens_the_cycle_with_what_is_left(repository: Repository) -> None:
    repository.make(repository.plan("2"), NOW)
    before = repository.plan("6", at=NOW + DAY)
    repository.make(before, NOW + DAY, only=1)
    plan = repository.plan(at=NOW + 2 * DAY)
    assert kinds(plan) == [("full", "2/2")]
    assert plan.steps[0].annotations["relevo-cycle"] == "20261126T220000Z"


def test_a_relaunched_job_never_advances_the_cycle(repository: Repository) -> None:
    repository.make(repository.plan(), NOW)
    plan = repository.plan(at=NOW + datetime.timedelta(hours=1))
    assert plan.nothing_to_do
    assert plan.reason == "day 1 was finished today (2026-11-24)"
    assert (plan.day, plan.next_day) == (1, 2)


def test_nor_when_it_is_relaunched_after_midnight(repository: Repository) -> None:
    repository.make(repository.plan(), NOW)
    plan = repository.plan(at=NOW + datetime.timedelta(hours=3))
    assert plan.nothing_to_do
    assert "3.0 h ago" in plan.reason


def test_a_nightly_backup_that_ends_after_midnight_is_not_passed_over(repository: Repository) -> None:
    repository.make(repository.plan(), NOW, minutes=180)
    assert repository.plan(at=NOW + DAY).day == 2
    assert not repository.plan(at=NOW + DAY).nothing_to_do


def test_force_goes_on_the_same_day(repository: Repository) -> None:
    repository.make(repository.plan(), NOW)
    assert repository.plan(at=NOW, force=True).day == 2


def test_the_date_is_that_of_the_repository_host(repository: Repository) -> None:
    # 22:00 UTC is the next date in Auckland, where it is 11 in the morning.
    auckland = datetime.timezone(datetime.timedelta(hours=13))
    repository.make(repository.plan(), NOW)
    plan = repository.plan(at=(NOW + datetime.timedelta(hours=8)).astimezone(auckland))
    assert plan.reason == "day 1 was finished today (2026-11-25)"


def test_an_asked_for_day_is_made_again_in_full(repository: Repository) -> None:
    repository.make(repository.plan("3"), NOW)
    assert kinds(repository.plan("3")) == [("incr", "1/2"), ("diff", "2/2")]


def test_an_asked_for_day_that_is_half_done_is_finished(repository: Repository) -> None:
    repository.make(repository.plan("3"), NOW, only=1)
    assert kinds(repository.plan("3")) == [("diff", "2/2")]


def test_another_day_abandons_a_half_done_one(repository: Repository) -> None:
    repository.make(repository.plan("3"), NOW, only=1)
    assert kinds(repository.plan("5")) == [("incr", "1/2"), ("diff", "2/2")]


def test_backups_made_by_hand_do_not_count(repository: Repository) -> None:
    repository.make(repository.plan(), NOW)
    repository.add(NOW + DAY, {})
    repository.add(NOW + DAY, {"owner": "me"})
    assert repository.plan(at=NOW + DAY).day == 2


def test_expired_backups_are_not_missed(repository: Repository) -> None:
    for number in range(6):
        at = NOW + number * DAY
        repository.make(repository.plan(at=at), at)
    repository.backups = repository.backups[-1:]
    assert repository.plan(at=NOW + 6 * DAY).day == 2


def test_a_skipped_step_is_done(repository: Repository) -> None:
    repository.make(repository.plan("2"), NOW)
    third = repository.plan("3", at=NOW + DAY)
    for step in third.steps:
        label, note = cycle.skip_note(repository.backups, step.as_dict())
        assert label == repository.backups[-1]["label"]
        repository.backups[-1]["annotation"] = repository.backups[-1]["annotation"] | {"relevo-skipped": note}
        if step is third.steps[0]:
            assert kinds(repository.plan(at=NOW + DAY)) == [("diff", "2/2")]
    assert note == "3:1/2@20261125T220000Z 3:2/2@20261125T220000Z"
    assert repository.plan(at=NOW + DAY).reason.startswith("day 3 was finished today")
    assert repository.plan(at=NOW + 2 * DAY).day == 4


def test_annotations_that_anybody_wrote_do_no_harm(repository: Repository) -> None:
    repository.add(NOW, {"relevo-day": "x", "relevo-step": "1/1"})
    repository.add(NOW, {"relevo-day": "2", "relevo-step": "soon"})
    repository.add(NOW, {"relevo-skipped": "nonsense 9:9/9@never"})
    repository.add(NOW, {"relevo-day": "2", "relevo-step": "1/1", "relevo-requested": "yesterday"})
    assert repository.plan(at=NOW + DAY).day == 3


def test_provisioning_makes_only_the_very_first_backup(repository: Repository) -> None:
    assert repository.plan("1", only_first=True).day == 1
    repository.add(NOW, {})
    plan = repository.plan("1", only_first=True)
    assert plan.nothing_to_do
    assert "there is a backup already" in plan.reason


@pytest.mark.parametrize("day", ["0", "7", "x", "", "-1", "1.5", "²"])
def test_a_day_that_is_not_in_the_cycle_is_refused(repository: Repository, day: Any) -> None:
    with pytest.raises(RelevoError, match="There is no day .* Choose one of 1, 2, 3, 4, 5, 6, or auto"):
        repository.plan(day)


@pytest.mark.parametrize("day", [3, "3", " 3 ", "AUTO", "auto"])
def test_numbers_may_come_as_text(repository: Repository, day: Any) -> None:
    assert not repository.plan(day).nothing_to_do


@pytest.mark.parametrize("days", [{}, {"x": ["full"]}, {1: []}, {1: "full"}, {1: ["fll"]}])
def test_a_cycle_that_is_none_is_refused(days: Any) -> None:
    with pytest.raises(RelevoError, match="backup_cycle_days"):
        cycle.parse_days(days)


def test_a_cycle_of_its_own_goes_round_without_passing_over_the_first_day() -> None:
    days = cycle.parse_days({"10": ["diff"], "2": ["incr"], "1": ["full"]})
    assert [cycle.following(day, days) for day in days] == [2, 10, 1]
    assert cycle.following(1, {1: ["full"]}) == 1


def primary(name: str, timeline: int) -> dict[str, Any]:
    return {"name": name, "timeline": timeline}


def backup(start: str | None) -> dict[str, Any]:
    return {"label": "20261124-120000F", "archive": {"start": start, "stop": start}}


A, B = primary("a", 1), primary("b", 2)


def test_the_primary_of_a_backup_is_told_by_its_timeline() -> None:
    assert cycle.primary_of(backup("000000010000000000000004"), A, A) == "a"
    assert cycle.primary_of(backup("000000010000000000000004"), A, B) == "a"
    assert cycle.primary_of(backup("000000020000000000000004"), A, B) == "b"


@pytest.mark.parametrize("start", ["000000030000000000000004", "", None])
def test_a_timeline_of_neither_is_an_error(start: str | None) -> None:
    with pytest.raises(RelevoError, match="The primary changed from a to b while backup 20261124-120000F"):
        cycle.primary_of(backup(start), A, B)


def made(label: str, expired: Iterable[str] = ()) -> dict[str, Any]:
    backup = {"label": label, "info": {"repository": {"delta": 3 * 2**20}}}
    result = {"label": label, "type": "incr", "duration": 12.0, "backup": backup, "primary": "a"}
    return result | {"skipped_step": False, "expired": list(expired)}


SKIPPED = {"skipped_step": True, "expired": []}


def test_the_report_says_what_was_made_and_what_is_next(repository: Repository) -> None:
    plan = repository.plan("3").as_dict()
    text = cycle.report_text(plan, [made("one", ["x", "y"]), made("two")], "main")
    assert "Day 3 of the cycle 20261124T220000Z is done (it was asked for)." in text
    assert [line.split()[1] for line in text.splitlines() if " 3.0 MiB " in line] == ["one", "two"]
    assert "Expired: 2 backups.\n  x\n  y\n" in text
    assert text.endswith("The next is day 4 of stanza main.")


def test_the_report_names_skipped_steps(repository: Repository) -> None:
    text = cycle.report_text(repository.plan("3").as_dict(), [SKIPPED, SKIPPED], "main")
    assert "2 backups skipped: no file had changed since the last one." in text
    assert "Expired: nothing." in text


def test_the_report_of_a_relaunched_job(repository: Repository) -> None:
    repository.make(repository.plan(), NOW)
    text = cycle.report_text(repository.plan().as_dict(), [], "main")
    assert text == "Nothing to do: day 1 was finished today (2026-11-24). The next is day 2."
