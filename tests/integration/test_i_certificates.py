"""Certificates are renewed before they end, and every process that uses one serves the new one at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from clients import takes_writes, wait_until_streaming
from cluster import (
    FAILBACK,
    FAILOVER,
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    STATUS,
    archive_all,
    killed_play,
    labels,
    nothing_needs_attention,
    play,
    psql,
    shell,
    wait_until,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

pytestmark = [pytest.mark.usefixtures("backed_up"), pytest.mark.long]

#: By node: how to ask for the certificates that its processes serve.
POSTGRESQL = "openssl s_client -starttls postgres -connect localhost:5432"
PGBACKREST = "openssl s_client -connect localhost:8432"
SERVED = [(PRIMARY, POSTGRESQL), (STANDBY, POSTGRESQL), (PRIMARY, PGBACKREST), (REPOSITORY, PGBACKREST)]


def served(node: str, client: str) -> str:
    """The serial number of the certificate that a process of this node serves."""
    said = shell(node, "sh", "-c", f"{client} </dev/null 2>/dev/null | openssl x509 -noout -serial")
    found = re.fullmatch(r"serial=([0-9A-F]+)\s*", said)
    assert found, said
    return found[1]


def all_served() -> list[str]:
    return [served(node, client) for node, client in SERVED]


def test_a_node_whose_clock_is_behind_takes_a_new_certificate_at_once() -> None:
    """The controller's clock may be hours ahead of theirs: a certificate from now on would not be valid there yet."""
    # Those of the first run, too, of which no node could be told the time yet.
    valid_since_yesterday(datetime.fromtimestamp((SECRETS / "tls" / "ca.key").stat().st_mtime, UTC))
    play("site.yml", "-e", "secrets_renew_days=36500")
    valid_since_yesterday(datetime.now(UTC))
    nothing_needs_attention()


def valid_since_yesterday(made: datetime) -> None:
    """The certificates that the nodes have were valid a day before they were made, which was not after ``made``."""
    for node in (PRIMARY, STANDBY, REPOSITORY):
        for name in ("node.crt", "ca.crt"):
            text = shell(node, "cat", f"/etc/relevo/tls/{name}")
            for certificate in x509.load_pem_x509_certificates(text.encode()):
                assert made - certificate.not_valid_before_utc >= timedelta(hours=23), f"{name} on {node}"


def test_certificates_are_renewed_in_time_and_used_at_once() -> None:
    first = all_served()
    assert play("site.yml").changed == 0
    # All that is valid for less than a century is renewed, with certificates that end soon.
    play("site.yml", "-e", "secrets_renew_days=36500", "-e", "secrets_certificate_days=20")
    short = all_served()
    assert not set(first) & set(short)
    said = play(STATUS).text
    for node in (PRIMARY, STANDBY):
        assert f"The certificate of {node} expires in 20 days. Run site.yml, which renews it." in said
    assert f"The certificate of {REPOSITORY} expires in 20 days." in said
    # It was renewed for as long as they, and is named once for all of them.
    assert said.count("The authority CN=Relevo authority, of which the certificates of ") == 1
    assert "in 20 days. That ends replication and archiving over TLS" in said
    checked = play("playbooks/catalog_check.yml", "-e", "catalog_check_min_certificate_days=25", expect=2).text
    assert "The authority CN=Relevo authority of the certificates is valid for 20 more days" in checked

    play("site.yml")
    renewed = all_served()
    assert not set(short) & set(renewed)
    nothing_needs_attention()
    assert play("site.yml").changed == 0
    # Over TLS between the repository host and the servers.
    before = labels()
    play("backup.yml", "-e", "day=2")
    assert len(labels()) > len(before)


def test_what_a_killed_run_has_renewed_is_named_and_used_by_the_next() -> None:
    """A TLS server that nobody told of its new certificate goes on with the old one, until that ends."""
    first = served(REPOSITORY, PGBACKREST)
    killed_play("site.yml", "Let the TLS server read what was written", "-e", "secrets_renew_days=36500")
    assert served(REPOSITORY, PGBACKREST) == first
    said = play(STATUS).text
    for node in (PRIMARY, STANDBY, REPOSITORY):
        assert f"pgBackRest's TLS server on {node} has not read its configuration or its certificate" in said
    play("site.yml")
    assert served(REPOSITORY, PGBACKREST) != first
    nothing_needs_attention()
    assert play("site.yml").changed == 0


def expired(node: str) -> x509.Certificate:
    """Its certificate as it would be had nobody renewed it: of the same key, signed by the same authority."""
    folder = SECRETS / "tls"
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    signer = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    found = x509.load_pem_x509_certificate((folder / f"{node}.crt").read_bytes())
    builder = (
        x509.CertificateBuilder(subject_name=found.subject, issuer_name=authority.subject)
        .public_key(found.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=30))
        .not_valid_after(datetime.now(UTC) - timedelta(days=1))
    )
    for extension in found.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(signer, hashes.SHA256())


def serves(node: str, client: str, certificate: x509.Certificate) -> bool:
    return int(served(node, client), 16) == certificate.serial_number


def test_an_expired_certificate_is_named_and_replaced_and_all_goes_on() -> None:
    """Nobody who looks at certificates gets in, our own roles neither: the run that renews it must not need that."""
    wait_until_streaming(PRIMARY)
    old = expired(PRIMARY)
    text = old.public_bytes(Encoding.PEM).decode()
    # As it is after the day on which nobody has run site.yml: on the controller, on the node, and in its processes.
    (SECRETS / "tls" / f"{PRIMARY}.crt").write_text(text)
    shell(PRIMARY, "sh", "-c", "cat > /etc/relevo/tls/node.crt", stdin=text)
    psql(PRIMARY, "SELECT pg_reload_conf()")
    shell(PRIMARY, "sv", "hup", "pgbackrest")
    wait_until(lambda: serves(PRIMARY, POSTGRESQL, old), "PostgreSQL to serve the expired certificate", 30)
    wait_until(lambda: serves(PRIMARY, PGBACKREST, old), "pgBackRest to serve the expired certificate", 30)
    assert not takes_writes(PRIMARY)
    # What stands does not end by itself.
    psql(PRIMARY, "SELECT pg_terminate_backend(pid) FROM pg_stat_replication")

    said = play(STATUS).text
    assert f"The certificate of {PRIMARY} has expired. Run site.yml, which renews it." in said
    assert f"{PRIMARY} lives and answers, but not to us" in said
    assert "certificate verify failed" in said
    assert "Look at its certificate in /etc/relevo/tls, which site.yml writes." in said
    assert "run failover.yml" not in said
    # It lives, and takes writes of all who do not look.
    refused = play(FAILOVER, expect=2)
    assert "certificate verify failed" in refused.text
    assert "Nobody was promoted; nothing was touched." in refused.text
    assert refused.changed == 0
    assert psql(PRIMARY, "SELECT count(*) FROM pg_stat_replication") == "0"

    play("site.yml")
    assert not serves(PRIMARY, POSTGRESQL, old)
    assert not serves(PRIMARY, PGBACKREST, old)
    assert takes_writes(PRIMARY)
    wait_until_streaming(PRIMARY)
    archive_all()
    nothing_needs_attention()
    assert play("site.yml").changed == 0
    before = labels()
    play("backup.yml", "-e", "day=2")
    assert len(labels()) > len(before)
    play(FAILOVER)
    play(FAILBACK)
    wait_until_streaming(PRIMARY)
    nothing_needs_attention()
