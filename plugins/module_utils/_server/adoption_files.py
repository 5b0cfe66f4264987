# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few lines that are added to the files of an adopted server and of the unit that runs it, and the rest of them.

All lines of theirs stay where they are: what we add stands between two lines that say whose it is.
"""

from __future__ import annotations

from pathlib import Path

from .. import _names

BEGIN = "# >>> relevo.postgres has adopted this server (docs/adopting.md); what is between these lines is rewritten."
END = "# <<< relevo.postgres"
UNITS = Path("/etc/systemd/system")

INCLUDE = f"include '{_names.CONFIG_FILE}'\n"
#: Its process goes on. Once it has ended, only our unit starts it: the start guard is a part of that one alone.
DROP_IN = f"""# Written by relevo.postgres: this unit starts the server no more, relevo-postgresql.service does.
[Unit]
ConditionPathExists=!{_names.CONFIG_FILE}
[Service]
Restart=no
"""
#: For pg_ctlcluster, which starts a server also without its unit.
START_CONF = "# Written by relevo.postgres: relevo-postgresql.service starts this server.\ndisabled\n"


def with_block(text: str, block: str, top: bool) -> str:
    """A file with our block: at its top (the first rule that matches counts), or its end (the last setting does)."""
    before, begin, rest = text.partition(f"{BEGIN}\n")
    old = rest.partition(f"{END}\n")[2] if begin else ""
    theirs = before + old if begin else text
    if theirs and not theirs.endswith("\n"):
        theirs += "\n"
    ours = f"{BEGIN}\n{block}{END}\n"
    return ours + theirs if top else theirs + ours


def has_block(path: Path) -> bool:
    return path.is_file() and BEGIN in path.read_text(encoding="utf-8", errors="replace")


def drop_in(unit: str) -> Path:
    return UNITS / f"{unit}.d" / "relevo.conf"


def adopted_unit(units: Path = UNITS) -> str:
    """The unit that a server was adopted from, and that starts it no more; empty where there is none."""
    for path in sorted(units.glob("*.service.d/relevo.conf")):
        if path.read_text(encoding="utf-8", errors="replace") == DROP_IN:
            return path.parent.name.removesuffix(".d")
    return ""


def start_conf(config_file: Path) -> Path | None:
    """Debian's word whether a cluster starts at boot, beside its configuration; None where it is not Debian's."""
    path = config_file.with_name("start.conf")
    return path if path.is_file() else None
