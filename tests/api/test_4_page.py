# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page in a real browser: two languages, two themes, three widths, no accessibility violation; and what it
does when the API goes and comes."""

from __future__ import annotations

import signal
from itertools import product
from pathlib import Path

import pytest
from api_server import Server
from axe_playwright_python.sync_playwright import Axe
from browser import enter
from cluster import ROOT
from page_data import PROBLEMS, answers, job, stand_in
from playwright.sync_api import Page, expect

#: People look at what is left here.
PICTURES = ROOT / ".cache" / "page"
WIDTHS = {"phone": 375, "tablet": 820, "desk": 1440}
WORDS = {"en": "postgres_master is primary.", "es": "postgres_master es el primario."}


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found]


@pytest.mark.parametrize("state", ["well", "ill"])
def test_it_looks_as_it_should(page: Page, server: Server, state: str) -> None:
    """One page in all its forms, since each load of a page costs a slow machine seconds."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    stand_in(page, answers(ill=state == "ill"))
    enter(page, server, "x")
    expect(page.locator("#timeline svg")).to_be_visible()
    expect(page.locator(".job")).to_have_count(2 if state == "well" else 3)
    for language, theme, (name, width) in product(WORDS, ("light", "dark"), WIDTHS.items()):
        choose(page, language, theme)
        page.set_viewport_size({"width": width, "height": 900})
        headline = WORDS[language] if state == "well" else WORDS[language].replace("master", "slave")
        expect(page.locator("#headline")).to_have_text(headline)
        page.screenshot(path=PICTURES / f"{state}-{language}-{theme}-{name}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # Colours are the theme's and the structure is the width's.
        if language == "en" and name != "tablet":
            assert violations(page) == [], f"{theme}, {name}"


def test_what_it_shows_of_a_cluster_that_is_ill(page: Page, server: Server) -> None:
    stand_in(page, answers(ill=True))
    enter(page, server, "x")
    nodes = page.locator("#nodes .node")
    expect(nodes).to_have_count(3)
    expect(nodes.locator(".role")).to_have_text(["Does not answer", "Primary", "Standby"])
    expect(nodes.nth(0)).to_contain_text("its container is exited")
    expect(nodes.nth(2)).to_contain_text("does not stream")
    # Each problem with the command that helps.
    problems = page.locator(".problem")
    expect(problems).to_have_count(len(PROBLEMS))
    for number, problem in enumerate(PROBLEMS):
        expect(problems.nth(number)).to_contain_text(problem["message"])
    expect(problems.nth(0).locator("code")).to_have_text("ansible-playbook playbooks/rejoin.yml -e cluster=main")
    expect(page.locator("#facts [data-state=bad]")).to_have_text("fails")
    # The cycle, the window to which one can restore with its hole, and the drills.
    expect(page.locator("#timeline [class^=mark-]:not(.mark-needs)")).to_have_count(14)
    for what in ("window", "hole", "drilled", "drill-failed"):
        expect(page.locator(f"#timeline .{what}")).to_have_count(1)
    expect(page.locator("#backupTable tbody tr")).to_have_count(14)
    expect(page.locator(".job").first).to_contain_text("cut off")


def choose(page: Page, language: str, theme: str) -> None:
    if page.get_attribute("html", "lang") != language:
        page.click("#language")
    # Without a choice it is as the system is, which is light here.
    if (page.get_attribute("html", "data-theme") or "light") != theme:
        page.click("#theme")


def test_the_way_in(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/ui")
    expect(page.locator("#token")).to_be_focused()
    assert violations(page) == []
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "enter.png")
    page.keyboard.type("relevo_wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#enterProblem")).to_have_text("This server does not know that token.")


def test_a_reader_gets_no_buttons(page: Page, server: Server) -> None:
    stand_in(page, answers(scope="read"))
    enter(page, server, "x")
    expect(page.locator("#headline")).to_have_text(WORDS["en"])
    expect(page.locator("#actions")).to_be_hidden()


