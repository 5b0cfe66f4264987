# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a certificate is still valid."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_days
short_description: How long a certificate is still valid
version_added: 0.1.0
description:
  - Takes a certificate in PEM, or its path on the controller, and returns the days until it expires, less than 0 when
    it has.
  - It is 0 where there is none, and where it is not the one that is wanted.
author: The Relevo authors (@relevo)
requirements:
  - cryptography
options:
  _input:
    description: The path, or the certificate itself.
    type: str
  authority:
    description: The path of the certificate of the authority that must have signed it. Empty for any.
    type: path
    default: ''
  names:
    description: The alternative names that it must have, such as C(DNS:localhost). Empty for any.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
renew: "{{ (secrets_dir ~ '/tls/db1.crt') | relevo.postgres.certificate_days(secrets_dir ~ '/tls/ca.crt') < 30 }}"
"""

RETURN = r"""
_value:
  description: Days.
  type: float
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def certificate_days(certificate: str, authority: str = "", names: Sequence[str] = ()) -> float:
    """See DOCUMENTATION."""
    # Here, since Ansible loads all filters in each worker that uses one.
    from ansible_collections.relevo.postgres.plugins.plugin_utils import _certificates

    given = "BEGIN CERTIFICATE" in certificate
    found = _certificates.certificates(certificate) if given else _certificates.certificates_of(Path(certificate))
    if not found or (names and _certificates.names_of(found[0]) != set(names)):
        return 0.0
    if authority:
        signers = _certificates.certificates_of(Path(authority))
        if not signers or not _certificates.issued_by(found[0], signers[0]):
            return 0.0
    return _certificates.days_left(found[0])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"certificate_days": certificate_days}
