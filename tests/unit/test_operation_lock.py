# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which operations exclude one another, what a refusal says, and that a lock dies with its holder."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from glob import iglob
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.action.operation_lock import ActionModule
from ansible_collections.relevo.postgres.plugins.lookup.requested_by import person_and_job
from ansible_collections.relevo.postgres.plugins.module_utils._cluster import operation_lock
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock import Record
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.operation_lock_holder import Holders
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.restore_record import Unfinished

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 25, 4, 0, 0, tzinfo=UTC)
# Beats come five times as often: a busy machine that lets a process wait for less than this fails no test.
PATIENCE = 2.0

#: The pairs that may run at the same time on one cluster; every other pair excludes one another.
TOGETHER = {
    frozenset({"site", "backup"}),
    frozenset({"site", "restore_point"}),
    frozenset({"site", "restore_beside"}),
    frozenset({"site", "drill"}),
    frozenset({"site_restart", "restore_beside"}),
    frozenset({"site_restart", "drill"}),
    frozenset({"add_node", "backup"}),
    frozenset({"add_node", "restore_beside"}),
    frozenset({"add_node", "drill"}),
    frozenset({"add_node", "restore_point"}),
    frozenset({"failover", "restore_beside"}),
    frozenset({"failover", "drill"}),
    frozenset({"failback", "restore_beside"}),
    frozenset({"failback", "drill"}),
    frozenset({"rejoin", "restore_beside"}),
    frozenset({"rejoin", "drill"}),
}
PAIRS = list(combinations_with_replacement(operation_lock.NEEDS, 2))


def record(play: str = "p1", operation: str = "backup", clusters: tuple[str, ...] = ("main",)) -> Record:
    return Record(play, operation, clusters, "alice@ctl", "", "ctl", 4711, "2026-11-25T03:12:04Z")


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda name: name)
def test_who_excludes_whom(one: str, other: str) -> None:
    expected = frozenset({one, other}) not in TOGETHER
    assert operation_lock.excludes(one, other) is expected
    assert operation_lock.excludes(other, one) is expected


@pytest.mark.parametrize("operation", operation_lock.NEEDS)
def test_an_operation_of_another_version_excludes_all(operation: str) -> None:
    assert operation_lock.excludes("something_new", operation)
    assert operation_lock.excludes(operation, "something_new")


def test_the_documentation_has_the_same_table() -> None:
    """Its rows: an operation, then yes or no for each one, in the order of the heading."""
    page = next(ROOT.glob("docs/**/operation-lock.md")).read_text()
    heading, *rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if re.match(r"\| (\| `site`|`\w+` \| (yes|no))", line)
    ]
    assert [row[0] for row in rows] == heading[1:] == list(operation_lock.NEEDS)
    for name, *cells in rows:
        for other, cell in zip(heading[1:], cells, strict=True):
            assert (cell == "no") is operation_lock.excludes(name, other), f"{name} and {other}"


@pytest.mark.parametrize(
    ("holder", "in_the_way"),
    [
        (record("p2", "backup"), True),
        (record("p1", "backup"), False),
        (record("p2", "site"), False),
        (record("p2", "backup", ("other",)), False),
        (record("p2", "backup", ("other", "main")), True),
    ],
    ids=["another backup", "the same play", "they may run together", "another cluster", "a play of both clusters"],
)
def test_who_is_in_the_way(holder: Record, in_the_way: bool) -> None:
    assert operation_lock.in_the_way(record(), [holder]) == ([holder] if in_the_way else [])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"job": "17"},
            "backup.yml by alice@ctl (AWX job 17) has been working on cluster main since 03:12:04 UTC "
            "(process 4711 on ctl)",
        ),
        (
            {"operation": "site_restart", "clusters": ("a", "b"), "since": "2026-11-24T23:59:59Z"},
            "site.yml by alice@ctl has been working on cluster a and b since 2026-11-24 23:59:59 UTC "
            "(process 4711 on ctl)",
        ),
    ],
    ids=["a job of today", "two clusters since yesterday"],
)
def test_a_holder_in_words(change: dict[str, object], sentence: str) -> None:
    assert operation_lock.describe(replace(record(), **change), NOW) == sentence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"msg": "The repository host does not answer."}, {}),
        ({"msg": "m", "holders": [{"clusters": ["b"], "sentence": "S"}]}, {"b": operation_lock.refusal(["S"])}),
        (
            {"msg": "m", "holders": [{"clusters": ["a", "b"], "sentence": "S"}, {"clusters": ["b"], "sentence": "T"}]},
            {"a": operation_lock.refusal(["S"]), "b": operation_lock.refusal(["S", "T"])},
        ),
        ({"msg": "being restored", "unfinished_restore": {"cluster": "a"}}, {"a": "being restored"}),
        # Of a cluster that this play is not about.
        ({"msg": "m", "holders": [{"clusters": ["z"], "sentence": "S"}]}, {}),
    ],
)
def test_which_of_several_clusters_a_refusal_is_about(answer: dict[str, Any], expected: dict[str, str]) -> None:
    assert operation_lock.blocked(["a", "b", "c"], answer) == expected


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("It is held. Nothing was changed. Wait.", f"It is held. {operation_lock.BEGUN} Wait."),
        (operation_lock.refusal(["x has it"]), None),
        ("The module failed", f"The module failed. {operation_lock.BEGUN}"),
        ("The module failed.", f"The module failed. {operation_lock.BEGUN}"),
    ],
)
def test_a_refusal_after_the_fence_does_not_say_that_nothing_was_changed(sentence: str, said: str | None) -> None:
    found = operation_lock.after_changes(sentence)
    assert said is None or found == said
    assert "Nothing was changed" not in found
    assert operation_lock.BEGUN in found


