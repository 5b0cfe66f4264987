"""Keys and certificates of authorities and nodes, made in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


@dataclass
class Pair:
    """A key and its certificate."""

    private: ec.EllipticCurvePrivateKey
    found: x509.Certificate

    @property
    def certificate(self) -> str:
        return self.found.public_bytes(Encoding.PEM).decode()

    @property
    def key(self) -> str:
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def make(
    name: str,
    signer: Pair | None = None,
    days: float = 100,
    ca: bool = True,
    again: Pair | None = None,
    address: str = "fd00::12",
) -> Pair:
    private = again.private if again else ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names: list[x509.GeneralName] = [x509.DNSName("a"), x509.IPAddress(ip_address(address))]
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=signer.found.subject if signer else subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return Pair(private, builder.sign(signer.private if signer else private, hashes.SHA256()))
