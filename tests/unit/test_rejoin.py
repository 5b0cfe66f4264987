"""How a node becomes a standby: the decision for every state that it can be in."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._process import Finished
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin import lock, methods
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.methods import (
    Copier,
    base_backup_command,
    push_unarchived,
)
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.plan import (
    ENDLESS,
    Request,
    Situation,
    Source,
    backup_to_restore,
    decide,
    methods_when_stopped,
)
from ansible_collections.relevo.postgres.plugins.module_utils._rejoin.rejoin import Rejoin
from ansible_collections.relevo.postgres.plugins.module_utils._repository.away import Away
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import PgBackRest
from ansible_collections.relevo.postgres.plugins.module_utils._server import marker
from ansible_collections.relevo.postgres.plugins.module_utils._server.lsn import Fork, format_lsn, segment_name
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Peer
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import HALF_RECOVERED, Server, state_of
from ansible_collections.relevo.postgres.plugins.module_utils._server.service import Runit

pytestmark = pytest.mark.usefixtures("repositories_answer")

REQUEST = Request("a", Peer("b", "b"))
# The primary b was promoted on timeline 3 at 500; timeline 1 had ended at 300.
SOURCE = Source("7", 3, (Fork(1, 300), Fork(2, 500)))
OLD_PRIMARY = Situation(system_identifier="7", state="shut down", timeline=2, end=400, forks=(Fork(1, 300),))
STANDBY = replace(OLD_PRIMARY, state="shut down in recovery", standby_signal=True)
ALL = ("clean", "rewind", "restore", "basebackup")


def usable(situation: Situation, source: Source = SOURCE, **request: Any) -> tuple[str, ...]:
    return methods_when_stopped(replace(REQUEST, **request), situation, source)


def test_how_far_a_timeline_is_shared() -> None:
    assert SOURCE.shared(2) == 500
    assert SOURCE.shared(3) == ENDLESS
    assert SOURCE.shared(4) == 0
    assert SOURCE.shared(3, (Fork(1, 300), Fork(2, 500))) == ENDLESS
    assert SOURCE.shared(3, (Fork(1, 300), Fork(2, 600))) == 0


def test_a_new_node_is_cloned_from_the_primary() -> None:
    plan = decide(REQUEST, Situation(initialised=False), SOURCE)
    assert (plan.first, plan.methods) == ("basebackup", ("basebackup",))


def test_an_old_primary_that_ended_before_the_fork_just_starts() -> None:
    assert usable(OLD_PRIMARY) == ALL
    assert decide(REQUEST, OLD_PRIMARY, SOURCE).first == "clean"


def test_an_old_primary_whose_last_checkpoint_is_beyond_the_fork_is_rewound() -> None:
    # Its record begins where the successor's history leaves: the successor never saw it.
    assert usable(replace(OLD_PRIMARY, end=500)) == ALL[1:]


def test_an_old_primary_that_was_stopped_in_its_recovery_is_copied() -> None:
    # pg_rewind would take it for a clean one.
    half = replace(OLD_PRIMARY, state=HALF_RECOVERED, end=100)
    assert usable(half, repository=True) == ("restore", "basebackup")
    with pytest.raises(RelevoError, match="stopped in the middle of its recovery from a crash"):
        usable(half, method="rewind")


@pytest.mark.parametrize(
    ("state", "minimum", "told_apart"),
    [
        # As pg_controldata of 17.12 says it of a server that was stopped while it recovered from a kill -9.
        ("shut down in recovery", "0/0", True),
        ("shut down in recovery", "0/5000100", False),
        ("in crash recovery", "0/0", False),
        ("shut down", "0/0", False),
    ],
)
def test_who_was_stopped_in_the_recovery_from_a_crash(state: str, minimum: str, told_apart: bool) -> None:
    assert state_of(state, minimum) == (HALF_RECOVERED if told_apart else state)


def test_a_crashed_primary_is_rewound() -> None:
    assert usable(replace(OLD_PRIMARY, state="in production")) == ALL[1:]
    assert usable(replace(OLD_PRIMARY, state="in production", standby_signal=True)) == ALL[1:]


def test_a_primary_that_ended_on_the_same_timeline_is_neither_started_nor_rewound() -> None:
    assert usable(replace(OLD_PRIMARY, timeline=3, forks=SOURCE.history)) == ALL[2:]


def test_a_timeline_of_the_same_number_but_another_branch_is_copied() -> None:
    assert usable(replace(STANDBY, timeline=3, forks=(Fork(1, 300), Fork(2, 480)))) == ALL[2:]


def test_a_timeline_that_the_primary_never_knew_is_rewound() -> None:
    assert usable(replace(OLD_PRIMARY, timeline=5, forks=SOURCE.history)) == ALL[1:]


@pytest.mark.parametrize("state", ["shut down in recovery", "in archive recovery"])
def test_a_stopped_standby_just_starts_up_to_the_fork(state: str) -> None:
    assert usable(replace(STANDBY, state=state, end=500))[0] == "clean"
    assert usable(replace(STANDBY, state=state, end=501))[0] == "rewind"


def test_a_stopped_standby_of_the_primary_just_starts() -> None:
    assert usable(replace(STANDBY, timeline=3, forks=SOURCE.history)) == ("clean", "restore", "basebackup")


def test_a_finished_copy_that_never_ran_just_starts() -> None:
    copy = replace(OLD_PRIMARY, state="in production", timeline=3, standby_signal=True, backup_label=True)
    assert usable(copy)[0] == "clean"
    assert usable(replace(copy, standby_signal=False)) == ALL[2:]


@pytest.mark.parametrize("cut_off", ["rewind", "restore", "the marker cannot be read: x"])
def test_after_a_cut_off_rejoin_the_data_is_no_base_for_a_rewind(cut_off: str) -> None:
    assert usable(replace(STANDBY, cut_off=cut_off)) == ALL[2:]
    assert usable(Situation(cut_off=cut_off)) == ALL[2:]


def test_after_a_cut_off_base_backup_comes_another() -> None:
    assert usable(replace(STANDBY, cut_off="basebackup")) == ("basebackup",)
    assert usable(Situation(initialised=False, cut_off="basebackup")) == ("basebackup",)


def test_without_a_repository_nothing_is_restored() -> None:
    assert usable(OLD_PRIMARY, repository=False) == ("clean", "rewind", "basebackup")
    with pytest.raises(RelevoError, match="needs a repository"):
        usable(OLD_PRIMARY, repository=False, method="restore")


@pytest.mark.parametrize("method", ["clean", "rewind", "restore", "basebackup"])
def test_a_method_that_was_asked_for_is_the_only_one(method: str) -> None:
    assert usable(OLD_PRIMARY, method=method) == (method,)


@pytest.mark.parametrize(
    ("situation", "method", "reason"),
    [
        (replace(OLD_PRIMARY, end=500), "clean", "beyond the point"),
        (replace(OLD_PRIMARY, timeline=3, forks=SOURCE.history), "rewind", "wrote on timeline 3 itself"),
        (replace(OLD_PRIMARY, cut_off="restore"), "rewind", "was cut off"),
        (Situation(initialised=False), "clean", "no data"),
    ],
)
def test_a_method_that_cannot_work_is_refused(situation: Situation, method: str, reason: str) -> None:
    with pytest.raises(RelevoError, match=reason):
        usable(situation, method=method)


FOLLOWING = replace(STANDBY, role="standby", timeline=3, end=600, forks=SOURCE.history, streams=True, configured=True)


def test_a_standby_that_follows_needs_nothing() -> None:
    plan = decide(REQUEST, FOLLOWING, SOURCE)
    assert (plan.first, plan.follow, plan.methods) == ("none", False, ())


def test_a_method_that_was_asked_for_is_used_on_a_standby_that_follows() -> None:
    assert decide(replace(REQUEST, method="restore"), FOLLOWING, SOURCE).methods == ("restore",)


@pytest.mark.parametrize("situation", [replace(FOLLOWING, streams=False), replace(FOLLOWING, configured=False)])
def test_a_running_standby_is_pointed_at_the_primary(situation: Situation) -> None:
    assert decide(REQUEST, situation, SOURCE).first == "follow"


def test_a_running_standby_of_the_old_primary_follows_up_to_the_fork() -> None:
    other = replace(FOLLOWING, streams=False, timeline=2, end=500, forks=(Fork(1, 300),))
    assert decide(REQUEST, other, SOURCE).first == "follow"
    assert decide(REQUEST, replace(other, end=501), SOURCE).first == "rewind"


def test_a_standby_that_takes_no_connections_yet_is_waited_for() -> None:
    assert decide(REQUEST, replace(STANDBY, role="starting"), SOURCE).first == "follow"


AT_OWN_PACE = replace(FOLLOWING, streams=False, own_pace="delayed")


def test_a_standby_at_its_own_pace_needs_nothing_once_it_knows_whom_to_follow() -> None:
    assert decide(REQUEST, AT_OWN_PACE, SOURCE).first == "none"
    assert decide(REQUEST, replace(AT_OWN_PACE, own_pace="paused"), SOURCE).first == "none"
    assert decide(REQUEST, replace(AT_OWN_PACE, configured=False), SOURCE).first == "follow"


def test_a_standby_at_its_own_pace_that_is_beyond_the_fork_is_rewound() -> None:
    other = replace(AT_OWN_PACE, timeline=2, forks=(Fork(1, 300),))
    assert decide(REQUEST, replace(other, end=500), SOURCE).first == "none"
    assert decide(REQUEST, replace(other, end=501), SOURCE).first == "rewind"


def test_two_primaries_are_refused() -> None:
    with pytest.raises(RelevoError, match="Two primaries: a takes writes on timeline 2, b on timeline 3"):
        decide(REQUEST, replace(OLD_PRIMARY, role="primary"), SOURCE)


def test_a_primary_is_demoted_when_told_to() -> None:
    plan = decide(replace(REQUEST, demote=True), replace(OLD_PRIMARY, role="primary", end=900), SOURCE)
    assert plan.fence
    assert plan.methods[0] == "rewind"


@pytest.mark.parametrize("method", ["auto", "clean", "rewind", "restore"])
@pytest.mark.parametrize("role", ["down", "standby", "primary"])
def test_another_clusters_data_is_never_overwritten(method: Any, role: Any) -> None:
    foreign = replace(STANDBY, system_identifier="8", role=role, cut_off="rewind")
    with pytest.raises(RelevoError, match="another cluster"):
        decide(replace(REQUEST, method=method, demote=True), foreign, SOURCE)


def test_another_clusters_data_goes_when_a_base_backup_is_asked_for() -> None:
    foreign = replace(STANDBY, system_identifier="8", role="standby")
    assert decide(replace(REQUEST, method="basebackup"), foreign, SOURCE).methods == ("basebackup",)


def test_a_primary_of_another_cluster_is_not_demoted_unasked() -> None:
    with pytest.raises(RelevoError, match="Two primaries"):
        decide(
            replace(REQUEST, method="basebackup"), replace(OLD_PRIMARY, system_identifier="8", role="primary"), SOURCE
        )


def test_a_copy_that_is_not_complete_does_not_count_as_the_standby() -> None:
    """Else a synchronous primary would acknowledge commits that only half a copy has."""
    command = " ".join(base_backup_command(REQUEST, Path("new"), Path("/bin")))
    (name,) = re.findall(r"application_name=(\S+)", command)
    assert name not in (REQUEST.node, REQUEST.primary.name)


def test_a_node_cannot_follow_itself() -> None:
    with pytest.raises(RelevoError, match="cannot follow itself"):
        Rejoin(Request("b", Peer("b", "b")), Runit("postgresql")).run()


# --- which backup is restored -----------------------------------------------------------------------------------------


def backup(label: str, timeline: int, stop: int, when: int, **changes: Any) -> dict[str, Any]:
    """As ``info`` lists it (see fixtures/pgbackrest_info.json), with a position below 4 GiB."""
    segment = segment_name(timeline, stop)
    return {
        "label": label,
        "archive": {"start": segment, "stop": segment},
        "database": {"id": 2, "repo-key": 1},
        "error": False,
        "lsn": {"start": format_lsn(stop - 1), "stop": format_lsn(stop)},
        "timestamp": {"start": when, "stop": when},
        **changes,
    }


def entry(*backups: dict[str, Any]) -> dict[str, Any]:
    databases = [{"id": 1, "repo-key": 1, "system-id": 6}, {"id": 2, "repo-key": 1, "system-id": 7}]
    return {"backup": list(backups), "db": databases}


OLD, OLDER = backup("old", 2, 500, 20), backup("older", 1, 200, 10)


@pytest.mark.parametrize(
    ("newest", "label"),
    [
        (backup("own", 3, 900, 30), "own"),
        # Its timeline ended at 500 in the primary's history, which is where a restore in place went on.
        (backup("left behind", 2, 501, 30), "old"),
        (backup("of an older one", 1, 301, 30), "old"),
        (backup("of a stranger's timeline", 4, 100, 30), "old"),
        (backup("of the predecessor", 3, 900, 30, database={"id": 1, "repo-key": 1}), "old"),
        (backup("with errors", 3, 900, 30, error=True), "old"),
        (backup("copied from under a running server", 3, 900, 30, annotation={"relevo-consistent": "false"}), "old"),
        (backup("unfinished", 3, 900, 30, lsn={"start": "0/384"}), "old"),
        (backup("offline", 3, 900, 30, archive={"start": None, "stop": None}), "old"),
        # The list is in the order of the labels, of which the time zone may have changed.
        (backup("labelled later", 1, 300, 15), "old"),
    ],
)
def test_the_newest_backup_that_leads_to_the_primary_is_restored(newest: dict[str, Any], label: str) -> None:
    assert backup_to_restore(entry(OLDER, OLD, newest), SOURCE) == label


@pytest.mark.parametrize("backups", [(), (backup("left behind", 2, 501, 30),)])
def test_where_no_backup_leads_to_the_primary(backups: tuple[dict[str, Any], ...]) -> None:
    said = rf"No backup leads to the primary's timeline 3: the repository has {len(backups)}.*backup.yml -e day=1"
    with pytest.raises(RelevoError, match=said):
        backup_to_restore(entry(*backups), SOURCE)


def restoring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *backups: dict[str, Any]) -> Copier:
    monkeypatch.setattr(PgBackRest, "require_stanza", lambda _self: entry(*backups))
    return Copier(REQUEST, SOURCE, lambda _timeline: None, -1, Server(tmp_path / "data"))


def test_pgbackrest_is_told_which(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []
    for name in ("_forbid_start", "_become_standby"):
        monkeypatch.setattr(Copier, name, lambda *_arguments, **_named: None)
    monkeypatch.setattr(methods, "make_directory", lambda directory: directory.mkdir())
    monkeypatch.setattr(Copier, "_copy", lambda _self, command: ran.append(command))
    control = SimpleNamespace(system_identifier="7")
    monkeypatch.setattr(Server, "control_data", lambda _self: control)
    copier = restoring(monkeypatch, tmp_path, OLD, backup("left behind", 2, 501, 30))
    copier.apply("restore", OLD_PRIMARY)
    assert [option for option in ran[0] if option.startswith(("--set", "--type"))] == ["--type=standby", "--set=old"]
    control.system_identifier = "8"
    with pytest.raises(RelevoError, match="backup old is of another cluster"):
        copier.apply("restore", OLD_PRIMARY)


def test_without_a_backup_nothing_is_forbidden_to_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No marker is left behind, and so the next method builds on the data that are there."""
    copier = restoring(monkeypatch, tmp_path)
    with pytest.raises(RelevoError, match="No backup leads"):
        copier.apply("restore", OLD_PRIMARY)


