# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An authority that is about to replace ours, as files of the folder of secrets.

``tls/next.key`` and ``tls/next.crt`` are there from before any node trusts it until all trust it only. ``tls/ca.crt``
is what the nodes are to trust, first the one that signs; so site.yml, too, goes on with whatever it holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.relevo.postgres.plugins.module_utils._cluster.rotation import NewAuthority, Owner, Step
from ansible_collections.relevo.postgres.plugins.module_utils._durable import replace_file, sync_directory
from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.plugin_utils import _certificates

if TYPE_CHECKING:
    from cryptography import x509


class Authorities:
    """The one that there is and the one that is to come."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "tls"

    def _of(self, name: str) -> list[x509.Certificate]:
        return _certificates.certificates_of(self.folder / name)

    def owner(self, given: bool) -> Owner:
        """Whose the present one is; ``given``: it comes as variables."""
        found = self._of("ca.crt")
        if given:
            return "given"
        if not found or not (self.folder / "ca.key").is_file():
            return "missing"
        return "ours" if _certificates.is_ours(found[0]) else "theirs"

    @property
    def state(self) -> NewAuthority:
        new, present = self._of("next.crt"), self._of("ca.crt")
        if not new or not (self.folder / "next.key").is_file():
            return "none"
        if not present or present[0] != new[0]:
            return "made"
        return "alone" if len(present) == 1 else "signs"

    def put(self, step: Step) -> bool:
        """Let the folder say what the nodes are to have in this step; whether it did not yet."""
        following = self._of("next.crt")
        new, old = following[:1], [one for one in self._of("ca.crt") if one not in following]
        if not new:
            raise RelevoError(f"{self.folder}/next.crt cannot be found. Run rotate.yml -e rotate=authority again.")
        wanted: dict[Step, list[x509.Certificate]] = {"trust": old + new, "sign": new + old, "withdraw": new}
        texts = [("ca.crt", _certificates.to_pem(wanted[step]), 0o644)]
        if step != "trust":
            texts.append(("ca.key", (self.folder / "next.key").read_text(), 0o600))
        changed = [row for row in texts if (self.folder / row[0]).read_text() != row[1]]
        for name, text, mode in changed:
            replace_file(self.folder / name, text, mode, None)
        return bool(changed)

    def forget(self) -> None:
        """It is the only one. The key goes first: without it the rest counts for nothing."""
        for name in ("next.key", "next.crt"):
            (self.folder / name).unlink(missing_ok=True)
            sync_directory(self.folder)
