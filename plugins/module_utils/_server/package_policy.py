# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's policy file, while packages are installed: no package starts, stops or restarts a service by itself.

``/usr/sbin/policy-rc.d`` is asked by whatever a package does to services (invoke-rc.d(8)); 101 is "forbidden". There is
one for the whole machine, so one that somebody else has put there is left as it is, and decides. Ours says that it is
ours: a run that dies while packages are installed leaves it, and services would not be started any more by any
package. Ansible's own ``policy_rc_d`` cannot be told from somebody's, and moves that away meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path

from .._durable import replace_file, sync_directory

PATH = Path("/usr/sbin/policy-rc.d")
#: By which it is known, whatever a later release has below it.
MARK = "# Written by relevo.postgres while it installs packages."
TEXT = f"""\
#!/bin/sh
{MARK} If no play is at work any more, remove it.
exit 101
"""


def is_ours(path: Path = PATH) -> bool:
    """Whether the file that is there is one of ours."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 1 and lines[1].startswith(MARK)


def forbid(path: Path = PATH, check_mode: bool = False) -> bool:
    """Let no package touch a service; False, and nothing is changed, where there is a policy already."""
    # A link that leads nowhere is somebody's, too.
    if os.path.lexists(path):
        return False
    if not check_mode:
        replace_file(path, TEXT, 0o755, None)
    return True


def allow(path: Path = PATH, check_mode: bool = False) -> bool:
    """Remove our own policy; False where there is none of ours."""
    if not is_ours(path):
        return False
    if not check_mode:
        path.unlink()
        sync_directory(path.parent)
    return True
