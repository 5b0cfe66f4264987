# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SCRAM-SHA-256 verifiers, so that a password never reaches the server's log and can be compared without changing it.

Format and derivation: RFC 5802, RFC 7677, and PostgreSQL's src/common/scram-common.c.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

ITERATIONS = 4096


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def make_verifier(password: str) -> str:
    """A new verifier. Passwords are ASCII here (we generate them), so SASLprep has nothing to do."""
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
