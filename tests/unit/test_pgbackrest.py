"""pgBackRest's output and configuration: what is read from them, and what a user is told when it fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository import archive, backup, kept, pgbackrest
from ansible_collections.relevo.postgres.plugins.module_utils._repository.errors import explain

CONFIG = """
[global]
repo1-path=/var/lib/pgbackrest
tls-server-auth=a=main
tls-server-auth=b=main

[main]
pg1-host=a
pg1-host-type=tls
pg1-path=/data%d
pg2-host=b
pg2-host-type=tls
pg2-path=/data
pg2-port=5433

[other]
pg1-host=c
pg1-path=/data
"""


def finished(stderr: str = "", stdout: str = "", code: int = 0) -> pgbackrest.Finished:
    return pgbackrest.Finished(code, stdout, stderr, 1.0)


# --- hosts ---


def test_the_servers_of_a_stanza_are_read_from_the_configuration() -> None:
    assert pgbackrest.pg_hosts(CONFIG, "main") == {
        1: {"host": "a", "host-type": "tls", "path": "/data%d"},
        2: {"host": "b", "host-type": "tls", "path": "/data", "port": "5433"},
    }
    assert list(pgbackrest.pg_hosts(CONFIG, "other")) == [1]
    assert pgbackrest.pg_hosts(CONFIG, "nope") == {}


def test_nothing_is_overridden_when_all_servers_are_there() -> None:
    assert pgbackrest.only(pgbackrest.pg_hosts(CONFIG, "main"), [1, 2]) == []


def test_an_absent_server_is_reset() -> None:
    assert pgbackrest.only(pgbackrest.pg_hosts(CONFIG, "main"), [1]) == [
        "--pg1-host=a",
        "--pg1-host-type=tls",
        "--pg1-path=/data%d",
        "--reset-pg2-host",
        "--reset-pg2-host-type",
        "--reset-pg2-path",
        "--reset-pg2-port",
    ]


def test_the_first_server_gives_its_number_to_the_next_when_it_is_absent() -> None:
    # pgBackRest 2.55 refuses a stanza without pg1.
    options = pgbackrest.only(pgbackrest.pg_hosts(CONFIG, "main"), [2])
    assert options[:4] == ["--pg1-host=b", "--pg1-host-type=tls", "--pg1-path=/data", "--pg1-port=5433"]
    assert "--reset-pg2-port" in options


def test_what_only_the_absent_first_server_had_is_reset() -> None:
    hosts = {1: {"host": "a", "port": "5555"}, 2: {"host": "b"}}
    assert "--reset-pg1-port" in pgbackrest.only(hosts, [2])


@pytest.fixture
def stanza(tmp_path: Path) -> pgbackrest.PgBackRest:
    path = tmp_path / "pgbackrest.conf"
    path.write_text(CONFIG)
    return pgbackrest.PgBackRest("main", path)


def test_absent_servers_are_left_out_and_named(stanza: pgbackrest.PgBackRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stanza, "ping", lambda host, timeout: host["host"] == "b")
    options, unreachable = stanza.reachable()
    assert unreachable == ["a"]
    assert "--pg1-host=b" in options


def test_no_server_at_all_is_an_error(stanza: pgbackrest.PgBackRest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stanza, "ping", lambda host, timeout: False)
    with pytest.raises(RelevoError, match=r"reaches none of the servers of stanza main \(a, b\)"):
        stanza.reachable()


def test_a_stanza_that_is_not_configured_is_an_error(stanza: pgbackrest.PgBackRest) -> None:
    with pytest.raises(RelevoError, match="No stanza nope is configured"):
        pgbackrest.PgBackRest("nope", stanza.config).reachable()


def test_a_missing_configuration_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="cannot be read .* Run site.yml"):
        pgbackrest.PgBackRest("main", tmp_path / "none").hosts()


def test_the_log_never_gets_into_the_answer(stanza: pgbackrest.PgBackRest) -> None:
    line = stanza.line("info", "--output=json")
    assert line[-1] == "info"
    assert "--log-level-console=off" in line


def test_messages_keep_their_hints() -> None:
    log = finished("INFO: begin\nWARN: one\n      HINT: do this\nERROR: [050]: two\nINFO: end\nWARN: three\n")
    assert log.messages("WARN") == ["one HINT: do this", "three"]


def test_the_label_is_the_one_that_was_made() -> None:
    text = "INFO: last backup label = 20261124-122037F\nINFO: new backup label = 20261124-122037F_20261124-123858I\n"
    assert finished(text).label == "20261124-122037F_20261124-123858I"
    assert finished("INFO: x").label is None


def test_nothing_changed_is_told_by_its_text() -> None:
    text = "ERROR: [055]: no files have changed since the last backup - this seems unlikely\n"
    assert finished(text, code=55).nothing_changed
    assert not finished("ERROR: [055]: unable to open missing file", code=55).nothing_changed
    assert not finished(text).nothing_changed


# --- information ---


def entry(
    code: int = 0, message: str = "ok", lock: dict[str, Any] | None = None, labels: Iterable[str] = ()
) -> dict[str, Any]:
    status = {"code": code, "message": message, "lock": {"backup": lock or {"held": False}}}
    return {"name": "main", "status": status, "backup": [{"label": label} for label in labels]}


def test_a_stanza_that_info_does_not_list_is_missing() -> None:
    assert pgbackrest.parse_info("[]", "main")["status"]["code"] == pgbackrest.STATUS_NO_STANZA
    assert pgbackrest.parse_info(json.dumps([entry()]), "main")["status"]["message"] == "ok"


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with pytest.raises(RelevoError, match="gave no JSON"):
        pgbackrest.parse_info("WARN: hello", "main")


def test_what_another_pass_phrase_makes_of_a_file_is_no_part_of_what_is_said() -> None:
    """pgBackRest 2.55 quotes it with its control characters, which JSON does not allow."""
    said = "[FormatError] unable to load info file\nFormatError: key/value found outside of section at line 1: "
    text = json.dumps([entry(99, "other") | {"repo": [{"status": {"code": 99, "message": said}}]}])
    text = text.replace("at line 1: ", "at line 1: \ufffd[\x17B\x11\\nm7\ufffd")
    problem = pgbackrest.status_problem(pgbackrest.parse_info(text, "main"), "main")
    assert problem is not None
    assert "not in order: [FormatError] unable to load info file FormatError: key/value found outside" in problem
    assert "at line 1:... m7.... Look at its disk" in problem


def test_the_state_of_a_stanza() -> None:
    assert pgbackrest.status_problem(entry(), "main") is None
    assert pgbackrest.status_problem(entry(2, "no valid backups"), "main") is None
    assert "has no stanza main" in str(pgbackrest.status_problem(entry(1, "missing stanza path"), "main"))
    other = entry(99, "other") | {"repo": [{"status": {"code": 99, "message": "[FileOpenError] denied\n"}}]}
    assert "is not in order: [FileOpenError] denied. Look" in str(pgbackrest.status_problem(other, "main"))


def test_how_far_a_running_backup_is() -> None:
    assert pgbackrest.running_backup(entry()) is None
    # Before 2.48, too, however far it is.
    assert "does not say how far" in str(pgbackrest.running_backup(entry(lock={"held": True})))
    running = entry(lock={"held": True, "size": 4 * 2**20, "size-cplt": 2**20})
    assert pgbackrest.running_backup(running) == "25 % of 4 MiB are done"


def test_empty_annotations_are_left_out() -> None:
    options = pgbackrest.annotation_options({"a": "1=2", "b": "", "c": None, "d": "e f"})
    assert options == ["--annotation=a=1=2", "--annotation=d=e f"]


# --- archive ---


def test_the_newest_database_is_the_one_with_the_highest_number() -> None:
    names = ["17-9", "17-10", "archive.info", "archive.info.copy", "9.6-2"]
    assert archive.newest_archive_id(names) == "17-10"
    assert archive.newest_archive_id(["archive.info"]) is None


def test_timelines_come_from_directories_and_history_files() -> None:
    names = ["0000000100000000", "0000000100000001", "0000000A.history", "00000002.history", "x", "17-1"]
    assert archive.timelines_of(names) == [1, 2, 10]


def test_segments_are_told_from_labels_and_partial_ones() -> None:
    digest = "2ea55d077700148eb1a94ad1733e77849be1672f"
    names = [
        f"000000010000000000000001-{digest}.zst",
        f"000000010000000000000002-{digest}",
        f"000000010000000000000003.partial-{digest}.zst",
        "000000010000000000000002.00000028.backup",
    ]
    assert archive.segments_of(names) == ["000000010000000000000001", "000000010000000000000002"]


# --- backups ---


class FakePgBackRest(pgbackrest.PgBackRest):
    """Answers with what pgBackRest gave in a trial; the commands themselves are tested on real containers."""

    def __init__(
        self,
        ends: Iterable[pgbackrest.Finished],
        before: Iterable[str] = (),
        after: Iterable[str] = (),
        lock: dict[str, Any] | None = None,
    ) -> None:
        super().__init__("main")
        self.ends, self.entries = list(ends), [entry(labels=before), entry(labels=after, lock=lock)]
        self.ran: list[tuple[str, ...]] = []

    def info(self, timeout: float = 30) -> dict[str, Any]:
        return self.entries.pop(0) if len(self.entries) > 1 else self.entries[0]

    def hosts(self) -> dict[int, dict[str, str]]:
        return pgbackrest.pg_hosts(CONFIG, "main")

    def ping(self, host: Mapping[str, str], timeout: float) -> bool:
        return True

    def try_run(self, command: str, *options: str, **ignored: Any) -> pgbackrest.Finished:
        self.ran.append(options)
        return self.ends.pop(0)


RUNNING = finished(
    "ERROR: [038]: --no-online passed but postmaster.pid exists - looks like PostgreSQL is running.", code=38
)


def made(label: str) -> pgbackrest.Finished:
    return finished(f"INFO: new backup label = {label}\n")


def test_a_backup_returns_what_it_made_and_what_expired() -> None:
    fake = FakePgBackRest([made("3F")], before=["1F", "1F_2I"], after=["3F"])
    result = backup.make_backup(
        fake, backup.BackupRequest("full", {"relevo-day": "1"}, process_max=3, retention_full=1)
    )
    assert result.backup == {"label": "3F"}
    assert result.expired == ["1F", "1F_2I"]
    assert fake.ran == [("--type=full", "--process-max=3", "--repo1-retention-full=1", "--annotation=relevo-day=1")]


def test_a_backup_carries_along_what_the_last_drill_found() -> None:
    fake = FakePgBackRest([made("3F")], before=["1F"], after=["3F"])
    fake.entries[0]["backup"][0]["annotation"] = {"relevo-drill-at": "2026-11-20T03:00:00", "relevo-drill-result": "x"}
    backup.make_backup(fake, backup.BackupRequest("full", {"relevo-day": "1"}))
    [options] = fake.ran
    assert options[1].startswith('--annotation=relevo-last-drill={"label": "1F", "at": "2026-11-20T03:00:00", ')
    assert options[2:] == ("--annotation=relevo-day=1",)


def test_a_backup_without_its_directory_is_lost_and_an_expired_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePgBackRest([], before=["0F", "1F", "1F_2I"], after=["1F", "1F_2I"])
    monkeypatch.setattr(fake, "names", lambda *_, **__: ["1F/backup.manifest"])
    assert kept.lost_backups(fake, fake.info()) == ["1F_2I"]
    monkeypatch.setattr(fake, "names", lambda *_, **__: ["1F/backup.manifest", "1F_2I/backup.manifest"])
    assert kept.lost_backups(fake, fake.info()) == []


def test_the_first_backup_is_known_after_it_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePgBackRest([])
    monkeypatch.setattr(fake, "times", lambda *_: {"2025/0F.manifest.gz": 50.0, "2026/1F.manifest.gz": 90.0})
    assert kept.first_backup(fake) == 50.0
    monkeypatch.setattr(fake, "times", lambda *_: {})
    assert kept.first_backup(fake) is None


def test_success_without_a_backup_is_not_believed() -> None:
    with pytest.raises(RelevoError, match="does not list the backup 3F"):
        backup.make_backup(FakePgBackRest([made("3F")]), backup.BackupRequest("full", {}))


def test_an_offline_backup_that_changed_nothing_is_no_failure() -> None:
    end = finished("ERROR: [055]: no files have changed since the last backup - this seems unlikely\n", code=55)
    result = backup.make_backup(FakePgBackRest([end]), backup.BackupRequest("incr", {}, online=False, host="a"))
    assert result.backup is None


def test_only_a_copy_of_a_running_server_is_marked_as_not_consistent() -> None:
    request = backup.BackupRequest("incr", {"k": "v"}, online=False, force=True, host="b")
    stopped = FakePgBackRest([made("2I")], after=["2I"])
    assert not backup.make_backup(stopped, request).forced
    running = FakePgBackRest([RUNNING, made("2I")], after=["2I"])
    assert backup.make_backup(running, request).forced
    first, second = running.ran
    assert "--force" not in first
    assert "--annotation=relevo-consistent=false" not in first
    assert {"--no-online", "--force", "--annotation=relevo-consistent=false", "--pg1-host=b"} <= set(second)


def test_without_force_a_running_server_is_not_copied() -> None:
    fake = FakePgBackRest([RUNNING])
    with pytest.raises(RelevoError, match="An offline backup was asked for, but PostgreSQL is running"):
        backup.make_backup(fake, backup.BackupRequest("incr", {}, online=False, host="a"))
    assert len(fake.ran) == 1


def test_a_standby_that_does_not_replay_costs_no_backup() -> None:
    behind = finished("ERROR: [082]: timeout before standby replayed to 0/5000028 - only reached 0/4000000\n", code=82)
    fake = FakePgBackRest([behind, made("3F")], after=["3F"])
    assert backup.make_backup(fake, backup.BackupRequest("full", {})).backup == {"label": "3F"}
    first, second = fake.ran
    assert second == (*first, "--backup-standby=n")


@pytest.mark.parametrize(
    ("annotation", "asked", "keep"),
    [
        ({}, None, None),
        ({"relevo-pinned": "21991231T235959Z"}, None, "--repo1-retention-full=3"),
        ({"relevo-pinned": "21991231T235959Z"}, 1, "--repo1-retention-full=3"),
        ({"relevo-pinned": "21991231T235959Z"}, 5, "--repo1-retention-full=5"),
        ({"relevo-pinned": "20200101T000000Z"}, 1, "--repo1-retention-full=1"),
    ],
)
def test_the_expiry_after_a_backup_leaves_what_is_pinned(
    tmp_path: Path, annotation: dict[str, str], asked: int | None, keep: str | None
) -> None:
    fake = FakePgBackRest([made("3F")], after=["3F"])
    fake.config = tmp_path / "pgbackrest.conf"
    fake.config.write_text("[global]\nrepo1-retention-full=2\n")
    fulls = [
        {"label": label, "type": "full", "timestamp": {"start": stop, "stop": stop}, "annotation": {}}
        for label, stop in (("1F", 1), ("2F", 2))
    ]
    fulls[0]["annotation"] = annotation
    fake.entries[0]["backup"] = fulls
    backup.make_backup(fake, backup.BackupRequest("full", {}, retention_full=asked))
    given = [option for option in fake.ran[0] if "retention" in option]
    assert given == ([keep] if keep else [])


def test_an_offline_backup_must_name_its_server() -> None:
    with pytest.raises(RelevoError, match="Set host to the address of the primary"):
        backup.make_backup(FakePgBackRest([]), backup.BackupRequest("incr", {}, online=False))
    with pytest.raises(RelevoError, match="has no server z"):
        backup.make_backup(FakePgBackRest([]), backup.BackupRequest("incr", {}, online=False, host="z"))


def test_force_alone_is_refused() -> None:
    with pytest.raises(RelevoError, match="Set online=false too"):
        backup.make_backup(FakePgBackRest([]), backup.BackupRequest("incr", {}, force=True))


def test_a_held_lock_says_how_far_the_other_backup_is() -> None:
    end = finished("ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main-backup-1.lock'\n", code=50)
    fake = FakePgBackRest([end], lock={"held": True, "size": 100, "size-cplt": 40})
    with pytest.raises(RelevoError, match=r"already running \(40 % of 0 MiB are done\)"):
        backup.make_backup(fake, backup.BackupRequest("incr", {}))


def test_waiting_for_a_running_backup() -> None:
    fake = FakePgBackRest([])
    fake.entries = [entry(lock={"held": True}), entry()]
    assert backup.wait_for_idle(fake, 60, sleep=lambda seconds: None) == entry()
    fake.entries = [entry(lock={"held": True})]
    with pytest.raises(RelevoError, match="already running .* Run this again"):
        backup.wait_for_idle(fake, 0)


# --- failures: texts as pgBackRest 2.55.1 wrote them in trials (the one of [039] is from its source) ---


@pytest.mark.parametrize(
    ("code", "text", "sentence"),
    [
        (
            64,
            "ERROR: [064]: raised from local-2 protocol: unable to write '/repo/backup/main/x.zst': "
            "[28] No space left on device",
            r"The disk is full on this host \(/repo/backup/main/x.zst\). Free space",
        ),
        (
            41,
            "ERROR: [041]: raised from remote-0 tls protocol on 'b': unable to write '/data/x': "
            "[28] No space left on device",
            "The disk is full on b ",
        ),
        (
            50,
            "ERROR: [050]: unable to acquire lock on file '/tmp/pgbackrest/main-backup-1.lock': Permission denied",
            "may not read or write a file on this host",
        ),
        (56, "ERROR: [056]: more than one primary cluster found", "Two primaries answer for stanza main"),
        (
            56,
            "WARN: unable to check pg1: [AccessError] access denied\n"
            "ERROR: [056]: unable to find primary cluster - cannot proceed",
            r"No primary answers for stanza main.* pgBackRest says: unable to check pg1: \[AccessError\] access denied",
        ),
        (
            58,
            "ERROR: [058]: WAL timeline 2 does not match pg_control timeline 1",
            "The timeline of the primary changed under the backup",
        ),
        (
            82,
            "ERROR: [082]: WAL segment 00000001000000000000009E was not archived before the 10000ms timeout",
            "WAL of stanza main does not arrive in the repository in time",
        ),
        (68, "ERROR: [068]: archive_command 'false' must contain pgbackrest", "PostgreSQL does not archive"),
        (
            55,
            "ERROR: [055]: unable to load info file '/r/backup.info' or '/r/backup.info.copy':\n"
            "       FileMissingError: unable to open missing file '/r/backup.info' for read\n"
            "       HINT: has a stanza-create been performed?",
            "The repository has no stanza main",
        ),
        (
            37,
            "ERROR: [037]: backup command requires option: pg1-path\n       HINT: does this stanza exist?",
            "No stanza main is configured",
        ),
        (62, "ERROR: [062]: stop file exists for stanza main", "pgBackRest was stopped on purpose"),
        (
            105,
            "ERROR: [105]: raised from remote-0 tls protocol on 'repo': access denied",
            "repo does not let this host use stanza main",
        ),
        (49, "ERROR: [049]: unable to get address for 'b': [-2] Name or service not known", "The host b is not known"),
        (
            42,
            "ERROR: [042]: timeout after 10000ms waiting for read from 'repo:8432'",
            "repo takes connections but does not answer",
        ),
        (
            49,
            "ERROR: [049]: unable to connect to 'repo:8432 (172.19.0.4)': [111] Connection refused",
            "TLS server on repo takes no connections",
        ),
        (
            28,
            "ERROR: [028]: backup and archive info files exist but do not match the database\n"
            "       HINT: is this the correct stanza?\n       HINT: did an error occur during stanza-upgrade?",
            "belongs to another database cluster",
        ),
        (
            51,
            "ERROR: [051]: PostgreSQL version 17, system-id 7711723735817682983 do not match stanza version 17, "
            "system-id 7711711791287353690\n       HINT: is this the correct stanza?",
            "belongs to another database cluster",
        ),
        (101, "ERROR: [101]: TLS error [1:167772454] unexpected eof while reading", "The connection to"),
        (101, "ERROR: [101]: TLS error [1:167773208] tlsv1 alert unknown ca", "The certificates of pgBackRest's TLS"),
        (
            95,
            "ERROR: [095]: unable to verify certificate presented by 'repo:8432 (172.19.0.4)': [19] self-signed "
            "certificate in certificate chain",
            "The certificates of pgBackRest's TLS connection",
        ),
        (
            39,
            "ERROR: [039]: expected value '2.55.1' for greeting key 'version' but got '2.54.0'\n"
            "       HINT: is the same version of pgBackRest installed on the local and remote host?",
            "The versions of pgBackRest differ",
        ),
        (42, "ERROR: [042]: timeout after 1ms waiting for read from 'fd00::12:8432'", "fd00::12 takes connections but"),
        (
            49,
            "ERROR: [049]: unable to connect to 'fd00::12:8432': [111] Connection refused",
            "server on fd00::12 takes",
        ),
        (
            29,
            "ERROR: [029]: new backup label '20261124-120000F' is not later than latest backup label '20261124-18F'\n"
            "       HINT: has the timezone changed?\n"
            "       HINT: is there clock skew?",
            "time zone or its clock was set back.*Nothing was backed up",
        ),
        (
            25,
            "ERROR: [025]: something new\nmore",
            r"pgbackrest backup of stanza main failed with \[025\]: something new.",
        ),
        (1, "", r"failed with \[001\]: no message"),
    ],
)
def test_a_failure_is_one_sentence_that_says_what_to_do(code: int, text: str, sentence: str) -> None:
    message = explain(code, text, "main", "backup")
    with pytest.raises(RelevoError, match=sentence):
        raise RelevoError(message)


def test_the_advice_for_a_full_disk_names_the_repository_that_is_meant() -> None:
    """A command that names none expires the backups of both, with the rule of one of them for the first."""
    said = explain(39, "ERROR: [039]: No space left on device", "main", "backup", "/etc/pgbackrest/repo2.conf")
    assert "'pgbackrest --config=/etc/pgbackrest/repo2.conf expire --stanza=main --repo1-retention-full=1'" in said
    assert "'pgbackrest expire --stanza=main" in explain(39, "ERROR: No space left on device", "main", "backup")
