# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that container nodes are there: decided from what the engine has, without touching it."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from .. import _names
from .._errors import RelevoError

LABEL_MANAGED = "relevo.managed"
LABEL_CLUSTER = "relevo.cluster"
LABEL_CONFIG = "relevo.config"

Action = Literal["none", "start", "create", "recreate"]

#: The port that can be published, by kind of node.
PORTS = {
    "postgres": _names.PORT,
    "pgbackrest": _names.PGBACKREST_PORT,
    "redis": _names.REDIS_PORT,
    "haproxy": _names.PROXY_PORT,
}
#: HAProxy's second one, for the standbys.
READ_ONLY_PORT = _names.PROXY_READ_ONLY_PORT
CONFIG_PATH = str(_names.CONFIG_DIR)
#: The type of a second repository that is a directory of its host.
SECOND_DIRECTORY = "posix"
#: The kinds of node whose image has the server's programs: on the repository host backups are restored beside the
#: cluster.
WITH_PROGRAMS = ("postgres", "pgbackrest")


@dataclass(frozen=True)
class Wanted:
    """A node of the inventory."""

    name: str
    kind: str
    cluster: str
    published_port: int | None = None
    #: The major version of PostgreSQL whose programs it has, of a node of one of ``WITH_PROGRAMS``.
    version: str = ""
    #: What it listens on; that of its kind when not given.
    port: int | None = None
    #: Any word: with another one its image is built anew, with the packages that the sources have then.
    packages_as_of: str = ""
    #: Of HAProxy, a second pair of ports: as people reach it, and what it listens on.
    published_read_only_port: int | None = None
    read_only_port: int | None = None
    #: Of a repository host, the directory that is to be its second repository.
    second_directory: str = ""

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Wanted:
        version = given.get("version") if given["kind"] in WITH_PROGRAMS else ""
        ports = given.get("ports") or {}
        port, read_only = ports.get(given["kind"]), ports.get(f"{given['kind']}_read_only")
        return cls(
            given["name"],
            given["kind"],
            given["cluster"],
            given.get("published_port"),
            version or "",
            int(port) if port else None,
            str(given.get("packages_as_of") or ""),
            given.get("published_read_only_port") if given["kind"] == "haproxy" else None,
            int(read_only) if read_only else None,
            _directory(given.get("second_repository") or {}) if given["kind"] == "pgbackrest" else "",
        )

    def build_arguments(self) -> dict[str, str]:
        """What its image is built with, beside the base image."""
        # The usual word adds nothing: images that were built before there was one are not to be built anew.
        packages = {"PACKAGES_AS_OF": self.packages_as_of} if self.packages_as_of else {}
        if self.kind not in WITH_PROGRAMS:
            return packages
        if not self.version:
            raise RelevoError(f"No version of PostgreSQL is given for {self.name}. Give nodes[].version.")
        return packages | {"POSTGRESQL_VERSION": self.version}

    def volumes(self) -> dict[str, str]:
        """Its volumes and where they are mounted."""
        data = _names.VOLUMES.get(self.kind)
        usual = ({f"{self.name}_data": str(data)} if data else {}) | {f"{self.name}_etc": CONFIG_PATH}
        second = PurePosixPath(self.second_directory)
        # One that lies on a volume needs none, and one that a volume lies in is refused for what it is (``second``).
        if not second.is_absolute() or any(
            second.is_relative_to(path) or PurePosixPath(path).is_relative_to(second) for path in usual.values()
        ):
            return usual
        return usual | {self.second_volume: str(second)}

    @property
    def second_volume(self) -> str:
        """The volume of its second repository, if it has one."""
        return f"{self.name}_second"

    def keeps(self, path: Path) -> bool:
        """Whether a directory is on one of its volumes, which outlive its container."""
        return any(path.is_relative_to(mounted) for mounted in self.volumes().values())

    def mounts(self) -> list[str]:
        """Its volumes as Docker takes them."""
        return [f"{volume}:{path}" for volume, path in self.volumes().items()]

    def published_ports(self, address: str) -> list[str]:
        """Its published port as Docker takes it; none when it has none."""
        pairs = (
            (self.published_port, self.port or PORTS[self.kind]),
            (self.published_read_only_port, self.read_only_port or READ_ONLY_PORT),
        )
        return [f"{_names.with_port(address, outside)}:{inside}" for outside, inside in pairs if outside]

    def leavings(self) -> list[str]:
        """The volumes that it may have had, whatever the inventory says now."""
        return list(dict.fromkeys([*self.volumes(), *([self.second_volume] if self.kind == "pgbackrest" else [])]))

    @property
    def claims(self) -> list[int]:
        """The ports of the engine's host that it wants."""
        return [port for port in (self.published_port, self.published_read_only_port) if port is not None]


