# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making and removing a scratch instance: whose directory it is, whose port, and what a failure says of the backup."""

from __future__ import annotations


import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._restore import instance


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
