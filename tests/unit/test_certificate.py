"""How long certificates are valid, as a node's openssl and the controller's library say."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import make

from ansible_collections.relevo.postgres.plugins.filter.certificate_days import certificate_days
from ansible_collections.relevo.postgres.plugins.module_utils._server.certificate import (
    Certificate,
    authority,
    days_left,
    first_to_end,
    parse,
)

OPENSSL_3 = """subject=CN=db1
issuer=CN=Sub,O=Acme
notAfter=Nov  3 12:00:00 2026 GMT
X509v3 Subject Key Identifier:
    AA:01
X509v3 Authority Key Identifier:
    BB:02
"""
OPENSSL_1 = OPENSSL_3.replace("BB:02", "keyid:BB:02\n")


@pytest.mark.parametrize("said", [OPENSSL_3, OPENSSL_1])
def test_what_openssl_says(said: str) -> None:
    end = datetime(2026, 11, 3, 12, tzinfo=UTC)
    assert parse(said) == Certificate("CN=db1", "CN=Sub,O=Acme", end, "AA:01", "BB:02")
    without = said.partition("X509v3")[0]
    assert parse(without) == Certificate("CN=db1", "CN=Sub,O=Acme", end)


def one(subject: str, issuer: str, year: int, key: str = "", issuer_key: str = "") -> Certificate:
    return Certificate(subject, issuer, datetime(year, 1, 1, tzinfo=UTC), key, issuer_key)


NODE = one("db1", "ca", 2030, "n", "1")
OLD, NEW = one("ca", "ca", 2026, "1", "1"), one("ca", "ca", 2036, "2", "2")
SUB, ROOT = one("sub", "root", 2034), one("root", "root", 2033)


@pytest.mark.parametrize(
    ("node", "known", "first"),
    [
        (NODE, [OLD], OLD),
        # While the authority is replaced: of one name, and the key tells which one has signed.
        (NODE, [OLD, NEW], OLD),
        (one("db1", "ca", 2030, "n", "2"), [NEW, OLD], NEW),
        # Renewed with its key, and the old one is still there.
        (NODE, [OLD, one("ca", "ca", 2040, "1", "1")], one("ca", "ca", 2040, "1", "1")),
        # Those above it may end first; who tells no key is known by the name.
        (one("db1", "sub", 2030), [SUB, ROOT], ROOT),
        (one("db1", "sub", 2030), [ROOT, one("sub", "root", 2029)], one("sub", "root", 2029)),
        (one("db1", "sub", 2030), [SUB], SUB),
        (NODE, [NEW], None),
        (NODE, [], None),
        # Two that vouch for each other.
        (one("db1", "x", 2030), [one("x", "y", 2031), one("y", "x", 2028)], one("y", "x", 2028)),
    ],
)
def test_which_authority_ends_first(node: Certificate, known: list[Certificate], first: Certificate | None) -> None:
    assert first_to_end(node, known) == first


def test_the_authority_of_a_node_is_read_from_its_files(tmp_path: Path) -> None:
    old, new = make("Relevo authority"), make("Relevo authority")
    node = make("db1", new, ca=False)
    (tmp_path / "node.crt").write_text(node.certificate)
    (tmp_path / "ca.crt").write_text(old.certificate + new.certificate)
    found = authority(tmp_path / "node.crt", tmp_path / "ca.crt")
    assert found is not None
    assert found.name == "CN=Relevo authority"
    assert found.cure.startswith("Run site.yml, which renews it")
    assert days_left(tmp_path / "node.crt") == pytest.approx(found.days, abs=400)
    assert authority(tmp_path / "none", tmp_path / "ca.crt") is None
    assert authority(tmp_path / "node.crt", tmp_path / "none") is None
    assert days_left(tmp_path / "none") is None
    (tmp_path / "node.crt").write_text(node.certificate.replace("A", "B"))
    assert (days_left(tmp_path / "node.crt"), authority(tmp_path / "node.crt", tmp_path / "ca.crt")) == (None, None)


def test_what_the_controller_reads(tmp_path: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run([*command, *files, "-days", "20", "-subj", "/CN=a"], check=True, capture_output=True)
    assert 19.9 < certificate_days(str(tmp_path / "crt")) <= 20
    assert certificate_days(str(tmp_path / "none")) == 0
