# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore in place: what is refused, what it costs, how it is undone, and the record by which it is finished."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.module_utils import _names, _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._handover.archive_recovery import ArchiveRecovery
from ansible_collections.relevo.postgres.plugins.module_utils._repository import forget, restore_record
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import (
    RestoreRecord,
    Unfinished,
    unfinished_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._restore import in_place, operation_lock, replacement
from ansible_collections.relevo.postgres.plugins.module_utils._restore.in_place import Cluster, Undo
from ansible_collections.relevo.postgres.plugins.module_utils._restore.plan import Place, Request, RestorePlan, decide
from ansible_collections.relevo.postgres.plugins.module_utils._restore.reach import Repository
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import SEGMENT_SIZE, format_lsn, segment_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.marker import Marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.modules import (
    pg_restore_in_place_plan,
)
from ansible_collections.relevo.postgres.plugins.modules import restore_record as restore_record_module

ZERO = datetime(2026, 11, 26, 12, 0, tzinfo=UTC).timestamp()
NOW = datetime(2026, 11, 26, 13, 0, tzinfo=UTC)
PLACE = Place("a", "/var/lib/postgresql/17/main", 10**10, database_version="17")
DATABASES = [{"id": 1, "repo-key": 1, "system-id": 77, "version": "17"}]
CLUSTER = Cluster("main", "a", ("a", "b"), "repo", ("a",), 1, timelines={"a": 1, "b": 1})


def position(number: int, offset: int = 0x100) -> str:
    return format_lsn(number * SEGMENT_SIZE + offset)


def backup(label: str, minute: int, number: int, timeline: int = 1) -> dict[str, Any]:
    stop = int(ZERO + 60 * minute)
    name = segment_name(timeline, number * SEGMENT_SIZE)
    return {
        "label": label,
        "type": "full",
        "timestamp": {"start": stop - 5, "stop": stop},
        "archive": {"start": name, "stop": name},
        "lsn": {"start": position(number, 0x28), "stop": position(number)},
        "database": {"id": 1, "repo-key": 1},
        "info": {"size": 1000 * 2**20},
    }


def archived(first: int, last: int, timeline: int = 1, minute: int | None = None) -> dict[str, float]:
    begin = first if minute is None else minute
    return {segment_name(timeline, n * SEGMENT_SIZE): ZERO + 60 * (begin + n - first) for n in range(first, last + 1)}


PLAIN = Repository([backup("a", 2, 2), backup("b", 20, 20)], DATABASES, archived(2, 30))
#: Taken back in minute 40, from segment 30 to the middle of segment 15.
TAKEN_BACK = Repository(
    [backup("a", 2, 2), backup("b", 20, 20), backup("c", 42, 16, 2)],
    DATABASES,
    archived(2, 30) | archived(15, 20, 2, minute=41),
    {2: (f"1\t{position(15, 0x500)}\tbefore\n", ZERO + 60 * 40)},
)


def minute(value: int) -> str:
    return datetime.fromtimestamp(ZERO + 60 * value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def request(target: str = "", target_type: str = "", **more: Any) -> Request:
    return Request(parse(target_type, target), **more)


def plan_of(asked: Request, repository: Repository = PLAIN) -> RestorePlan:
    return decide(asked, repository, PLACE, NOW)


def unfinished(asked: Request | None = None, **more: Any) -> Unfinished:
    wanted = asked or request(minute(10))
    undo = {"timeline": 1, "label": "b", "until": "2026-12-03T13:00:00Z", "point": "before"}
    record = Unfinished(
        "main",
        "a",
        "alice@ctl",
        "2026-11-26T13:00:00.000+00:00",
        in_place.command("main", wanted.target),
        in_place.asked_of(wanted),
        plan_of(wanted).as_dict(),
        undo,
    )
    return replace(record, **more)


# --- the command ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (request("2026-11-26 13:00:00.5 Europe/Madrid"), "target_type=time -e target=2026-11-26T12:00:00.5Z"),
        (request("16/b374d848", "lsn"), "target_type=lsn -e target=16/B374D848"),
        (request("", "latest", timeline=2), "target_type=latest -e timeline=2"),
        (request("", "immediate", label="a"), "target_type=immediate -e backup=a"),
    ],
)
def test_the_command_asks_for_the_same_again(asked: Request, words: str) -> None:
    line = in_place.command("main", asked.target, asked.label, asked.timeline)
    assert line.startswith("ansible-playbook playbooks/restore.yml -e cluster=main -e to=cluster -e ")
    assert line.endswith(f"{words} -e confirm=main")
    given = dict(word.split("=", 1) for word in line.split(" -e ")[1:])
    again = Request(
        parse(given["target_type"], given.get("target", "")), given.get("backup", ""), int(given.get("timeline", 0))
    )
    assert in_place.asked_of(again) == in_place.asked_of(asked)