@pytest.mark.parametrize(("begun", "said"), [(True, operation_lock.BEGUN), (False, "Nothing was changed.")])
def test_an_unfinished_restore_after_the_fence(begun: bool, said: str) -> None:
    """An emergency passes by those that hold the lock, not by this."""
    found = Unfinished("main", "a", "alice", "2026-11-25T03:12:04Z", "ansible-playbook restore.yml")
    answer = {"msg": found.sentence, "unfinished_restore": found.as_dict()}
    options = {"required": False, "unreachable": "proceed", "begun": begun}
    with pytest.raises(RelevoError, match=f"{said} Finish it: ansible-playbook restore.yml") as raised:
        ActionModule._result(ActionModule.__new__(ActionModule), options, answer, "")
    assert raised.value.details == {"unfinished_restore": found.as_dict()}


def test_a_refusal_says_what_to_do() -> None:
    assert operation_lock.refusal(["A works", "B works"]) == (
        "A works. B works. Nothing was changed. Wait until it has ended, then run this again; "
        "-e wait_for_lock=SECONDS waits for it."
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("alice@ctl", "")),
        ({"awx_job_id": 17}, ("AWX job 17", "")),
        ({"awx_job_id": 17, "awx_user_name": "bob"}, ("bob", "17")),
        ({"tower_job_id": 17, "tower_user_name": "bob"}, ("bob", "17")),
    ],
    ids=["by hand", "a job", "a job and who started it", "the older names"],
)
def test_who_asks(variables: dict[str, object], expected: tuple[str, str]) -> None:
    assert person_and_job(variables, {"USER": "alice"}, "ctl") == expected


def test_a_record_survives_its_file() -> None:
    text = json.dumps({**record().as_dict(), "of another version": 1})
    assert Record.from_dict(json.loads(text)) == record()


# --- the process that holds the lock -------------------------------------------------------------------------------


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Holders]:
    made = Holders(tmp_path / "run" / "operation-lock", PATIENCE)
    yield made
    until(lambda: not made.living(), 5)


def until(condition: Callable[[], bool], timeout: float) -> float:
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout
        time.sleep(0.02)
    return time.monotonic() - started


def send(pipe: Path, word: str) -> None:
    handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    os.write(handle, word.encode())
    os.close(handle)


def process_of(pipe: Path) -> int:
    """The process that has the pipe open; a file that is closed meanwhile is one file, not all of its process."""
    for link in map(Path, iglob("/proc/[0-9]*/fd/*")):  # noqa: PTH207 Path.glob stops at a process that ends
        process = int(link.parts[2])
        try:
            if process != os.getpid() and link.readlink() == pipe:
                return process
        except (FileNotFoundError, PermissionError):
            continue
    raise AssertionError(f"nobody has {pipe} open")


def test_it_is_held_while_beats_come(holders: Holders) -> None:
    taken = holders.take(record())
    assert taken.started
    deadline = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < deadline:
        send(taken.pipe, "b")
        assert [holder.operation for holder in holders.living()] == ["backup"]
        time.sleep(PATIENCE / 5)


def test_it_is_free_at_once_when_the_play_says_so(holders: Holders) -> None:
    taken = holders.take(record())
    send(taken.pipe, "be")
    assert until(lambda: not holders.living(), 5) < PATIENCE
    assert sorted(path.name for path in holders.directory.iterdir()) == ["mutex"]


def test_it_is_free_when_no_beat_comes(holders: Holders) -> None:
    holders.take(record())
    until(lambda: not holders.living(), PATIENCE + 2)


