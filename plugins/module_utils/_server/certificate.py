# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the certificate of this node is still valid, and the authority that it is of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import _names, _process
from .._authority import Authority

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
#: What openssl 3 writes below the name of the extension; openssl 1.1 writes "keyid:" in front.
_KEY = r" Key Identifier:[^\n]*\n\s*(?:keyid:)?([0-9A-F]{2}(?::[0-9A-F]{2})*)"
#: More than any chain has: two that vouch for each other would have no end.
_LONGEST_CHAIN = 10


@dataclass(frozen=True)
class Certificate:
    """``key``, ``issuer_key``: the identifiers of its key and of the one that signed it, empty where it has none."""

    subject: str
    issuer: str
    ends: datetime
    key: str = ""
    issuer_key: str = ""


def validity() -> dict[str, Any]:
    """Both of this host, in the shape in which modules return them."""
    found = authority()
    return {"certificate_days": days_left(), "authority": asdict(found) if found else None}


def days_left(path: Path = _names.CERTIFICATE, now: datetime | None = None) -> float | None:
    """Days until it expires, negative afterwards; None where there is none, or no ``openssl`` that can read it."""
    found = _read(path)
    return remaining(found[0].ends, now or datetime.now(UTC)) if found else None


def authority(
    own: Path = _names.CERTIFICATE, trusted: Path = _names.CA_FILE, now: datetime | None = None
) -> Authority | None:
    """What signed this node's certificate, or of those above it the one that ends first; None: nobody can tell."""
    mine, known = _read(own), _read(trusted)
    if not mine:
        return None
    first = first_to_end(mine[0], [*mine[1:], *known])
    if first is None:
        return None
    ends = first.ends.isoformat(timespec="seconds")
    return Authority(first.subject, ends, remaining(first.ends, now or datetime.now(UTC)))


def first_to_end(certificate: Certificate, known: Sequence[Certificate]) -> Certificate | None:
    """Of those that vouch for a certificate, one above the other, the one that ends first; None: nobody does.

    While an authority is replaced two are known, of one name: the other one may end. One that was renewed with its key
    may be known twice, and counts for as long as either.
    """
    found: list[Certificate] = []
    lowest = certificate
    while len(found) < _LONGEST_CHAIN:
        above = [one for one in known if one not in found and _vouches(one, lowest)]
        if not above:
            break
        lowest = max(above, key=lambda one: one.ends)
        found.append(lowest)
        if lowest.subject == lowest.issuer:
            break
    return min(found, key=lambda one: one.ends, default=None)


def _vouches(authority: Certificate, certificate: Certificate) -> bool:
    same_key = not authority.key or not certificate.issuer_key or authority.key == certificate.issuer_key
    return authority.subject == certificate.issuer and same_key


def _read(path: Path) -> list[Certificate]:
    """The certificates of a file, in order; none where there is none, or no ``openssl`` that can read it."""
    try:
        texts = _PEM.findall(path.read_text(errors="replace"))
        said = [_ask(text) for text in texts]
    except FileNotFoundError:
        return []
    return [] if None in said else [parse(one) for one in said if one]


def _ask(text: str) -> str | None:
    extensions = "subjectKeyIdentifier,authorityKeyIdentifier"
    command = [
        "openssl",
        "x509",
        "-noout",
        "-subject",
        "-issuer",
        "-enddate",
        "-nameopt",
        "RFC2253",
        "-ext",
        extensions,
    ]
    done = _process.run(command, timeout=10, text=text, user="root", LC_ALL="C")
    return None if done.returncode else done.stdout


def parse(said: str) -> Certificate:
    """What ``openssl x509`` prints of a certificate: a line each for subject, issuer and end, then the extensions."""
    lines = dict(line.split("=", 1) for line in said.splitlines() if re.match(r"(subject|issuer|notAfter)=", line))
    keys = {word: re.search(word + _KEY, said) for word in ("Subject", "Authority")}
    own, signer = keys["Subject"], keys["Authority"]
    ends = datetime.strptime(lines["notAfter"].strip().removesuffix(" GMT"), "%b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return Certificate(
        lines["subject"].strip(), lines["issuer"].strip(), ends, own[1] if own else "", signer[1] if signer else ""
    )


def remaining(end: datetime, now: datetime) -> float:
    return round((end - now).total_seconds() / 86400, 2)
