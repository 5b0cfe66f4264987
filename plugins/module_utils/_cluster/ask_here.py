# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this node's own server is, as a program: asked over its socket, as the superuser, for whom some connections are
kept."""

from __future__ import annotations

from typing import Any

from .. import _names
from .._server.session import PSYCOPG_IMPORT_ERROR, Session, SessionError
from .probe import ask


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``question`` has the ``timeout`` in seconds. ``data``: what ``probe.ask`` returns; None where that is not to be
    had."""
    if PSYCOPG_IMPORT_ERROR:
        return {"data": None}
    try:
        with Session.local(_names.OWN_DATABASE, "relevo facts", question["timeout"]) as session:
            return {"data": ask(session)}
    except SessionError:
        return {"data": None}
