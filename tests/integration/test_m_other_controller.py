"""Another controller, a fresh clone, an authority of one's own: there is never a second one beside the cluster's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from clients import Writer, more
from cluster import (
    FAILBACK,
    FAILOVER,
    INVENTORY,
    PORTS,
    PRIMARY,
    REPOSITORY,
    SECRETS,
    STANDBY,
    missing,
    nothing_needs_attention,
    play,
    psql,
    rows_of,
    shell,
    wait_until,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

#: Over the primary's socket: the other clients trust the authority that is replaced.
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
NODES = (PRIMARY, STANDBY, REPOSITORY)
PASSWORDS = ("relevo_replication", "relevo_rewind", "relevo_monitor", "relevo_handover", "redis", "user_imdb")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The inventory in a folder without secrets."""
    return Path(shutil.copy(INVENTORY, tmp_path / "hosts.yml"))


def identities() -> dict[str, str]:
    """What each node has of the secrets."""
    paths = ("tls/ca.crt", "tls/node.crt", "tls/node.key", "pgpass")
    return {node: shell(node, "sha256sum", *(f"/etc/relevo/{path}" for path in paths)) for node in NODES}


def with_secrets(inventory: Path) -> Path:
    """A copy of the cluster's own folder of secrets beside another inventory."""
    return Path(shutil.copytree(SECRETS, inventory.parent / ".secrets"))


def lost(folder: Path) -> None:
    shutil.rmtree(folder)


def another_authority(folder: Path) -> None:
    root, key = authority("Somebody else")
    (folder / "tls" / "ca.crt").write_text(root)
    (folder / "tls" / "ca.key").write_text(key)


def another_password(folder: Path) -> None:
    (folder / "relevo_handover").write_text("quite another one\n")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lost, "are part of a cluster that exists, but relevo_replication"),
        pytest.param(another_authority, f"{PRIMARY} trusts another authority than", marks=pytest.mark.long),
        pytest.param(another_password, f"{STANDBY} has another password for relevo_handover", marks=pytest.mark.long),
    ],
)
def test_a_living_cluster_gets_no_other_secrets(elsewhere: Path, harm: Callable[[Path], None], said: str) -> None:
    folder = with_secrets(elsewhere)
    harm(folder)
    before = identities()
    refused = play("site.yml", inventory=elsewhere, expect=2)
    assert said in refused.text
    assert "Nothing was changed. Copy the folder" in refused.text
    assert refused.changed == 0
    assert identities() == before
    if harm is lost:
        assert not folder.exists()


def authority(name: str, signer: tuple[str, str] | None = None) -> tuple[str, str]:
    """Certificate and key, in PEM, of an authority, or of one below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    above, signing = subject, key
    if signer:
        above = x509.load_pem_x509_certificate(signer[0].encode()).subject
        loaded = load_pem_private_key(signer[1].encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=400))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return made.public_bytes(Encoding.PEM).decode(), private.decode()


def variables(inventory: Path, certificate: str, key: str, passwords: Sequence[str] = PASSWORDS) -> tuple[str, str]:
    """What the cluster has, as a vault or a credential gives it."""
    given = {
        "secrets_given": {name: (SECRETS / name).read_text().strip() for name in passwords},
        "secrets_authority_certificate": certificate,
        "secrets_authority_key": key,
    }
    path = inventory.with_name("given.json")
    path.write_text(json.dumps(given))
    path.chmod(0o600)
    return "-e", f"@{path}"


def logs_in(node: str, root: Path) -> bool:
    """As a user does whose client trusts what ``root`` holds, and nobody else."""
    try:
        psycopg.connect(
            host="127.0.0.1",
            port=PORTS[node],
            dbname="imdb",
            user="imdb",
            password=(SECRETS / "user_imdb").read_text().strip(),
            sslmode="verify-ca",
            sslrootcert=str(root),
            connect_timeout=5,
        ).close()
    except psycopg.OperationalError as error:
        if "certificate verify failed" not in str(error):
            raise
        return False
    return True


def verified(node: str, root: str) -> bool:
    """As OpenSSL sees it, which knows the root only."""
    ask = "openssl s_client -starttls postgres -connect localhost:5432 -CAfile /tmp/root.crt"
    said = shell(node, "sh", "-c", f"cat > /tmp/root.crt; {ask} </dev/null 2>&1", stdin=root)
    return "Verify return code: 0 (ok)" in said


@pytest.mark.long
def test_an_empty_checkout_goes_on_with_what_is_given_as_variables(elsewhere: Path) -> None:
    given = variables(elsewhere, (SECRETS / "tls" / "ca.crt").read_text(), (SECRETS / "tls" / "ca.key").read_text())
    before = identities()
    # A copy of the authority is put beside the inventory.
    assert play("site.yml", *given, inventory=elsewhere).changed == 0
    assert play("site.yml", *given, inventory=elsewhere).changed == 0
    assert identities() == before


@pytest.fixture
def own_secrets() -> Iterator[None]:
    """Whatever a test replaces, the other tests find the cluster's secrets where they look for them."""
    yield
    play("site.yml", "-e", "secrets_replace=true")
    play("site.yml")


@pytest.mark.long
@pytest.mark.usefixtures("backed_up", "own_secrets")
def test_lost_secrets_are_replaced_on_purpose_with_an_authority_of_ones_own(elsewhere: Path) -> None:
    root = authority("Acme root")
    below = authority("Acme databases", root)
    chain = below[0] + root[0]
    # The passwords of our roles are lost.
    given = variables(elsewhere, chain, below[1], ["user_imdb"])
    root_file, old_file = elsewhere.with_name("root.crt"), SECRETS / "tls" / "ca.crt"
    root_file.write_text(root[0])
    assert logs_in(PRIMARY, old_file)

    refused = play("site.yml", *given, inventory=elsewhere, expect=2).text
    assert "are part of a cluster that exists, but relevo_replication" in refused
    with Writer() as writer:
        more(writer)
        play("site.yml", *given, "-e", "secrets_replace=true", inventory=elsewhere)
        more(writer)
        wait_until(lambda: psql(PRIMARY, STREAMING) == "1", f"the standby of {PRIMARY} to stream", 90)
        play("site.yml", *given, inventory=elsewhere)
        assert play("site.yml", *given, inventory=elsewhere).changed == 0
        more(writer)
    assert missing(rows_of(PRIMARY), writer.acknowledged) == []
    for name in ("relevo_monitor", "relevo_handover", "redis"):
        assert (elsewhere.parent / ".secrets" / name).read_text() != (SECRETS / name).read_text()
    for node in (PRIMARY, STANDBY):
        assert logs_in(node, root_file)
        assert not logs_in(node, old_file)
        assert verified(node, root[0])
    # The old one is trusted no more.
    assert shell(PRIMARY, "cat", "/etc/relevo/tls/ca.crt") == chain
    # Between the nodes, over TLS both ways.
    play("backup.yml", "-e", "day=2", *given, inventory=elsewhere)
    play(FAILOVER, inventory=elsewhere)
    play(FAILBACK, inventory=elsewhere)
    nothing_needs_attention()
