# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server answers this node, as a program that a witness runs."""

from __future__ import annotations

from typing import Any

from .peer import Peer
from .session import PSYCOPG_IMPORT_ERROR, answer_of


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``question`` has the ``node``. One without libpq has seen nothing."""
    return {"answer": "none" if PSYCOPG_IMPORT_ERROR else answer_of(Peer.from_dict(question["node"]))}
