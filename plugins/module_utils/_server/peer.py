# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a server is reached. Apart from ``session``, whose library takes a while to load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .._names import PORT

#: What a server says that gives us no session: nothing; that it is starting, stopping or recovering; anything else.
Life = Literal["none", "starting", "refused"]


@dataclass(frozen=True)
class Peer:
    """How to reach a server: its inventory name, and the address under which the other nodes see it."""

    name: str
    host: str
    port: int = PORT

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Peer:
        return cls(name=given["name"], host=given.get("host") or given["name"], port=int(given.get("port") or PORT))