def test_who_gets_the_data_first() -> None:
    assert in_place.restored_node(["b"], "a", None) == "b"
    assert in_place.restored_node([], "a", None) == "a"
    assert in_place.restored_node(["a", "b"], "a", None) == "a"
    assert in_place.restored_node(["b"], "b", {"node": "a"}) == "a"


# --- one after the other ----------------------------------------------------------------------------------------


def test_how_a_run_goes_on() -> None:
    begun = unfinished()
    assert in_place.step_of(request(minute(10)), None, reached=False) == "begin"
    assert in_place.step_of(request("2026-11-26T13:10:00+01:00"), begun, reached=False) == "finish"
    assert in_place.step_of(request(minute(10)), begun, reached=True) == "finish"
    # A target that cannot be reached must not keep the cluster down for good.
    assert in_place.step_of(request("", "latest"), begun, reached=False) == "replace"
    with pytest.raises(RelevoError, match="Its target has been reached"):
        in_place.step_of(request("", "latest"), begun, reached=True)


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "confirm", "place", "words"),
    [
        (CLUSTER, "other", PLACE, "confirm=other is not the cluster's name, main"),
        (CLUSTER, "main@b", PLACE, "confirm=main@b is not the cluster's name"),
        (replace(CLUSTER, primaries=("a", "b")), "main", PLACE, "a and b both take writes"),
        (replace(CLUSTER, down={"b": "no route"}), "main", PLACE, "b does not answer (no route)"),
        (replace(CLUSTER, down={"repo": "no route"}), "main", PLACE, "repo does not answer"),
        (CLUSTER, "main", replace(PLACE, free=2**30), "a has room for 1024 MiB"),
    ],
)
def test_what_is_refused(cluster: Cluster, confirm: str, place: Place, words: str) -> None:
    plan = plan_of(request(minute(10)))
    found = in_place.refusals(cluster, confirm, place, plan, in_place.size_needed(plan.label, PLAIN))
    assert any(one.startswith(words) or words in one for one in found), found
    assert len(found) == 1


@pytest.mark.parametrize("confirm", ["main", "main@a", ""])
def test_what_is_not_refused(confirm: str) -> None:
    plan = plan_of(request(minute(10)))
    assert in_place.refusals(CLUSTER, confirm, PLACE, plan, in_place.size_needed(plan.label, PLAIN)) == []
    assert in_place.consents(confirm, CLUSTER) == bool(confirm)


# --- what it costs, and the way back ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "repository", "timeline", "segments"),
    [
        # Archived after minute 25: 26 to 30.
        (request(minute(25)), PLAIN, 1, 5),
        # With the segment of the position itself.
        (request(position(25), "lsn"), PLAIN, 1, 6),
        (request("", "latest"), PLAIN, 1, 0),
        (request("740", "xid"), PLAIN, 1, 0),
        # Back to where it came from: all that the present timeline has of its own goes.
        (request("", "latest", timeline=1), TAKEN_BACK, 2, 6),
        (request("", "latest", timeline=1), TAKEN_BACK, 9, 0),
        (request("740", "xid", timeline=1), TAKEN_BACK, 2, 0),
    ],
)
def test_what_is_lost(asked: Request, repository: Repository, timeline: int, segments: int) -> None:
    lost = in_place.lost_wal(plan_of(asked, repository), asked.target, repository, timeline)
    assert lost == segments * SEGMENT_SIZE


