# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation of passwords, certificates or their authority has to do next, and why it is not begun now.

What is under way is told by the folder of secrets itself: it always holds what the nodes are to have, and beside it
what is still to come. So a run that was cut off is continued by the next one, at the same step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from .._operation_plan import Effect, OperationPlan
from .topology import Topology, TopologyError

Kind = Literal["passwords", "certificates", "authority", "all"]
KINDS: tuple[Kind, ...] = ("passwords", "certificates", "authority", "all")

#: ``trust``: all nodes trust the new authority beside the old one. ``sign``: all nodes get certificates of the new one.
#: ``withdraw``: nobody trusts the old one any more.
Step = Literal["passwords", "certificates", "trust", "sign", "withdraw"]

#: How far the folder says that the new authority has come: there is none; it is trusted beside the old one, or is going
#: to be; it signs; it is the only one.
NewAuthority = Literal["none", "made", "signs", "alone"]
LEFT: dict[NewAuthority, tuple[Step, ...]] = {
    "none": ("trust", "sign", "withdraw"),
    "made": ("trust", "sign", "withdraw"),
    "signs": ("sign", "withdraw"),
    "alone": ("withdraw",),
}

#: Whose the authority of the certificates is. ``given``: as variables; ``theirs``: a file that we have not made.
Owner = Literal["ours", "given", "theirs", "missing"]

WORDS: dict[Step, str] = {
    "passwords": "gets the new passwords",
    "certificates": "gets a new key and certificate",
    "trust": "trusts the new authority beside the old one",
    "sign": "gets a new key and certificate, of the new authority",
    "withdraw": "trusts the new authority only",
}


@dataclass(frozen=True)
class Folder:
    """The secrets at hand. ``given``: the passwords that are variables; ``missing``: those that are nowhere.

    ``new_passwords``: a run that has not ended made some; ``in_place``: the folder has them already, and servers may.
    """

    directory: str
    given: Sequence[str] = ()
    missing: Sequence[str] = ()
    new_passwords: bool = False
    in_place: bool = False
    owner: Owner = "ours"
    new_authority: NewAuthority = "none"


@dataclass(frozen=True)
class Found:
    """The clusters as they are. ``hosts``: all of the play; ``unreachable``: why one of them does not answer, by name.

    ``plain``: those of the hosts that have no certificate, only a password (Redis); ``keyed``: those with a certificate
    only (HAProxy).
    ``sharing``: the clusters outside the play that have the same secrets. ``apart``: those in it that have others.
    """

    clusters: Sequence[str]
    hosts: Sequence[str]
    unreachable: Mapping[str, str] = field(default_factory=dict)
    topologies: Sequence[Topology] = ()
    sharing: Sequence[str] = ()
    apart: Sequence[str] = ()
    plain: Sequence[str] = ()
    keyed: Sequence[str] = ()


@dataclass(frozen=True)
class Rotation:
    """``steps``, in this order, and what people are told of them; it is not begun while the plan has refusals.

    ``not_answering``: the servers that do not answer and do not keep it from being done; ``left_out``: those of them
    whose hosts do not either.
    """

    steps: tuple[Step, ...]
    plan: OperationPlan
    not_answering: Sequence[str] = ()
    left_out: Sequence[str] = ()

    @property
    def refusals(self) -> list[str]:
        return self.plan.refusals

    @property
    def still_to_do(self) -> str:
        """What people are told at the end of one that not all servers took part in; empty otherwise."""
        if not self.not_answering:
            return ""
        names = " and ".join(self.not_answering)
        gone = " ".join(f"remove_node.yml -e node={name} -e force=true" for name in self.not_answering)
        return (
            f"{names} did not answer. The others let one another in again, so that failover.yml can be run now, if it "
            f"was the primary. Run this again when {names} answers, before rejoin.yml and after it. If it is gone for "
            f"good: {gone}, take it out of the inventory, and run this again."
        )


def steps_of(kind: str, folder: Folder, stop_after: str = "") -> tuple[Step, ...]:
    """What is left to do. New passwords that nodes may have already come first, whatever is asked for.

    ``stop_after``: a step that is to be the last for now; where it is not to be done, nothing is left out.
    """
    found: list[Step] = []
    if folder.new_passwords or kind in ("passwords", "all"):
        found.append("passwords")
    if kind == "certificates":
        found.append("certificates")
    if kind in ("authority", "all"):
        found += LEFT[folder.new_authority]
    return tuple(found[: found.index(stop_after) + 1] if stop_after in found else found)


