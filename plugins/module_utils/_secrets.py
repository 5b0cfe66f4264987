# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's secrets: a folder of files with mode 0600, one file per secret, beside the inventory."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from ._durable import create_file, replace_file, sync_directory
from ._errors import RelevoError
from ._names import PUBLIC_WORD

ALPHABET = string.ascii_letters + string.digits
LENGTH = 40


def make_password() -> str:
    return "".join(secrets.choice(ALPHABET) for dummy in range(LENGTH))


def _usable(name: str, value: object) -> str:
    """``value`` as text; a number is what YAML makes of digits without quotes."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise RelevoError(f"The secret {name} must be a text, not {type(value).__name__}. Put it in quotes.")
    if PUBLIC_WORD in str(value):
        raise RelevoError(f"The secret {name} is a word that Ansible prints in place of secrets. Choose another one.")
    # A passfile has a line for each, and a file in the folder is read without its end.
    text = str(value).removesuffix("\n").removesuffix("\r")
    if any(mark in text for mark in "\n\r\0"):
        raise RelevoError(f"The secret {name} has several lines, which no passfile can hold. Give it as one line.")
    return text


def public_roles(pgpass: str) -> list[str]:
    """The roles to which a passfile, ``host:port:database:role:password`` per line, gives the public word."""
    return [line.split(":")[3] for line in pgpass.splitlines() if line.endswith(f":{PUBLIC_WORD}")]


def passwords_of(pgpass: str) -> dict[str, str]:
    """The passwords by role of a passfile that we wrote: ``*:*:*:role:password``, with ``\\:`` and ``\\\\`` escaped."""
    found = {}
    for line in pgpass.splitlines():
        fields = line.split(":", 4)
        if len(fields) == len(("host", "port", "database", "role", "password")):
            found[fields[3]] = re.sub(r"\\(.)", r"\1", fields[4])
    return found


def other_passwords(pgpass: str, verifiers: Mapping[str, str], matches: Callable[[str, str], bool]) -> list[str]:
    """The roles for which a passfile has another password than the one of the verifier."""
    held = passwords_of(pgpass)
    return [role for role, verifier in verifiers.items() if role in held and not matches(held[role], verifier)]


#: How alike two names are that are one, misspelt: of 1. "user_web" and "user_wbe" are, "user_web" and "user_shop" not.
ALIKE = 0.85


def misspelt(given: Iterable[str], known: Collection[str], missing: Iterable[str]) -> dict[str, str]:
    """The names under which secrets are given that nobody uses, with the ``missing`` secret that each seems to mean.

    A vault may be shared with other inventories, so a name that is not ``known`` here is no fault by itself, nor one
    that only counts (``user_1``, ``user_2``). ``relevo_`` is ours everywhere.
    """
    unknown = [name for name in given if name not in known]
    found: dict[str, str] = {}
    for name in missing:
        for one in unknown:
            likeness = SequenceMatcher(None, _plain(name), _plain(one)).ratio()
            ours = one.startswith("relevo_") and name.startswith("relevo_") and likeness > ALIKE / 2
            counts = re.sub(r"[0-9]", "", name) == re.sub(r"[0-9]", "", one)
            if (likeness >= ALIKE or ours) and not counts:
                best = found.get(one)
                if best is None or likeness > SequenceMatcher(None, _plain(best), _plain(one)).ratio():
                    found[one] = name
    return found


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def refuse_misspelt(given: Iterable[str], known: Collection[str], missing: Iterable[str], directory: str) -> None:
    """Raise ``RelevoError`` before a secret is made whose value was given under a name that is not its own."""
    for one, meant in misspelt(given, known, missing).items():
        raise RelevoError(
            f"secrets_given has {one}, which nobody in this inventory uses, and {meant} is given nowhere: a new one "
            f"would be made. Nothing was changed. Correct the name; or, if {one} is another inventory's, give {meant}, "
            f"too, or put it into {directory}/{meant} (mode 0600)."
        )


class SecretStore:
    """Secrets come from variables first, then from ``directory``; only what neither has is generated."""

    def __init__(self, directory: Path, given: dict[str, Any]) -> None:
        self.directory = directory
        self.given = {name: _usable(name, value) for name, value in given.items() if value not in ("", None)}

    def _path(self, name: str) -> Path:
        return self.directory / name

    def read(self, name: str) -> str | None:
        """The secret ``name``, or None where it is not known. A file that others may read is refused."""
        if name in self.given:
            return self.given[name]
        path = self._path(name)
        if not path.exists():
            return None
        if path.stat().st_mode & 0o077:
            raise RelevoError(f"{path} may be read by others. Set its mode to 0600, or change the secret.")
        value = path.read_text().strip()
        if not value:
            raise RelevoError(f"{path} is empty. Put the secret back, or remove the file before the first site.yml.")
        return _usable(name, value)

    def missing(self, names: list[str]) -> list[str]:
        return [name for name in names if self.read(name) is None]

    def generate(self, name: str) -> str:
        """Make a new secret. The file appears complete or not at all, and never replaces another."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        value = make_password()
        if create_file(self._path(name), value + "\n"):
            return value
        # Another run was quicker: its secret is the one that counts.
        return self.read(name) or value


