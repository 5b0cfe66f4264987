# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that single clusters have in a file which a host has for several, as they are in it now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

#: A section of pgBackRest or of HAProxy begins on a line that is neither indented nor a comment.
PGBACKREST_HEADER = re.compile(r"\[[^\]]+\]\s*$")
HAPROXY_HEADER = re.compile(r"[a-z]")
AUTHORIZED = "tls-server-auth="
#: A line of ours: the address may be one of IPv6, in brackets.
BIND = re.compile(r"^\s+bind \S*:(\d+)", re.MULTILINE)


class Stanza(TypedDict):
    """``servers``: the lines that say who may use it. ``section``: its section, the header first."""

    servers: str
    section: str


def _section(lines: Sequence[str], header: str, begins: re.Pattern[str]) -> str:
    """One section without the empty lines behind it; empty where there is none."""
    if header not in lines:
        return ""
    start = lines.index(header)
    end = next((at for at in range(start + 1, len(lines)) if begins.match(lines[at])), len(lines))
    return "\n".join(lines[start:end]).rstrip("\n")


def stanzas_in(text: str, clusters: Sequence[str]) -> dict[str, Stanza]:
    """The parts of these clusters in a repository host's pgbackrest.conf, of those that have one there."""
    lines = text.splitlines()
    found = {}
    for cluster in clusters:
        section = _section(lines, f"[{cluster}]", PGBACKREST_HEADER)
        allowed = [line for line in lines if line.startswith(AUTHORIZED) and line.rpartition("=")[2] == cluster]
        if section and allowed:
            found[cluster] = Stanza(servers="\n".join(allowed), section=section)
    return found


def proxies_in(text: str, clusters: Sequence[str]) -> dict[str, str]:
    """The parts of these clusters in haproxy.cfg, of those that have all of it there."""
    lines = text.splitlines()
    found = {}
    for cluster in clusters:
        headers = [f"{kind} {cluster}_{role}" for role in ("primary", "standbys") for kind in ("frontend", "backend")]
        sections = [_section(lines, header, HAPROXY_HEADER) for header in headers]
        if all(sections):
            found[cluster] = "\n\n".join(sections)
    return found


def ports_taken(kept: Mapping[str, str], wanted: Mapping[str, Sequence[int]]) -> list[str]:
    """A sentence for each port that a part of haproxy.cfg which is ``kept`` has, and another cluster is to get."""
    return [
        f"Port {number} is to be that of {cluster}, and {other}, which this run is not about, still has it there. Run "
        f"site.yml for both: -e cluster={cluster},{other}."
        for other, text in kept.items()
        for number in BIND.findall(text)
        for cluster, ports in wanted.items()
        if int(number) in map(int, ports)
    ]