@pytest.mark.parametrize(("asked", "refused"), [("restore", True), ("auto", False), ("basebackup", False)])
def test_what_only_a_restore_may_do_is_refused_before_the_server_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: Any, refused: bool
) -> None:
    request = replace(REQUEST, method=asked)
    one, copier = Rejoin(request, Runit("postgresql")), restoring(monkeypatch, tmp_path)
    plan = decide(request, replace(OLD_PRIMARY, timeline=3), SOURCE)
    with pytest.raises(RelevoError, match=r"No backup leads .* Nothing was changed") if refused else nullcontext():
        one._require_backup(copier, plan)


# --- what only this node has -----------------------------------------------------------------------------------------


def wal(tmp_path: Path, *ready: str) -> Server:
    status = tmp_path / "pg_wal" / "archive_status"
    status.mkdir(parents=True)
    for name in ready:
        (status / f"{name}.ready").touch()
        (status.parent / name).touch()
    return Server(tmp_path)


def archiver(monkeypatch: pytest.MonkeyPatch, codes: dict[str, int]) -> None:
    def run(command: list[str], _timeout: float, _grace: float) -> Finished:
        assert "--no-archive-async" in command
        return Finished(codes[Path(command[-1]).name], "", "ERROR: [103]: no repository", 0.1)

    monkeypatch.setattr(_process, "run_to_end", run)


