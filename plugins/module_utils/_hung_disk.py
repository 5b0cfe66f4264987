# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on a disk that may never answer, with a deadline.

A process that reads or writes a hard NFS mount whose server is away waits in the kernel, and no signal of its own wakes
it; nor does a thread that waits there let its process end. So the work is done by a child, which is left behind.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import NoReturn, TypeVar, cast

from ._errors import RelevoError

T = TypeVar("T")


class NoAnswerError(RelevoError):
    """A disk has not answered in its time."""


def within(seconds: float, work: Callable[[], T], late: str) -> T:
    """What ``work`` returns or raises, which must be something that can be pickled: it is done in a process of its own.

    Raises ``NoAnswerError`` with the sentence ``late`` where it has not ended after that many seconds. It is killed
    then, and may still do what it had begun when the disk comes back.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _answer(work, writer)
    os.close(writer)
    answer, deadline = b"", time.monotonic() + seconds
    ended = False
    try:
        while not ended:
            if not select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise NoAnswerError(late)
            piece = os.read(reader, 65536)
            answer, ended = answer + piece, not piece
    finally:
        os.close(reader)
        if not ended:
            os.kill(child, signal.SIGKILL)
        # One that waits for a disk does not end before the disk answers.
        os.waitpid(child, 0 if ended else os.WNOHANG)
    if not answer:
        raise RelevoError("The process that was to look at a disk was ended from outside. Run this again.")
    # It is the answer of our own child, over a pipe that nobody else has.
    good, what = pickle.loads(answer)
    if good:
        return cast(T, what)
    raise what


def _answer(work: Callable[[], object], writer: int) -> NoReturn:
    """In the child: write what came of it, and end without any of what the parent does at its own end."""
    try:
        # Who is behind the parent's output waits until nobody has it open, and this one may never end.
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        with os.fdopen(writer, "wb") as pipe:
            try:
                pipe.write(pickle.dumps((True, work())))
            except Exception as error:
                # Of a bug the parent shows its own traceback, and this.
                error.add_note(traceback.format_exc())
                pipe.write(pickle.dumps((False, error)))
                raise
    finally:
        os._exit(0)
