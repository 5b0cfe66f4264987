# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether backups can be trusted: measurements, the limits that they must keep, and what to do where one does not.

Text, JSON and the metrics are views of one ``Report``. docs/reference/metrics.md lists the names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from .. import _names
from .._authority import Authority
from .._drill_note import last_drill
from .._errors import RelevoError
from .._recovery_window import of_newest_system
from .._tables import format_bytes, format_duration, plural
from .records import TYPES

VERSION = 1
DAY = 86400.0
#: A segment of WAL: less than that is not archived before the segment is full, or ``archive_timeout`` is over.
SEGMENT = 16 * 2**20


@dataclass(frozen=True)
class Limits:
    """Seconds, numbers, or days of a certificate; 0 means that it is not looked at.

    ``repo2_``: of a second repository, whose cycle may be another one; None: as of the first.
    """

    backup_age: float = 26 * 3600
    full_age: float = 8 * DAY
    archive_lag: float = 900
    records_missing: int = 0
    records_orphaned: int = 0
    drill_age: float = 8 * DAY
    drill_required: bool = False
    rto: float = 0
    rpo: float = 0
    certificate_days: float = 14
    repo2_backup_age: float | None = None
    repo2_full_age: float | None = None

    def of(self, repository: int) -> Limits:
        """Those that the backups of a repository must keep."""
        if repository == _names.FIRST_REPOSITORY:
            return self
        backup, full = self.repo2_backup_age, self.repo2_full_age
        return replace(
            self,
            backup_age=self.backup_age if backup is None else backup,
            full_age=self.full_age if full is None else full,
        )


def limits_of(given: Mapping[str, Any]) -> Limits:
    """Limits from variables, whatever type Ansible has given them; raises ``RelevoError`` for what they cannot be."""
    values: dict[str, Any] = {}
    for one in fields(Limits):
        if one.name in given:
            value = given[one.name]
            converted, kind = (boolean, "boolean") if one.name == "drill_required" else (float, "number")
            try:
                values[one.name] = converted(value)
            except (TypeError, ValueError):
                raise RelevoError(f"The limit {one.name} is '{value}', which is not a {kind}.") from None
    return Limits(**values)


@dataclass(frozen=True)
class Check:
    """``message``: what was found, and what to do where ``ok`` is false.

    ``repository``: the number of the one that it is about, where that is not the first.
    """

    code: str
    ok: bool
    message: str
    repository: int | None = None


