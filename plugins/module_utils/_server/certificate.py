# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the certificate of this node is still valid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from .. import _names, _process


def days_left(path: Path = _names.CERTIFICATE, now: datetime | None = None) -> float | None:
    """Days until it expires, negative afterwards; None where there is none, or no ``openssl`` that can read it."""
    try:
        command = ["openssl", "x509", "-noout", "-enddate", "-in", str(path)]
        done = _process.run(command, timeout=10, user="root", LC_ALL="C")
    except FileNotFoundError:
        return None
    return None if done.returncode else remaining(done.stdout, now or datetime.now(UTC))


def remaining(said: str, now: datetime) -> float:
    """From ``notAfter=Nov 24 09:00:00 2036 GMT``."""
    end = datetime.strptime(said.strip().partition("=")[2].removesuffix(" GMT"), "%b %d %H:%M:%S %Y").replace(
        tzinfo=UTC
    )
    return round((end - now).total_seconds() / 86400, 2)