def test_the_way_back_is_the_end_of_the_present_timeline() -> None:
    undo = in_place.undo_of(CLUSTER, PLAIN, NOW, 7)
    assert undo == Undo(1, "b", "2026-12-03T13:00:00Z")
    assert "-e target_type=latest -e timeline=1 -e confirm=main" in undo.command("main")
    again = in_place.undo_of(replace(CLUSTER, timeline=2), TAKEN_BACK, NOW, 0.5)
    assert again == Undo(2, "c", "2026-11-27T01:00:00Z")
    named = in_place.with_point(undo, NOW)
    assert isinstance(named, Undo)
    assert named.point == "before_restore_20261126_130000"


UNTIL = {"relevo-pinned": "20261203T130000Z"}


@pytest.mark.parametrize(
    ("second", "kept", "said"),
    [
        (None, {1: "b"}, ""),
        # It has backups of its own, by its own cycle.
        (
            replace(PLAIN, backups=[backup("other", 10, 10)]),
            {1: "b", 2: "other"},
            "Repository 2 keeps the backup other for it as long.",
        ),
        # It is in the way of nothing.
        ("It did not answer within 10 s.", {1: "b"}, "Repository 2 keeps no backup for it: It did not answer"),
        (
            replace(PLAIN, backups=[], segments={}),
            {1: "b"},
            "Repository 2 keeps no backup for it: the present state could not be restored",
        ),
    ],
)
def test_what_leads_back_to_the_present_is_kept_in_each_repository(
    monkeypatch: pytest.MonkeyPatch, second: Repository | str | None, kept: dict[int, str], said: str
) -> None:
    monkeypatch.setattr(pg_restore_in_place_plan, "read_second", lambda _params: second)
    asked: Any = object.__new__(pg_restore_in_place_plan.Asked)
    asked.params, asked.cluster, asked.now, asked.repository = {"undo_days": 7}, CLUSTER, NOW, PLAIN
    asked.undo, asked.second, asked.second_undo = in_place.undo_of(CLUSTER, PLAIN, NOW, 7), None, None
    asked.look_at_second()
    assert asked.pins() == [
        {"repository": number, "label": label, "annotations": UNTIL, "required": number == 1}
        for number, label in kept.items()
    ]
    plan = plan_of(request(minute(25)))
    text = in_place.describe_in_place(plan, PLAIN, CLUSTER, "a", asked.undo, [], second=asked.second_undo).text
    assert said in text
    assert ("Repository 2 keeps" in text) == (second is not None)


def test_a_dead_cluster_goes_back_to_what_is_archived_and_a_lost_one_nowhere() -> None:
    dead = replace(CLUSTER, primaries=(), timeline=0)
    assert in_place.undo_of(dead, PLAIN, NOW, 7) == Undo(1, "b", "2026-12-03T13:00:00Z")
    why = in_place.undo_of(replace(dead, timelines={}), PLAIN, NOW, 7)
    assert why == "no node holds data, so there is nothing to go back to"
    gone = in_place.undo_of(replace(CLUSTER, timeline=5), PLAIN, NOW, 7)
    assert isinstance(gone, str)
    assert gone.startswith("the present state could not be restored: The archive knows no timeline 5")
    assert in_place.undo_dict(gone) == {}


@pytest.mark.parametrize(
    ("cluster", "repository", "words"),
    [
        (CLUSTER, PLAIN, ""),
        (replace(CLUSTER, primaries=(), timeline=0), PLAIN, "What the last primary had not archived goes."),
        (replace(CLUSTER, timeline=2), TAKEN_BACK, "Everything that was written on timeline 2 goes from the cluster."),
    ],
)
def test_the_end_of_a_timeline_costs_what_others_have(cluster: Cluster, repository: Repository, words: str) -> None:
    asked = request("", "latest", timeline=1)
    assert in_place.loss_in_words(cluster, plan_of(asked, repository), asked.target, 0, NOW) == words


# --- in words ---------------------------------------------------------------------------------------------------