SEGMENTS = [f"00000002{number:016X}" for number in range(3)]


def test_ready_segments_are_archived_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = wal(tmp_path, *SEGMENTS)
    archiver(monkeypatch, {SEGMENTS[0]: 0, SEGMENTS[1]: 45, SEGMENTS[2]: 0})
    done = push_unarchived(server, "main", {1, 2})
    assert (done.pushed, done.different) == ([SEGMENTS[0], SEGMENTS[2]], [SEGMENTS[1]])
    assert push_unarchived(server, "main", {1, 2}).pushed == []


def test_a_timeline_of_its_own_is_not_archived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = wal(tmp_path, "00000005.history", SEGMENTS[0])
    archiver(monkeypatch, {SEGMENTS[0]: 0})
    done = push_unarchived(server, "main", {1, 2, 3})
    assert (done.pushed, done.foreign) == ([SEGMENTS[0]], ["00000005.history"])


def test_a_ready_mark_without_its_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = wal(tmp_path, SEGMENTS[0])
    (tmp_path / "pg_wal" / SEGMENTS[0]).unlink()
    archiver(monkeypatch, {})
    assert push_unarchived(server, "main", {2}).pushed == []


def test_a_repository_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = wal(tmp_path, SEGMENTS[0])
    archiver(monkeypatch, {SEGMENTS[0]: 103})
    with pytest.raises(RelevoError, match="could not be archived: ERROR: .103"):
        push_unarchived(server, "main", {2})
    assert (tmp_path / "pg_wal" / "archive_status" / f"{SEGMENTS[0]}.ready").exists()


