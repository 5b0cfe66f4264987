# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log that a server writes once it has read its settings; what it says before goes to its service's log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from .. import _names

#: Of its end, in bytes.
TAIL = 8192
#: What it says to those who connect while it starts or stops is no reason for anything.
_PASSING = re.compile(r"the database system is |terminating connection due to administrator command")
#: In whatever language: with our ``log_line_prefix`` the lines of sessions have user@database before what they say.
_OF_A_SESSION = re.compile(r"^[^\[]*\[\d+\] [^:]*@[^:]*:  ")
#: FATAL, ERROR, PANIC and LOG as PostgreSQL's catalogs of messages translate them (src/backend/po).
_SEVERE = re.compile(
    r"\b(FATAL|FATALE|FATALT|ВАЖНО|ФАТАЛЬНО|ფატალური|치명적오류|致命错误"
    r"|ERROR|FEHLER|ERREUR|ERRORE|FEL|ОШИБКА|ПОМИЛКА|შეცდომა|오류|错误"
    r"|PANIC|PANIK|PANICO|ПАНИКА|ПАНІКА|პანიკა|손상|比致命错误还过分的错误):"
)
_KNOWN = re.compile(rf"{_SEVERE.pattern}|\b(LOG|LOGG|СООБЩЕНИЕ|ЗАПИСУВАННЯ|ჟურნალი|로그|日志):")


def complaints(log: str) -> list[str]:
    """The errors in a log, from the oldest to the newest; of one in a language that is not known, its last line."""
    found = [line.strip() for line in log.splitlines() if line.strip() and not _OF_A_SESSION.match(line)]
    if found and not any(_KNOWN.search(line) for line in log.splitlines()):
        return found[-1:]
    return [line for line in found if _SEVERE.search(line) and not _PASSING.search(line)]


def sizes(directory: Path = _names.LOG_DIR) -> dict[Path, int]:
    """How long each log is now, for ``last_complaint``."""
    return {path: path.stat().st_size for path in directory.glob("*.log")}


def last_complaint(directory: Path = _names.LOG_DIR, since: Mapping[Path, int] | None = None) -> str:
    """The last error in the newest log; empty where there is none, or none after what was there ``since``."""
    logs = sorted(directory.glob("*.log"), key=lambda path: path.stat().st_mtime)
    if not logs:
        return ""
    size = logs[-1].stat().st_size
    with logs[-1].open("rb") as file:
        file.seek(max(0, size - TAIL, min(size, (since or {}).get(logs[-1], 0))))
        found = complaints(file.read().decode(errors="replace"))
    return found[-1] if found else ""
