# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authority of the certificates, as those speak of it who look at when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The name of the one that we make. What anybody else has made is renewed by them.
OUR_NAME = "Relevo authority"


@dataclass(frozen=True)
class Authority:
    """``name``: its subject, as RFC 2253 writes it. ``ends``: until when it is valid, ISO 8601 in UTC. ``days``: until
    then, negative afterwards."""

    name: str
    ends: str
    days: float

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Authority | None:
        """From the JSON of a module or of the status; None where nobody could tell."""
        return cls(str(given["name"]), str(given["ends"]), float(given["days"])) if given else None

    @property
    def cure(self) -> str:
        """What to do before it ends, or about it afterwards."""
        clients = "Clients with sslmode=verify-ca or verify-full need the new tls/ca.crt, too."
        if self.name == f"CN={OUR_NAME}":
            return (
                "Run site.yml, which renews it with the same key, or rotate.yml -e rotate=authority, which replaces "
                f"it. Where it is given as a variable, renew it there, since no play does. {clients}"
            )
        return (
            "It is not one of ours, and no play renews it: have its owner renew it with the same key, put that in "
            "place of the old one (secrets_authority_certificate, or tls/ca.crt in the folder of secrets), and run "
            f"site.yml. {clients}"
        )
