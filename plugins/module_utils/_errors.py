# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that the collection's own logic raises."""

from __future__ import annotations

import errno
import os
from typing import Any

#: What a disk answers that is full, over its quota, or was made read-only by its own errors.
DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class RelevoError(Exception):
    """A foreseeable failure: one sentence that says what is wrong and what to do.

    ``details`` are returned to the user beside the message (for example the
    return code and the stderr of a command); they must not hold secrets.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


def foreseen(error: Exception) -> RelevoError | None:
    """The error as a foreseeable failure; None for a bug, which is to show its traceback."""
    if isinstance(error, RelevoError):
        return error
    if not isinstance(error, OSError) or error.errno not in DISK_REFUSES:
        return None
    where = f" ({error.filename})" if error.filename else ""
    return RelevoError(
        f"A disk of {os.uname().nodename} cannot be written to: {error.strerror}{where}. "
        "Make room there, then run this again."
    )
