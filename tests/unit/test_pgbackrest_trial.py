"""What pgBackRest says of a configuration, and of its answer what is a warning (seen with 2.55.1)."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils import _process
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import answer_in
from ansible_collections.relevo.postgres.plugins.module_utils._repository.configuration_trial import (
    faults,
    refusal,
    stanzas_of,
    unusable,
    used_paths,
)
from ansible_collections.relevo.postgres.plugins.module_utils._repository.pgbackrest import parse_info

HELP = "pgBackRest 2.55.1 - 'backup' command help\n\nBackup a database cluster.\n\nCommand Options:\n\n  --delta\n"
WARNING = "P00   WARN: configuration file contains invalid option 'compres-type'\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (HELP, []),
        (
            "P00  ERROR: [032]: '0' is out of range for 'process-max' option\n"
            "            HINT: allowed range is 1 to 999 inclusive\n",
            ["[032]: '0' is out of range for 'process-max' option (allowed range is 1 to 999 inclusive)"],
        ),
        (
            "2026-11-26 05:09:22.992 P00  ERROR: [032]: '3' is not valid for 'protocol-timeout' option\n",
            ["[032]: '3' is not valid for 'protocol-timeout' option"],
        ),
        # What it is told to do without is a name that somebody mistyped; the help that follows is not a hint.
        (WARNING + HELP, ["configuration file contains invalid option 'compres-type'"]),
        # A command that was given nothing to do has judged its options.
        ("P00  ERROR: [043]: WAL segment to push required\n", []),
        (
            "P00  ERROR: [037]: archive-push command requires option: repo1-s3-bucket\n",
            ["[037]: archive-push command requires option: repo1-s3-bucket"],
        ),
        (
            WARNING + "P00  ERROR: [043]: WAL segment to push required\n            HINT: x\n",
            ["configuration file contains invalid option 'compres-type'"],
        ),
    ],
)
def test_what_it_complains_of(said: str, found: list[str]) -> None:
    assert faults(said) == found


def test_the_refusal_has_its_words_and_what_to_correct() -> None:
    assert "replaced: [032]: x; y. Correct pgbackrest_options" in refusal(["[032]: x", "y"])


def test_the_stanzas_of_a_configuration() -> None:
    assert stanzas_of("[global]\na=b\n[global:restore]\na=c\n[main]\npg1-path=/a\n[other]\npg1-path=/b\n") == [
        "main",
        "other",
    ]


@pytest.mark.parametrize(
    ("stdout", "answer"),
    [
        ("[1]", "[1]"),
        (f"{WARNING}[1]", "[1]"),
        (f"{WARNING}            HINT: x\n{WARNING}a\nb\n", "a\nb\n"),
        (WARNING, ""),
        ("", ""),
        # A file of the repository that has such a line later on.
        (f"x\n{WARNING}", f"x\n{WARNING}"),
    ],
)
def test_a_warning_before_an_answer_is_not_part_of_it(stdout: str, answer: str) -> None:
    assert answer_in(stdout) == answer


def test_a_warning_does_not_make_the_repository_unreadable() -> None:
    assert parse_info(WARNING + '[{"name": "main", "backup": []}]', "main")["backup"] == []


PATHS = """
[global]
archive-async=y
lock-path={folder}/file/lock
log-path={folder}/file/log
repo1-host=backup1
repo1-storage-ca-file={folder}/on-that-host.crt
repo2-storage-ca-file=/etc/pgbackrest/repo2-ca.crt
repo3-storage-ca-file={folder}/missing.crt
repo1-path=/var/lib/pgbackrest
[global:archive-push]
spool-path={folder}/closed/spool
[global:restore]
lock-path={folder}/a/b
[main]
pg1-path=/nowhere
"""


def used(text: str) -> list[str]:
    return [option for option, _path in used_paths(text)]


def test_only_the_paths_that_a_host_uses_are_tried() -> None:
    everything = ["lock-path", "repo3-storage-ca-file", "spool-path", "lock-path"]
    assert used(PATHS) == everything
    # It waits for each segment; and one on which no server runs has nothing to push.
    queue = [option for option in everything if option != "spool-path"]
    assert used(PATHS.replace("archive-async=y", "archive-async=n")) == queue
    assert used(PATHS.replace("pg1-path", "pg1-host=a\npg1-path")) == queue
    assert "repo1-storage-ca-file" in used(PATHS.replace("repo1-host=backup1", ""))


def test_a_path_that_pgbackrest_could_not_use_is_found_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen: lock-path=/root/no was installed, and no WAL was archived from then on."""
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir(mode=0o700)
    # Anybody may pass through the folders above it; the one of the test belongs to root.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o777)
    nobody = pwd.getpwnam("nobody")
    command = {"user": nobody.pw_uid, "group": nobody.pw_gid} if os.geteuid() == 0 else {}

    def run(words: list[str], _timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, check=False, **command)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(_process, "run", run)
    who = "the user postgres, as whom it runs, may not"
    expected = [
        f"lock-path: {who} write to {tmp_path}/file/lock",
        f"repo3-storage-ca-file: {who} read {tmp_path}/missing.crt",
    ]
    if command:
        expected.append(f"spool-path: {who} write to {tmp_path}/closed/spool")
    assert unusable(PATHS.replace("{folder}", str(tmp_path))) == expected
