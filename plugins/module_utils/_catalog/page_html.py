# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Made with the standard library alone, since it is made on the repository host. Every value is escaped: records in Redis
can be written by anybody who has its password.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from .._names import FIRST_REPOSITORY
from .._recovery_window import losses
from .._tables import format_bytes, format_duration
from .model import Catalog, Entry
from .page_style import STYLE
from .records import PASSED, TYPES
from .space import REST, WAL, space
from .views import summary

#: In the drawing: pixels of its own units, which the browser scales.
WIDTH, ROW, MARGIN = 1000, 34, 14
#: What the page shows at most: a browser has to lay out each row.
MOST = 500


def page(catalog: Catalog, usage: Mapping[str, Any] | None, now: datetime) -> str:
    """The whole document."""
    words = catalog.words
    which = (
        "" if catalog.repository == FIRST_REPOSITORY else f" · {words.one_repository.format(number=catalog.repository)}"
    )
    title = _text(f"{words.page_title} · {catalog.cluster}{which}")
    sections = [
        _section(words.page_timeline, _timeline(catalog, now)),
        _section(words.page_windows, _windows(catalog)),
        _section(words.page_chains, _chains(catalog)),
        _section(words.split_title.capitalize(), _space(catalog, usage)),
        _section(words.page_drills, _drills(catalog)),
    ]
    notes = "".join(
        f"<li>{_text(line)}</li>" for line in [*summary(replace(catalog, stretches=())), catalog.reason] if line
    )
    return (
        f'<!DOCTYPE html>\n<html lang="{words.code}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1><p>{_text(now.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S UTC'))}</p></header>\n"
        f"<main>\n<ul class=notes>{notes}</ul>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)


def _section(heading: str, body: str) -> str:
    return f"<section><h2>{_text(heading)}</h2>\n{body}</section>\n" if body else ""


def _moments(catalog: Catalog) -> dict[str, tuple[int, int]]:
    """Start and stop by label; what the repository does not know has none."""
    stamps = {str(one["label"]): one["timestamp"] for one in catalog.information.get("backup") or []}
    return {label: (int(one.get("start", one["stop"])), int(one["stop"])) for label, one in stamps.items()}


def _listed(catalog: Catalog) -> list[Entry]:
    """The backups that are there, the oldest first, and no more of them than a browser likes."""
    return list(reversed([entry for entry in catalog.shown if entry.status in ("recorded", "unrecorded")][:MOST]))


def _timeline(catalog: Catalog, now: datetime) -> str:
    """Each backup as a mark at its time, in a row for each type; below it the windows."""
    moments = _moments(catalog)
    entries = [entry for entry in _listed(catalog) if entry.name in moments]
    if not entries:
        return f"<p>{_text(catalog.words.empty.format(stanza=catalog.cluster))}</p>"
    first = min(moments[entry.name][0] for entry in entries)
    last = max(now.timestamp(), *(moments[entry.name][1] for entry in entries))
    scale = (WIDTH - 2 * MARGIN) / max(1.0, last - first)

    def place(moment: float) -> float:
        return round(MARGIN + (min(max(moment, first), last) - first) * scale, 1)

    kinds = list(TYPES.values())
    timelines = sorted({stretch.timeline for stretch in catalog.stretches})
    lanes = [*kinds, *map(str, timelines)]
    height = ROW * len(lanes) + 24
    parts = [
        f"<line class=lane x1=0 x2={WIDTH} y1={ROW * row + 17} y2={ROW * row + 17} />" for row in range(len(lanes))
    ]
    for entry in entries:
        kind = entry.record.get("tipo_backup", "")
        if kind in kinds:
            x, y = place(moments[entry.name][1]), ROW * kinds.index(kind) + 17
            label = f"{entry.name}: {entry.shown('tipo_backup', catalog.words)}, {_size_of(entry)}"
            day = _text(entry.record.get("dia", ""))
            parts.append(
                f"<g class={_class(kind)}><title>{_text(label)}</title><circle cx={x} cy={y} r=9 />"
                f"<text x={x} y={y + 4}>{day}</text></g>"
            )
    for stretch in catalog.stretches:
        row = len(kinds) + timelines.index(stretch.timeline)
        start, end = place(stretch.since.timestamp()), place(stretch.until.timestamp())
        parts.append(
            f"<rect class=window x={start} y={ROW * row + 10} width={max(2, round(end - start, 1))} height=14 rx=4>"
            f"<title>{_text(_stretch(catalog, stretch))}</title></rect>"
            f"<text x={round((start + end) / 2, 1)} y={ROW * row + 21}>{stretch.timeline}</text>"
        )
    y = height - 4
    parts.append(f"<text class=axis x={MARGIN} y={y}>{_day(first)}</text>")
    parts.append(f'<text class="axis end" x={WIDTH - MARGIN} y={y}>{_day(last)}</text>')
    legend = "".join(f"<span class={_class(kind)}>{_text(catalog.words.types[kind][1])}</span>" for kind in kinds) + (
        f"<span class=window>{_text(catalog.words.page_windows)}</span>" if catalog.stretches else ""
    )
    return (
        f'<p class=legend>{legend}</p><div class=scroll tabindex=0><svg viewBox="0 0 {WIDTH} {height}" role=img '
        f'aria-label="{_text(catalog.words.page_timeline)}">{"".join(parts)}</svg></div>'
    )


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _class(kind: str) -> str:
    return {name: short for short, name in TYPES.items()}.get(kind, "other")