def servers_not_answering(folder: Folder, found: Found) -> list[str]:
    """The servers without which new passwords are given to the others, since those are locked out until then.

    None before servers may have them, when the cluster can still do without the rotation; nor where another host than
    a server is away, or nobody of a cluster is left.
    """
    servers = {state.name for topology in found.topologies for state in topology.states}
    if not folder.in_place or set(found.unreachable) - servers:
        return []
    away = [
        [state.name for state in topology.unreachable if state.name in found.unreachable or state.life == "none"]
        for topology in found.topologies
    ]
    if any(len(names) == len(topology.states) for names, topology in zip(away, found.topologies, strict=True)):
        return []
    return [name for names in away for name in names]


def server_faults(
    topology: Topology, passwords: bool = False, resumed: bool = False, not_answering: Collection[str] = ()
) -> list[str]:
    """What keeps the servers of a cluster from taking new secrets, in sentences.

    ``passwords``: a standby has to replay the new ones before it knows them. ``resumed``: nodes may have the new ones
    and servers the old, or the other way round, so that one that lives and refuses us is no reason to stop.
    ``not_answering``: those that are known to be away; one of them may have been the primary.
    """
    excused = [state for state in topology.living if resumed and state.life == "refused"]
    excused += [state for state in topology.unreachable if state.name in not_answering]
    faults = [
        f"{state.name} does not answer ({(state.error or 'no reason given').rstrip('.')})."
        for state in topology.unreachable
        if state not in excused
    ]
    if not faults and not excused:
        try:
            topology.require_primary()
        except TopologyError as error:
            faults.append(error.message)
    for standby in topology.standbys:
        # One that was away in the meantime logs in at the primary once this has given it the new passwords.
        if not resumed and topology.primary and not (standby.receiver and standby.receiver.streams):
            faults.append(f"{standby.name} does not stream from {topology.primary.name}. Run rejoin.yml.")
        if passwords and (standby.delayed or standby.replay_paused):
            what = "is delayed on purpose (recovery_min_apply_delay)" if standby.delayed else "is paused"
            faults.append(
                f"The replay of {standby.name} {what}: until it goes on, that server knows the old passwords only, and "
                "nobody could log in there. Let it go on first."
            )
    return faults


def plan(kind: str, folder: Folder, found: Found, stop_after: str = "") -> Rotation:
    """The steps, and what they do to whom. ``kind``: what was asked for; what is none of ``KINDS`` is refused."""
    steps, not_answering = steps_of(kind, folder, stop_after), servers_not_answering(folder, found)
    if not_answering:
        # Only what has begun, and locks nodes out until it is done.
        steps = steps[:1]
    left_out = [name for name in not_answering if name in found.unreachable]
    refusals = _refusals(kind, steps, folder, found, not_answering)
    if stop_after and stop_after not in steps:
        refusals.append(f"rotate_stop_after={stop_after} is not among what is left to do: {', '.join(steps)}.")
    message = {
        "passwords": "Our roles and Redis get new passwords.",
        "certificates": "Every node gets a new key and certificate.",
        "authority": "The certificates get a new authority, in three passes.",
        "all": "Our roles and Redis get new passwords, the certificates a new authority.",
    }.get(kind, "It would not be begun.")
    return Rotation(
        steps,
        OperationPlan(
            "rotate",
            ",".join(found.clusters),
            kind if kind in KINDS else "none",
            message,
            _effects(steps, found, left_out),
            _expected(steps, folder, not_answering),
            _risks(steps, folder),
            refusals,
        ),
        not_answering,
        left_out,
    )


def _effects(steps: Sequence[Step], found: Found, left_out: Sequence[str]) -> list[Effect]:
    away = [Effect(host, "is left out, since it does not answer") for host in left_out]
    of_host = {
        host: [step for step in steps if host not in (found.keyed if step == "passwords" else found.plain)]
        for host in found.hosts
        if host not in left_out
    }
    return away + [Effect(host, ", then ".join(WORDS[step] for step in its)) for host, its in of_host.items() if its]