def test_the_plan_says_what_becomes_of_whom() -> None:
    asked = request(minute(25))
    plan = plan_of(asked)
    lost = in_place.loss_in_words(CLUSTER, plan, asked.target, 5 * SEGMENT_SIZE, NOW)
    undo = in_place.undo_of(CLUSTER, PLAIN, NOW, 7)
    text = in_place.describe_in_place(plan, PLAIN, CLUSTER, "a", undo, [], lost=lost).text
    assert "a is stopped, gets these data" in text
    assert "b is stopped before, and made its standby afterwards." in text
    assert "Risk: Everything that was written after it of the last 35 min" in text
    assert "The way back, until 2026-12-03T13:00:00Z: ansible-playbook" in text
    assert "It is done when it is confirmed: -e confirm=main." in text
    confirmed = in_place.describe_in_place(plan, PLAIN, CLUSTER, "a", undo, [], confirmed=True, step="finish").text
    assert "It is done when" not in confirmed
    assert "An earlier run began it" in confirmed


def test_the_plan_after_a_total_loss_says_what_is_skipped() -> None:
    lost = replace(CLUSTER, primaries=(), timeline=0, timelines={})
    asked = request("", "latest")
    undo = in_place.undo_of(lost, PLAIN, NOW, 7)
    loss = in_place.loss_in_words(lost, plan_of(asked), asked.target, 0, NOW)
    text = in_place.describe_in_place(plan_of(asked), PLAIN, lost, "a", undo, [], lost=loss).text
    assert "a gets these data" in text
    assert "nothing is stopped, and no restore point is made" in text
    assert "No way back: no node holds data" in text
    assert "What was not archived before the loss is gone." in text


def test_a_refused_plan_changes_nothing() -> None:
    shown = in_place.describe_in_place(None, None, CLUSTER, "a", "", ["No target was given."])
    assert shown.action == "none"
    assert shown.refusals == ["No target was given."]


OUTCOME = {
    "order": "x",
    "lsn": "0/A000000",
    "last_commit": "",
    "timeline": 2,
    "recovered_timeline": 1,
    "backup": "a",
    "copy_s": 1.5,
    "recovery_s": 2.0,
}


def one(number: int, label: str) -> dict[str, Any]:
    return {"repository": number, "label": label}


FULL: dict[str, Any] = {"backups": [one(1, "d")], "away": []}


def test_the_report_has_the_command_that_undoes_it() -> None:
    text = in_place.report(unfinished(), OUTCOME, ["b (rewind)"], FULL)
    assert "a is primary on timeline 2; b (rewind) follows it." in text
    assert "To undo it, until 2026-12-03T13:00:00Z (the backup b is pinned until then):" in text
    assert text.endswith("-e cluster=main -e to=cluster -e target_type=latest -e timeline=1 -e confirm=main")
    assert "There is no way back." in in_place.report(unfinished(undo={}), OUTCOME, [], FULL)


@pytest.mark.parametrize(
    ("backups", "said", "lacks"),
    [
        (FULL, "full backup d.", ""),
        (
            {"backups": [one(1, "d"), one(2, "e")], "away": []},
            "full backup d in repository 1 and e in repository 2.",
            "",
        ),
        (
            {"backups": [one(1, "d")], "away": [{"repository": 2, "reason": "No route."}]},
            "full backup d in repository 1.",
            "  Repository 2 got no full backup: No route. Until it has one, its newest backups lead to the timeline "
            "that was left: backup.yml -e repository_number=2 -e day=1.",
        ),
    ],
)
def test_the_report_names_the_backup_of_each_repository(backups: dict[str, Any], said: str, lacks: str) -> None:
    lines = in_place.report(unfinished(), OUTCOME, [], backups).splitlines()
    assert any(line.endswith(said) for line in lines)
    assert [line for line in lines if "got no full" in line] == ([lacks] if lacks else [])


@pytest.mark.parametrize(
    ("count", "words"), [(1, "gets a full backup afterwards"), (2, "afterwards, in each repository")]
)
def test_the_plan_says_which_repositories_get_a_backup(count: int, words: str) -> None:
    asked = request(minute(10))
    shown = in_place.describe_in_place(plan_of(asked), PLAIN, CLUSTER, "a", "", [], repositories=count)
    assert shown.affects[-1].change.endswith(words)


# --- the record, and who is refused meanwhile -------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """There is no user postgres where the unit tests run."""
    monkeypatch.setattr(restore_record, "write_file", lambda path, content, mode=0o600: path.write_text(content))
    monkeypatch.setattr(marker, "ensure_directory", lambda path: path.mkdir(exist_ok=True))
    return tmp_path


