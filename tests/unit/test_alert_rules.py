# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules: Prometheus's own tool tests them, and they name metrics and playbooks that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from ansible_collections.relevo.postgres.plugins.plugin_utils._metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "examples" / "monitoring"
NAMES = ("backups", "servers")
API_PAGE = ROOT / "docs" / "reference" / "api.md"
PAGE = ROOT / "docs" / "reference" / "metrics.md"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    unpacked = ROOT / ".cache" / "tools" / "usr" / "bin" / "promtool"
    path = shutil.which("promtool") or (str(unpacked) if unpacked.exists() else None)
    assert path, "there is no promtool: bin/setup unpacks it"
    return subprocess.run([path, *arguments], cwd=ALERTS, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("name", NAMES)
def test_promtool_finds_the_rules_as_they_should_be(name: str) -> None:
    checked = promtool("check", "rules", f"{name}.rules.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tested = promtool("test", "rules", f"{name}.test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_is_tested_when_it_fires_and_when_it_does_not(name: str) -> None:
    rules = yaml.safe_load((ALERTS / f"{name}.rules.yml").read_text())["groups"][0]["rules"]
    tests = yaml.safe_load((ALERTS / f"{name}.test.yml").read_text())["tests"]
    silent, firing = set[str](), set[str]()
    for test in tests:
        for one in test["alert_rule_test"]:
            (firing if one["exp_alerts"] else silent).add(one["alertname"])
    assert {rule["alert"] for rule in rules} == silent == firing


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_name_metrics_and_playbooks_that_exist(name: str) -> None:
    text = (ALERTS / f"{name}.rules.yml").read_text()
    known = set(METRICS) | set(re.findall(r"`(relevo_\w+)`", API_PAGE.read_text()))
    assert set(re.findall(r"\brelevo_\w+", text)) <= known
    assert all(
        (ROOT / "playbooks" / name).exists() for name in re.findall(r"\b[a-z_]+\.yml(?= )", text) if "test" not in name
    )


def test_the_page_lists_every_metric() -> None:
    assert set(re.findall(r"^\| `(relevo_\w+)` \|", PAGE.read_text(), re.MULTILINE)) == set(METRICS)


def test_the_dashboard_shows_roles_lag_and_jobs_by_metrics_that_exist() -> None:
    panels = json.loads((ALERTS / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(asked) >= len(panels)
    shown = {name for one in asked for name in re.findall(r"\brelevo_\w+", one)}
    assert shown <= set(METRICS) | set(re.findall(r"`(relevo_\w+)`", API_PAGE.read_text()))
    assert {"relevo_node_role", "relevo_replication_lag_bytes", "relevo_jobs"} <= shown
    assert all('cluster="$cluster"' in one for one in asked)
