# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node logs in with at its peers. Apart from the session, so that the controller need not load libpq."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import _names


@dataclass(frozen=True)
class Credentials:
    """What a node needs to log in at its peers: a passfile and the authority that signed their certificates."""

    passfile: Path = _names.PASSFILE
    ca_file: Path = _names.CA_FILE
