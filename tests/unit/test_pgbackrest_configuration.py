"""What an owner gives replaces ours, in every section, in pgBackRest's own form."""

from __future__ import annotations

from ansible_collections.relevo.postgres.plugins.filter.with_pgbackrest_options import with_pgbackrest_options

OURS = """# Written by us
[global]
compress-type=zst
# A comment with compress-type=none
process-max=4
tls-server-auth=a=main
tls-server-auth=b=main

[global:restore]
process-max=4

[main]
pg1-path=/data
"""


def test_without_options_nothing_changes() -> None:
    assert with_pgbackrest_options(OURS, {}) == OURS


def test_what_is_given_stands_once_and_ours_nowhere() -> None:
    text = with_pgbackrest_options(OURS, {"process-max": 2, "compress-type": "lz4", "buffer-size": "1MiB"})
    assert (
        text
        == """# Written by us
[global]
# A comment with compress-type=none
tls-server-auth=a=main
tls-server-auth=b=main
buffer-size=1MiB
compress-type=lz4
process-max=2

[global:restore]

[main]
pg1-path=/data
"""
    )


def test_lists_and_booleans_are_in_pgbackrests_form() -> None:
    text = with_pgbackrest_options("[global]\nstart-fast=y\n", {"start-fast": False, "db-exclude": ["x", "y"]})
    assert text == "[global]\ndb-exclude=x\ndb-exclude=y\nstart-fast=n\n"
