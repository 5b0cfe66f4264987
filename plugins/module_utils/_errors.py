# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that the collection's own logic raises."""

from __future__ import annotations

from typing import Any


class RelevoError(Exception):
    """A foreseeable failure: one sentence that says what is wrong and what to do.

    ``details`` are returned to the user beside the message (for example the
    return code and the stderr of a command); they must not hold secrets.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
