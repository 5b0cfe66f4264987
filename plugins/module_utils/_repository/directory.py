# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository's directory on the repository host, which may be a mount whose server is away.

pgBackRest, which reads it elsewhere, is called with a deadline of its own. This is for what we read and write there
ourselves: an emergency, in which nobody takes writes, must not wait for it without end.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .. import _hung_disk

T = TypeVar("T")

#: Seconds for a few small files. A disk that is busy with a backup may take seconds for an fsync. One that takes
#: longer is as good as away, and the start guard, which reads the same records, waits no longer either.
ANSWERS_WITHIN = 10.0


def no_answer(directory: Path) -> str:
    """What is said of a directory that does not answer."""
    return (
        f"The repository's directory {directory} on {os.uname().nodename} has not answered within "
        f"{ANSWERS_WITHIN:g} s: it is a mount whose server is away, or its disk hangs. Look there with findmnt and "
        f"dmesg and make it answer (timeout 5 stat -f {directory} then ends with 0), then run this again."
    )


def answer_of(directory: Path, work: Callable[[], T]) -> T:
    """What ``work`` in the directory returns or raises (see ``_hung_disk``); ``NoAnswerError`` where it hangs."""
    return _hung_disk.within(ANSWERS_WITHIN, work, no_answer(directory))