def _size_of(entry: Entry) -> str:
    return format_bytes(entry.record.get("tamano_copia", entry.record.get("tamano_base")))


def _stretch(catalog: Catalog, stretch: Any) -> str:
    return catalog.words.timeline_window.format(
        timeline=stretch.timeline,
        since=stretch.since.strftime("%Y-%m-%d %H:%M:%S UTC"),
        until=stretch.until.strftime("%Y-%m-%d %H:%M:%S UTC"),
        oldest=stretch.oldest,
    )


def _windows(catalog: Catalog) -> str:
    rows = [f"<li>{_text(_stretch(catalog, stretch))}</li>" for stretch in catalog.stretches]
    for loss in losses(catalog.of_newest_system, catalog.holes):
        since = loss.after.strftime("%Y-%m-%d %H:%M:%S UTC") if loss.after else catalog.words.the_beginning
        until = loss.before.strftime("%Y-%m-%d %H:%M:%S UTC") if loss.before else catalog.words.the_next_backup
        missing = f"{loss.hole.count} {catalog.words.segment[loss.hole.count != 1]}"
        words = catalog.words.history_hole if loss.hole.history else catalog.words.hole
        said = words.format(
            first=loss.hole.first,
            last=loss.hole.last,
            segments=missing,
            since=since,
            until=until,
            history=loss.hole.history,
        )
        rows.append(f"<li class=bad>{_text(said)}</li>")
    return f"<ul>{''.join(rows)}</ul>" if rows else ""


def _chains(catalog: Catalog) -> str:
    """Which backup needs which: each below the one that it builds on."""
    entries = _listed(catalog)
    children: dict[str, list[Entry]] = {}
    names = {entry.name for entry in entries}
    for entry in entries:
        prior = entry.record.get("previo", "")
        children.setdefault(prior if prior in names else "", []).append(entry)
    return f"<ul class=chain>{''.join(_branch(catalog, children, ''))}</ul>" if entries else ""


def _branch(catalog: Catalog, children: Mapping[str, Sequence[Entry]], parent: str) -> Iterator[str]:
    for entry in children.get(parent, ()):
        below = "".join(_branch(catalog, children, entry.name))
        yield f"<li>{_card(catalog, entry)}{f'<ul>{below}</ul>' if below else ''}</li>"


def _card(catalog: Catalog, entry: Entry) -> str:
    words, record = catalog.words, entry.record
    facts = [
        entry.shown("tipo_backup", words),
        _size_of(entry),
        format_duration(record.get("duracion_s")),
        f"{words.fields['maestro_usado']} {entry.shown('maestro_usado', words)}",
    ]
    if "dia" in record:
        facts.append(f"{words.fields['dia']} {record['dia']}")
    notes = entry.notes(words)
    healthy = entry.status == "recorded" and record.get("error") != "si" and record.get("consistente") != "no"
    worry = "" if healthy and record.get("resultado") in (None, PASSED) else " class=bad"
    note = f" <em{worry}>{_text(notes)}</em>" if notes else ""
    kind = _class(record.get("tipo_backup", ""))
    return f"<div class={kind}><b>{_text(entry.name)}</b> <span>{_text(' · '.join(facts))}</span>{note}</div>"


def _space(catalog: Catalog, usage: Mapping[str, Any] | None) -> str:
    words = catalog.words
    parts = space(catalog.cluster, catalog.information.get("backup") or [], usage)
    whole = max(1, sum(part.own for part in parts))
    named = {WAL: words.wal, REST: words.rest}
    types = words.values.get("tipo_backup", {})
    rows = []
    for part in parts:
        name = named.get(part.kind, types.get(part.kind, part.kind))
        share = 100 * part.own / whole
        shared = "" if part.shared is None or part.kind in named else f", {words.shared} {format_bytes(part.shared)}"
        strip = f"<span class=bar><i class={_class(part.kind)} style=width:{share:.1f}%></i></span>"
        rows.append(f"<dt>{_text(name)}</dt><dd>{strip}{_text(format_bytes(part.own) + shared)}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if any(part.own for part in parts) else ""


def _drills(catalog: Catalog) -> str:
    tried = [entry for entry in reversed(_listed(catalog)) if "resultado" in entry.record]
    rows = []
    for entry in tried:
        good = entry.record["resultado"] in catalog.words.tried and entry.status != "foreign"
        verdict = "good" if good and entry.record["resultado"] == PASSED else "bad"
        facts = [
            f"{catalog.words.fields[name]} {entry.record[name]}"
            for name in ("rto_s", "rpo_s", "motivo")
            if entry.record.get(name)
        ]
        said = " · ".join([entry.shown("resultado", catalog.words), *facts])
        when = entry.record.get("verificado", "")
        rows.append(f"<li class={verdict}><b>{_text(entry.name)}</b> {_text(when)} <span>{_text(said)}</span></li>")
    return f"<ul>{''.join(rows)}</ul>" if rows else f"<p>{_text(catalog.words.page_no_drill)}</p>"