def test_it_is_free_when_its_process_was_killed(tmp_path: Path) -> None:
    """And whatever it has left is swept away. Its patience is long, so that nothing else than the signal ends it."""
    holders = Holders(tmp_path / "run" / "operation-lock", 60)
    taken = holders.take(record())
    os.kill(process_of(taken.pipe), signal.SIGKILL)
    until(lambda: not holders.living(), 20)
    assert not taken.pipe.exists()
    with pytest.raises(FileNotFoundError):
        send(taken.pipe, "b")


def test_one_that_ends_while_it_is_looked_for_is_no_holder(holders: Holders, monkeypatch: pytest.MonkeyPatch) -> None:
    holders.directory.mkdir(parents=True)
    gone = [holders.directory / "gone.json"]
    monkeypatch.setattr(Path, "glob", lambda _self, _pattern: iter(gone))
    assert holders.living() == []


def test_a_record_after_a_power_cut_says_nothing(holders: Holders) -> None:
    holders.take(record("dead"))
    (stale,) = holders.directory.glob("*.json")
    copied = stale.with_name("left.json")
    copied.write_text(stale.read_text())
    assert holders.living() == [replace(record("dead"), since=holders.living()[0].since)]
    assert not copied.exists()


def test_one_that_lives_refuses_others(holders: Holders) -> None:
    first = holders.take(record())
    child = os.fork()
    if child == 0:
        for _ in range(10):
            time.sleep(PATIENCE / 5)
            send(first.pipe, "b")
        os._exit(0)
    with pytest.raises(RelevoError, match="^backup.yml by alice@ctl has been working on cluster main") as refused:
        holders.take(record("p2", "failover"))
    assert refused.value.details["refused"] is True
    assert [holder["operation"] for holder in refused.value.details["holders"]] == ["backup"]
    assert holders.take(record("p3", "site")).started
    assert {holder.operation for holder in holders.living()} == {"backup", "site"}
    os.waitpid(child, 0)


def test_one_that_was_killed_a_moment_ago_refuses_nobody(holders: Holders) -> None:
    holders.take(record())
    started = time.monotonic()
    assert holders.take(record("p2")).started
    assert PATIENCE / 2 < time.monotonic() - started < PATIENCE + 2


def test_who_waits_gets_it_when_it_is_free(holders: Holders) -> None:
    first = holders.take(record())
    child = os.fork()
    if child == 0:
        for word in "bbbbbe":
            time.sleep(PATIENCE / 3)
            send(first.pipe, word)
        os._exit(0)
    assert holders.take(record("p2"), wait=20).started
    os.waitpid(child, 0)
    assert [holder.play for holder in holders.living()] == ["p2"]


def test_the_same_play_has_it_already(holders: Holders) -> None:
    first = holders.take(record("p1", "site"))
    since = holders.living()[0].since
    again = holders.take(replace(record("p1", "site"), since=""))
    assert (again.pipe, again.started, holders.living()[0].since) == (first.pipe, False, since)
    later = holders.take(record("p1", "backup"))
    assert (later.pipe, later.started) == (first.pipe, False)
    assert [holder.operation for holder in holders.living()] == ["backup"]
    assert holders.take(record("p2", "site")).started


def test_a_play_has_one_apart_beside_its_other(holders: Holders) -> None:
    def wanted(clusters: list[str], apart: bool) -> Record:
        action = ActionModule.__new__(ActionModule)
        action._task_vars = {}
        return action._record({"operation": "backup", "apart": apart}, clusters)

    holders.take(wanted(["north", "east"], apart=False))
    south, west = (holders.take(wanted([name], apart=True)) for name in ("south", "west"))
    assert [south.started, west.started] == [True, True]
    assert sorted(holder.clusters for holder in holders.living()) == [("north", "east"), ("south",), ("west",)]
    assert holders.take(wanted(["south"], apart=True)) == replace(south, started=False)
    # Not one of these is free for another play.
    for name in ("north", "east", "south", "west"):
        with pytest.raises(RelevoError):
            holders.take(record("p2", clusters=(name,)), prove=False)


def test_of_many_at_once_one_gets_it(holders: Holders) -> None:
    """Each of the others sees the first one live, since all of them send it beats."""
    children = []
    for number in range(6):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                pipe = holders.take(record(f"p{number}")).pipe
                for _ in range(15):
                    time.sleep(PATIENCE / 5)
                    send(pipe, "b")
                status = 0
            except RelevoError:
                status = 2
            finally:
                os._exit(status)
        children.append(child)
    assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0, 2, 2, 2, 2, 2]


def test_who_logs_in_cannot_look_for_pipes(holders: Holders) -> None:
    taken = holders.take(record())
    assert holders.directory.stat().st_mode & 0o777 == 0o711
    assert taken.pipe.stat().st_mode & 0o777 == 0o622
    assert taken.pipe.with_suffix(".json").stat().st_mode & 0o777 == 0o600
