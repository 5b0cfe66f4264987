# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read seed files on the controller as Ansible reads every file: decrypted, where ansible-vault encrypted them.

``copy`` decrypts them on the way to the node, so the digest that the load is compared with must be that of the text.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action.normal import ActionModule as NormalAction

from ansible_collections.relevo.postgres.plugins.module_utils._seed import VAULT


class ActionModule(NormalAction):
    """See plugins/modules/pg_seed.py."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._task.args.get("state") != "digest":
            result: dict[str, Any] = super().run(tmp, task_vars)
            return result
        # In the module's result, too: the files are known by where they are, and not by where they were decrypted to.
        given = [dict(entry) for entry in self._task.args.get("files") or []]
        with ExitStack() as decrypted:
            self._task.args["files"] = [self._readable(entry, decrypted) for entry in given]
            result = super().run(tmp, task_vars)
        for read in result.get("described") or []:
            read["path"] = next(
                (
                    self._absolute(entry["path"])
                    for entry in given
                    if self._name(entry) == read["name"] and entry.get("database") == read["database"]
                ),
                read["path"],
            )
        if result.get("described"):
            result["files"] = result["described"]
        return result

    @staticmethod
    def _absolute(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    @staticmethod
    def _name(entry: dict[str, Any]) -> str:
        return str(entry.get("name") or Path(entry.get("path") or "").name)

    def _readable(self, entry: dict[str, Any], decrypted: ExitStack) -> dict[str, Any]:
        """The entry with a path at which its text can be read; what cannot be opened is left to the module."""
        path = Path(self._absolute(str(entry.get("path") or "")))
        if not path.is_file() or not self._is_vaulted(path):
            return entry
        try:
            real = self._loader.get_real_file(str(path))
        except AnsibleError as error:
            raise AnsibleActionFail(
                f"The seed file {self._name(entry)} ({path}) is encrypted by ansible-vault and cannot be decrypted: "
                f"{str(error).rstrip('.')}. Give the vault's password (--vault-password-file, --ask-vault-pass)."
            ) from error
        decrypted.callback(self._loader.cleanup_tmp_file, real)
        return entry | {"path": real, "name": self._name(entry)}

    @staticmethod
    def _is_vaulted(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return file.read(len(VAULT)) == VAULT
        except OSError:
            return False
