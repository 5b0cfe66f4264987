# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module of the collection does the same way around its own logic."""

from __future__ import annotations

import locale
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.parameters import remove_values

from ._errors import RelevoError, foreseen

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def run_module(module: AnsibleModule, work: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Run ``work`` and end the module with its result, or with its foreseeable failure.

    ``work`` returns the arguments of ``exit_json``. A ``RelevoError`` becomes
    ``fail_json`` here and nowhere else, and so does a disk that takes nothing more. Anything else is a bug and shows
    its traceback.

    Ansible replaces the values of ``no_log`` arguments wherever they occur in a result. Where one is a word that the
    result has anyway, the rest of a play would work with the replacement, so that is a failure.
    """
    # An AnsibleModule takes the language of whoever calls it. What libpq and the system say is read, and shown.
    locale.setlocale(locale.LC_MESSAGES, "C")
    try:
        result = work(module)
        if remove_values(result, module.no_log_values) != result:
            raise RelevoError(
                "A password that this task was given is a word that occurs in its result (a label, a name, a date), "
                "where Ansible would hide it. What was done stays; give another password (secrets_given) and run "
                "site.yml."
            )
    except (RelevoError, OSError) as error:
        failure = foreseen(error)
        if failure is None:
            raise
        module.fail_json(msg=failure.message, **failure.details)
    else:
        module.exit_json(**result)


def require_libraries(module: AnsibleModule, errors: Mapping[str, str | None]) -> None:
    """End the module when a library is missing; ``errors`` maps its name to the import's traceback, or to None."""
    for library, traceback in errors.items():
        if traceback is not None:
            module.fail_json(msg=missing_required_lib(library), exception=traceback)
