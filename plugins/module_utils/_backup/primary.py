# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is primary, asked before a backup and after it. Apart from who asks, since it loads psycopg."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._cluster.probe import probe
from .._cluster.topology import Topology
from .._errors import RelevoError
from .._server.arguments import credentials_of, nodes_of
from .._server.session import PSYCOPG_IMPORT_ERROR


def primary(given: Mapping[str, Any]) -> dict[str, Any]:
    """The one primary, as ``shown``; ``given``: ``nodes``, ``timeout``, ``passfile``, ``ca_file``, ``unreachable``.

    Raises ``RelevoError`` where there is not exactly one.
    """
    if PSYCOPG_IMPORT_ERROR:
        raise RelevoError("This node lacks the Python package psycopg. Run site.yml, which installs it.")
    question = dict(given)
    found = Topology(probe(nodes_of(question), given["timeout"], credentials_of(question), given["unreachable"]))
    try:
        return shown(found)
    except RelevoError:
        # Here: a program compiles what it loads, and mostly there is one.
        from .._repository.restore_record import refuse_while_restoring

        refuse_while_restoring([state.name for state in found.states])
        raise


def shown(found: Topology) -> dict[str, Any]:
    """What a backup has to know of the one primary: ``name``, ``host``, ``timeline``. Raises ``RelevoError``."""
    state = found.require_primary()
    return {"name": state.name, "host": state.node.host, "timeline": state.timeline}


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The program, for a host that makes no backup; ``question``: as for ``primary``."""
    return primary(question)
