# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new configuration still opens the repository that the present one opens.

Encryption belongs to a stanza from its first day on, and backups stay where they are: a configuration with another
cipher, pass phrase or path is syntactically fine, and with it archiving stops or all backups are forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .._errors import RelevoError
from .command import FIRST, SECOND
from .pgbackrest import STATUS_NO_BACKUP, STATUS_NO_STANZA, STATUS_OK, parse_config, status_reason

#: Options whose change makes another repository of it, without the number of the repository.
LOCATION = ("path", "type", "host", "s3-bucket", "s3-endpoint", "azure-container", "gcs-bucket", "sftp-host")
CIPHER = ("cipher-type", "cipher-pass")


@dataclass(frozen=True)
class Names:
    """The variables of one repository."""

    path: str
    cipher: str


NAMES = {
    FIRST: Names("pgbackrest_repo_path", "pgbackrest_options"),
    SECOND: Names("pgbackrest_repo2_path", "pgbackrest_repo2_cipher_pass"),
}


@dataclass(frozen=True)
class Seen:
    """What ``pgbackrest info`` says of a stanza with one configuration."""

    opens: bool
    exists: bool = False
    backups: Sequence[str] = ()
    problem: str = ""

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Seen:
        code = (entry.get("status") or {}).get("code")
        opens = code in (STATUS_OK, STATUS_NO_BACKUP, STATUS_NO_STANZA)
        return cls(
            opens,
            exists=code in (STATUS_OK, STATUS_NO_BACKUP),
            backups=[str(backup["label"]) for backup in entry.get("backup") or []],
            problem="" if opens else status_reason(entry),
        )

    @property
    def words(self) -> str:
        if self.backups:
            return f"{len(self.backups)} backups of stanza {{stanza}}, the newest {self.backups[-1]}"
        return "the WAL archive of stanza {stanza}"


def options_of(text: str, names: Sequence[str]) -> dict[str, str]:
    """The options of the first repository among ``names``, as a configuration's text has them."""
    parser = parse_config(text)
    return {name: parser.get("global", f"repo1-{name}", fallback="") for name in names}


def is_another(before: str, after: str) -> bool:
    """Whether the two texts differ in what makes the repository, so that it is worth asking pgBackRest."""
    names = (*LOCATION, *CIPHER)
    return options_of(before, names) != options_of(after, names)


def check(
    before: str,
    after: str,
    seen: Mapping[str, tuple[Seen, Seen]],
    left: str = "",
    fenced: Sequence[str] = (),
    names: Names = NAMES[FIRST],
) -> None:
    """Refuse a configuration that would lose what the present one opens; raises ``RelevoError``.

    ``seen``: by stanza, what the present configuration opens and what the new one does. ``left``: the path of the
    repository that its owner leaves behind. ``fenced``: the nodes that a record in it keeps down. ``names``: of the
    variables that are meant. Each text knows this repository only.
    """
    moved = options_of(before, LOCATION) != options_of(after, LOCATION)
    path, new = options_of(before, ["path"])["path"], options_of(after, ["path"])["path"]
    for stanza, (then, now) in seen.items():
        if then.exists and not now.opens:
            raise RelevoError(_cannot_open(before, after, stanza, then, now, names))
        if then.exists and not now.exists and not (left and left == path):
            raise RelevoError(
                f"With this configuration the repository ({new}) holds nothing of stanza {stanza}, but {path} holds "
                f"{then.words.format(stanza=stanza)}. Nothing was changed. To keep them, move the directory first "
                f"(docs/runbook.md, The repository moves), or take back {names.path}. To begin anew in "
                f"{new} and "
                f"leave them behind: site.yml -e pgbackrest_left_path={path}."
            )
    if moved and fenced:
        raise RelevoError(
            f"A record in {path} keeps {' and '.join(fenced)} down, and would not be found in {new}. Nothing was "
            "changed. "
            "Bring it back first, with rejoin.yml."
        )


def _cannot_open(before: str, after: str, stanza: str, then: Seen, now: Seen, names: Names) -> str:
    old, new = options_of(before, CIPHER), options_of(after, CIPHER)
    what = "cannot be opened"
    # Where the cipher is the same, it is another place that is in disorder.
    advice = f"Look at the disk of the new place, or take back {names.path}."
    if old != new:
        plain = "none"
        was, wanted = old["cipher-type"] or plain, new["cipher-type"] or plain
        change = "with another pass phrase" if was == wanted else f"with repo1-cipher-type={wanted} in place of {was}"
        what = f"cannot be opened {change}: it stays as it was when the stanza was made"
        advice = (
            f"Take the change out of {names.cipher}. To have what comes encrypted, or no longer, give the repository "
            f"another {names.path} together with it."
        )
    return (
        f"The repository of stanza {stanza} {what}. It holds {then.words.format(stanza=stanza)}. Nothing was changed. "
        f"{advice} pgBackRest says: {now.problem}."
    )
