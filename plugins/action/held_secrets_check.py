# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse to give a cluster other secrets than it has, and put an authority that is given into the folder.

An action: the nodes that are not in the play are asked as well, and those may be down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.relevo.postgres.plugins.module_utils import _names
from ansible_collections.relevo.postgres.plugins.module_utils._cluster.connection import secrets_directory
from ansible_collections.relevo.postgres.plugins.module_utils._durable import create_file, replace_file
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._held_secrets import (
    AUTHORITY,
    Held,
    also_trusted,
    decide,
)
from ansible_collections.relevo.postgres.plugins.module_utils._secrets import NewPasswords, refuse_misspelt
from ansible_collections.relevo.postgres.plugins.plugin_utils import _certificates, _machines, _offline_nodes
from ansible_collections.relevo.postgres.plugins.plugin_utils._controller_action import ControllerAction

#: The secrets that every cluster has.
OWN_SECRETS = frozenset({*_names.OWN_ROLES, "redis"})
#: Asks a node that is not in the play whether it is part of a cluster. Only what anybody may look at.
BELONGS = f"if test -e {_names.PASSFILE} || ls -d {_names.DATA_ROOT}/*/main; then echo yes; else echo no; fi"


@dataclass(frozen=True)
class Authority:
    """What signs the nodes' certificates: the texts of certificate and key, empty where there is none.

    The certificate may be followed by those above it. ``given``: as variables.
    """

    certificate: str
    key: str
    given: bool

    @classmethod
    def of(cls, directory: Path, certificate: str, key: str) -> Authority:
        """As variables, or the folder's; raises ``RelevoError`` for one that cannot sign."""
        files = [directory / "tls" / name for name in ("ca.crt", "ca.key")]
        held = [path.read_text(errors="replace") if path.is_file() else "" for path in files]
        if bool(certificate) != bool(key):
            raise RelevoError("secrets_authority_certificate and secrets_authority_key go together. Give both.")
        if certificate and held[1] and _certificates.key_of(held[1]) != _certificates.key_of(key):
            raise RelevoError(
                f"{files[1]} is another key than secrets_authority_key. Nothing was changed. Move away the one "
                "that is not "
                "the cluster's."
            )
        found = (
            cls(certificate.strip() + "\n", key.strip() + "\n", True) if certificate else cls(held[0], held[1], False)
        )
        if found.certificate and found.key:
            where = "secrets_authority_certificate" if found.given else str(files[0])
            _certificates.check_authority(found.certificate, found.key, where)
        return found

    @property
    def keys(self) -> frozenset[str]:
        """Of a key without a certificate, which is made anew, its own."""
        found = _certificates.certificates(self.certificate)
        own = [_certificates.key_of(self.key)] if self.key else []
        return _certificates.public_keys(found) | frozenset(own) if own else frozenset()

    @property
    def chain(self) -> str:
        """What a node sends after its own certificate, to clients who know only the root: those between the two."""
        found = _certificates.certificates(self.certificate)
        return _certificates.to_pem(one for one in found if one.subject != one.issuer)

    def is_made_here(self, renew_days: float) -> bool:
        """Whether it is to be made, or renewed. Not what was given: the next job would be given the old one again."""
        if self.given:
            return False
        found = _certificates.certificates(self.certificate)
        # Beside another one it is being replaced (rotate.yml), and a renewal would take the other one away.
        alone = len(found) == 1
        return not found or (
            alone and _certificates.is_ours(found[0]) and _certificates.days_left(found[0]) < renew_days
        )

    def warnings(self, renew_days: float) -> list[str]:
        return [
            f"The authority {one.subject.rfc4514_string()} expires on {one.not_valid_after_utc:%Y-%m-%d}. Renew "
            "it, with the "
            "same key."
            for one in _certificates.certificates(self.certificate)
            if (self.given or not _certificates.is_ours(one)) and _certificates.days_left(one) < renew_days
        ]

    def differs(self, directory: Path) -> bool:
        folder = directory / "tls"
        texts = {"ca.crt": self.certificate, "ca.key": self.key}
        return any(not (folder / name).is_file() or (folder / name).read_text() != text for name, text in texts.items())

    def replaces(self, directory: Path) -> bool:
        """Whether it is another one than that of a folder which keeps secrets.

        A checkout without such a folder (each job of AWX has one of its own) gets a copy of what was given, to sign
        with: that changes nothing.
        """
        return directory.is_dir() and self.differs(directory)

    def write(self, directory: Path) -> None:
        folder = directory / "tls"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The key is never replaced: whether it is the same has been looked at.
        create_file(folder / "ca.key", self.key)
        replace_file(folder / "ca.crt", self.certificate, 0o644, None)


