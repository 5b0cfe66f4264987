# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file by which packages are kept from restarting services: ours is known, and somebody's is never touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server import package_policy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "policy-rc.d"


def test_ours_is_written_found_and_removed(path: Path) -> None:
    assert not package_policy.is_ours(path)
    assert package_policy.forbid(path, check_mode=True)
    assert not path.exists()
    assert package_policy.forbid(path)
    assert subprocess.run([str(path), "postgresql", "restart"], check=False).returncode == 101
    # A run that died has left it: the next one finds it there, and removes it in the end.
    assert not package_policy.forbid(path)
    assert package_policy.is_ours(path)
    assert package_policy.allow(path, check_mode=True)
    assert path.exists()
    assert package_policy.allow(path)
    assert not path.exists()
    assert not package_policy.allow(path)


@pytest.mark.parametrize(
    "text",
    ["#!/bin/sh\nexit 101\n", "#!/bin/sh\n# Written by me.\nexit 0\n", "", package_policy.MARK],
)
def test_what_somebody_else_has_put_there_is_not_touched(path: Path, text: str) -> None:
    path.write_text(text)
    assert not package_policy.is_ours(path)
    assert not package_policy.forbid(path)
    assert not package_policy.allow(path)
    assert path.read_text() == text


def test_a_link_that_leads_nowhere_is_somebodys(path: Path) -> None:
    path.symlink_to("/nonexistent/policy")
    assert not package_policy.forbid(path)
    assert not package_policy.allow(path)
    assert path.is_symlink()