def test_one_of_two_repositories_that_is_away_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server keeps all segments ready for as long as one is away: there may be hundreds of them."""
    server = wal(tmp_path, *SEGMENTS)
    asked: list[tuple[int, str]] = []

    def pushed(repository: int, path: Path, **_options: Any) -> bool:
        asked.append((repository, path.name))
        if repository == 2:
            raise RelevoError("no route.")
        return True

    monkeypatch.setattr(methods, "repositories", lambda: [1, 2])
    monkeypatch.setattr(methods, "answering", lambda _stanza, numbers: (numbers, []))
    monkeypatch.setattr(methods, "_push_to", pushed)
    assert push_unarchived(server, "main", {2}).pushed == SEGMENTS
    assert asked == [(1, SEGMENTS[0]), (2, SEGMENTS[0]), (1, SEGMENTS[1]), (1, SEGMENTS[2])]


def test_one_that_does_not_answer_at_all_is_pushed_to_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def pushed(repository: int, **_options: Any) -> bool:
        asked.append(repository)
        return True

    monkeypatch.setattr(methods, "repositories", lambda: [1, 2])
    monkeypatch.setattr(methods, "answering", lambda *_arguments: ([1], [Away(2, "It did not answer.")]))
    monkeypatch.setattr(methods, "_push_to", pushed)
    push_unarchived(wal(tmp_path, *SEGMENTS), "main", {2})
    assert asked == [1] * len(SEGMENTS)


def archiving(tmp_path: Path, **request: Any) -> Rejoin:
    return Rejoin(replace(REQUEST, **request), Runit("postgresql"), wal(tmp_path, SEGMENTS[0]))


def test_wal_that_cannot_be_archived_is_not_deleted_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archiver(monkeypatch, {SEGMENTS[0]: 103})
    with pytest.raises(RelevoError, match="a holds WAL that is nowhere else .* Its data was not changed"):
        archiving(tmp_path)._archive_unarchived(OLD_PRIMARY, SOURCE)


def test_it_is_lost_with_a_notice_when_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archiver(monkeypatch, {SEGMENTS[0]: 103})
    rejoin = archiving(tmp_path, discard_unarchived=True)
    rejoin._archive_unarchived(OLD_PRIMARY, SOURCE)
    assert rejoin.warnings == [f"{SEGMENTS[0]} could not be archived: ERROR: [103]: no repository."]
    assert rejoin.failures == [], "it is no method"


@pytest.mark.parametrize(
    "situation",
    [
        Situation(initialised=False),
        replace(OLD_PRIMARY, cut_off="rewind"),
        replace(OLD_PRIMARY, system_identifier="8"),
    ],
)
def test_what_is_no_history_of_this_cluster_is_not_archived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, situation: Situation
) -> None:
    archiver(monkeypatch, {})
    rejoin = archiving(tmp_path)
    rejoin._archive_unarchived(situation, SOURCE)
    assert rejoin.actions == []


# --- one at a time ---------------------------------------------------------------------------------------------------

HOLD = "import fcntl,os,sys; h=os.open(sys.argv[1],os.O_RDWR|os.O_CREAT); fcntl.flock(h,2); print(); sys.stdin.read()"


def holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def owned(directory: Path) -> subprocess.Popen[bytes]:
    """A process that holds the lock and stands in its file."""
    process = holder(directory / "rejoin.lock")
    owner = {"pid": process.pid, "starttime": marker.start_time(process.pid)}
    (directory / "rejoin.lock").write_text(json.dumps(owner))
    return process


def test_a_rejoin_that_ends_by_itself_is_awaited(tmp_path: Path) -> None:
    process = owned(tmp_path)
    ending = threading.Timer(0.3, process.communicate)
    ending.start()
    with lock.alone(tmp_path):
        assert process.wait(timeout=5) == 0
    ending.join()


def test_a_second_rejoin_is_refused(tmp_path: Path) -> None:
    process = owned(tmp_path)
    with pytest.raises(RelevoError, match="Another rejoin is at work"), lock.alone(tmp_path, patience=0.1):
        pass
    assert process.poll() is None
    process.communicate()


def test_what_a_dead_rejoin_has_left_running_is_ended(tmp_path: Path) -> None:
    process = holder(tmp_path / "rejoin.lock")
    with lock.alone(tmp_path) as handle:
        assert process.wait(timeout=5) == -9
        assert json.loads(os.pread(handle, 200, 0))["pid"] == os.getpid()
    process.communicate()


# What pg_rewind and pg_basebackup 17 print where there is no terminal.
REWIND = "pg_rewind: need to copy 318 MB\n      0/325748 kB (0%) copied\n 325748/325748 kB (100%) copied\n"
BASEBACKUP = (
    "waiting for checkpoint\n1048576/1048580 kB (99%), 0/1 tablespace\n1048580/1048580 kB (100%), 1/1 tablespace\n"
)


def test_what_a_copy_says_that_it_copied() -> None:
    assert methods.copied_bytes(REWIND) == 325748 * 1024
    assert methods.copied_bytes(BASEBACKUP) == 1048580 * 1024
    assert methods.copied_bytes("pg_rewind: no rewind required\n") is None


def test_the_last_words_of_a_copy_are_not_its_progress() -> None:
    said = methods.last_words(f"{REWIND}pg_rewind: error: no space left\n 325748/325748 kB (100%) copied\n")
    assert said == "pg_rewind: need to copy 318 MB pg_rewind: error: no space left"
    assert methods.last_words(BASEBACKUP.removeprefix("waiting for checkpoint")) == "no message"


def test_what_a_dead_rejoin_left_running_is_found_through_a_link(tmp_path: Path) -> None:
    """The postgres user's home may have been moved to a larger disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    path = tmp_path / "home" / "rejoin.lock"
    with path.open("w") as handle:
        copy = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[handle.fileno()])
    lock.end_orphans(path)
    assert copy.wait(10) == -signal.SIGKILL
