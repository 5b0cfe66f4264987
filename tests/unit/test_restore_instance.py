# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and removing a scratch instance: whose directory it is, whose port, and what a failure says of the backup."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._errors import RelevoError
from ansible_collections.relevo.postgres.plugins.module_utils._restore import drill_run, instance, scratch
from ansible_collections.relevo.postgres.plugins.module_utils._restore.drill import Result
from ansible_collections.relevo.postgres.plugins.module_utils._restore.scratch import Files
from ansible_collections.relevo.postgres.plugins.module_utils._restore.target import parse

pytestmark = pytest.mark.usefixtures("own_account")


def order(**changes: Any) -> instance.Order:
    given = {"cluster": "main", "target": parse("latest", ""), "label": "20261124-120000F", "timeline": 1}
    return instance.Order(**{**given, "version": "17", "asked": {"target_type": "latest"}, "timeout": 5, **changes})


def standing(root: Path, name: str = "one", **note: Any) -> Files:
    """One that was made, and whose server does not run."""
    files = Files(root, name)
    for path in (files.data, files.tablespaces, files.home / "lock"):
        path.mkdir(parents=True)
    given = {"cluster": "main", "backup": "b", "port": 5600, "request": {"target_type": "latest"}}
    files.note.write_text(json.dumps({**given, **note}))
    files.outcome.write_text("{}")
    return files


@pytest.mark.parametrize(
    ("replayed", "at_least", "whole"),
    [
        ("0/6000110", "0/6000000", True),
        # The segment before was switched, and the last one could not be read.
        ("0/6000000", "0/6000000", False),
        ("0/5FFFFE0", "0/6000000", False),
        ("0/5000000", "", True),
    ],
)
def test_a_recovery_that_could_not_read_the_last_segment_is_told_apart(
    replayed: str, at_least: str, whole: bool
) -> None:
    assert instance.read_to_the_end(replayed, at_least) is whole


@pytest.mark.parametrize("file", ["photo.jpg", "data/PG_VERSION", "lock/x", "outcome.json"])
@pytest.mark.parametrize("act", ["make", "remove"])
def test_a_directory_that_is_no_instance_is_left_as_it_is(tmp_path: Path, act: str, file: str) -> None:
    kept = tmp_path / "one" / file
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    files = Files(tmp_path, "one")
    with pytest.raises(RelevoError, match=r"is not a scratch instance: it has no instance.json, and it holds "):
        instance.make(files, order()) if act == "make" else instance.remove(files)
    assert kept.read_text() == "mine"


def test_what_was_cut_off_before_its_note_is_removed(tmp_path: Path) -> None:
    files = standing(tmp_path)
    files.note.rename(files.home / ".instance.json.new")
    files.outcome.unlink()
    assert instance.remove(files)
    assert list(tmp_path.iterdir()) == []


def test_an_instance_is_removed(tmp_path: Path) -> None:
    files = standing(tmp_path)
    (files.data / "PG_VERSION").write_text("17")
    assert instance.remove(files)
    assert not instance.remove(files)
    assert list(tmp_path.iterdir()) == []


def test_a_drill_does_not_remove_what_is_not_a_drills(tmp_path: Path) -> None:
    files = standing(tmp_path, drill_run.name_for("main"))
    with pytest.raises(RelevoError, match="main_drill of cluster main was not made by a drill of main"):
        drill_run.carry_out(files, order(), drill_run.Looks(), Result("b", "now"))
    files.note.write_text(files.note.read_text().replace('"target_type": "latest"', '"drill": "b"'))
    with pytest.raises(RelevoError, match="was not made by a drill of other"):
        drill_run.carry_out(files, order(cluster="other"), drill_run.Looks(), Result("b", "now"))
    assert files.note.exists()


def test_nobody_names_an_instance_as_drills_name_theirs() -> None:
    with pytest.raises(RelevoError, match="those that end in _drill are of drills"):
        scratch.given_name("main_drill")
    assert scratch.given_name("drill_2") == "drill_2"


def test_an_instance_of_another_cluster_is_not_taken_for_ours(tmp_path: Path) -> None:
    files = standing(tmp_path)
    with pytest.raises(RelevoError, match="made for something else .cluster=main, target_type=latest"):
        instance.make(files, order(cluster="shop"))


def test_clusters_whose_names_differ_in_capitals_share_no_name() -> None:
    names = [scratch.default_name(cluster, parse("latest", "")) for cluster in ("shop", "Shop", "SHOP")]
    assert names[0] == "shop_latest"
    assert len(set(names)) == 3
    assert all(scratch.checked_name(name) == name for name in names)
    assert len({drill_run.name_for(cluster) for cluster in ("shop", "Shop", "SHOP")}) == 3