class ActionModule(ControllerAction):
    """``_held_secrets`` decides."""

    SPEC = {  # noqa: RUF012
        "argument_spec": {
            "directory": {"type": "path", "required": True},
            "held": {"type": "dict", "required": True},
            "missing": {"type": "list", "elements": "str", "default": []},
            "given": {"type": "list", "elements": "str", "default": []},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "default": "", "no_log": True},
            "renew_days": {"type": "float", "default": 30},
            "all_asked": {"type": "bool", "default": True},
            "replace": {"type": "bool", "default": False},
        }
    }

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        directory = Path(options["directory"])
        self._refuse_misspelt(options["given"], options["missing"], str(directory))
        authority = Authority.of(directory, options["certificate"], options["key"])
        missing = options["missing"] + ([] if authority.key else [AUTHORITY])
        asked: Mapping[str, Mapping[str, Any]] = options["held"]
        trusted = {name: _certificates.certificates(held["authority"]) for name, held in asked.items()}
        nodes: dict[str, Held | None] = {
            name: Held(
                bool(held["belongs"]),
                _certificates.public_keys(trusted[name]),
                _certificates.public_keys(_certificates.signers(held["certificate"], trusted[name])),
                tuple(held["differing"]),
            )
            for name, held in asked.items()
        }
        if missing:
            nodes |= self._others(str(directory), nodes)
        rotating = NewPasswords.file(directory).exists()
        verdict = decide(
            nodes, missing, authority.keys, str(directory), options["replace"], rotating, options["all_asked"]
        )
        changed = authority.given and authority.differs(directory)
        replaced = changed and authority.replaces(directory)
        if changed and not self._task.check_mode:
            authority.write(directory)
        known = {_certificates.public_key(one): one for found in trusted.values() for one in found}
        # Whoever is asked because something is missing is not in the play.
        in_play = {name: nodes[name] for name in asked}
        return {
            "changed": replaced,
            "missing": missing,
            "make_authority": authority.is_made_here(options["renew_days"]),
            "replaces_passwords": verdict.replaces_passwords,
            # So that nobody is locked out between the first node that gets the new one and the last.
            "also_trusted": {
                name: _certificates.to_pem(one for key, one in known.items() if key in keys)
                for name, keys in also_trusted(in_play, authority.keys, verdict.trusts_both).items()
            },
            "chain": authority.chain,
            "warnings": authority.warnings(options["renew_days"]),
        }

    def _refuse_misspelt(self, given: list[str], missing: list[str], directory: str) -> None:
        """The users' secrets, too, which are made last."""
        if not set(given) - OWN_SECRETS:
            return
        groups, hostvars = self._task_vars["groups"], self._task_vars["hostvars"]
        # All clusters of the inventory may have one vault, and not one folder.
        known, wanted = set(OWN_SECRETS), list(missing)
        for name in groups.get("postgres", []):
            variables = hostvars[name]
            users = variables.get("postgresql_users") or []
            names = [user["password_secret"] for user in users if user.get("password_secret")]
            known.update(names)
            if secrets_directory(variables, otherwise=directory) == directory:
                wanted += [one for one in names if one not in given and not (Path(directory) / one).exists()]
        refuse_misspelt(given, known, wanted, directory)

    def _others(self, directory: str, asked: Mapping[str, Any]) -> dict[str, Held | None]:
        """The nodes with the same folder of secrets that are not in the play: fenced, down, or another cluster's."""
        groups, hostvars = self._task_vars["groups"], self._task_vars["hostvars"]
        names = {name for group in ("postgres", "pgbackrest") for name in groups.get(group, [])}
        others: dict[str, Held | None] = {}
        for name in sorted(names - set(asked)):
            variables = hostvars[name]
            if secrets_directory(variables, otherwise=directory) != directory:
                continue
            fenced = name in groups.get("relevo_fenced", [])
            others[name] = Held(belongs=True) if fenced else self._ask(name, variables)
        return others

    def _ask(self, name: str, variables: Mapping[str, Any]) -> Held | None:
        if _offline_nodes.kind_of(variables) == _offline_nodes.DOCKER:
            state = _offline_nodes.containers([name])[name].state()
            if state != "running":
                return Held() if state == "missing" else None
        try:
            _code, output, _said = _machines.execute(name, variables, self._play_context, BELONGS)
        except AnsibleError:
            return None
        words = output.split()
        return Held(belongs=words[-1] == "yes") if words and words[-1] in ("yes", "no") else None
