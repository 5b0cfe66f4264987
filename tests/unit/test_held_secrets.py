"""There is never a second authority, and never other passwords, for a cluster that lives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jinja2 import Template

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._held_secrets import (
    Held,
    Verdict,
    also_trusted,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import other_passwords, passwords_of
from ansible_collections.relevo.postgres.plugins.module_utils._server.scram import make_verifier, matches
from ansible_collections.relevo.postgres.plugins.module_utils._server.server import Server
from ansible_collections.relevo.postgres.plugins.modules import held_secrets_info

OURS, OTHER = frozenset({"ours"}), frozenset({"other"})
NEW, MEMBER, STRANGER = Held(), Held(True, OURS, OURS), Held(True, OTHER, OTHER)
DIFFERENT = Held(True, OURS, OURS, ("relevo_monitor",))
#: A replacement has come as far as this node, or as the first of its two runs.
ON_THE_WAY, BACK_AGAIN = Held(True, OURS | OTHER, OURS), Held(True, OURS | OTHER, OTHER)
ALL = ["relevo_monitor", "redis", "tls/ca.key"]


def verdict(nodes: dict[str, Held | None], missing: list[str] = [], replace: bool = False) -> Verdict:  # noqa: B006
    keys = [] if "tls/ca.key" in missing else ["ours"]
    return decide(nodes, missing, keys, "/srv/.secrets", replace)


@pytest.mark.parametrize(
    ("nodes", "missing"),
    [
        ({"a": NEW, "b": NEW}, ALL),
        ({"a": NEW, "b": NEW}, []),
        ({"a": MEMBER, "b": MEMBER}, []),
        # A node that joins a cluster.
        ({"a": MEMBER, "b": NEW}, []),
        # The new authority beside the old one, or below it: they have one in common.
        ({"a": ON_THE_WAY, "b": MEMBER}, []),
        # Data of a cluster whose configuration was lost: nothing there says that the secrets are others.
        ({"a": Held(True), "b": MEMBER}, []),
        # Who does not answer is not asked where nothing has to be made.
        ({"a": MEMBER, "b": None}, []),
    ],
)
def test_secrets_that_are_the_clusters_go_on(nodes: dict[str, Held | None], missing: list[str]) -> None:
    assert verdict(nodes, missing) == Verdict()


@pytest.mark.parametrize(
    ("nodes", "missing", "said"),
    [
        (
            {"a": MEMBER, "b": MEMBER},
            ALL,
            "a and b are part of a cluster that exists, but relevo_monitor, redis, tls/ca",
        ),
        # One node of many is enough, also one that only has data.
        ({"a": NEW, "b": Held(True)}, ALL, "b is part of a cluster"),
        ({"a": MEMBER}, ["redis"], "redis cannot be found in /srv/.secrets"),
        ({"a": NEW, "b": None}, ALL, "b, with the same folder of secrets, cannot be asked"),
        ({"a": MEMBER, "b": STRANGER}, [], "b trusts another authority than /srv/.secrets/tls/ca.crt"),
        ({"a": MEMBER, "b": DIFFERENT}, [], "b has another password for relevo_monitor"),
    ],
)
def test_other_secrets_are_refused(nodes: dict[str, Held | None], missing: list[str], said: str) -> None:
    with pytest.raises(RelevoError, match=said) as caught:
        verdict(nodes, missing)
    assert "Nothing was changed." in caught.value.message
    # What keeps the cluster as it is comes first.
    if "secrets_replace" in caught.value.message:
        assert caught.value.message.index("Copy the folder") < caught.value.message.index("secrets_replace=true")


@pytest.mark.parametrize(
    ("nodes", "missing", "expected"),
    [
        ({"a": MEMBER}, ALL, Verdict(True, True)),
        ({"a": MEMBER}, ["redis"], Verdict(True, False)),
        ({"a": MEMBER, "b": STRANGER}, [], Verdict(False, True)),
        ({"a": DIFFERENT}, [], Verdict(True, False)),
        # The same run again, when all of it is done, and a new cluster.
        ({"a": MEMBER}, [], Verdict()),
        ({"a": NEW}, ALL, Verdict()),
        # Whoever goes back after the first of the two runs, or was cut off in it.
        ({"a": BACK_AGAIN}, [], Verdict(False, True)),
        ({"a": ON_THE_WAY, "b": STRANGER}, [], Verdict(False, True)),
        ({"a": ON_THE_WAY}, [], Verdict()),
    ],
)
def test_the_owner_may_give_them_up(nodes: dict[str, Held | None], missing: list[str], expected: Verdict) -> None:
    assert verdict(nodes, missing, replace=True) == expected


def test_certificates_of_another_authority_are_trusted_until_all_are_replaced() -> None:
    assert verdict({"a": BACK_AGAIN, "b": MEMBER}) == Verdict(trusts_both=True)


def test_passwords_of_a_passfile_are_compared_unescaped() -> None:
    pgpass = "*:*:*:relevo_monitor:a\\:b\\\\c\n*:*:*:relevo_rewind:other\n\nnot a line\n"
    assert passwords_of(pgpass) == {"relevo_monitor": "a:b\\c", "relevo_rewind": "other"}
    verifiers: dict[str, Any] = {
        "relevo_monitor": make_verifier("a:b\\c"),
        "relevo_rewind": make_verifier("mine"),
        # The repository host has no password of this role.
        "relevo_handover": make_verifier("x"),
    }
    assert other_passwords(pgpass, verifiers, matches) == ["relevo_rewind"]
    assert other_passwords("", verifiers, matches) == []


def test_the_passfile_that_the_role_writes_is_read() -> None:
    template = Path(__file__).resolve().parents[2] / "roles" / "secrets" / "templates" / "pgpass.j2"
    given = {"relevo_monitor": "a:b\\c", "relevo_handover": "plain"}
    written = Template(template.read_text(), trim_blocks=True).render(
        __secrets_node_roles=list(given), __secrets={"secrets": given}
    )
    assert passwords_of(written) == given


def test_while_some_are_left_out_every_authority_stays_trusted() -> None:
    nodes = {"a": MEMBER}
    assert not decide(nodes, [], OURS, "/secrets").trusts_both
    assert decide(nodes, [], OURS, "/secrets", all_asked=False).trusts_both


#: A rotation has taken the old authority away from this one.
DONE = Held(True, OURS, OURS)
THIRD = Held(True, OURS | {"third"}, OURS)


@pytest.mark.parametrize(
    ("nodes", "both", "expected"),
    [
        # A run over one of several clusters, in the middle of a rotation that was cut off.
        ({"a": DONE, "b": ON_THE_WAY}, True, {"a": set(), "b": {"other"}}),
        ({"a": THIRD, "b": ON_THE_WAY}, True, {"a": {"third"}, "b": {"other"}}),
        # What a certificate is signed by is trusted by all, or the two would lock one another out.
        ({"a": DONE, "b": BACK_AGAIN}, True, {"a": {"other"}, "b": {"other"}}),
        ({"a": THIRD, "b": STRANGER}, True, {"a": {"other", "third"}, "b": {"other"}}),
        # Another node may come to a new one with a certificate of the old authority.
        ({"a": NEW, "b": ON_THE_WAY}, True, {"a": {"other"}, "b": {"other"}}),
        ({"a": NEW, "b": DONE}, True, {"a": set(), "b": set()}),
        # All have been asked, and none has a certificate of another: the rotation is at its end.
        ({"a": DONE, "b": ON_THE_WAY}, False, {"a": set(), "b": set()}),
        ({"a": DONE, "b": None}, True, {"a": set()}),
    ],
)
def test_no_authority_comes_back_to_a_node_that_has_dropped_it(
    nodes: dict[str, Held | None], both: bool, expected: dict[str, set[str]]
) -> None:
    assert also_trusted(nodes, OURS, both) == expected


def test_a_server_of_others_that_has_not_read_our_files_is_not_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adoption that died half way has left them on the node; root of the node is let in only by them."""
    monkeypatch.setattr(Server, "postmaster_pid", lambda _self: 7)
    monkeypatch.setattr(Server, "is_standby_configured", False)
    monkeypatch.setattr(held_secrets_info, "has_read_our_files", lambda _server: False)
    # Session.local would fail the test: there is no server here.
    assert held_secrets_info.public_logins() == ([], False)
