# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an adoption before it: to people, and as lines for their inventory."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from .. import _names
from .adoption import Adoption, Found


def in_the_way(elsewhere: str, down: bool, data_directory: str) -> str:
    """The sentence for what is no server to adopt, and nothing to be configured beside; empty without it."""
    if elsewhere:
        return (
            f"A PostgreSQL server runs here with the data directory {elsewhere}, at the port that is to be this "
            f"node's. Only one in {data_directory} can be adopted: move it there, or set another postgresql_port."
        )
    if down:
        return (
            f"{data_directory} holds data that site.yml has not made, and no server runs there. Start it as it was "
            "started before, so that it can be asked, and run this again; or move the data away."
        )
    return ""


def inventory_lines(decision: Adoption) -> list[str]:
    """What is still to be decided, as YAML for the inventory that keeps all as it is."""
    lines = []
    if decision.settings:
        lines += ["postgresql_parameters:", *(f"  {name}: {_yaml(value)}" for name, value in decision.settings.items())]
    if decision.rules:
        pairs = [", ".join(f"{name}: {_yaml(value)}" for name, value in rule.items()) for rule in decision.rules]
        lines += ["postgresql_hba:", *(f"  - {{{one}}}" for one in pairs)]
    return lines


def _yaml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def plan(node: str, found: Found, files: Mapping[str, Path], decision: Adoption) -> str:
    """What the adoption would do, in lines."""
    role = "standby" if found.standby else "primary"
    lines = [
        f"{node}: a {role} that others have set up runs here ({found.unit or 'no unit'}, {files['config_file']}).",
        f"  Added to {files['config_file']}: include '{_names.CONFIG_FILE}', as its last line.",
        f"  Added to {files['hba_file']} and {files['ident_file']}: the lines of the collection's own roles, first.",
        f"  {found.unit or 'Its unit'} will not start it again. At its next start relevo-postgresql.service does, with",
        f"  {_names.CONFIG_DIR} alone. Nothing is restarted now.",
        "  Changed at once:",
        *(f"    {change}" for change in decision.now or ["nothing"]),
        "  Changed at its next start:",
        *(f"    {change}" for change in decision.at_start or ["nothing"]),
        "  Clients that verify its certificate need the cluster's authority (.secrets/tls/ca.crt) from now on.",
    ]
    return "\n".join(lines)


def refusal(decision: Adoption, text: str, unit: str) -> str:
    """Why it is not adopted now: what has to be done first, what to decide, or that nobody has asked for it."""
    said = [text]
    said += [f"First: {why}." for why in decision.refusals]
    lines = inventory_lines(decision)
    if lines:
        said += [
            "To be decided in the inventory, since it would be lost at the next start. This keeps all as it is;",
            "another value may be given, and a rule that is not wanted is to be taken out of its pg_hba.conf first:",
            *lines,
        ]
    if decision.possible:
        said.append("site.yml -e adopt=true adopts it. See docs/adopting.md.")
    cluster = re.match(r"postgresql@(\d+)-(.+)\.service$", unit)
    if cluster:
        said.append(
            f"If it holds nothing that is needed, remove it instead: pg_dropcluster --stop {cluster[1]} {cluster[2]}."
        )
    return "\n".join(said)
