# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scratch instance leads nowhere near production; its name says what it was made for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._repository.command import restore_command
from ansible_collections.relevo.postgres.plugins.module_utils._restore import blame, scratch
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse

FILES = Files(Path("/scratch"), "one")
CONFIGURATION = """\
[global]
compress-type=zst
archive-async=y
tls-server-address=*
tls-server-auth=a=main
tls-server-auth=b=main
repo1-path=/var/lib/pgbackrest
repo1-cipher-pass=se=cret%
process-max=4

[main]
pg1-host=a
pg1-host-type=tls
pg1-path=/var/lib/postgresql/17/main
pg2-host=b
repo1-retention-full=3

[other]
pg1-host=c
"""


def test_pgbackrest_sees_the_same_repository_and_no_server_but_this() -> None:
    assert scratch.repository_configuration(CONFIGURATION, "main", FILES, 2).splitlines() == [
        "[global]",
        "compress-type=zst",
        "repo1-path=/var/lib/pgbackrest",
        "repo1-cipher-pass=se=cret%",
        "archive-async=n",
        "lock-path=/scratch/one/lock",
        "process-max=2",
        "",
        "[main]",
        "repo1-retention-full=3",
        "pg1-path=/scratch/one/data",
    ]


def test_what_is_configured_for_restores_holds_unless_a_number_is_given() -> None:
    text = f"{CONFIGURATION}\n[global:restore]\nprocess-max=8\n"
    assert "[global:restore]\nprocess-max=8" in scratch.repository_configuration(text, "main", FILES)
    assert "process-max=8" not in scratch.repository_configuration(text, "main", FILES, 2)


@pytest.mark.parametrize("section", ["global", "global:restore", "main"])
@pytest.mark.parametrize(
    "option", ["link-all=y", "link-map=pg_wal=/wal", "tablespace-map=ts=/ts", "db-include=shop", "recovery-option=a=b"]
)
def test_what_the_user_restores_otherwise_does_not_reach_an_instance(section: str, option: str) -> None:
    found = scratch.repository_configuration(f"[{section}]\n{option}\nlock-path=/tmp\nio-timeout=70\n", "main", FILES)
    assert option not in found
    assert "lock-path=/tmp" not in found
    assert "io-timeout=70" in found


def test_the_server_has_no_way_to_production() -> None:
    found = scratch.server_settings(FILES, 5600, {"max_connections": 500, "max_prepared_xacts": 300})
    nowhere = {
        "listen_addresses": "",
        "archive_mode": "off",
        "primary_conninfo": "",
        "max_wal_senders": 0,
        "max_logical_replication_workers": 0,
        "shared_preload_libraries": "",
    }
    assert nowhere.items() <= found.items()
    # Otherwise the recovery would end where the old server had more.
    assert (found["max_connections"], found["max_prepared_transactions"]) == (500, 300)
    assert found["default_transaction_read_only"] == "off"
    assert scratch.server_settings(FILES, 5600, {}, read_only=True)["default_transaction_read_only"] == "on"


@pytest.mark.parametrize(
    ("target_type", "target", "settings"),
    [
        ("time", "2026-11-25T12:00:00Z", {"recovery_target_time": "2026-11-25 12:00:00.000000+00"}),
        ("lsn", "0/3000060", {"recovery_target_lsn": "0/3000060"}),
        ("xid", "740", {"recovery_target_xid": "740"}),
        ("name", "p", {"recovery_target_lsn": "0/5000108", "recovery_target_inclusive": "off"}),
        ("immediate", "", {"recovery_target": "immediate"}),
        ("latest", "", {}),
    ],
)
def test_what_ends_the_recovery(target_type: str, target: str, settings: dict[str, str]) -> None:
    found = scratch.recovery_settings(parse(target_type, target), 2, "0/5000108" if target_type == "name" else "")
    promoted = {"recovery_target_action": "promote"} if settings else {}
    assert found == {"recovery_target_timeline": "2", **promoted, **settings}


@pytest.mark.parametrize(
    ("target_type", "target", "name"),
    [
        ("time", "2026-11-25T12:00:00+01:00", "main_20261125_110000"),
        ("lsn", "0/3000060", "main_lsn_0_3000060"),
        ("xid", "740", "main_xid_740"),
        ("name", "Before release".replace(" ", "_"), "main_name_before_release"),
        ("immediate", "", "main_20261124-120000f"),
        ("latest", "", "main_latest"),
    ],
)
def test_the_same_target_has_the_same_name(target_type: str, target: str, name: str) -> None:
    found = scratch.default_name("main", parse(target_type, target), "20261124-120000F")
    assert found == name
    assert scratch.checked_name(found) == name


@pytest.mark.parametrize("name", ["", "../x", "A", ".hidden", "x" * 64])
def test_a_name_is_one_directory(name: str) -> None:
    with pytest.raises(RelevoError, match="cannot be the name of a scratch instance"):
        scratch.checked_name(name)


def test_the_limits_of_the_old_server_are_in_its_control_file() -> None:
    text = "wal_level setting:                    replica\nmax_connections setting:              200\n"
    assert scratch.limits_of(text) == {"max_connections": 200}


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            "LOG:  last completed transaction was at log time 2026-11-26 12:00:00+00\n"
            "FATAL:  recovery ended before configured recovery target was reached\n"
            "FATAL:  the database system is not accepting connections\n",
            "The archive ends before the target. Its last commit is of 2026-11-26 12:00:00+00. -e target_type=latest",
        ),
        (
            "FATAL:  requested recovery stop point is before consistent recovery point\n",
            "before the first consistent point of the backup",
        ),
        ("FATAL:  out of everything\n", "Its server ended: out of everything."),
        ("", "did not say why"),
    ],
)
def test_why_a_target_was_not_reached(log: str, words: str) -> None:
    assert words in scratch.failure_in(log)


def test_settings_are_quoted() -> None:
    assert scratch.settings_text({"a": "it's", "port": 1}).splitlines()[1:] == ["a = 'it''s'", "port = '1'"]


def test_the_wal_comes_by_the_same_configuration() -> None:
    command = restore_command("main", FILES.repository)
    assert command == (
        'pgbackrest --config=/scratch/one/pgbackrest.conf --stanza=main --no-archive-async archive-get %f "%p"'
    )


def test_a_full_disk_is_no_fault_of_the_backup() -> None:
    """A drill would otherwise call the backup broken."""
    full = blame.fault("It could not be restored.", "ERROR: [028]: unable to write: [28] No space left on device")
    assert "The disk of this host was full" in full.message
    assert not isinstance(full, blame.FaultError)
    broken = blame.fault("It could not be restored.", "ERROR: [055]: unable to open missing file")
    assert isinstance(broken, blame.FaultError)