@dataclass(frozen=True)
class Metric:
    """``labels`` beside the cluster; ``value`` None is not shown."""

    name: str
    value: float | None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What was found of one cluster at a moment."""

    cluster: str
    at: str
    checks: list[Check]
    metrics: list[Metric]

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if not check.ok]

    def as_dict(self) -> dict[str, Any]:
        return {"version": VERSION, "trusted": not self.failed, **asdict(self)}

    @property
    def text(self) -> str:
        head = f"Backups of {self.cluster}: " + ("can be trusted." if not self.failed else "NEED ATTENTION.")
        well = [check for check in self.checks if check.ok]
        ordered = [*self.failed, *(check for check in well if check.repository is None)]
        lines = [f"{' ' if check.ok else '!'} {check.code}: {check.message}" for check in ordered]
        # What is well of another repository is one line, not all of them once more.
        for number in dict.fromkeys(check.repository for check in well if check.repository is not None):
            codes = ", ".join(check.code for check in well if check.repository == number)
            lines.append(f"  repository {number}: {codes}: within their limits there, too.")
        return "\n".join([head, *lines])


# --- what the repository host tells ------------------------------------------------------------------------------


def measure(
    entry: Mapping[str, Any],
    reach: Mapping[str, Any],
    kept: Mapping[str, Any],
    missing: int | None,
    orphans: int | None,
    reason: str,
    now: datetime,
) -> dict[str, Any]:
    """The facts of one stanza as plain values: what ``catalog_info`` returns. ``entry``: of ``pgbackrest info``.

    ``reach``: what can be restored, with ``stretches``, ``holes``, ``leading`` (the backups that lead to now) and
    ``window`` (why none does). ``kept``: of the directory of backups, with ``lost`` (labels) and ``first`` (when the
    first backup ever ended). ``missing`` records and ``orphans`` are counted; None where Redis did not answer, for
    that ``reason``.
    """
    backups = sorted(entry.get("backup") or [], key=lambda one: int(one["timestamp"]["stop"]))
    broken = _broken(backups, kept["lost"])
    usable = sorted(
        (one for one in reach["leading"] if one["label"] not in broken), key=lambda one: int(one["timestamp"]["stop"])
    )
    fulls = [one for one in usable if one.get("type") == "full"]
    held = ((entry.get("status") or {}).get("lock") or {}).get("backup") or {}
    return {
        "at": now.timestamp(),
        "counts": {kind: sum(one.get("type") == kind for one in backups) for kind in TYPES},
        "newest": _summary(usable[-1]) if usable else None,
        "newest_full": _summary(fulls[-1]) if fulls else None,
        "running": bool(held.get("held")),
        "window": reach["window"] or ("" if usable else "Every backup that leads to now lacks files. See chain."),
        "broken": broken,
        "page_errors": sorted(str(one["label"]) for one in backups if one.get("error")),
        "stretches": list(reach["stretches"]),
        "holes": list(reach["holes"]),
        "records_missing": missing,
        "records_orphaned": orphans,
        "redis_reason": reason,
        "first_backup": kept["first"],
        "drill": _drill(of_newest_system(backups, entry.get("db") or [])),
    }


def _broken(backups: Sequence[Mapping[str, Any]], lost: Collection[str]) -> list[str]:
    """The labels of the backups that lack their own files, or those of one that they build on."""
    there = {str(one["label"]) for one in backups} - set(lost)
    needs = {str(one["label"]): {str(one["label"]), *(one.get("reference") or [])} for one in backups}
    return sorted(label for label, needed in needs.items() if needed - there)


def _summary(backup: Mapping[str, Any]) -> dict[str, Any]:
    stamps = backup["timestamp"]
    stored = ((backup.get("info") or {}).get("repository") or {}).get("delta")
    return {
        "label": str(backup["label"]),
        "stop": int(stamps["stop"]),
        "seconds": int(stamps["stop"]) - int(stamps["start"]),
        "bytes": None if stored is None else int(stored),
    }


def _drill(backups: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What the last drill found; None where no backup knows of one."""
    note = last_drill(backups)
    if note is None:
        return None
    return {
        "label": note["label"],
        "at": datetime.fromisoformat(note["at"]).timestamp(),
        "passed": note["result"] == "passed",
        "reason": note["reason"],
        "rto_s": float(note["rto"]) if note["rto"] else None,
        "rpo_s": float(note["rpo"]) if note["rpo"] else None,
    }


# --- what that means ---------------------------------------------------------------------------------------------


def judge(cluster: str, facts: Mapping[str, Any], status: Mapping[str, Any], limits: Limits) -> Report:
    """Compare what was found with the limits. ``facts``: of ``measure``; ``status``: the one of ``status.yml``.

    ``facts`` may have the ``repository`` that they are of, and those of the ``others`` that answer.
    """
    facts = _with_dropped(facts, status)
    checks = [
        *_of_repository(facts, limits),
        *_archiving(status, limits),
        *_drills(facts, limits),
        *_certificates(status, limits),
        *_authority(status, limits),
        *_repositories(status),
        *(check for other in _others(facts) for check in _of_repository(other, limits)),
    ]
    return _report(cluster, float(facts["at"]), checks, _metrics(facts, status))


def _with_dropped(facts: Mapping[str, Any], status: Mapping[str, Any]) -> Mapping[str, Any]:
    """WAL that was dropped and that no segment came after is a hole like any other; only the primary tells of it."""
    dropped = (status.get("archive") or {}).get("dropped")
    if not dropped:
        return facts
    others = [{**other, "holes": [*other["holes"], dropped]} for other in _others(facts)]
    return {**facts, "holes": [*facts["holes"], dropped], **({"others": others} if others else {})}


def not_reached(cluster: str, why: str, now: datetime) -> Report:
    """Of a cluster whose repository host does not answer: nothing is known, so nothing can be trusted."""
    return _report(cluster, now.timestamp(), [Check("repository", False, why)])


