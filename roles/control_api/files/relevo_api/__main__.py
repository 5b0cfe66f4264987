# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m relevo_api``: serve, and make and revoke tokens."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from pathlib import Path

from .settings import Settings
from .tokens import SCOPES, TokenError, Tokens

SETTINGS = "RELEVO_API_SETTINGS"


def serve(settings: Settings, path: Path) -> int:
    """Until a signal ends it. Its jobs go on."""
    import uvicorn

    from .app import make_app

    uvicorn.run(
        make_app(settings, path),
        host=settings.listen,
        port=settings.port,
        # Nobody's word for where a request came from is taken.
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
        ssl_ca_certs=settings.tls_client_authority or None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_authority else ssl.CERT_NONE,
        limit_concurrency=settings.limits.connections,
        timeout_keep_alive=15,
        # Streams of events end with their job only.
        timeout_graceful_shutdown=3,
        access_log=False,
        log_level="warning",
    )
    return 0


def token(settings: Settings, arguments: argparse.Namespace) -> int:
    tokens = Tokens(settings.tokens_file)
    try:
        if arguments.action == "make":
            word = tokens.make(arguments.name, arguments.scope)
            print("This is shown once, and stored nowhere:", file=sys.stderr)
            print(word)
        elif arguments.action == "revoke":
            tokens.revoke(arguments.name)
            print(f"{arguments.name} is revoked.")
        else:
            for one in tokens.all():
                print(f"{one.name:<20} {one.scope:<8} {one.made}")
    except TokenError as error:
        print(f"relevo-api: {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="relevo-api", description="The control API of relevo.postgres.")
    top.add_argument("--settings", default=os.environ.get(SETTINGS), help=f"settings.json; or the variable {SETTINGS}")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until a signal comes")
    tokens = commands.add_parser("token", help="make, revoke and list tokens; nothing is restarted")
    actions = tokens.add_subparsers(dest="action", required=True)
    make = actions.add_parser("make", help="make a token, or give one that exists a new word")
    make.add_argument("name")
    make.add_argument("--scope", choices=SCOPES, default="read", help="each contains those before it")
    revoke = actions.add_parser("revoke", help="revoke a token")
    revoke.add_argument("name")
    actions.add_parser("list", help="names and scopes")
    return top


def main() -> int:
    arguments = parser().parse_args()
    if not arguments.settings:
        print(f"relevo-api: give --settings, or set {SETTINGS}", file=sys.stderr)
        return 2
    path = Path(arguments.settings).resolve()
    settings = Settings.read(path)
    return serve(settings, path) if arguments.command == "serve" else token(settings, arguments)


if __name__ == "__main__":
    sys.exit(main())