def _expected(steps: Sequence[Step], folder: Folder, not_answering: Sequence[str]) -> list[str]:
    found = ["No server is restarted, writes and replication go on. A run that ends early is run again."]
    if folder.new_passwords:
        found.append("New passwords were made by a run that has not ended. They are set first.")
    if not_answering:
        found.append(
            f"The server of {' and '.join(not_answering)} does not answer. The others get the new passwords all the "
            "same, so that they let one another in; it is run again afterwards, also for what else was asked for."
        )
    if folder.new_authority != "none" and {"trust", "withdraw"} & set(steps):
        left = LEFT[folder.new_authority]
        found.append(f"A run that has not ended made the new authority. What is left: {', '.join(left)}.")
    if steps[-1:] == ("trust",):
        found.append(
            f"It ends when every node trusts both authorities. Give {folder.directory}/tls/ca.crt to your clients, "
            "then run it again without rotate_stop_after."
        )
    return found


def _risks(steps: Sequence[Step], folder: Folder) -> list[str]:
    found = []
    if "passwords" in steps:
        found.append(
            f"Other copies of {folder.directory} become useless: other controllers, credentials, backups of it. "
            "Where the control API is installed, run api.yml afterwards. Passwords of users are not changed."
        )
    if "withdraw" in steps:
        found.append(
            f"Clients with sslmode=verify-ca or verify-full need the new {folder.directory}/tls/ca.crt: while both "
            "authorities are trusted it holds both."
        )
    return found


def _refusals(
    kind: str, steps: Sequence[Step], folder: Folder, found: Found, not_answering: Sequence[str]
) -> list[str]:
    if kind not in KINDS:
        what = f"rotate={kind} is none of them" if kind else "Nothing was said to be rotated"
        return [f"{what}: give -e rotate=passwords, certificates, authority or all."]
    faults = []
    if found.apart:
        faults.append(
            f"The clusters {', '.join(found.apart)} have another folder of secrets than {folder.directory}. Rotate one "
            "after the other, with -e cluster=NAME."
        )
    if found.sharing and steps != ("certificates",):
        together = ",".join([*found.clusters, *found.sharing])
        faults.append(
            f"The secrets in {folder.directory} are also those of {', '.join(found.sharing)}. Rotate them together: "
            f"-e cluster={together}."
        )
    if "passwords" in steps:
        faults += _password_faults(folder)
    if set(steps) - {"passwords"}:
        faults += _authority_faults(steps, folder)
    faults += [
        f"{name} does not answer ({why.rstrip('.')}). It would be locked out. Start it{_or_remove(name, found)}."
        for name, why in found.unreachable.items()
        if name not in not_answering
    ]
    for topology in found.topologies:
        # What is down was named already; of the others nothing can be said without it.
        if all(state.name in not_answering or state.name not in found.unreachable for state in topology.states):
            faults += server_faults(topology, "passwords" in steps, folder.new_passwords, not_answering)
    return faults


def _or_remove(name: str, found: Found) -> str:
    """The other way, for a standby that does not come back."""
    known = any(state.name == name for topology in found.topologies for state in topology.states)
    if not known:
        return ""
    return f", or take it out of the cluster (remove_node.yml -e node={name}) and then out of the inventory"


def _password_faults(folder: Folder) -> list[str]:
    faults = []
    if folder.given:
        are = "is given as a variable" if len(folder.given) == 1 else "are given as variables"
        faults.append(
            f"{', '.join(folder.given)} {are} (secrets_given), which rotate.yml cannot change. "
            "Change the values in your vault or credential, then run site.yml -e secrets_replace=true."
        )
    if folder.missing:
        faults.append(
            f"{', '.join(folder.missing)} cannot be found in {folder.directory}. Copy the folder from the controller "
            "that made the cluster."
        )
    return faults


def _authority_faults(steps: Sequence[Step], folder: Folder) -> list[str]:
    if folder.owner == "missing":
        return [
            f"{folder.directory}/tls/ca.key cannot be found, so nothing can be signed. Copy the folder from the "
            "controller that made the cluster."
        ]
    if {"trust", "withdraw"} & set(steps) and folder.owner != "ours":
        where = "the variable secrets_authority_certificate" if folder.owner == "given" else "tls/ca.crt"
        return [
            f"The authority in {where} is yours, and rotate.yml makes only its own. Put another one in its place, then "
            "run site.yml -e secrets_replace=true and once more site.yml; see roles/secrets/README.md."
        ]
    return []