def test_the_record_stands_until_it_is_removed(repository: Path) -> None:
    record = RestoreRecord("main", repository)
    assert record.read() is None
    assert record.write(unfinished())
    assert not record.write(unfinished())
    assert record.read() == unfinished()
    assert unfinished_of(repository, ["a", "b"]) == unfinished()
    assert unfinished_of(repository, ["c"]) is None
    assert record.remove()
    assert not record.remove()
    assert unfinished_of(repository, ["a"]) is None


@pytest.mark.parametrize("content", ["{", "{}", '{"cluster": "main"}', "[]"])
def test_a_garbled_record_forbids(repository: Path, content: str) -> None:
    record = RestoreRecord("main", repository)
    record.write(unfinished())
    record.path.write_text(content)
    with pytest.raises(RelevoError, match="cannot be read"):
        record.read()


def test_where_the_repository_is_a_bucket_the_record_is_on_the_disk_of_its_host(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As everybody reads it: the module, the lock, whoever looks for a primary, and the removal of the cluster."""
    monkeypatch.setattr(_names, "REPOSITORY_DIR", repository)
    config = repository / "pgbackrest.conf"
    bucket = "[global]\nrepo1-type=s3\nrepo1-path=/pg\n[main]\n"
    config.write_text(bucket)
    assert restore_record.place_of_records(bucket) == repository
    assert restore_record.place_of_records("[global]\nrepo1-path=/srv/r\n") == Path("/srv/r")
    with pytest.raises(RelevoError, match="is on backup1"):
        restore_record.place_of_records("[global]\nrepo1-type=s3\nrepo1-host=backup1\n")

    def ask(state: str) -> dict[str, Any]:
        params = {"cluster": "main", "state": state, "record": unfinished().as_dict(), "config": str(config)}
        module: Any = SimpleNamespace(params=params, check_mode=False)
        return restore_record_module.work(module)

    assert ask("read") == {"changed": False, "record": None}
    assert ask("present")["changed"]
    with pytest.raises(RelevoError, match="Finish it: ansible-playbook"):
        operation_lock.require_no_restore("backup", ["main"], config)
    with pytest.raises(RelevoError, match="Finish it: ansible-playbook"):
        restore_record.refuse_while_restoring(["a"], config)
    assert forget.forget_cluster(PgBackRest("main", config), ["a"], everything=False) == ["the record of a restore"]
    assert ask("read")["record"] is None


def test_a_place_that_is_not_there_is_refused_before_anything_is_touched(tmp_path: Path) -> None:
    config = tmp_path / "pgbackrest.conf"
    config.write_text(f"[global]\nrepo1-path={tmp_path}/unmounted\n")
    params = {"cluster": "main", "state": "present", "record": unfinished().as_dict(), "config": str(config)}
    module: Any = SimpleNamespace(params=params, check_mode=True)
    with pytest.raises(RelevoError, match="does not exist. Nothing was changed. Mount it"):
        restore_record_module.work(module)
    steps = yaml.safe_load((Path(__file__).resolve().parents[2] / "roles/restore/tasks/in_place.yml").read_text())
    names = [step["name"] for step in steps]
    assert names.index("There is a place for the record of it") < names.index("Refuse what nobody confirmed")


def test_nobody_else_gets_the_lock(repository: Path) -> None:
    config = repository / "pgbackrest.conf"
    require = operation_lock.require_no_restore
    require("backup", ["main"], config)
    config.write_text(f"[global]\nrepo1-path={repository}\n")
    require("backup", ["main"], config)
    RestoreRecord("main", repository).write(unfinished())
    for operation in ("site", "site_restart", "backup", "failover", "failback", "rejoin", "cleanup", "drill"):
        with pytest.raises(RelevoError, match="Finish it: ansible-playbook playbooks/restore.yml") as refused:
            require(operation, ["other", "main"], config)
        # Nothing that one could wait for, and nothing that an emergency may pass by.
        assert "refused" not in refused.value.details
    for operation in ("restore", "restore_beside", "down", "remove"):
        require(operation, ["main"], config)
    require("backup", ["other"], config)


# --- on the node ------------------------------------------------------------------------------------------------


def test_what_recovers_is_not_found_by_clients() -> None:
    settings = replacement.private_settings(plan_of(request(minute(10))), "main")
    # Its archiver would try a repository that is away, and keep it from ending.
    assert settings["archive_command"] == ""
    assert settings["listen_addresses"] == ""
    assert settings["port"] == replacement.PORT == 5599
    assert settings["recovery_target_timeline"] == "1"
    assert settings["recovery_target_action"] == "promote"
    assert "archive_mode" not in settings, "the new timeline's history has to be archived"


def test_data_without_a_marker_are_not_touched(tmp_path: Path, own_account: None) -> None:
    task = replacement.Task("main", "x", plan_of(request(minute(10))), 1, timeout=1)
    with pytest.raises(RelevoError, match="its data were not touched"):
        replacement.Replacement(task, None, directory=tmp_path).run()  # type: ignore[arg-type]


def test_the_copy_is_told_along_which_timeline(
    tmp_path: Path, own_account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the way back is one to which no way leads from the newest."""
    ran: list[list[str]] = []

    def end(command: list[str], *_more: object) -> _process.Finished:
        ran.append(command)
        return _process.Finished(58, "ERROR: [058]: enough", "", 0.1)

    monkeypatch.setattr(_process, "run_with_lock", end)
    monkeypatch.setattr(marker, "read", lambda *_given: Marker("restore", "b", "alice", "today", "a"))
    task = replacement.Task("main", "x", replace(plan_of(request(minute(10))), timeline=12), 13, timeout=1)
    there = replacement.Replacement(task, None, Server(tmp_path / "data"), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(RelevoError, match="enough"):
        there.run()
    [command] = ran
    assert {"--type=default", "--target-timeline=12", "--delta"} <= set(command)


UNDO = in_place.Undo(3, "20261125-120000F", "2026-11-30T12:00:00Z", "before")


@pytest.mark.parametrize(
    ("undo", "changed", "said"),
    [
        (
            UNDO,
            {},
            " The way back to what it was, until 2026-11-30T12:00:00Z: ansible-playbook playbooks/restore.yml"
            " -e cluster=main -e to=cluster -e target_type=latest -e timeline=3 -e confirm=main",
        ),
        # Another moment of the timeline that was left.
        (UNDO, {"timeline": 3}, " The way back to what it was, until 2026-11-30T12:00:00Z: "),
        # This is the way back.
        (UNDO, {"timeline": 3, "type": "latest"}, ""),
        (None, {}, ""),
    ],
)
def test_who_cannot_reach_the_target_is_given_the_command_of_the_way_back(
    undo: in_place.Undo | None, changed: dict[str, Any], said: str
) -> None:
    task = replacement.Task("main", "x", replace(plan_of(request(minute(10))), **changed), 1, undo=undo)
    start = "The cluster stays down. Fix that and run this again, or give another target."
    assert task.ways_out.startswith(start + said)
    assert (task.ways_out == start) == (not said)


def test_an_outcome_is_that_of_one_restore(tmp_path: Path) -> None:
    assert replacement.outcome_of("x", tmp_path) is None
    (tmp_path / replacement.OUTCOME).write_text(json.dumps(OUTCOME))
    assert replacement.outcome_of("x", tmp_path) == OUTCOME
    assert replacement.outcome_of("y", tmp_path) is None


def test_what_was_reached_outlives_the_record() -> None:
    """Killed in between, the same command would restore again, and lose what was written since."""
    tasks = yaml.safe_load(Path(__file__).parents[2].joinpath("roles/restore/tasks/finished.yml").read_text())
    names = [task["name"] for task in tasks]
    assert names[-3:] == ["Remove what kept the nodes down", "Remove the record", "Report"]
    hold = "relevo.postgres.pg_restore_hold"
    states = [task[hold]["state"] for task in tasks if hold in task]
    assert states == ["released"]


def test_a_marked_node_neither_returns_nor_is_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marked = Marker("restore", "b", "alice", "today", "a", reason="ansible-playbook restore.yml")
    monkeypatch.setattr(marker, "read", lambda kind, directory=None: marked if kind == "restore" else None)
    with pytest.raises(RelevoError, match="Finish it: ansible-playbook restore.yml"):
        marker.require_no_restore("b", tmp_path)
    with pytest.raises(RelevoError, match="is being restored in place"):
        ArchiveRecovery("b", "main", None).run()  # type: ignore[arg-type]
