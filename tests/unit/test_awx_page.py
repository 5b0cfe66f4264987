# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about AWX, Semaphore and cron show the jobs, settings and variables that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import awx_data
import awx_rules
import yaml

ROOT = awx_data.ROOT
OBJECTS = awx_data.objects()
TEMPLATES = {one["name"]: one for one in OBJECTS["controller_templates"]}
[TYPE] = OBJECTS["controller_credential_types"]


def test_the_page_shows_the_jobs() -> None:
    page = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8").partition("\n## The jobs\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (Relevo [\w ]+) \| `(\w+\.yml)`([^|]*) \| (.*?) \|", page, re.MULTILINE)
    shown = {name: (playbook, rest, re.findall(r"`(\w+)`", questions)) for name, playbook, rest, questions in rows}

    def how(template: dict[str, Any]) -> str:
        given = "".join(f", with `{name}={value}`" for name, value in template.get("extra_vars", {}).items())
        return given + (", in check mode" if template["job_type"] == "check" else "")

    assert shown == {
        name: (Path(template["playbook"]).name, how(template), list(awx_data.defaults(template)))
        for name, template in TEMPLATES.items()
    }


def test_the_page_s_settings_are_those_that_the_role_takes() -> None:
    page = (ROOT / "docs" / "awx.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```yaml\n(awx_project_url.*?)^```", page, re.MULTILINE | re.DOTALL)
    shown = yaml.safe_load(block)
    assert shown.keys() <= awx_data.options_of("awx").keys()
    assert set(shown["awx_secrets"]) == {field["id"] for field in TYPE["inputs"]["fields"]}
    assert awx_rules.rrule_problems(shown["awx_schedule"]) == []


def test_the_lines_for_cron_run_playbooks_that_are_there_with_variables_that_they_read() -> None:
    page = (ROOT / "docs" / "semaphore-and-cron.md").read_text(encoding="utf-8")
    lines = re.findall(
        r"ansible-playbook -i \S+ (\S+)((?: -e \w+=\w+)*) >(\S+) 2>&1 \|\| cat (\S+)$", page, re.MULTILINE
    )
    assert [playbook for playbook, *_rest in lines] == ["backup.yml", "playbooks/status.yml"]
    for playbook, given, log, shown in lines:
        assert log == shown
        for variable in re.findall(r"-e (\w+)=", given):
            assert awx_data.uses(playbook, variable), f"{playbook} does not read {variable}"


def test_semaphore_is_given_what_a_template_is() -> None:
    page = (ROOT / "docs" / "semaphore-and-cron.md").read_text(encoding="utf-8")
    for template in TEMPLATES.values():
        for name, value in template.get("extra_vars", {}).items():
            assert f'`["-e", "{name}={value}"]`' in page
    assert awx_data.options_of("secrets").keys() >= set(re.findall(r"`(secrets_\w+)`", page))


#: What others say in a red job: Ansible, ssh, AWX.
OF_OTHERS = {
    "Host key verification failed",
    "UNREACHABLE",
    "couldn't resolve module/action",
    "the output has been hidden",
}


def messages(page: str) -> list[str]:
    """What the page says that a red job says, in parts without what is filled in."""
    table = page.partition("\n## How to read a red job\n")[2].partition("\n## ")[0]
    quoted = [
        span for cell in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for span in re.findall(r"`(.*?)`", cell)
    ]
    parts = [part.strip() for one in quoted for part in re.split(r"…|\(AWX job 17\)|'relevo[^']*'", one)]
    return [part for part in parts if part and not part.endswith(".yml")]


def test_a_red_job_says_what_the_page_says_that_it_says() -> None:
    found = messages((ROOT / "docs" / "awx.md").read_text(encoding="utf-8"))
    assert len(found) >= 8
    assert set(found) >= OF_OTHERS
    ours = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("plugins", "roles")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yml")
    )
    assert [one for one in found if one not in OF_OTHERS and one not in ours] == []
