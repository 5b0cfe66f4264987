"""What a cluster costs: several small ones with one repository host and one Redis, and all playbooks over all of them.

Import it only where ``systems.relevo`` may be imported, which names the tests' cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

# First: it names the tests' cluster, whose driver reads that name when it is imported.
import systems.relevo  # noqa: F401 # isort: skip
import cluster  # isort: skip
from bench import sampler
from bench.rounds import say
from bench.targets import Row
from systems.base import PREFIX, BenchmarkError, docker, in_node

NAME, REDIS_PORT = f"{PREFIX}_scale", 25552
#: A first site.yml that takes longer is given up, and with it all that would come after it.
PLAY_SECONDS = 1500
#: As small as servers that do their work can be: what is measured is what each costs us.
SETTINGS = {
    "shared_buffers": "16MB",
    "max_wal_size": "64MB",
    "min_wal_size": "32MB",
    "wal_keep_size": "0",
    "max_connections": 30,
}
#: The one that makes the repository host.
MAKES = "site.yml, first"
#: In this order. A first site.yml makes everything, a second one finds nothing to do.
PLAYS: Mapping[str, Sequence[str]] = {
    MAKES: ("site.yml",),
    "site.yml, second": ("site.yml",),
    "backup.yml": ("backup.yml", "-e", "day=1"),
    "status.yml": ("playbooks/status.yml",),
    "catalog.yml": ("playbooks/catalog.yml",),
}
ALL_KEYS = """
local sum = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
  sum = sum + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
