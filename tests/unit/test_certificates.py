"""Certificates and authorities on the controller, ours and those that are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
import yaml
from answers import primary, standby, unreachable
from certificates import Pair, make
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ansible_collections.relevo.postgres.plugins.action.held_secrets_check import Authority
from ansible_collections.relevo.postgres.plugins.filter.certificate_days import certificate_days
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _certificates

ROOT = make("Root")
BELOW = make("Below", ROOT)
OURS = make("Relevo authority")


@pytest.mark.parametrize(
    ("certificate", "key", "said"),
    [
        ("nonsense", ROOT.key, "no certificate in PEM"),
        (ROOT.certificate, "nonsense", "no key in PEM"),
        (ROOT.certificate, BELOW.key, "does not belong to the first certificate"),
        # The chain the wrong way round.
        (ROOT.certificate + BELOW.certificate, BELOW.key, "followed by those above it"),
        ((node := make("db1", ROOT, ca=False)).certificate, node.key, "is not an authority"),
        ((old := make("Old", days=-1)).certificate, old.key, "expired on"),
        (
            ROOT.certificate,
            ROOT.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
            "locked by a passphrase",
        ),
    ],
)
def test_what_cannot_sign_is_refused(certificate: str, key: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match=said):
        Authority.of(tmp_path, certificate, key)


@pytest.mark.parametrize("one", [("", ROOT.key), (ROOT.certificate, "")])
def test_an_authority_is_given_whole(one: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="go together"):
        Authority.of(tmp_path, *one)


def test_a_given_authority_is_put_into_the_folder_and_never_replaces_another_key(tmp_path: Path) -> None:
    chain = BELOW.certificate + ROOT.certificate
    given = Authority.of(tmp_path, chain, BELOW.key)
    assert given.differs(tmp_path)
    assert given.replaces(tmp_path)
    # Each job of AWX begins without one, and a copy of what it was given is no change.
    assert not given.replaces(tmp_path / ".secrets")
    assert not given.is_made_here(30)
    given.write(tmp_path)
    assert (tmp_path / "tls" / "ca.key").stat().st_mode & 0o777 == 0o600
    # Clients know the root.
    assert given.chain == BELOW.certificate
    again = Authority.of(tmp_path, "", "")
    assert again.keys == given.keys == {_certificates.key_of(BELOW.key), _certificates.key_of(ROOT.key)}
    assert not Authority.of(tmp_path, chain, BELOW.key).differs(tmp_path)
    with pytest.raises(RelevoError, match="is another key than secrets_authority_key"):
        Authority.of(tmp_path, ROOT.certificate, ROOT.key)
    # The same key, certified anew by its owner.
    newer = make("Below", ROOT, days=200, again=BELOW)
    renewed = Authority.of(tmp_path, newer.certificate, newer.key)
    assert renewed.differs(tmp_path)
    renewed.write(tmp_path)
    assert (tmp_path / "tls" / "ca.crt").read_text() == newer.certificate


def folder_of(tmp_path: Path, pair: Pair) -> Path:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.crt").write_text(pair.certificate)
    (tmp_path / "tls" / "ca.key").write_text(pair.key)
    return tmp_path


@pytest.mark.parametrize(
    ("pair", "made", "warned"),
    [
        (make("Relevo authority"), False, False),
        (make("Relevo authority", days=20), True, False),
        (make("Relevo authority", days=-1), True, False),
        # Whose authority it is, renews it.
        (make("Acme"), False, False),
        (make("Acme", days=20), False, True),
    ],
)
def test_only_our_own_authority_is_renewed(pair: Pair, made: bool, warned: bool, tmp_path: Path) -> None:
    found = Authority.of(folder_of(tmp_path, pair), "", "")
    assert found.is_made_here(30) == made
    assert bool(found.warnings(30)) == warned


def test_an_authority_that_is_given_is_never_renewed_and_its_end_is_said(tmp_path: Path) -> None:
    """Also one of ours, in a credential of AWX: each job would renew it anew, and none could keep it."""
    ends_soon = make("Relevo authority", days=20)
    found = Authority.of(tmp_path, ends_soon.certificate, ends_soon.key)
    assert not found.is_made_here(30)
    assert "Renew it, with the same key" in found.warnings(30)[0]


def test_without_an_authority_one_is_made(tmp_path: Path) -> None:
    found = Authority.of(tmp_path, "", "")
    assert found.is_made_here(30)
    assert not found.keys
    # Its certificate alone was lost: the key is the authority.
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.key").write_text(OURS.key)
    assert Authority.of(tmp_path, "", "").keys == {_certificates.public_key(OURS.found)}


def test_who_signed_a_certificate() -> None:
    node = make("db1", BELOW, ca=False)
    assert _certificates.signers(node.certificate, [ROOT.found, BELOW.found, OURS.found]) == [BELOW.found]
    assert _certificates.signers("", [ROOT.found]) == []


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (lambda: {}, True),
        (lambda: {"names": ["DNS:a", "IP:fd00::12"]}, True),
        (lambda: {"names": ["DNS:a"]}, False),
    ],
)
def test_a_certificate_of_another_authority_or_name_is_renewed(
    wanted: Callable[[], dict[str, list[str]]], fits: bool, tmp_path: Path
) -> None:
    authority = str(folder_of(tmp_path, ROOT) / "tls" / "ca.crt")
    node = make("db1", ROOT, ca=False)
    assert (certificate_days(node.certificate, authority, **wanted()) > 99) == fits
    assert certificate_days(make("db1", BELOW, ca=False).certificate, authority) == 0
    # An impostor of the same name.
    assert certificate_days(make("db1", make("Root"), ca=False).certificate, authority) == 0
    assert certificate_days("") == certificate_days(str(tmp_path / "nothing")) == 0


TASKS = Path(__file__).resolve().parents[2] / "roles" / "postgresql" / "tasks" / "main.yml"
LET_IN, ASK_AGAIN = "Let a server that refuses us read what was written", "Ask again who is primary"


def is_done(task: dict[str, object], states: list[NodeState], host: str, running: bool = True) -> bool:
    given = task["when"]
    variables = {
        "cluster_topology": Topology(states).as_dict(),
        "inventory_hostname": host,
        "__postgresql_node": {"node": {"running": running}},
    }
    conditions = given if isinstance(given, list) else [given]
    return all(jinja2.Environment().compile_expression(str(one))(**variables) for one in conditions)


def test_a_server_whose_certificate_had_expired_reads_the_new_one_before_anybody_looks_for_the_primary() -> None:
    """Otherwise nobody finds it, a standby fails to follow it, and the reload at the end of the role is never owed."""
    tasks = yaml.safe_load(TASKS.read_text())
    names = [task["name"] for task in tasks]
    asked = names.index("Ask the servers who is primary")
    assert names[asked : asked + 3] == ["Ask the servers who is primary", LET_IN, ASK_AGAIN]
    assert names.index(ASK_AGAIN) < names.index("Make the cluster where there is none")
    let_in, again = tasks[asked + 1], tasks[asked + 2]
    refusing = [unreachable("a", "a: certificate has expired", "refused"), standby("b")]
    assert is_done(let_in, refusing, "a")
    assert not is_done(let_in, refusing, "a", running=False)
    assert not is_done(let_in, refusing, "b")
    assert is_done(again, refusing, "a")
    assert is_done(again, refusing, "b")
    for others in ([primary("a"), standby("b")], [unreachable("a"), standby("b")]):
        assert not any(is_done(task, others, host) for task in (let_in, again) for host in ("a", "b"))