def _report(cluster: str, moment: float, checks: list[Check], metrics: Iterable[Metric] = ()) -> Report:
    """``moment``: when it was looked at, in seconds since 1970."""
    looked = Metric("relevo_check_timestamp_seconds", moment)
    failures = [
        Metric("relevo_check_failed", float(not check.ok), {"check": check.code, **_label(check.repository)})
        for check in checks
    ]
    at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")
    return Report(cluster, at, checks, [looked, *metrics, *failures])


def _age(facts: Mapping[str, Any], moment: float) -> float:
    return max(0.0, float(facts["at"]) - moment)


def _number(facts: Mapping[str, Any]) -> int | None:
    """Of the repository that facts are of, where that is not the first."""
    number = int(facts.get("repository") or _names.FIRST_REPOSITORY)
    return None if number == _names.FIRST_REPOSITORY else number


def _others(facts: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = facts.get("others") or ()
    return found


def _label(repository: int | None) -> dict[str, str]:
    """The first one has none: what is asked of its metrics is the same with one repository and with two."""
    return {} if repository is None else {"repository": str(repository)}


def _of_repository(facts: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    """What is judged of each repository for itself: an old backup in the one is not made good by the other."""
    number = _number(facts)
    own = limits.of(number or _names.FIRST_REPOSITORY)
    for check in (*_window(facts), *_backups(facts, own), *_hole(facts), *_catalog(facts, own)):
        if number is None:
            yield check
        else:
            yield replace(check, message=f"In repository {number}: {check.message}", repository=number)


def _of(facts: Mapping[str, Any]) -> str:
    """What a command has to be told which works on the first repository otherwise."""
    number = _number(facts)
    return "" if number is None else f" -e repository_number={number}"


def _window(facts: Mapping[str, Any]) -> Iterator[Check]:
    """The one that everything else is for; a backup that is young, whole and recorded may still lead nowhere."""
    if facts["window"]:
        yield Check("window", False, str(facts["window"]))
    else:
        yield Check("window", True, f"{facts['newest']['label']} and the archive lead to the newest timeline's end.")


def _backups(facts: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    newest, full = facts["newest"], facts["newest_full"]
    for code, found, limit, word in (
        ("backup-age", newest, limits.backup_age, "backup"),
        ("full-age", full, limits.full_age, "full backup"),
    ):
        if not limit:
            continue
        if not found:
            day = " -e day=1" if found is full else ""
            yield Check(code, False, f"There is no {word} that can be restored. Take one: backup.yml{day}.")
            continue
        age = _age(facts, found["stop"])
        said = f"The newest {word}, {found['label']}, is {format_duration(int(age))} old"
        yield _limited(code, age, limit, said, "Run backup.yml, and see why its timer or job did not.")
    if facts["broken"]:
        names = ", ".join(facts["broken"])
        yield Check(
            "chain",
            False,
            f"{names} cannot be restored: files of it or of its base are missing. Run backup.yml -e day=1.",
        )
    else:
        yield Check("chain", True, "Every backup has its files and what it builds on.")
    if facts["page_errors"]:
        yield Check(
            "page-errors",
            False,
            f"{', '.join(facts['page_errors'])}: pages with a wrong checksum. Run pg_amcheck on the primary.",
        )


def _limited(code: str, value: float, limit: float, said: str, advice: str) -> Check:
    if value <= limit:
        return Check(code, True, f"{said}.")
    return Check(code, False, f"{said}, more than {format_duration(int(limit))}. {advice}")


def _hole(facts: Mapping[str, Any]) -> Iterator[Check]:
    count = sum(int(hole["count"]) for hole in facts["holes"])
    if count:
        first, last = facts["holes"][0]["first"], facts["holes"][-1]["last"]
        yield Check(
            "archive-hole",
            False,
            f"{plural(count, 'segment')} missing in the archive ({first} to {last}): moments between two backups "
            "cannot be restored. Run site.yml, which archives what the primary still has of it; if this is still told, "
            "backup.yml -e day=1. Take archive-push-queue-max out of pgbackrest_options.",
        )
    else:
        yield Check("archive-hole", True, "The archive has no hole.")


def _archiving(status: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    archive = status.get("archive") or {}
    if archive.get("failing"):
        yield Check(
            "archive-lag", False, f"Archiving fails at {archive.get('last_failed_segment')}. status.yml says why."
        )
    elif limits.archive_lag:
        lag = archive_lag(status)
        if lag is None:
            yield Check("archive-lag", False, "No primary says how far it has archived. See status.yml.")
        else:
            behind = f"The archive is {format_duration(int(lag[1]))} ({format_bytes(lag[0])}) behind the primary"
            yield _limited("archive-lag", lag[1], limits.archive_lag, behind, "See archiving in status.yml.")


def archive_lag(status: Mapping[str, Any]) -> tuple[float, float] | None:
    """Bytes and seconds by which the archive is behind the primary; None where nobody says.

    Less than a segment is no lag: an idle primary archives nothing, however long that lasts.
    """
    archive = status.get("archive") or {}
    segment, age = archive.get("last_segment"), archive.get("last_segment_age_s")
    primary = next((node for node in status.get("nodes") or () if node["name"] == status.get("primary")), None)
    if not segment or age is None or not primary or not primary.get("lsn"):
        return None
    high, low = (int(part, 16) for part in str(primary["lsn"]).split("/"))
    archived = (int(segment[8:16], 16) << 32) + (int(segment[16:24], 16) + 1) * SEGMENT
    behind = max(0, (high << 32) + low - archived)
    return float(behind), float(age) if behind >= SEGMENT else 0.0


def _catalog(facts: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    missing, orphans = facts["records_missing"], facts["records_orphaned"]
    if missing is None or orphans is None:
        yield Check("catalog", False, f"The catalog cannot be read. {facts['redis_reason']}")
        return
    # One that is being taken is not recorded yet.
    lacking = missing > limits.records_missing + int(facts["running"])
    if lacking or orphans > limits.records_orphaned:
        yield Check(
            "catalog",
            False,
            f"{plural(missing, 'backup')} not recorded, {plural(orphans, 'record')} without a backup. "
            f"Run cleanup.yml -e operation=orphans{_of(facts)}.",
        )
    else:
        yield Check("catalog", True, "The catalog is in step with the repository.")


def _drills(facts: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    drill = facts["drill"]
    if not drill:
        yield _no_drill(facts, limits)
        return
    if not drill["passed"]:
        said = f"The last drill, of {drill['label']}, failed. {drill['reason']}"
        yield Check("drill", False, f"{said} Run drill.yml again.")
        return
    age = _age(facts, drill["at"])
    said = f"The last drill, of {drill['label']}, passed {format_duration(int(age))} ago"
    yield _limited("drill", age, limits.drill_age or age, said, "Run drill.yml.")
    for name, limit in (("rto", limits.rto), ("rpo", limits.rpo)):
        if limit and drill[f"{name}_s"] is not None:
            took = drill[f"{name}_s"]
            said = f"The last drill measured {name.upper()} {format_duration(took)}"
            yield _limited(name, took, limit, said, "docs/reference/metrics.md says what shortens it.")


def _no_drill(facts: Mapping[str, Any], limits: Limits) -> Check:
    """Whoever has just begun is told what to do; whoever has had the time fails."""
    said = "No drill has shown that these backups can be restored. Run drill.yml"
    first = facts["first_backup"]
    waited = _age(facts, float(first)) if first is not None else 0.0
    if limits.drill_required or (limits.drill_age and waited > limits.drill_age):
        return Check("drill", False, f"{said}.")
    if not limits.drill_age:
        return Check("drill", True, f"{said}; nothing asks for it (catalog_check_max_drill_age=0).")
    left = format_duration(int(limits.drill_age - waited))
    return Check("drill", True, f"{said}: in {left} this becomes a failure.")


def _repositories(status: Mapping[str, Any]) -> Iterator[Check]:
    """Of several; a single one that does not answer is found by all the other checks."""
    repository = status.get("repository") or {}
    if repository.get("count", 1) < 2:
        return
    away = repository.get("away") or []
    for one in away:
        yield Check("repository-away", False, f"Repository {one['repository']} is away. {one['reason']}")
    if not away:
        yield Check("repository-away", True, "Every repository answers.")


def _certificates(status: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    days = {host["name"]: host["certificate_days"] for host in _with_certificate(status)}
    if not days or not limits.certificate_days:
        return
    node = min(days, key=lambda name: days[name])
    said = f"The certificate of {node} is valid for {days[node]:.0f} more days"
    if days[node] >= limits.certificate_days:
        yield Check("certificate", True, f"{said}, the others for longer.")
    else:
        proxies = [proxy["name"] for proxy in status.get("proxies") or ()]
        then = "no server lets HAProxy in" if node in proxies else "nothing is archived"
        yield Check("certificate", False, f"{said}: then {then}. Run site.yml, which renews it.")


def _authority(status: Mapping[str, Any], limits: Limits) -> Iterator[Check]:
    found = [authority for host in _hosts(status) if (authority := Authority.of(host.get("authority")))]
    if not found or not limits.certificate_days:
        return
    first = min(found, key=lambda authority: authority.days)
    said = f"The authority {first.name} of the certificates is valid for {first.days:.0f} more days"
    if first.days >= limits.certificate_days:
        yield Check("authority", True, f"{said}.")
    else:
        yield Check("authority", False, f"{said}: then nothing is archived or replicated over TLS. {first.cure}")


def _hosts(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The nodes, the repository host and the hosts with HAProxy, each once."""
    repository = status.get("repository") or {}
    own = {**repository, "name": repository.get("host")}
    every = [*(status.get("nodes") or ()), own, *(status.get("proxies") or ())]
    # The first to be named says it; whoever is several of them has one certificate.
    return list({host["name"]: host for host in reversed(every)}.values())[::-1]


def _with_certificate(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those hosts of which it is known how long their certificate is valid."""
    return [host for host in _hosts(status) if host.get("certificate_days") is not None]


# --- the numbers -------------------------------------------------------------------------------------------------


def _metrics(facts: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Metric]:
    for one in (facts, *_others(facts)):
        yield from _metrics_of_repository(one)
    yield from _metrics_of_cluster(facts, status)


def _metrics_of_repository(facts: Mapping[str, Any]) -> Iterator[Metric]:
    own = _label(_number(facts))
    for kind, count in facts["counts"].items():
        yield Metric("relevo_backups", count, {"type": kind, **own})
    for kind, found in (("any", facts["newest"]), ("full", facts["newest_full"])):
        if found:
            yield Metric("relevo_backup_age_seconds", _age(facts, found["stop"]), {"type": kind, **own})
            yield Metric("relevo_backup_duration_seconds", found["seconds"], {"type": kind, **own})
            yield Metric("relevo_backup_size_bytes", found["bytes"], {"type": kind, **own})
    for stretch in facts["stretches"]:
        where = {"timeline": str(stretch["timeline"]), "backup": str(stretch["oldest"]), **own}
        yield Metric("relevo_window_from_timestamp_seconds", stretch["since"], where)
        yield Metric("relevo_window_to_timestamp_seconds", stretch["until"], where)
    yield Metric("relevo_archive_missing_segments", sum(int(hole["count"]) for hole in facts["holes"]), own)
    yield Metric("relevo_chain_broken_backups", len(facts["broken"]), own)
    yield Metric("relevo_catalog_up", float(facts["records_missing"] is not None), own)
    yield Metric("relevo_catalog_records_missing", facts["records_missing"], own)
    yield Metric("relevo_catalog_records_orphaned", facts["records_orphaned"], own)


def _metrics_of_cluster(facts: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[Metric]:
    lag = archive_lag(status)
    if lag:
        yield Metric("relevo_archive_lag_bytes", lag[0])
        yield Metric("relevo_archive_lag_seconds", lag[1])
    repository = status.get("repository") or {}
    yield Metric("relevo_repositories", repository.get("count", 1))
    yield Metric("relevo_repositories_away", len(repository.get("away") or []))
    drill = facts["drill"]
    if drill:
        yield Metric("relevo_drill_age_seconds", _age(facts, drill["at"]))
        yield Metric("relevo_drill_passed", float(drill["passed"]))
        yield Metric("relevo_drill_rto_seconds", drill["rto_s"])
        yield Metric("relevo_drill_rpo_seconds", drill["rpo_s"])
    for host in _with_certificate(status):
        expiry = float(host["certificate_days"]) * DAY
        yield Metric("relevo_certificate_expiry_seconds", expiry, {"node": str(host["name"])})
    for host in _hosts(status):
        authority = Authority.of(host.get("authority"))
        if authority:
            yield Metric("relevo_authority_expiry_seconds", authority.days * DAY, {"node": str(host["name"])})