def _directory(given: Mapping[str, Any]) -> str:
    """The directory of a second repository, from the ``type``, ``path`` and ``mount`` given; empty if it is of no host.

    Raises ``RelevoError`` where no container can have it.
    """
    path, mount = (str(given.get(name) or "") for name in ("path", "mount"))
    if given.get("type") != SECOND_DIRECTORY or not path:
        return ""
    if ":" in path:
        raise RelevoError(
            f"pgbackrest_repo2_path={path} has a colon, with which Docker mounts no volume. Nothing was touched. Give "
            "a directory without one."
        )
    directory = posixpath.normpath(path)
    if mount and posixpath.normpath(mount) != directory:
        raise RelevoError(
            f"pgbackrest_repo2_mount={mount} is for machines: in a container only a volume is mounted, at "
            f"pgbackrest_repo2_path={path}. Nothing was touched. Leave it out; docs/reference/backups.md (In a "
            "container) says how the volume gets on a disk of its own."
        )
    return directory


@dataclass(frozen=True)
class Publication:
    """A port of the engine's host that a container holds."""

    container: str
    address: str
    port: int

    def collides(self, address: str, port: int) -> bool:
        everywhere = {"", "0.0.0.0", "::"}
        return self.port == port and (self.address == address or bool({self.address, address} & everywhere))


@dataclass
class Container:
    """A container that the engine has."""

    name: str
    status: str
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()

    def owned_by(self, cluster: str) -> bool:
        return self.labels.get(LABEL_MANAGED) == "true" and self.labels.get(LABEL_CLUSTER) == cluster


@dataclass
class Engine:
    """What an engine has."""

    containers: dict[str, Container] = field(default_factory=dict)
    publications: list[Publication] = field(default_factory=list)
    volumes: dict[str, Mapping[str, str]] = field(default_factory=dict)
    networks: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def from_api(
        cls,
        containers: Iterable[Mapping[str, Any]],
        volumes: Iterable[Mapping[str, Any]],
        networks: Iterable[Mapping[str, Any]],
    ) -> Engine:
        """Read the answers of ``GET /containers/json?all=1``, ``/volumes`` and ``/networks``."""
        engine = cls(
            volumes={one["Name"]: one.get("Labels") or {} for one in volumes},
            networks={one["Name"]: one.get("Labels") or {} for one in networks},
        )
        for one in containers:
            name = str(one["Names"][0]).lstrip("/")
            mounts = frozenset(str(mount["Name"]) for mount in one.get("Mounts") or [] if mount.get("Name"))
            joined = frozenset(str(key) for key in (one.get("NetworkSettings") or {}).get("Networks") or {})
            engine.containers[name] = Container(name, str(one["State"]), one.get("Labels") or {}, mounts, joined)
            engine.publications += [
                Publication(name, str(port.get("IP") or ""), int(port["PublicPort"]))
                for port in one.get("Ports") or []
                if port.get("PublicPort") and port.get("Type", "tcp") == "tcp"
            ]
        return engine

    def holder(self, address: str, port: int) -> str | None:
        """The container that holds a port of the host."""
        for one in self.publications:
            if one.collides(address, port):
                return one.container
        return None


@dataclass(frozen=True)
class Settings:
    """What the user decided for all container nodes."""

    network: str
    address: str
    adopt: bool
    recreate: bool
    #: Everything else that a container is made with, for its fingerprint.
    options: Mapping[str, Any]


@dataclass
class Plan:
    """What to do for one node; ``pending`` says what a running container lacks that only a new one would have."""

    name: str
    image: str
    fingerprint: str
    action: Action
    fenced: bool = False
    pending: str = ""
    missing_volumes: list[str] = field(default_factory=list)
    mounts: list[str] = field(default_factory=list)
    published_ports: list[str] = field(default_factory=list)


def image_tag(kind: str, context: Path, base: str, arguments: Mapping[str, str] | None = None) -> str:
    """The image of a kind of node, named after all that goes into it; ``arguments`` are those of the build."""
    digest = hashlib.sha256(base.encode())
    for argument, value in (arguments or {}).items():
        digest.update(f"\0{argument}={value}\0".encode())
    for path in sorted(one for one in context.rglob("*") if one.is_file()):
        digest.update(f"\0{path.relative_to(context)}\0".encode())
        digest.update(path.read_bytes())
    return f"relevo/node-{kind}:{digest.hexdigest()[:12]}"


