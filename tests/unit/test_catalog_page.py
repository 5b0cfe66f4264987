# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog as a page: what is on it, and how it looks in a real browser, light and dark, narrow and wide."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from ansible_collections.relevo.postgres.plugins.module_utils._catalog.model import Catalog, catalog_of
from ansible_collections.relevo.postgres.plugins.module_utils._catalog.page_html import page

#: People look at what is left here.
PICTURES = Path(__file__).resolve().parents[2] / ".cache" / "catalog-page"
NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WIDTHS = (320, 820, 1600)
EVIL = "<script>alert('x')</script>"
USAGE = {
    "directories": [
        {"path": "backup/main", "bytes": 9_500_000_000, "files": 900},
        {"path": "archive/main", "bytes": 2_500_000_000, "files": 400},
    ]
}


def backups() -> list[dict[str, Any]]:
    """Two cycles of six days, as the role makes them, the last backup of them tried and good."""
    found: list[dict[str, Any]] = []
    full = newest = ""
    for cycle, (day, kinds) in product((0, 1), enumerate((["full"], ["incr"], ["incr", "diff"], ["incr"]), start=1)):
        for step, kind in enumerate(kinds):
            start = NOW - timedelta(days=10 - 5 * cycle - day, hours=-step)
            stamp = start.strftime("%Y%m%d-%H%M%S")
            label = f"{stamp}F" if kind == "full" else f"{full}_{stamp}{kind[0].upper()}"
            full = label if kind == "full" else full
            prior = None if kind == "full" else full if kind == "diff" else newest
            newest = label
            size = 3_000_000_000 if kind == "full" else 200_000_000
            found.append(
                {
                    "label": label,
                    "type": kind,
                    "prior": prior,
                    "timestamp": {"start": int(start.timestamp()), "stop": int(start.timestamp()) + 300},
                    "info": {"size": 9_000_000_000, "repository": {"delta": size, "size": 3_100_000_000}},
                    "archive": {"start": f"00000001000000000000{len(found):02X}00"},
                    "annotation": {"relevo-primary": "postgres_master", "relevo-day": str(day)},
                }
            )
    found[0]["annotation"] |= {
        "relevo-drill-at": "2026-11-20T03:00:00+00:00",
        "relevo-drill-result": "failed",
        "relevo-drill-reason": f"pg_amcheck: an index is corrupt {EVIL}",
    }
    found[-1]["annotation"] |= {
        "relevo-drill-at": "2026-11-26T03:00:00+00:00",
        "relevo-drill-result": "passed",
        "relevo-drill-rto": "312",
        "relevo-drill-rpo": "40",
    }
    found[-2]["annotation"]["relevo-primary"] = EVIL
    return found


def catalog(language: str = "en", listed: list[dict[str, Any]] | None = None) -> Catalog:
    shown = backups() if listed is None else listed
    stretches = [
        {
            "timeline": timeline,
            "since": (NOW - timedelta(days=since)).timestamp(),
            "until": (NOW - timedelta(days=until)).timestamp(),
            "oldest": shown[0]["label"],
        }
        for timeline, since, until in ((1, 9, 5), (2, 9, 7), (2, 4.8, 0))
        if shown
    ]
    holes = [{"first": "000000010000000000000201", "last": "000000010000000000000203", "count": 3}] if shown else []
    return catalog_of(
        {"reachable": True, "records": []},
        {"backup": shown},
        "main",
        "/var/lib/pgbackrest",
        language=language,
        holes=holes,
        stretches=stretches,
    )


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["Chains: each backup below", "Recovery windows", "Timeline 2: from", "WAL is missing in the archive"]),
        ("es", ["Cadenas: cada backup", "Ventanas de recuperación", "Línea de tiempo 2: desde", "Falta WAL"]),
    ],
)
def test_it_has_all_its_parts_in_one_language(language: str, words: list[str]) -> None:
    text = page(catalog(language), USAGE, NOW)
    assert f'<html lang="{language}">' in text
    assert [word for word in words if word not in text] == []
    assert all(one["label"] in text for one in backups())


def test_it_needs_nothing_else_and_runs_nothing() -> None:
    text = page(catalog(), USAGE, NOW)
    for word in ("<script", "http:", "https:", "<link", "src=", "@import", "url("):
        assert word not in text


def test_a_chain_is_a_list_within_a_list() -> None:
    full, incr, *_rest = backups()
    text = page(catalog(), USAGE, NOW)
    assert text.index(f"<b>{full['label']}</b>") < text.index(f"<b>{incr['label']}</b>")
    between = text[text.index(f"<b>{full['label']}</b>") : text.index(f"<b>{incr['label']}</b>")]
    assert "<ul>" in between


def test_an_empty_catalog_says_how_to_begin() -> None:
    text = page(catalog(listed=[]), None, NOW)
    assert "ansible-playbook backup.yml -e day=1" in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "there is no chromium on the PATH: bin/setup installs it"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_every_screen(browser: Browser, theme: Any, tmp_path: Path) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    file = tmp_path / "backups.html"
    file.write_text(page(catalog(), USAGE, NOW))
    context = browser.new_context(color_scheme=theme)
    shown = context.new_page()
    problems: list[str] = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("request", lambda request: problems.append(request.url) if not request.url.startswith("file:") else None)
    shown.on("dialog", lambda dialog: problems.append(dialog.message))
    shown.goto(file.as_uri())
    for width in WIDTHS:
        shown.set_viewport_size({"width": width, "height": 900})
        shown.screenshot(path=PICTURES / f"{theme}-{width}.png", full_page=True)
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
    colours = json.loads(
        shown.evaluate(
            "JSON.stringify([getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor])"
        )
    )
    ink, paper = (sum(int(part) for part in colour[4:-1].split(",")) for colour in colours)
    assert (ink < paper) == (theme == "light")
    assert shown.locator("circle").count() == len(backups())
    context.close()
    assert problems == []
