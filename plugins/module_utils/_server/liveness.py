# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a server answers this node, as a program that a witness runs."""

from __future__ import annotations

from typing import Any

from . import addresses
from .peer import Peer

#: Seconds for a server that says nothing.
TIMEOUT = 2


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """``question`` has the ``node``. One without psycopg has seen nothing."""
    node = Peer.from_dict(question["node"])
    address = addresses.listening(node.host, node.port, TIMEOUT)
    if address is None:
        return {"answer": "none"}
    # Loads psycopg, which takes as long as all the rest; in most emergencies nobody listens any more.
    from .session import PSYCOPG_IMPORT_ERROR, answer_of

    return {"answer": "none" if PSYCOPG_IMPORT_ERROR else answer_of(Peer(node.name, address, node.port), TIMEOUT)}
