# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates and keys in PEM, on the controller, where the library cryptography is installed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.relevo.postgres.plugins.module_utils._authority import OUR_NAME
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
except ImportError:
    pass  # community.crypto, which makes the certificates, says so


def certificates(pem: str) -> list[x509.Certificate]:
    """Those of a text, in order; none where there is none that can be read."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return []


def certificates_of(path: Path) -> list[x509.Certificate]:
    return certificates(path.read_text(errors="replace")) if path.is_file() else []


def public_key(certificate: x509.Certificate) -> str:
    """The same for each certificate that was made of the same key."""
    found = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found.hex()


def public_keys(found: Iterable[x509.Certificate]) -> frozenset[str]:
    return frozenset(public_key(certificate) for certificate in found)


def key_of(pem: str) -> str:
    """The public key of a private one, as ``public_key`` has it; empty for what cannot be read."""
    try:
        private = load_pem_private_key(pem.encode(), None)
    except (TypeError, ValueError):
        return ""
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def to_pem(found: Iterable[x509.Certificate]) -> str:
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)


def days_left(certificate: x509.Certificate, now: datetime | None = None) -> float:
    return (certificate.not_valid_after_utc - (now or datetime.now(UTC))).total_seconds() / 86400


def is_ours(authority: x509.Certificate) -> bool:
    return authority.subject == authority.issuer and authority.subject.rfc4514_string() == f"CN={OUR_NAME}"


def issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def signers(pem: str, known: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """Those of ``known`` that signed the first certificate of a text."""
    found = certificates(pem)
    return [one for one in known if issued_by(found[0], one)] if found else []


def names_of(certificate: x509.Certificate) -> set[str]:
    """Its alternative names in the form of ``subject_alt_name``: ``DNS:localhost``, ``IP:127.0.0.1``."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    hosts = found.get_values_for_type(x509.DNSName)
    return {f"DNS:{name}" for name in hosts} | {f"IP:{one}" for one in found.get_values_for_type(x509.IPAddress)}


def check_authority(certificate: str, key: str, where: str, now: datetime | None = None) -> None:
    """Refuse what cannot sign certificates of nodes, or would not for long; ``where``: whose fault it is."""
    found = certificates(certificate)
    if not found:
        raise RelevoError(f"{where}: no certificate in PEM. Give the text that begins with BEGIN CERTIFICATE.")
    first = found[0]
    try:
        load_pem_private_key(key.encode(), None)
    except TypeError as error:
        raise RelevoError(
            f"{where}: the key is locked by a passphrase. Give it without (openssl pkey -in KEY), in a vault."
        ) from error
    except ValueError as error:
        raise RelevoError(f"{where}: no key in PEM. Give the text that begins with BEGIN PRIVATE KEY.") from error
    if key_of(key) != public_key(first):
        raise RelevoError(
            f"{where}: the key does not belong to the first certificate ({first.subject.rfc4514_string()}). Give "
            "the one that signs, followed by those above it, and its key."
        )
    try:
        signs = first.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        signs = False
    if not signs:
        raise RelevoError(
            f"{where}: {first.subject.rfc4514_string()} is not an authority (CA:TRUE), so nobody would trust "
            "what it signs."
        )
    # Ours is renewed by the play, with the same key.
    ended = [one for one in found if days_left(one, now) <= 0 and not is_ours(one)]
    if ended:
        raise RelevoError(
            f"{where}: the certificate {ended[0].subject.rfc4514_string()} expired on "
            f"{ended[0].not_valid_after_utc:%Y-%m-%d}. Renew it with the same key."
        )
