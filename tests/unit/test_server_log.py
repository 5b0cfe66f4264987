"""What a server's log says was wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.server_log import last_complaint, sizes


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("LOG:  ready\nFATAL:  one\nERROR:  two\nHINT:  x\n", "ERROR:  two"),
        ("LOG:  no ERROR here\n", ""),
        ("FATAL:  one\nFATAL:  the database system is starting up\n", "FATAL:  one"),
        ("FATAL:  terminating connection due to administrator command\n", ""),
        ("", ""),
        # Its language is the server's, and its first words tell who spoke.
        ("LOG:  x\nFEHLER:  eins\nTIPP:  y\n", "FEHLER:  eins"),
        ("СООБЩЕНИЕ:  x\nВАЖНО:  y\nПОДРОБНОСТИ:  z\n", "ВАЖНО:  y"),  # noqa: RUF001
        (
            "2026-11-27 10:00:00.123 CET [9] FATAL:  falta espacio\n"
            "2026-11-27 10:00:01.123 CET [7] web@shop FATAL:  el sistema de base de datos está iniciándose\n",
            "2026-11-27 10:00:00.123 CET [9] FATAL:  falta espacio",
        ),
        ("2026-11-27 10:00:01.123 CET [7] LOG:  a@b: FATAL\n", ""),
        # Of one that is not known the line itself is shown.
        ("KRONIKA:  x\nKATASTROFALNY:  y\n\n", "KATASTROFALNY:  y"),
    ],
)
def test_the_last_complaint_of_a_log(tmp_path: Path, log: str, found: str) -> None:
    assert last_complaint(tmp_path) == ""
    (tmp_path / "postgresql-Mon.log").write_text("FATAL:  old\n")
    os.utime(tmp_path / "postgresql-Mon.log", (1, 1))
    (tmp_path / "postgresql-Tue.log").write_text(log)
    assert last_complaint(tmp_path) == found


def test_what_was_there_before_is_not_said_again(tmp_path: Path) -> None:
    log = tmp_path / "postgresql-Tue.log"
    log.write_text("FATAL:  old\n")
    since = sizes(tmp_path)
    assert last_complaint(tmp_path, since) == ""
    with log.open("a") as file:
        file.write("FATAL:  new\n")
    assert last_complaint(tmp_path, since) == "FATAL:  new"
    # A log of which a day's rotation has begun anew.
    log.write_text("FATAL:  x\n")
    assert last_complaint(tmp_path, since | {log: 10_000}) == ""
