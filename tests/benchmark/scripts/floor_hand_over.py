"""The barest hand-over, run inside the primary's container: prints its figures as JSON. Its argument is the standby."""

import json
import os
import signal
import struct
import sys
import time
from pathlib import Path

import psycopg

PGDATA = Path("/var/lib/postgresql/17/main")
SHUT_DOWN = 1
POLL = 0.002


def control() -> tuple[int, int]:
    """State and checkpoint of pg_control; see the product's _server/server.py."""
    state, checkpoint = struct.unpack("=16xi12xQ", (PGDATA / "global" / "pg_control").read_bytes()[:40])
    return int(state), int(checkpoint)


def value(connection: psycopg.Connection, sql: str) -> object:
    (row,) = connection.execute(sql).fetchall()
    return row[0]


def replayed(standby: psycopg.Connection) -> int:
    high, low = str(value(standby, "SELECT pg_last_wal_replay_lsn()")).split("/")
    return (int(high, 16) << 32) + int(low, 16)


standby = psycopg.connect(
    f"host={sys.argv[1]} user=relevo_handover dbname=relevo passfile=/etc/relevo/pgpass"
    " sslmode=verify-full sslrootcert=/etc/relevo/tls/ca.crt",
    autocommit=True,
)
# With the default of 5 s the promotion often waits as long, since the standby sleeps when its sender ends.
standby.execute("ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'")
standby.execute("SELECT pg_reload_conf()")
with psycopg.connect("host=/var/run/postgresql user=postgres dbname=postgres", autocommit=True) as primary:
    primary.execute("CHECKPOINT")
    primary.execute("CHECKPOINT")
postmaster = int((PGDATA / "postmaster.pid").read_text().split()[0])
# Else the service manager would start it again at once.
Path("/etc/service/postgresql/supervise/control").write_text("o")

started = time.monotonic()
os.kill(postmaster, signal.SIGINT)
while control()[0] != SHUT_DOWN:
    time.sleep(POLL)
stopped = time.monotonic()
end = control()[1]
while replayed(standby) <= end:
    time.sleep(POLL)
caught_up = time.monotonic()
standby.execute("SELECT pg_promote(false)")
while value(standby, "SELECT pg_is_in_recovery()"):
    time.sleep(POLL)
ended = time.monotonic()
standby.execute("ALTER SYSTEM RESET wal_retrieve_retry_interval")
standby.execute("SELECT pg_reload_conf()")
print(
    json.dumps(
        {
            "window": ended - started,
            "stop": stopped - started,
            "replay": caught_up - stopped,
            "promotion": ended - caught_up,
        }
    )
)
