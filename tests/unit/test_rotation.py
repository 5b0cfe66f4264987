"""What a rotation has to do next, what is refused, and what the folder of secrets says meanwhile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from certificates import Pair, make

from ansible_collections.relevo.postgres.plugins.action.held_secrets_check import Authority
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.rotation import (
    Folder,
    Found,
    NewAuthority,
    Owner,
    Step,
    plan,
    server_faults,
    steps_of,
)
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.topology import NodeState, Topology
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import NewPasswords, SecretStore
from ansible_collections.relevo.postgres.plugins.module_utils._server.peer import Life, Peer
from ansible_collections.relevo.postgres.plugins.modules.redis_password import with_directive
from ansible_collections.relevo.postgres.plugins.plugin_utils._new_authority import Authorities

STREAMS = {"receiver": {"status": "streaming"}}
ROOT = make("Root")
OURS = make("Relevo authority")
#: Of the next authority; its name is the same as the present one's.
NEXT = make("Relevo authority")


def state(name: str, in_recovery: bool, **more: Any) -> NodeState:
    return NodeState(Peer(name, name), {"in_recovery": in_recovery, "system_identifier": "1", "timeline": 1, **more})


def silent(name: str, life: Life = "none") -> NodeState:
    return NodeState(Peer(name, name), error="password authentication failed", life=life)


PRIMARY, STANDBY = state("a", False), state("b", True, **STREAMS)
WHOLE = Topology([PRIMARY, STANDBY])
FOUND = Found(["main"], ["a", "b", "repository", "redis"], topologies=[WHOLE], plain=["redis"], keyed=["proxy"])


@pytest.mark.parametrize(
    ("kind", "new_passwords", "new_authority", "steps"),
    [
        ("passwords", False, "none", ["passwords"]),
        ("passwords", True, "none", ["passwords"]),
        # An authority that is half replaced is no reason not to change passwords.
        ("passwords", False, "signs", ["passwords"]),
        ("certificates", False, "none", ["certificates"]),
        ("certificates", False, "signs", ["certificates"]),
        # Nodes may have some of them already.
        ("certificates", True, "none", ["passwords", "certificates"]),
        ("authority", False, "none", ["trust", "sign", "withdraw"]),
        ("authority", False, "made", ["trust", "sign", "withdraw"]),
        ("authority", False, "signs", ["sign", "withdraw"]),
        ("authority", False, "alone", ["withdraw"]),
        ("authority", True, "alone", ["passwords", "withdraw"]),
        ("all", False, "none", ["passwords", "trust", "sign", "withdraw"]),
        ("all", False, "signs", ["passwords", "sign", "withdraw"]),
    ],
)
def test_what_is_left_to_do(kind: str, new_passwords: bool, new_authority: NewAuthority, steps: list[Step]) -> None:
    folder = Folder("/s", new_passwords=new_passwords, new_authority=new_authority)
    assert list(steps_of(kind, folder)) == steps
    rotation = plan(kind, folder, FOUND)
    assert list(rotation.steps) == steps
    assert rotation.refusals == []


@pytest.mark.parametrize(
    ("kind", "folder", "more", "said"),
    [
        ("", Folder("/s"), {}, "Nothing was said to be rotated: give -e rotate=passwords, cert"),
        ("keys", Folder("/s"), {}, "rotate=keys is none of them: give -e rotate="),
        ("passwords", Folder("/s", given=["redis"]), {}, "redis is given as a variable (secrets_given), which rotate"),
        ("all", Folder("/s", given=["a", "b"]), {}, "a, b are given as variables"),
        ("passwords", Folder("/s", missing=["redis"]), {}, "redis cannot be found in /s. Copy the folder"),
        ("certificates", Folder("/s", owner="missing"), {}, "/s/tls/ca.key cannot be found"),
        ("authority", Folder("/s", owner="given"), {}, "variable secrets_authority_certificate is yours"),
        ("all", Folder("/s", owner="theirs"), {}, "The authority in tls/ca.crt is yours"),
        ("passwords", Folder("/s"), {"sharing": ["shop"]}, "Rotate them together: -e cluster=main,shop."),
        ("authority", Folder("/s"), {"sharing": ["shop"]}, "also those of shop"),
        ("all", Folder("/s"), {"apart": ["main"]}, "main have another folder of secrets than /s"),
        ("all", Folder("/s"), {"unreachable": {"repository": "it is off."}}, "repository does not answer (it is off)."),
        ("all", Folder("/s"), {"topologies": [Topology([PRIMARY, silent("b")])]}, "b does not answer (password auth"),
    ],
)
def test_what_is_refused(kind: str, folder: Folder, more: Mapping[str, Any], said: str) -> None:
    rotation = plan(kind, folder, Found(**{**vars(FOUND), **more}))
    [refusal] = rotation.refusals
    assert said in refusal
    assert "REFUSED" in rotation.plan.text


@pytest.mark.parametrize(
    ("kind", "folder", "more"),
    [
        # What is not touched may be anybody's.
        ("authority", Folder("/s", given=["redis"], missing=["redis"]), {}),
        ("passwords", Folder("/s", owner="missing"), {}),
        ("certificates", Folder("/s", owner="given"), {}),
        ("certificates", Folder("/s", owner="theirs"), {}),
        # Each node has its own certificate.
        ("certificates", Folder("/s"), {"sharing": ["shop"]}),
    ],
)
def test_what_is_not_refused(kind: str, folder: Folder, more: Mapping[str, Any]) -> None:
    assert plan(kind, folder, Found(**{**vars(FOUND), **more})).refusals == []


def test_clients_can_be_given_the_new_authority_before_it_signs() -> None:
    first = plan("all", Folder("/s"), FOUND, "trust")
    assert (first.steps, first.refusals) == (("passwords", "trust"), [])
    assert "Give /s/tls/ca.crt to your clients" in first.plan.text
    late = plan("authority", Folder("/s", new_authority="signs"), FOUND, "trust")
    assert late.refusals == ["rotate_stop_after=trust is not among what is left to do: sign, withdraw."]
    theirs = plan("authority", Folder("/s", owner="theirs"), FOUND, "trust")
    assert "is yours" in theirs.plan.text


def test_a_node_that_is_down_is_named_once() -> None:
    found = Found(["main"], ["a", "b"], {"b": "it is stopped"}, [Topology([PRIMARY, silent("b")])])
    assert plan("all", Folder("/s"), found).refusals == [
        "b does not answer (it is stopped). It would be locked out. Start it, or take it out of the cluster "
        "(remove_node.yml -e node=b) and then out of the inventory."
    ]


#: Between the two halves of step 3: the servers have the new passwords, or some nodes do.
GAP = Folder("/s", new_passwords=True, in_place=True)
REFUSING_US = silent("b", "refused")


@pytest.mark.parametrize(
    ("folder", "states", "unreachable", "away", "left_out", "said"),
    [
        # A standby that is gone for good, and a primary.
        (GAP, [silent("a", "refused"), silent("b")], {"b": "off"}, ["b"], ["b"], ""),
        (GAP, [PRIMARY, silent("b")], {"b": "off"}, ["b"], ["b"], ""),
        (GAP, [silent("a"), REFUSING_US], {"a": "off"}, ["a"], ["a"], ""),
        (GAP, [silent("a"), STANDBY], {"a": "off"}, ["a"], ["a"], ""),
        # Its host answers, and gets them.
        (GAP, [silent("a"), REFUSING_US], {}, ["a"], [], ""),
        (GAP, [silent("a", "refused"), REFUSING_US], {}, [], [], ""),
        # Nobody is left, or somebody is away without whom it cannot be done.
        (GAP, [silent("a"), silent("b")], {"a": "off", "b": "off"}, [], [], "a does not answer (off). It would be"),
        (
            GAP,
            [silent("a"), REFUSING_US],
            {"a": "off", "redis": "off"},
            [],
            [],
            "redis does not answer (off). It would",
        ),
        (GAP, [silent("a", "starting"), REFUSING_US], {}, [], [], "a does not answer (password"),
        (GAP, [silent("a"), state("b", True, replay_paused=True)], {"a": "off"}, ["a"], ["a"], "replay of b is paused"),
        # Before servers may have them the cluster does without the rotation.
        (Folder("/s", new_passwords=True), [PRIMARY, silent("b")], {"b": "off"}, [], [], "remove_node.yml -e node=b)"),
        (Folder("/s"), [PRIMARY, silent("b")], {"b": "off"}, [], [], "(remove_node.yml -e node=b) and then out of"),
    ],
)
def test_who_is_left_out_where_the_others_would_be_locked_out(
    folder: Folder,
    states: list[NodeState],
    unreachable: dict[str, str],
    away: list[str],
    left_out: list[str],
    said: str,
) -> None:
    found = Found(**{**vars(FOUND), "topologies": [Topology(states)], "unreachable": unreachable})
    rotation = plan("all", folder, found)
    assert (list(rotation.not_answering), list(rotation.left_out)) == (away, left_out)
    assert bool(rotation.refusals) == bool(said)
    assert said in " ".join(rotation.refusals)
    if away:
        assert rotation.steps == ("passwords",)
        assert f"{away[0]} did not answer. The others let one another in again" in rotation.still_to_do
        assert f"remove_node.yml -e node={away[0]} -e force=true" in rotation.still_to_do
    else:
        assert rotation.still_to_do == ""
    effects = {effect.name: effect.change for effect in rotation.plan.affects}
    assert all(effects[name] == "is left out, since it does not answer" for name in left_out)


def test_a_host_with_haproxy_alone_gets_no_passwords() -> None:
    found = Found(**{**vars(FOUND), "hosts": [*FOUND.hosts, "proxy"]})
    effects = {effect.name: effect.change for effect in plan("all", Folder("/s"), found).plan.affects}
    assert effects["proxy"].startswith("trusts the new authority beside the old one")
    assert effects["redis"] == "gets the new passwords"


@pytest.mark.parametrize(
    ("states", "passwords", "resumed", "said"),
    [
        ([PRIMARY, STANDBY], True, False, ""),
        ([PRIMARY, silent("b")], False, False, "b does not answer (password authentication failed)."),
        ([PRIMARY, silent("b", "refused")], False, False, "b does not answer"),
        # A run that was cut off has changed the passwords of the servers, and nodes know the old ones.
        ([PRIMARY, silent("b", "refused")], True, True, ""),
        ([silent("a", "refused"), silent("b", "refused")], True, True, ""),
        ([silent("a", "refused"), silent("b")], True, True, "b does not answer"),
        ([silent("a", "starting"), STANDBY], True, True, "a does not answer"),
        ([STANDBY], False, False, "No primary answers"),
        ([PRIMARY, state("b", False)], False, False, "Two primaries: a and b"),
        ([PRIMARY, state("b", True)], False, False, "b does not stream from a. Run rejoin.yml."),
        # One that was away meanwhile, and does not know the primary's new password for it.
        ([PRIMARY, state("b", True)], True, True, ""),
        ([PRIMARY, state("b", True, apply_delay_ms=9, **STREAMS)], True, False, "replay of b is delayed on purpose"),
        ([PRIMARY, state("b", True, replay_paused=True, **STREAMS)], True, False, "The replay of b is paused"),
        # A certificate does not have to be replayed.
        ([PRIMARY, state("b", True, apply_delay_ms=9, replay_paused=True, **STREAMS)], False, False, ""),
    ],
)
def test_what_keeps_servers_from_new_secrets(
    states: list[NodeState], passwords: bool, resumed: bool, said: str
) -> None:
    faults = server_faults(Topology(states), passwords, resumed)
    assert len(faults) == bool(said)
    assert said in " ".join(faults)


def test_the_plan_says_what_becomes_of_whom() -> None:
    folder = Folder("/s", new_passwords=True, new_authority="signs")
    assert plan("all", folder, FOUND).plan.text.splitlines() == [
        "Plan of rotate for main: Our roles and Redis get new passwords, the certificates a new authority.",
        *(
            f"  {name} gets the new passwords, then gets a new key and certificate, of the new authority, then trusts "
            "the new authority only."
            for name in ("a", "b", "repository")
        ),
        "  redis gets the new passwords.",
        "  Expected: No server is restarted, writes and replication go on. A run that ends early is run again.",
        "  Expected: New passwords were made by a run that has not ended. They are set first.",
        "  Expected: A run that has not ended made the new authority. What is left: sign, withdraw.",
        "  Risk: Other copies of /s become useless: other controllers, credentials, backups of it. Where the control "
        "API is installed, run api.yml afterwards. Passwords of users are not changed.",
        "  Risk: Clients with sslmode=verify-ca or verify-full need the new /s/tls/ca.crt: while both authorities are "
        "trusted it holds both.",
    ]


# --- the folder ---------------------------------------------------------------------------------------------------


def test_new_passwords_are_kept_beside_the_old_ones_until_all_have_them(tmp_path: Path) -> None:
    store = SecretStore(tmp_path, {})
    old = {name: store.generate(name) for name in ("redis", "relevo_monitor")}
    made = NewPasswords.make(tmp_path, list(old))
    assert NewPasswords.file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert made.old == old
    assert made.differing == list(old)
    assert {name: store.read(name) for name in old} == old
    assert not set(made.new.values()) & set(old.values())
    # Whoever comes after a run that was cut off goes on with the same, also after some are in place.
    assert NewPasswords.make(tmp_path, list(old)).new == made.new
    assert made.put() == ["redis", "relevo_monitor"]
    assert {name: store.read(name) for name in old} == made.new
    again = NewPasswords.make(tmp_path, list(old))
    assert (again.old, again.new) == (old, made.new)
    assert (made.differing, again.put()) == ([], [])
    again.forget()
    assert NewPasswords.read(tmp_path) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["redis", "relevo_monitor"]


def test_no_password_is_made_for_one_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RelevoError, match="redis cannot be found"):
        NewPasswords.make(tmp_path, ["redis"])
    assert not NewPasswords.file(tmp_path).exists()


def test_new_passwords_that_others_may_read_are_refused(tmp_path: Path) -> None:
    NewPasswords.file(tmp_path).write_text(json.dumps({"old": {}, "new": {}}))
    NewPasswords.file(tmp_path).chmod(0o640)
    with pytest.raises(RelevoError, match="may be read by others"):
        NewPasswords.read(tmp_path)


def folder_of(directory: Path, present: Pair = OURS, following: Pair | None = NEXT) -> Path:
    folder = directory / "tls"
    folder.mkdir()
    (folder / "ca.crt").write_text(present.certificate)
    (folder / "ca.key").write_text(present.key)
    if following:
        (folder / "next.crt").write_text(following.certificate)
        (folder / "next.key").write_text(following.key)
    return folder


def how_far(directory: Path) -> NewAuthority:
    return Authorities(directory).state


def test_the_folder_says_how_far_a_new_authority_has_come(tmp_path: Path) -> None:
    folder, authorities = folder_of(tmp_path, following=None), Authorities(tmp_path)
    assert how_far(tmp_path) == "none"
    (folder / "next.key").write_text(NEXT.key)
    # Cut off between the key and its certificate.
    assert how_far(tmp_path) == "none"
    (folder / "next.crt").write_text(NEXT.certificate)
    assert how_far(tmp_path) == "made"
    assert authorities.put("trust")
    assert not authorities.put("trust")
    assert how_far(tmp_path) == "made"
    assert (folder / "ca.crt").read_text() == OURS.certificate + NEXT.certificate
    # site.yml goes on with it at each step: it trusts both, the first one signs, and neither is renewed meanwhile.
    known = Authority.of(tmp_path, "", "")
    assert len(known.keys) == 2
    assert not known.is_made_here(1000)
    assert Authority(OURS.certificate, OURS.key, False).is_made_here(1000)

    # Cut off between the certificates and the key.
    (folder / "ca.crt").write_text(NEXT.certificate + OURS.certificate)
    assert how_far(tmp_path) == "signs"
    assert authorities.put("sign")
    assert not authorities.put("sign")
    assert (folder / "ca.key").read_text() == NEXT.key
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    assert Authority.of(tmp_path, "", "").keys == known.keys
    assert authorities.put("withdraw")
    assert how_far(tmp_path) == "alone"
    assert (folder / "ca.crt").read_text() == NEXT.certificate
    authorities.forget()
    assert how_far(tmp_path) == "none"
    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", "ca.key"]


@pytest.mark.parametrize(
    ("present", "given", "owner"), [(OURS, False, "ours"), (OURS, True, "given"), (ROOT, False, "theirs")]
)
def test_whose_the_authority_is(present: Pair, given: bool, owner: Owner, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, present)
    assert Authorities(tmp_path).owner(given) == owner
    (folder / "ca.key").unlink()
    assert Authorities(tmp_path).owner(False) == "missing"


def test_a_new_authority_that_is_gone_is_said(tmp_path: Path) -> None:
    folder_of(tmp_path, following=None)
    with pytest.raises(RelevoError, match="next.crt cannot be found"):
        Authorities(tmp_path).put("trust")


def test_only_the_line_of_the_password_is_changed() -> None:
    text = 'port 6379\nrequirepass "old \\\\1"\ndir /x\n'
    assert with_directive(text, 'requirepass "a\\\\1"') == 'port 6379\nrequirepass "a\\\\1"\ndir /x\n'
    with pytest.raises(RelevoError, match="has 0 lines with requirepass"):
        with_directive("port 6379\n", "requirepass x")
