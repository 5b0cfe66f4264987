# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that several modules share (documented by the doc fragment ``cluster``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import _names
from .._errors import RelevoError
from .credentials import Credentials
from .peer import Peer

NODE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "host": {"type": "str"},
    "port": {"type": "int", "default": _names.PORT},
}


def nodes_spec() -> dict[str, Any]:
    """``nodes`` and how to log in at them."""
    return {
        "nodes": {"type": "list", "elements": "dict", "required": True, "options": NODE_OPTIONS},
        "timeout": {"type": "float", "default": 4},
        "passfile": {"type": "path", "default": str(_names.PASSFILE)},
        "ca_file": {"type": "path", "default": str(_names.CA_FILE)},
    }


def nodes_of(parameters: dict[str, Any]) -> list[Peer]:
    return [Peer.from_dict(given) for given in parameters["nodes"]]


def credentials_of(parameters: dict[str, Any]) -> Credentials:
    return Credentials(Path(parameters["passfile"]), Path(parameters["ca_file"]))


def find_node(nodes: Sequence[Peer], name: str) -> Peer:
    """The node of this name; ``RelevoError`` when there is none."""
    for node in nodes:
        if node.name == name:
            return node
    raise RelevoError(f"{name} is not among the nodes. Nothing was changed; check the inventory.")
