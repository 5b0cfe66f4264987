# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM-SHA-256 verifiers, so that a password never reaches the server's log and can be compared without changing it.

Format and derivation: RFC 5802, RFC 7677, and PostgreSQL's src/common/scram-common.c and saslprep.c.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import stringprep
import unicodedata

ITERATIONS = 4096
#: What SASLprep forbids in its result (RFC 4013, section 2.3), and what Unicode 3.2 had not assigned.
_FORBIDDEN = (
    *(stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4),
    *(stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8),
    *(stringprep.in_table_c9, stringprep.in_table_a1),
)


def _prepared(password: str) -> str:
    """What a client makes of a password before it proves to know it (pg_saslprep): a text that SASLprep does not allow
    stays as it is."""
    if password.isascii():
        return password
    spaced = "".join(" " if stringprep.in_table_c12(one) else one for one in password)
    mapped = "".join(one for one in spaced if not stringprep.in_table_b1(one))
    found = unicodedata.normalize("NFKC", mapped)
    if not found or any(forbidden(one) for one in found for forbidden in _FORBIDDEN):
        return password
    # Right to left, it must begin and end so, and have nothing of the other direction (RFC 3454, section 6).
    leftward = [stringprep.in_table_d1(one) for one in found]
    mixed = any(stringprep.in_table_d2(one) for one in found) or not (leftward[0] and leftward[-1])
    return password if any(leftward) and mixed else found


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def make_verifier(password: str) -> str:
    """A new verifier."""
    return _verifier(password, os.urandom(16), ITERATIONS)


def matches(password: str, verifier: str | None) -> bool:
    """Whether ``verifier``, as ``pg_authid`` holds it, belongs to ``password``."""
    try:
        # "SCRAM-SHA-256", iterations and salt, the two keys.
        iterations, salt = (verifier or "").split("$")[1].split(":")
        derived = _verifier(password, base64.b64decode(salt), int(iterations))
    except (ValueError, IndexError):
        return False
    return hmac.compare_digest(derived, verifier or "")
