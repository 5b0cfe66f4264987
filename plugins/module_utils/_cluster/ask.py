# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question of ``pg_primary_facts`` as a program, for a node whose answer somebody waits for."""

from __future__ import annotations

from typing import Any

from .._errors import RelevoError
from .._server.arguments import credentials_of, nodes_of
from .._server.session import PSYCOPG_IMPORT_ERROR
from .probe import probe
from .topology import Topology


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """What the module returns. ``question``: its arguments; two primaries are an error."""
    if PSYCOPG_IMPORT_ERROR:
        raise RelevoError("This node lacks the Python package psycopg. Run site.yml, which installs it.")
    found = probe(nodes_of(question), question["timeout"], credentials_of(question), question["unreachable"])
    topology = Topology(found)
    if len(topology.primaries) > 1:
        topology.require_primary()
    return topology.as_dict()
