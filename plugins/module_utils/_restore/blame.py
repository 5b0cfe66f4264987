# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to blame for a restore that failed: the backup and its WAL, or this host. In doubt it is not the backup."""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from .._errors import RelevoError

#: pgBackRest's codes (src/build/error/error.yaml) for what it read: a checksum, a format, a file or path that is
#: missing, a backup that is not there, what cannot be decrypted or is no JSON.
DATA_CODES = frozenset({26, 28, 29, 55, 73, 75, 95, 99})
FORMAT = 29
_ERROR = re.compile(r"ERROR: \[(\d+)\]((?:(?!ERROR: \[).)*)", re.DOTALL)
#: WAL that it cannot read has the code of the connection, 42, and its own name behind that.
_UNREADABLE = re.compile(r"unable to get .*\[(?:Checksum|Crypto|Format)Error\]", re.DOTALL)
_FATAL = re.compile(r"(?:FATAL|PANIC): +(.*)")
#: What PostgreSQL says of the data or the WAL when it ends.
_DATA_WORDS = re.compile(
    r"recovery ended before configured recovery target|before consistent recovery point|WAL ends before"
    r"|checkpoint record|invalid page|not a child of this server's history|recovery target timeline|control file"
    r"|backup_label|checksum|database files are incompatible|could not access status of transaction|corrupt"
    r"|not a valid data directory|record with incorrect|failed to re-find|unexpected page"
)
#: A certificate that is not accepted has the code of what cannot be decrypted.
_CONNECTION_WORDS = re.compile(r"certificate|\bTLS\b", re.IGNORECASE)
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT))


class FaultError(RelevoError):
    """The backup or the WAL is why it cannot be restored, and not this host: no space, no time, no memory."""


class FullError(RelevoError):
    """The disk of this host is full."""


def fault(message: str, said: str, **details: Any) -> RelevoError:
    """The error for what a program has ``said`` when it ended."""
    full = next((words for words in _FULL if words in said), "")
    if full:
        return FullError(
            f"The disk of this host was full in the middle of it ({full}). Make room, then run this again."
        )
    return (FaultError if blames_data(said) else RelevoError)(message, **details)


def blames_data(said: str) -> bool:
    """Whether these words name the data: pgBackRest's where there are any, otherwise the server's.

    To a server whose ``restore_command`` fails the archive just ends; why it failed only pgBackRest says.
    """
    codes = {FORMAT if _UNREADABLE.search(words) else int(code) for code, words in _ERROR.findall(said)}
    if codes:
        return codes <= DATA_CODES and not (95 in codes and _CONNECTION_WORDS.search(said))
    return any(_DATA_WORDS.search(line) for line in _FATAL.findall(said))
