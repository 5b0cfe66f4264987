# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a certificate on the controller is still valid."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_days
short_description: How long a certificate on the controller is still valid
version_added: 0.1.0
description:
  - Takes the path of a certificate in PEM and returns the days until it expires, less than 0 when it has.
  - Of a file that is not there it is 0.
author: The Relevo authors (@relevo)
requirements:
  - cryptography
options:
  _input:
    description: The path.
    type: path
"""

EXAMPLES = r"""
renew: "{{ (secrets_dir ~ '/tls/ca.crt') | relevo.postgres.certificate_days < 30 }}"
"""

RETURN = r"""
_value:
  description: Days.
  type: float
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def certificate_days(path: str) -> float:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one.
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except FileNotFoundError:
        return 0.0
    return (found.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"certificate_days": certificate_days}
