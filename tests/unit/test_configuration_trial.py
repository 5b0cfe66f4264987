"""What the server's own program says about a configuration, and what becomes of its words (seen with 17.12)."""

from __future__ import annotations

import pytest

from ansible_collections.relevo.postgres.plugins.module_utils._server.configuration_trial import (
    Fault,
    libraries_of,
    refusal,
    setting_faults,
    start_faults,
)

TEXT = "# ours\ndata_directory = '/d'\nwork_mem = '64 MiB'\nwork_memm = '64MB'\npg_stat_statements.max = 'x'\n"
SKIPPED = 'LOG:  skipping missing configuration file "/t/data/postgresql.auto.conf"\n'
CONTAINS = 'FATAL:  configuration file "/etc/relevo/postgresql.conf" contains errors\n'
ENDS = 'FATAL:  must specify "restore_command" when standby mode is not enabled\nLOG:  database system is shut down\n'


def said_of(output: str) -> list[str]:
    return [fault.sentence for fault in setting_faults(SKIPPED + output, "postgresql.conf", TEXT)]


def said_at_start(output: str) -> list[str]:
    return [fault.sentence for fault in start_faults(SKIPPED + output, "postgresql.conf", TEXT)]


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (
            'LOG:  invalid value for parameter "work_mem": "64 MiB"\nHINT:  Valid units are "B".\n' + CONTAINS,
            ['postgresql.conf, line 3: invalid value for parameter "work_mem": "64 MiB" (Valid units are "B")'],
        ),
        # With a prefix of the user's, and two at once.
        (
            '2026-11-26 04:46 GMT [29] LOG:  unrecognized configuration parameter "work_memm" in file '
            '"/etc/relevo/postgresql.conf" line 4\n'
            '2026-11-26 04:46 GMT [29] LOG:  invalid value for parameter "work_mem": "64 MiB"\n' + CONTAINS,
            [
                'postgresql.conf, line 4: unrecognized configuration parameter "work_memm"',
                'postgresql.conf, line 3: invalid value for parameter "work_mem": "64 MiB"',
            ],
        ),
        (
            'LOG:  syntax error in file "/etc/relevo/postgresql.conf" line 4, near token "here"\n' + CONTAINS,
            ['postgresql.conf, line 4: syntax error, near token "here"'],
        ),
        # Which line has no answer here: another file's, or a value that was computed.
        (
            'LOG:  invalid value for parameter "TimeZone": "Nowhere"\n' + CONTAINS,
            ['invalid value for parameter "TimeZone": "Nowhere"'],
        ),
        (
            'FATAL:  could not access file "pg_cron": No such file or directory\n',
            ['could not access file "pg_cron": No such file or directory'],
        ),
        ('postgres: "a" (200) must be less than "b" (100)\n', ['"a" (200) must be less than "b" (100)']),
        (
            'LOG:  could not open configuration file "/etc/relevo/x": No such file or directory\n' + CONTAINS,
            ['could not open configuration file "/etc/relevo/x": No such file or directory'],
        ),
        ("Killed\n", [f"{SKIPPED.strip()} Killed".replace("  ", " ")]),
    ],
)
def test_settings_are_refused_with_file_line_and_words(output: str, found: list[str]) -> None:
    assert said_of(output) == found


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (ENDS, []),
        # As PostgreSQL 15 says it.
        (ENDS.replace('"restore_command"', "restore_command"), []),
        # What cannot match is loaded all the same.
        (
            "LOG:  hostssl record cannot match because SSL is disabled\n"
            'CONTEXT:  line 2 of configuration file "/etc/relevo/pg_hba.conf"\n' + ENDS,
            [],
        ),
        (
            "LOG:  hostssl record cannot match because SSL is disabled\n"
            'CONTEXT:  line 15 of configuration file "/etc/relevo/pg_hba.conf"\n'
            'LOG:  invalid CIDR mask in address "10.0.0.0/33"\n'
            'CONTEXT:  line 16 of configuration file "/etc/relevo/pg_hba.conf"\n'
            "FATAL:  could not load /etc/relevo/pg_hba.conf\n",
            ['pg_hba.conf, line 16: invalid CIDR mask in address "10.0.0.0/33"'],
        ),
        # The server would start without its maps.
        (
            'LOG:  missing entry at end of line\nCONTEXT:  line 2 of configuration file "/etc/relevo/pg_ident.conf"\n'
            + ENDS,
            ["pg_ident.conf, line 2: missing entry at end of line"],
        ),
        # So it would without a library's setting.
        (
            'WARNING:  invalid value for parameter "pg_stat_statements.max": "x"\n' + ENDS,
            ['postgresql.conf, line 5: invalid value for parameter "pg_stat_statements.max": "x"'],
        ),
        (
            'WARNING:  invalid configuration parameter name "pg_stat_statements.mux", removing it\n'
            'DETAIL:  "pg_stat_statements" is now a reserved prefix.\n' + ENDS,
            [
                'invalid configuration parameter name "pg_stat_statements.mux", removing it '
                '("pg_stat_statements" is now a reserved prefix)'
            ],
        ),
        # It did not come as far as the rules.
        ("FATAL:  could not create semaphores: No space\n", ["could not create semaphores: No space"]),
        ("", [" ".join(SKIPPED.split())]),
    ],
)
def test_rules_and_maps_are_refused_with_file_line_and_words(output: str, found: list[str]) -> None:
    assert said_at_start(output) == found


@pytest.mark.parametrize(
    ("text", "libraries"),
    [
        ("shared_preload_libraries = 'pg_cron'\n", ""),
        ("session_preload_libraries = ''\n", ""),
        ("session_preload_libraries = 'auto_explain, x'\n", "auto_explain, x"),
        (
            "shared_preload_libraries = 'a'\nlocal_preload_libraries = 'b, \"$libdir/plugins/c\"'\n",
            'a, "$libdir/plugins/b", "$libdir/plugins/c"',
        ),
    ],
)
def test_the_libraries_that_sessions_load_are_tried_too(text: str, libraries: str) -> None:
    assert libraries_of(text) == libraries


def test_the_refusal_names_what_to_correct() -> None:
    sentence = refusal([Fault("bad", "postgresql.conf", 3), Fault("worse", "pg_hba.conf", 4)])
    assert "none of its files was replaced: postgresql.conf, line 3: bad; pg_hba.conf, line 4: worse." in sentence
    assert "Correct postgresql_hba and postgresql_parameters" in sentence
