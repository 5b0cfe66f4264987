# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of operations: what a request may say, and who may say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from relevo_api.operations import OPERATIONS, Operation, served

ROOT = Path(__file__).resolve().parents[2]
BY_NAME = {one.name: one for one in OPERATIONS}


def test_only_what_has_its_playbook_is_served(tmp_path: Path) -> None:
    (tmp_path / "rejoin.yml").touch()
    assert list(served(tmp_path)) == ["rejoin"]
    assert {"switchover", "failover", "failback", "rejoin", "backups"} <= served(ROOT / "playbooks").keys()


@pytest.mark.parametrize("operation", served(ROOT / "playbooks").values(), ids=lambda one: one.name)
def test_a_playbook_knows_the_variables_of_its_operation(operation: Operation) -> None:
    text = (ROOT / "playbooks" / operation.playbook).read_text(encoding="utf-8")
    # A confirmation is wanted by the API, too, which does not wait for a play to ask for it.
    assert [one.name for one in operation.variables if one.name not in text and one.name != "confirm"] == []


@pytest.mark.parametrize(
    ("name", "values", "scope"),
    [
        ("failover", {"force": True}, "operate"),
        ("backups", {}, "operate"),
        ("restores", {"target": "x"}, "operate"),
        ("restores", {"to": "beside"}, "operate"),
        ("restores", {"to": "cluster"}, "destroy"),
        ("cleanup", {}, "operate"),
        ("cleanup", {"operation": "show"}, "operate"),
        ("cleanup", {"operation": "keep"}, "destroy"),
        ("cleanup", {"operation": "all"}, "destroy"),
    ],
)
def test_what_can_lose_data_needs_the_scope_for_it(name: str, values: dict[str, Any], scope: str) -> None:
    assert BY_NAME[name].scope(values) == scope


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("failover", {"candidate": "{{ lookup('file', '/etc/shadow') }}"}),
        ("failover", {"candidate": "a b"}),
        ("failover", {"candidate": ["a"]}),
        ("failover", {"force": "perhaps"}),
        ("failover", {"ansible_connection": "local"}),
        ("backups", {"day": "7"}),
        ("restores", {"target": "{{ x }}"}),
        ("restores", {"target": "a\nb"}),
        ("cleanup", {"keep": -1}),
        ("rejoin", {"cluster": "other"}),
    ],
)
def test_what_a_play_should_never_see_is_refused(name: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BY_NAME[name].body.model_validate(values)


def test_a_point_in_time_is_text() -> None:
    given = BY_NAME["restores"].body.model_validate({"target": "2026-11-30 12:00:00+01:00", "target_type": "time"})
    assert given.model_dump(exclude_none=True) == {"target": "2026-11-30 12:00:00+01:00", "target_type": "time"}
