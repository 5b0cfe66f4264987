"""Certificates are renewed before they end, and every process that uses one serves the new one at once."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cluster import (
    PRIMARY,
    REPOSITORY,
    STANDBY,
    STATUS,
    killed_play,
    labels,
    nothing_needs_attention,
    play,
    shell,
)
from cryptography import x509

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
    play("site.yml", "-e", "secrets_renew_days=36500")
    made = datetime.now(UTC)
    for node in (PRIMARY, STANDBY, REPOSITORY):
        for name in ("node.crt", "ca.crt"):
            text = shell(node, "cat", f"/etc/relevo/tls/{name}")
            for certificate in x509.load_pem_x509_certificates(text.encode()):
                assert made - certificate.not_valid_before_utc >= timedelta(hours=23), f"{name} on {node}"
    nothing_needs_attention()


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
