# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service is told: one JSON file, which the role ``control_api`` writes. It holds no secret."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """A name that is not known is a fault, never something that is silently without effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(Strict):
    """How the watcher reaches a server; ``address`` is where, ``host`` the name in its certificate."""

    name: str
    host: str
    address: str
    port: int


class Cluster(Strict):
    name: str
    preferred: str = ""
    nodes: list[Node]


class Runner(Strict):
    """The playbooks are run on this machine, by ansible-runner."""

    kind: Literal["runner"] = "runner"
    ansible_playbook: Path
    inventory: list[str]
    ansible_config: str = ""
    collections_path: str = ""


#: Of the restore that replaces the cluster's data: not the template of that beside, so that AWX can keep it for others.
IN_PLACE = "restore_in_place"
#: Names of the job templates that awx.yml makes, by playbook. A hand-over may have to take the role from a primary that
#: hangs, so it is the template that asks for all of it.
AWX_TEMPLATES = {
    "status": "Relevo status",
    "catalog": "Relevo catalog",
    "catalog_check": "Relevo catalog check",
    "backup": "Relevo backup",
    "failover": "Relevo failover forced",
    "failback": "Relevo failback",
    "rejoin": "Relevo rejoin",
    "cleanup": "Relevo cleanup",
    "restore": "Relevo restore beside",
    IN_PLACE: "Relevo restore in place",
    "drill": "Relevo drill",
}


class Awx(Strict):
    """The playbooks are job templates of an AWX: those of awx.yml, but for the names that ``templates`` gives."""

    kind: Literal["awx"] = "awx"
    url: str
    token_file: Path
    authority: str = ""
    templates: dict[str, str] = {}
    organization: str = "Default"
    poll_s: float = 1

    def template(self, key: str) -> str:
        """What AWX takes for the template of a ``template_key``: a name alone is not unique there."""
        return self.templates.get(key) or f"{AWX_TEMPLATES[key]}++{self.organization}"


def template_key(playbook: str, variables: Mapping[str, Any]) -> str:
    """By which name ``AWX_TEMPLATES`` and control_api_awx_templates have what runs a playbook with these variables."""
    if playbook == "restore.yml" and variables.get("to") == "cluster":
        return IN_PLACE
    return playbook.removesuffix(".yml")


class Limits(Strict):
    """Bytes, seconds, and requests per second of one address with a reserve of ``burst``."""

    body_bytes: int = 65536
    body_s: float = 10
    rate: float = 20
    burst: int = 100
    refusals: int = 20
    connections: int = 1000


class Settings(Strict):
    listen: str = "127.0.0.1"
    port: int = 8088
    state_directory: Path
    playbooks: Path
    project_directory: Path
    secrets_directory: str = ""
    backend: Runner | Awx = Field(discriminator="kind")
    clusters: list[Cluster]
    watcher: list[str] = []
    open_legacy: bool = False
    allowed_hosts: list[str] = ["127.0.0.1", "localhost", "::1"]
    health_from: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    ]
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_authority: str = ""
    status_s: float = 10
    fresh_s: float = 3
    check_s: float = 300
    admission_s: float = 15
    keep_jobs: int = 500
    limits: Limits = Limits()

    @classmethod
    def read(cls, path: Path) -> Settings:
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    def find_cluster(self, name: str) -> Cluster | None:
        return next((one for one in self.clusters if one.name == name), None)

    @property
    def url(self) -> str:
        """Where this machine reaches the service, under a name that it answers to."""
        name = next(iter(self.allowed_hosts), self.listen)
        host = f"[{name}]" if ":" in name else name
        return f"http{'s' if self.tls_certificate else ''}://{host}:{self.port}"

    @property
    def given_secrets_file(self) -> Path:
        """A JSON list of the secrets that are variables and no files, which nothing shown may hold."""
        return self.state_directory / "secrets_given.json"

    @property
    def tokens_file(self) -> Path:
        return self.state_directory / "tokens.json"

    @property
    def audit_file(self) -> Path:
        return self.state_directory / "audit.log"