def test_the_plan_is_shown_before_anything_is_asked_for(page: Page, server: Server) -> None:
    stand_in(page, answers())
    enter(page, server, "x")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    page.click("[data-operation=switchover]")
    expect(page.locator("#askYes")).to_be_disabled()
    page.select_option("#ask-candidate", "postgres_slave")
    page.click("#askPlan")
    expect(page.locator("#plan .message")).to_have_text("Hand over from postgres_master to postgres_slave.")
    expect(page.locator("#askYes")).to_be_enabled()
    assert violations(page) == []
    page.screenshot(path=PICTURES / "plan.png")
    # Another choice is another plan.
    page.select_option("#ask-candidate", "madrid")
    expect(page.locator("#askYes")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#ask")).to_be_hidden()
    assert [url.partition("/v1")[2] for url in asked] == ["/clusters/main/switchover?plan=true"]


@pytest.mark.parametrize("operation", ["switchover", "failback", "backups", "drills", "restores"])
def test_every_button_shows_a_plan_before_it_asks_and_by_the_keyboard_too(
    page: Page, server: Server, operation: str
) -> None:
    told = answers()
    path = f"/v1/clusters/main/{operation}"
    told[path] = told["/v1/clusters/main/switchover"]
    stand_in(page, told)
    enter(page, server, "x")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    button = page.locator(f"[data-operation={operation}]")
    expect(button).to_be_enabled()
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_visible()
    # Without a question there is nothing to choose, and the plan comes by itself.
    if operation != "failback":
        expect(page.locator("#askYes")).to_be_disabled()
        if operation == "restores":
            page.keyboard.type("2026-11-26 09:00:00+01:00")
        page.locator("#askPlan").focus()
        page.keyboard.press("Enter")
    expect(page.locator("#plan .message")).to_be_visible()
    expect(page.locator("#askYes")).to_be_focused()
    assert [url.partition("/v1")[2] for url in asked] == [f"{path.removeprefix('/v1')}?plan=true"]
    told[path] = job("running", operation, 0)
    page.keyboard.press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    assert [url.partition("/v1")[2] for url in asked][1:] == [path.removeprefix("/v1")]


@pytest.mark.parametrize("state", ["well", "ill"])
def test_it_fits_the_narrowest_screen(page: Page, server: Server, state: str) -> None:
    """320 px: also what is left of a page that is enlarged to 400 %, which WCAG asks for."""
    page.set_viewport_size({"width": 320, "height": 700})
    stand_in(page, answers(ill=state == "ill"))
    enter(page, server, "x")
    expect(page.locator("#timeline svg")).to_be_visible()
    for language in WORDS:
        choose(page, language, "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.click("[data-operation=restores]")
    assert page.evaluate("document.querySelector('#ask').getBoundingClientRect().right") <= 320


def test_a_refused_plan_cannot_be_carried_out(page: Page, server: Server) -> None:
    told = answers()
    told["/v1/clusters/main/failback"] = {
        **told["/v1/clusters/main/switchover"],
        "refusals": ["The repository does not answer."],
    }
    stand_in(page, told)
    enter(page, server, "x")
    page.click("[data-operation=failback]")
    expect(page.locator("#plan .refused")).to_contain_text("The repository does not answer.")
    expect(page.locator("#askYes")).to_be_disabled()


def test_language_and_theme_are_changed_and_kept(page: Page, server: Server) -> None:
    stand_in(page, answers())
    enter(page, server, "x")
    page.click("#language")
    expect(page.locator("#headline")).to_have_text(WORDS["es"])
    assert page.get_attribute("html", "lang") == "es"
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.reload()
    expect(page.locator("#headline")).to_have_text(WORDS["es"])
    assert page.get_attribute("html", "data-theme") == "dark"


def test_it_says_when_it_is_old_and_comes_back_with_the_api(page: Page, server: Server, tokens: dict[str, str]) -> None:
    enter(page, server, tokens["read"])
    expect(page.locator("#headline")).to_have_text("Nobody is primary.", timeout=120_000)
    expect(page.locator(".problem").first).to_be_visible()
    server.stop(signal.SIGKILL)
    expect(page.locator("#stale")).to_contain_text("The API does not answer", timeout=15_000)
    expect(page.locator("#stale")).to_contain_text("ago")
    server.start()
    expect(page.locator("#stale")).to_be_hidden(timeout=15_000)


def test_a_log_is_read_with_the_keyboard(page: Page, server: Server, tokens: dict[str, str]) -> None:
    with server.client(tokens["operate"]) as client:
        assert client.post("/v1/clusters/main/rejoin", json={}).status_code == 412
    enter(page, server, tokens["read"])
    button = page.locator(".job > button").first
    expect(button).to_contain_text("failed")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".log .failed").first).to_contain_text("No node answers")
    expect(page.locator(".job .problem-text")).to_contain_text("Nothing was touched")
    expect(button).to_be_focused()
    assert violations(page) == []


def test_pictures_are_there() -> None:
    assert len(list(Path(PICTURES).glob("*-*-*-*.png"))) == 24
