# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a module ends when its work cannot be done."""

from __future__ import annotations

import errno
import locale
import os
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._module import run_module


class Failed(Exception):
    pass


class Ended(Exception):
    pass


class Module:
    """What ``run_module`` uses of an ``AnsibleModule``."""

    no_log_values = frozenset({"secret", "main"})

    def exit_json(self, **result: Any) -> None:
        raise Ended(result)

    def fail_json(self, msg: str, **_details: Any) -> None:
        raise Failed(msg)


def run(error: Exception) -> None:
    def work(_module: object) -> dict[str, Any]:
        raise error

    run_module(Module(), work)  # type: ignore[arg-type]


def test_a_full_disk_says_where_and_what_to_do() -> None:
    with pytest.raises(Failed, match=r"cannot be written to: No space left on device\. Make room there, then run this"):
        run(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    with pytest.raises(Failed, match=r"Read-only file system \(/var/lib/x\)\. Make room"):
        run(OSError(errno.EROFS, os.strerror(errno.EROFS), "/var/lib/x"))


def test_any_other_error_of_the_system_is_a_bug() -> None:
    with pytest.raises(PermissionError):
        run(PermissionError(errno.EACCES, "Permission denied"))


def test_it_speaks_english_whoever_calls_it() -> None:
    """AnsibleModule takes the caller's locale when it is made; libpq's words are read afterwards."""
    before = locale.setlocale(locale.LC_MESSAGES)
    try:
        locale.setlocale(locale.LC_MESSAGES, "C.UTF-8")

        def work(_module: object) -> dict[str, Any]:
            return {"language": locale.setlocale(locale.LC_MESSAGES)}

        with pytest.raises(Ended, match="'language': 'C'"):
            run_module(Module(), work)  # type: ignore[arg-type]
    finally:
        locale.setlocale(locale.LC_MESSAGES, before)


@pytest.mark.parametrize("result", [{"key": "backup:main:1"}, {"records": [{"stanza": "main"}]}])
def test_a_password_that_is_a_word_of_the_result_is_refused_instead_of_hidden(result: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=r"give another password \(secrets_given\) and run site\.yml"):
        run_module(Module(), lambda _module: result)  # type: ignore[arg-type]


def test_any_other_result_is_passed_on() -> None:
    with pytest.raises(Ended):
        run_module(Module(), lambda _module: {"key": "backup:other:1"})  # type: ignore[arg-type]