@dataclass(frozen=True)
class NewPasswords:
    """Passwords that are about to replace others, in one file of ``directory``.

    It is there from before anybody gets one of them until everybody has all, so that a run that was cut off is
    continued with the same. ``old``: those that servers may still want.
    """

    directory: Path
    old: Mapping[str, str]
    new: Mapping[str, str]

    @staticmethod
    def file(directory: Path) -> Path:
        return directory / NEW_PASSWORDS

    @classmethod
    def read(cls, directory: Path) -> NewPasswords | None:
        path = cls.file(directory)
        if not path.exists():
            return None
        if path.stat().st_mode & 0o077:
            raise RelevoError(f"{path} may be read by others. Set its mode to 0600.")
        given = json.loads(path.read_text())
        return cls(directory, given["old"], given["new"])

    @classmethod
    def make(cls, directory: Path, names: Sequence[str]) -> NewPasswords:
        """Those that an earlier run made, or one for each of ``names``, whose present ones must be files."""
        store = SecretStore(directory, {})
        old = {name: value for name in names if (value := store.read(name))}
        if set(old) != set(names):
            raise RelevoError(f"{', '.join(store.missing(list(names)))} cannot be found in {directory}.")
        made = cls(directory, old, {name: make_password() for name in names})
        create_file(cls.file(directory), json.dumps({"old": made.old, "new": made.new}) + "\n")
        # Another run was quicker, or an earlier one has not ended: its passwords are those that count.
        return cls.read(directory) or made

    @property
    def differing(self) -> list[str]:
        """The names of those that the folder does not have yet."""
        store = SecretStore(self.directory, {})
        return [name for name, value in self.new.items() if store.read(name) != value]

    def put(self) -> list[str]:
        """Make them the cluster's; returns the names of those that were not yet."""
        differing = self.differing
        for name in differing:
            replace_file(self.directory / name, self.new[name] + "\n", 0o600, None)
        return differing

    def forget(self) -> None:
        """Everybody has them."""
        self.file(self.directory).unlink(missing_ok=True)
        sync_directory(self.directory)


#: In the folder and in its ``tls``: what a rotation has made that has not ended, and the authority.
NEW_PASSWORDS = "new_passwords.json"
AUTHORITIES = ("ca", "next")
_PAIR = (".key", ".crt")


@dataclass(frozen=True)
class Leaving:
    """What is deleted of a folder of secrets, as paths below it, and what is said of the rest."""

    delete: list[str]
    text: str


def leaving(
    directory: str, found: Iterable[str], hosts: Collection[str], everything: bool, names: Collection[str]
) -> Leaving:
    """What goes from a folder of secrets with these hosts.

    ``found``: the files that it has, as paths below it. ``everything``: nothing that is left of the inventory needs the
    passwords and the authority. ``names``: the passwords that are the inventory's. Another inventory may have the same
    folder: each of its hosts has a key there, and as long as there is one nothing goes but what these hosts had. What
    is not ours stays in any case.
    """
    files = sorted(found)
    pairs = {name: _owner(name) for name in files}
    mine = [name for name, owner in pairs.items() if owner and owner not in AUTHORITIES and owner in hosts]
    strangers = sorted({owner for owner in pairs.values() if owner and owner not in (*AUTHORITIES, *hosts)})
    if not everything:
        return Leaving(mine, f"The secrets are kept in {directory}.")
    if strangers:
        return Leaving(
            mine,
            f"The secrets are kept in {directory}: other hosts have keys there ({', '.join(strangers)}). Where all of "
            "them are gone for good, delete it.",
        )
    shared = {*names, NEW_PASSWORDS, *(f"tls/{name}{end}" for name in AUTHORITIES for end in _PAIR)}
    delete = [name for name in files if name in shared or name in mine]
    left = [name for name in files if name not in delete]
    if left:
        rest = f"What else is in {directory} is not known here and stays: {', '.join(left)}."
        return Leaving(delete, f"The secrets are removed. {rest}")
    return Leaving(delete, "The secrets are removed.")


def _owner(name: str) -> str:
    """Whose key or certificate a file of the folder is; empty for another file."""
    folder, _slash, file = name.rpartition("/")
    stem = next((file.removesuffix(end) for end in _PAIR if file.endswith(end)), "")
    return stem if folder == "tls" else ""


def files_of(directory: Path) -> list[str]:
    """What a folder of secrets and its ``tls`` hold, as paths below it."""
    top = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    below = directory / "tls"
    keys = [f"tls/{path.name}" for path in below.iterdir()] if below.is_dir() else []
    return [name for name in top if name != "tls" or not below.is_dir()] + keys


def delete_files(directory: Path, names: Iterable[str]) -> None:
    """Delete files of a folder of secrets, and then the folder where nothing is left in it."""
    for name in names:
        (directory / name).unlink(missing_ok=True)
    for folder in (directory / "tls", directory):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