end
return sum
"""
#: Of so many clusters, one is broken for a backup.
BROKEN_AMONG = 4


@dataclass(frozen=True)
class Clusters:
    """So many clusters of a primary and a standby. Every name begins with that of their network."""

    number: int

    @property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """The servers by cluster, the preferred primary first."""
        names = [f"c{one:02}" for one in range(1, self.number + 1)]
        return {name: (f"{NAME}_{name}_1", f"{NAME}_{name}_2") for name in names}

    @property
    def repository(self) -> str:
        return f"{NAME}_pgbackrest"

    @property
    def redis(self) -> str:
        return f"{NAME}_redis"

    @property
    def folder(self) -> Path:
        """What holds the inventory, and beside it the secrets."""
        return Path(cluster.ROOT) / ".cache" / "clusters" / NAME

    def inventory(self) -> dict[str, Any]:
        """No port of a server is published: so many would be in somebody's way."""
        shared = yaml.safe_load((Path(cluster.ROOT) / "molecule" / "inventory.yml").read_text())["all"]["vars"]
        servers = {
            node: {"node_cluster": name, "node_preferred_primary": node == nodes[0]}
            for name, nodes in self.pairs.items()
            for node in nodes
        }
        redis = {self.redis: {"node_published_port": REDIS_PORT}}
        groups: dict[str, dict[str, Any]] = {"postgres": servers, "pgbackrest": {self.repository: {}}, "redis": redis}
        variables = shared | {
            "docker_nodes_network": NAME,
            "postgresql_seed_files": [],
            "postgresql_databases": [],
            "postgresql_users": [],
            "postgresql_parameters": SETTINGS,
        }
        return {"all": {"children": {name: {"hosts": hosts} for name, hosts in groups.items()}, "vars": variables}}

    def write_inventory(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "inventory.yml"
        path.write_text(yaml.safe_dump(self.inventory(), sort_keys=False))
        return path

    def play(self, name: str, *arguments: str, expect: int = 0) -> sampler.Ran:
        """Run a playbook over all of them."""
        command = cluster.command_line(name, *arguments, inventory=self.folder / "inventory.yml")
        ran = sampler.run(command, Path(cluster.ROOT), cluster.controller_environment(), PLAY_SECONDS)
        if ran.code != expect:
            raise BenchmarkError(f"{name} over {self.number} clusters ended with {ran.code}: {ran.output[-1500:]}")
        return ran

    def down(self) -> None:
        """Remove them, and what is left of a run before them that had more."""
        self.write_inventory()
        self.play("playbooks/down.yml", "-e", f"cluster={','.join(self.pairs)}", "-e", "down_data=true")

    # --- look ------------------------------------------------------------------------------------------------------

    def ask_redis(self, *words: str) -> str:
        password = (self.folder / ".secrets" / "redis").read_text().strip()
        return docker("exec", "-e", f"REDISCLI_AUTH={password}", self.redis, "redis-cli", "--raw", *words).strip()

    def redis_bytes(self) -> int:
        """What all keys take: the server's own memory grows by more, and in steps."""
        return int(self.ask_redis("eval", ALL_KEYS, "0"))

    def stanzas(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(in_node(self.repository, "pgbackrest", "--output=json", "info"))
        return found

    def repository_bytes(self) -> int:
        """Backups and WAL of all of them."""
        return int(in_node(self.repository, "du", "-sb", "/var/lib/pgbackrest").split()[0])


def changed(output: str) -> int:
    return sum(int(row[2]) for row in cluster.RECAP.findall(output))


def measured(clusters: Clusters, command: Sequence[str], there: bool) -> tuple[sampler.Ran, int]:
    """Run a playbook; the most memory of the repository host meanwhile, where it is ``there`` from the start."""
    if not there:
        return clusters.play(*command), 0
    with sampler.peak(lambda: sampler.memory_of_node(clusters.repository), sampler.SECONDS_IN_NODE) as memory:
        ran = clusters.play(*command)
    return ran, memory[0]


def as_small_as_meant(clusters: Clusters) -> None:
    """A variable of the inventory that no role knows would go by unseen, and the page would tell of other servers."""
    for name, wanted in SETTINGS.items():
        node = next(iter(clusters.pairs.values()))[0]
        found = in_node(node, "psql", "-XAtc", f"SHOW {name}").strip()
        if found != str(wanted):
            raise BenchmarkError(f"{name} of {node} is {found} in place of {wanted}.")


def measure_plays(clusters: Clusters) -> Iterator[Row]:
    for title, command in PLAYS.items():
        ran, memory = measured(clusters, command, there=title != MAKES)
        if title == MAKES:
            as_small_as_meant(clusters)
        row = {
            "clusters": clusters.number,
            "play": title,
            "seconds": round(ran.seconds, 1),
            "processor": round(ran.processor, 1),
            "memory": ran.memory,
            "repository_memory": memory,
            "changed": changed(ran.output),
        }
        say(f"{clusters.number} clusters, {title}: {ran.seconds:.1f} s, {ran.processor:.1f} s of processor, "
            f"{ran.memory / (1 << 20):.0f} MB, {row['changed']} changed")  # fmt: skip
        yield row
        if title == "site.yml, second" and row["changed"]:
            did = ", ".join(ran.changes())
            raise BenchmarkError(f"A second site.yml over {clusters.number} clusters changed something: {did}.")


def measure_stores(clusters: Clusters) -> Row:
    """What the backups of all of them take."""
    backups = [backup for stanza in clusters.stanzas() for backup in stanza["backup"]]
    return {
        "clusters": clusters.number,
        "backups": len(backups),
        "repository_bytes": clusters.repository_bytes(),
        "database_bytes": sum(backup["info"]["size"] for backup in backups),
        "backup_bytes": sum(backup["info"]["repository"]["delta"] for backup in backups),
        "backup_seconds": [backup["timestamp"]["stop"] - backup["timestamp"]["start"] for backup in backups],
        "redis_bytes_per_record": round(clusters.redis_bytes() / len(backups)) if backups else None,
    }


def measure_broken(clusters: Clusters) -> Row:
    """A backup of all, where one has no server that answers."""
    broken = list(clusters.pairs)[1]
    docker("stop", *clusters.pairs[broken])
    before = {stanza["name"]: len(stanza["backup"]) for stanza in clusters.stanzas()}
    ran = clusters.play("backup.yml", "-e", "day=2", expect=2)
    after = {stanza["name"]: len(stanza["backup"]) for stanza in clusters.stanzas()}
    said = " ".join(ran.output.partition("PLAY RECAP")[0].split())
    return {
        "clusters": clusters.number,
        "broken": broken,
        "seconds": round(ran.seconds, 1),
        "backed_up": sorted(name for name in after if after[name] > before[name]),
        "said": said[said.rindex("Not backed up: ") :] if "Not backed up: " in said else "",
    }


def measure(numbers: Sequence[int]) -> dict[str, Any]:
    """Make so many clusters, measure all plays, remove them; and again for the next number."""
    plays: list[Row] = []
    stores: list[Row] = []
    broken: list[Row] = []
    for number in numbers:
        clusters = Clusters(number)
        clusters.down()
        try:
            plays += measure_plays(clusters)
            stores.append(measure_stores(clusters))
            if number == BROKEN_AMONG:
                broken.append(measure_broken(clusters))
        finally:
            clusters.down()
    return {"plays": plays, "stores": stores, "broken": broken}
