# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest's TLS server, through which the repository host and the servers reach each other."""

from __future__ import annotations

from .. import _names
from .._server import reading
from .command import CONFIG

#: What it reads at its start and at SIGHUP, as site.yml writes it unless ``pgbackrest_tls_dir`` is another.
FILES = (CONFIG, _names.CA_FILE, _names.CERTIFICATE, _names.PRIVATE_KEY)


def reload_owed() -> bool:
    """Whether it runs on this host, and has not read its configuration or its certificate since that was written."""
    return reading.owed(reading.READERS["pgbackrest"], FILES)
