"""What a test of a play says when something was changed that should not have been."""

from __future__ import annotations

import pytest
from cluster import Play

OUTPUT = """
TASK [relevo.postgres.secrets : Give the node its identity] ***
included: identity.yml for db1

TASK [relevo.postgres.redis : Write the configuration] ***
changed: [db1]
changed: [db2 -> localhost] => (item=main)

PLAY RECAP ***
db1                        : ok=2    changed=1    unreachable=0    failed=0    skipped=0
db2                        : ok=1    changed=1    unreachable=0    failed=0    skipped=0
"""


def test_a_test_that_fails_names_the_tasks() -> None:
    task = "relevo.postgres.redis : Write the configuration"
    changed = Play(0, OUTPUT, 1.0).changed
    assert changed == 2
    assert repr(changed) == f"2 {[f'{task} (db1)', f'{task} (db2)']}"
    with pytest.raises(AssertionError, match=r"2 \['relevo.postgres.redis"):
        assert changed == 0


def test_a_play_that_changed_nothing_is_a_plain_number() -> None:
    assert repr(Play(0, OUTPUT.replace("changed=1", "changed=0").replace("changed:", "ok:"), 1.0).changed) == "0"
