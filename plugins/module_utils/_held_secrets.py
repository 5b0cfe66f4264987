# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the secrets at hand are those of the cluster, so that there is never a second authority beside the first.

A play from a folder without secrets (another controller, a fresh clone, a lost disk) would otherwise make new ones
and give them to a cluster that lives: its nodes then do not let one another in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ._errors import RelevoError

AUTHORITY = "tls/ca.key"


@dataclass(frozen=True)
class Held:
    """What a node has of a cluster.

    ``belongs``: it was a node of a cluster before this play. ``keys``: the public keys of the authorities that it
    trusts. ``signed_by``: those of them that signed its own certificate. ``differing``: our roles that have another
    password there than here.
    """

    belongs: bool = False
    keys: frozenset[str] = frozenset()
    signed_by: frozenset[str] = frozenset()
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the play has to do beside writing what it has.

    ``trusts_both``: nodes serve certificates of another authority until all have ours, so that one is trusted as well.
    """

    replaces_passwords: bool = False
    trusts_both: bool = False


def decide(
    nodes: Mapping[str, Held | None],
    missing: Sequence[str],
    keys: Collection[str],
    directory: str,
    replace: bool = False,
    rotating: bool = False,
    all_asked: bool = True,
) -> Verdict:
    """Whether the play may go on with the secrets at hand; raises ``RelevoError`` before anything is changed.

    ``nodes``: by name, None for one that does not answer, which counts only where something is ``missing`` here.
    ``keys``: the public keys of our authorities, empty where we have none. ``replace``: the cluster's owner gives up
    those it has. ``rotating``: new passwords were made, and nobody has said yet that all nodes have them.
    ``all_asked``: whether nobody was left out, who may have a certificate of any authority that the nodes trust.
    """
    members = [name for name, held in nodes.items() if held and held.belongs]
    passwords = {name: held.differing for name, held in nodes.items() if held and held.differing}
    strangers = [name for name, held in nodes.items() if held and held.keys and keys and not held.keys & set(keys)]
    others_signed = any(held.signed_by and not held.signed_by & set(keys) for held in nodes.values() if held)
    trusts_both = others_signed or not all_asked
    if replace:
        return Verdict(bool(passwords) or bool(members and missing), trusts_both)
    if members and missing:
        raise RelevoError(
            f"{_and(members)} {_be(members)} part of a cluster that exists, but {', '.join(missing)} cannot be "
            f"found in {directory}. {_way_out(directory)}"
        )
    unknown = [name for name, held in nodes.items() if held is None]
    if unknown and missing:
        raise RelevoError(
            f"{', '.join(missing)} cannot be found in {directory}, and new ones are made only for a new cluster. But "
            f"{_and(unknown)}, with the same folder of secrets, cannot be asked and may be part of one that exists. "
            f"Nothing was changed. Start {_and(unknown)}, or take the folder from the controller that made the cluster."
        )
    if passwords and rotating and not strangers:
        raise RelevoError(
            f"A rotation of the passwords was cut off, and {_and(list(passwords))} {_have(list(passwords))} the old "
            "ones. Nothing was changed. Finish it: rotate.yml -e rotate=passwords."
        )
    if passwords or strangers:
        found = [f"{name} trusts another authority than {directory}/tls/ca.crt" for name in strangers]
        found += [f"{name} has another password for {', '.join(roles)}" for name, roles in passwords.items()]
        raise RelevoError(f"These secrets are not those of the cluster: {'; '.join(found)}. {_way_out(directory)}")
    return Verdict(trusts_both=trusts_both)


def also_trusted(
    nodes: Mapping[str, Held | None], keys: Collection[str], trusts_both: bool
) -> dict[str, frozenset[str]]:
    """By node, the public keys of the authorities that it trusts besides ours.

    Where several are trusted, a node keeps those that it has. It gets no other but those that have signed the
    certificate of a node that was asked: another may be an old one, which a rotation has taken away from it. A node
    that trusts nobody yet gets all, since one that was left out may come to it with a certificate of any of them.
    """
    asked = {name: held for name, held in nodes.items() if held}
    if not trusts_both:
        return dict.fromkeys(asked, frozenset())
    signing = frozenset(key for held in asked.values() for key in held.signed_by)
    anybodys = frozenset(key for held in asked.values() for key in held.keys)
    return {name: ((held.keys or anybodys) | signing) - frozenset(keys) for name, held in asked.items()}


def _way_out(directory: str) -> str:
    return (
        f"Nothing was changed. Copy the folder {directory} from the controller that made the cluster, or give "
        "its secrets "
        "as variables (secrets_given, secrets_authority_certificate, secrets_authority_key). If they are lost, "
        "give the "
        "cluster new ones on purpose: site.yml -e secrets_replace=true; see roles/secrets/README.md first."
    )


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