def fingerprint(node: Wanted, image: str, settings: Settings) -> str:
    """A digest of everything that the node's container is made with."""
    parts = [image, node.cluster, node.published_port, node.volumes(), settings.network, settings.address]
    # The usual port adds nothing: containers that were made before it could be another one are not to be replaced.
    if node.published_port and node.port not in (None, PORTS[node.kind]):
        parts.append(node.port)
    if node.published_read_only_port:
        parts += [node.published_read_only_port, node.read_only_port]
    text = json.dumps([*parts, settings.options], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _foreign(node: Wanted, engine: Engine, volumes: Iterable[str]) -> list[str]:
    """The objects with this node's names that are not ours."""
    found = []
    container = engine.containers.get(node.name)
    ours = container is not None and container.owned_by(node.cluster)
    if container is not None and not ours:
        found.append(f"container {node.name}")
    for volume in volumes:
        labels = engine.volumes.get(volume)
        if labels is None or (labels.get(LABEL_MANAGED) == "true" and labels.get(LABEL_CLUSTER) == node.cluster):
            continue
        # An adopted volume cannot get our label; that our container uses it is as good.
        if not (ours and container is not None and volume in container.volumes):
            found.append(f"volume {volume}")
    return found


def refuse_foreign(nodes: Iterable[Wanted], engine: Engine, settings: Settings) -> None:
    """Fail, naming them, when there are objects of our names that we did not make."""
    if settings.adopt:
        return
    found = [one for node in nodes for one in _foreign(node, engine, node.volumes())]
    network = engine.networks.get(settings.network)
    if network is not None and network.get(LABEL_MANAGED) != "true":
        found.append(f"network {settings.network}")
    if found:
        raise RelevoError(
            f"Relevo did not make these on this Docker engine and will not touch them: {', '.join(found)}. Remove or "
            "rename them, or take them over: volumes and network are used as they are, containers are replaced "
            "(docker_nodes_adopt=true, or make up ADOPT=yes).",
            foreign=found,
        )


def _action(node: Wanted, engine: Engine, wanted: str, fenced: bool, settings: Settings) -> tuple[Action, str]:
    container = engine.containers.get(node.name)
    if container is None:
        return "create", ""
    if not container.owned_by(node.cluster):
        return "recreate", ""
    if container.status == "paused":
        fenced_by = ". If it was the primary: failover.yml fences it" if node.kind == "postgres" else ""
        raise RelevoError(
            f"The container {node.name} is paused, so nothing can be said about the node. Run docker unpause "
            f"{node.name}, then run this again{fenced_by}."
        )
    differs = container.labels.get(LABEL_CONFIG) != wanted
    how = "by upgrade_minor.yml, one node after the other, or with docker_nodes_recreate=true, all at once"
    when = f"{'after rejoin.yml, ' if fenced else ''}{how}"
    pending = f"The container of {node.name} was made with other settings or an older image. It is replaced {when}."
    if fenced:
        return "none", pending if differs else ""
    if differs and settings.recreate:
        return "recreate", ""
    return ("none" if container.status in ("running", "restarting") else "start"), pending if differs else ""


def plan(
    nodes: list[Wanted], images: Mapping[str, str], engine: Engine, settings: Settings, is_fenced: Callable[[str], bool]
) -> list[Plan]:
    """Decide for every node, of which ``images`` has the image; ``is_fenced`` looks for the marker on its volume."""
    refuse_foreign(nodes, engine, settings)
    plans = []
    for node in nodes:
        container = engine.containers.get(node.name)
        down = container is not None and container.owned_by(node.cluster) and container.status in ("exited", "created")
        fenced = node.kind == "postgres" and down and is_fenced(node.name)
        image = images[node.name]
        wanted = fingerprint(node, image, settings)
        action, pending = _action(node, engine, wanted, fenced, settings)
        missing = [volume for volume in node.volumes() if volume not in engine.volumes]
        ports = node.published_ports(settings.address)
        plans.append(Plan(node.name, image, wanted, action, fenced, pending, missing, node.mounts(), ports))
    return plans


def refuse_other_versions(nodes: Iterable[Wanted], engine: Engine, version_of: Callable[[str], str]) -> None:
    """Fail when a container of ours was made for another major version: its data are of that one.

    ``version_of`` asks a container that is there.
    """
    wrong = []
    for node in nodes:
        container = engine.containers.get(node.name)
        # A repository host has no data of a server.
        if node.kind == "postgres" and container is not None and container.owned_by(node.cluster):
            found = version_of(node.name)
            if found != node.version:
                wrong.append(f"{node.name} was made for PostgreSQL {found}, but postgresql_version is {node.version}")
    if wrong:
        raise RelevoError(
            f"{'; '.join(wrong)}. site.yml makes no major upgrade: set postgresql_version to what is there. "
            "Nothing was touched.",
            versions=wrong,
        )


def refuse_removed(
    nodes: Iterable[Wanted], engine: Engine, removed: Callable[[str], str], readmitted: Iterable[str] = ()
) -> None:
    """Fail when a node that was removed from its cluster would be started: it would come back half-way.

    ``removed`` says of a container that is down that its node was removed, or nothing. ``readmitted`` are added again.
    """
    for node in nodes:
        container = engine.containers.get(node.name)
        down = container is not None and container.owned_by(node.cluster) and container.status in ("exited", "created")
        if node.kind == "postgres" and down and node.name not in readmitted and (why := removed(node.name)):
            raise RelevoError(f"{why} Nothing was touched.", removed=node.name)


def refuse_unkept_second(nodes: Sequence[Wanted], plans: Sequence[Plan], engine: Engine) -> None:
    """Fail when a container stays that has no volume for the second repository: it would go with the container."""
    for node, decided in zip(nodes, plans, strict=True):
        container = engine.containers.get(node.name)
        if (
            container is not None
            and decided.action in ("none", "start")
            and node.second_volume in node.volumes()
            and node.second_volume not in container.volumes
        ):
            raise RelevoError(
                f"The container of {node.name} has no volume for pgbackrest_repo2_path={node.second_directory}, and "
                "what is put there would be lost with it. Nothing was touched. A new container gets one, and keeps "
                "what is on the others. It is replaced by upgrade_minor.yml, or with -e docker_nodes_recreate=true, "
                "each together with all that wait for a new one. Run this again then."
            )


@dataclass(frozen=True)
class ScratchInstance:
    """What was restored beside a cluster, in a container; ``cluster``: whose data it has."""

    name: str
    cluster: str


def refuse_lost_scratch(
    nodes: Sequence[Wanted], plans: Sequence[Plan], instance_in: Callable[[Wanted], ScratchInstance | None]
) -> None:
    """Fail when a container would be replaced that has a scratch instance in its own layer, which goes with it.

    ``instance_in`` looks for one that is on none of the node's volumes.
    """
    for node, decided in zip(nodes, plans, strict=True):
        if decided.action == "recreate" and node.kind in WITH_PROGRAMS and (one := instance_in(node)):
            raise RelevoError(
                f"The scratch instance {one.name} of {one.cluster} is in the container of {node.name}, and would be "
                "lost with it. Nothing was touched. Take out of it what you need, then remove it: restore.yml -e "
                f"cluster={one.cluster} -e remove={one.name} -e restore_host={node.name}. Or lose it, and any other "
                "there: -e docker_nodes_lose_scratch=true.",
                scratch=one.name,
            )


def refuse_taken_ports(
    nodes: list[Wanted], plans: list[Plan], engine: Engine, settings: Settings, is_bound: Callable[[str, int], bool]
) -> None:
    """Fail, naming ports and holders, when a node that is to be started cannot get its port.

    ``is_bound`` tells whether some process of the host holds a port. A port that the node's own container holds,
    running or about to be replaced, is not taken.
    """
    taken = []
    claimed: dict[int, str] = {}
    for node, decided in zip(nodes, plans, strict=True):
        for port in node.claims:
            first = claimed.setdefault(port, node.name)
            if first != node.name:
                taken.append(f"port {port} of {node.name} is also that of {first}")
                continue
            if decided.action == "none":
                continue
            holder = engine.holder(settings.address, port)
            if holder == node.name:
                continue
            if holder is not None:
                taken.append(f"port {port} of {node.name} is taken by the container {holder}")
            elif is_bound(settings.address, port):
                taken.append(f"port {port} of {node.name} is taken by another process of this machine")
    if taken:
        raise RelevoError(
            f"A node cannot be published on {settings.address}: {'; '.join(taken)}. Stop what holds the port, or give "
            "the node another node_published_port in the inventory.",
            taken=taken,
        )


def refused_apart(
    nodes: Sequence[Wanted], needed: Mapping[str, Collection[str]], judge: Callable[[list[Wanted]], object]
) -> dict[str, str]:
    """Why ``judge`` refuses the nodes of each cluster, looked at by itself; nothing of those that it takes.

    ``needed``: by cluster the nodes that it needs, also those that serve others.
    """
    found = {}
    for cluster, names in needed.items():
        try:
            judge([node for node in nodes if node.name in names])
        except RelevoError as error:
            found[cluster] = error.message
    return found


@dataclass
class Removal:
    """What of the nodes can be removed; everything else stays."""

    containers: list[str]
    volumes: dict[str, list[str]]
    network: bool


def removal(nodes: list[Wanted], engine: Engine, network: str) -> Removal:
    """Find the objects that are ours; the network only when nobody else is on it."""
    containers = []
    volumes: dict[str, list[str]] = {}
    for node in nodes:
        foreign = _foreign(node, engine, node.leavings())
        if node.name in engine.containers and f"container {node.name}" not in foreign:
            containers.append(node.name)
        volumes[node.name] = [
            one for one in node.leavings() if one in engine.volumes and f"volume {one}" not in foreign
        ]
    ours = engine.networks.get(network, {}).get(LABEL_MANAGED) == "true"
    others = [one.name for one in engine.containers.values() if network in one.networks and one.name not in containers]
    return Removal(containers, volumes, ours and not others)
