# Copyright (c) The Relevo authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the catalog's views, a table for each language.

A record's fields and values are Spanish in every language: they are stored so, and other programs read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Noun = tuple[str, str]


@dataclass(frozen=True)
class Labels:
    """All words of the views in one language. Texts with braces are for ``str.format``; a noun is (one, many)."""

    #: As HTML names the language.
    code: str
    #: The heading of each field of a record, in the order of the detail view.
    fields: Mapping[str, str]
    #: How a view says a record's value, by field and value; a value that is not named stands as it is.
    values: Mapping[str, Mapping[str, str]]
    #: What the catalog says of a record.
    status: Mapping[str, str]
    #: What the total says of each type of backup.
    types: Mapping[str, Noun]
    size: str
    database: str
    copy: str
    share: str
    note: str
    directory: str
    files: str

    recorded_title: str
    repository_title: str
    one_repository: str
    info_title: str
    info_title_without_redis: str
    directories_title: str
    sizes_title: str

    backup: Noun
    record: Noun
    file: Noun

    total: str
    total_with_types: str
    window: str
    window_ended: str
    window_before_newest: str
    window_oldest: str
    no_window: str
    hole: str
    history_hole: str
    segment: Noun
    the_beginning: str
    the_next_backup: str
    shown: str
    filtered: str
    none_match: str
    timeline: str
    timeline_window: str
    without_redis: str
    unrecorded: str
    orphans: str
    foreign: str
    page_errors: str
    inconsistent: str
    #: What a drill found, and on which day.
    tried: Mapping[str, str]
    empty: str

    state: str
    #: pgBackRest's words for a stanza's state, by its code; those that are not named stand as they are.
    states: Mapping[int, str]
    unknown: str
    running: str
    cipher: str
    no_cipher: str
    system: str
    archive: str
    archive_range: str
    archive_empty: str
    redis_away: str
    redis_counts: str
    page_title: str
    page_timeline: str
    page_windows: str
    page_chains: str
    page_drills: str
    page_no_drill: str
    counted: str
    growth: str
    growth_since: str
    on_disk: str
    split_title: str
    own: str
    shared: str
    wal: str
    rest: str
    disk: str
    disk_total: str
    disk_free: str


SPANISH = Labels(
    code="es",
    fields={
        "fecha": "Fecha",
        "hora": "Hora",
        "tipo_backup": "Tipo",
        "direccion_almacenamiento": "Almacenamiento",
        "maestro_usado": "Maestro",
        "metodo": "Método",
        "stanza": "Stanza",
        "etiqueta": "Etiqueta",
        "dia": "Día",
        "paso": "Paso",
        "ciclo": "Ciclo",
        "solicitado": "Solicitado",
        "solicitado_por": "Solicitado por",
        "omitido": "Omitido",
        "previo": "Previo",
        "tamano_base": "Tamaño de la base",
        "tamano_copia": "Tamaño de la copia",
        "duracion_s": "Duración",
        "wal_inicio": "WAL inicio",
        "wal_fin": "WAL fin",
        "lsn_inicio": "LSN inicio",
        "lsn_fin": "LSN fin",
        "sistema_id": "Sistema",
        "consistente": "Consistente",
        "error": "Error",
        "verificado": "Verificado",
        "resultado": "Resultado",
        "motivo": "Motivo",
        "rto_s": "RTO (s)",
        "rpo_s": "RPO (s)",
        "repositorio": "Repositorio",
    },
    values={},
    status={"recorded": "registrado", "orphan": "huérfano", "foreign": "ajeno", "unrecorded": "sin registrar"},
    types={
        "completo": ("completo", "completos"),
        "incremental": ("incremental", "incrementales"),
        "diferencial": ("diferencial", "diferenciales"),
    },
    size="Tamaño",
    database="Base",
    copy="Copia",
    share="Copia/Base",
    note="Nota",
    directory="Directorio",
    files="Archivos",
    recorded_title="BACKUPS REGISTRADOS EN REDIS",
    repository_title="BACKUPS DEL REPOSITORIO (SIN REDIS)",
    one_repository="repositorio {number}",
    info_title="PGBACKREST Y REDIS",
    info_title_without_redis="PGBACKREST (SIN REDIS)",
    directories_title="REPOSITORIO {path}",
    sizes_title="PESO DE LOS BACKUPS",
    backup=("backup", "backups"),
    record=("registro", "registros"),
    file=("archivo", "archivos"),
    total="Total: {backups}",
    total_with_types="Total: {backups} ({types}), {size} en el repositorio",
    window="Ventana de recuperación: cualquier momento desde {since}",
    window_ended="Ventana de recuperación: cualquier momento desde {since} hasta {until}",
    window_before_newest=", {duration} antes del backup más reciente",
    window_oldest=" (el más antiguo: {label})",
    no_window="Ventana de recuperación: ninguna, porque no hay ningún backup consistente",
    hole="Falta WAL en el archivo ({segments}, de {first} a {last}): "
    "no todo momento de {since} a {until} es recuperable",
    history_hole="Falta {history} en el archivo: ningún backup anterior lleva a la línea de tiempo más nueva",
    segment=("segmento", "segmentos"),
    the_beginning="el principio",
    the_next_backup="el próximo backup",
    shown="Mostrados: {count} de {all}, primero el más reciente",
    filtered="Filtro: {filters}",
    none_match="Ningún backup cumple el filtro {filters}.",
    timeline="Línea de tiempo",
    timeline_window="Línea de tiempo {timeline}: desde {since} hasta {until} (del backup {oldest} en adelante)",
    without_redis="Redis no está disponible: esta lista es la del propio repositorio.",
    unrecorded="{backups} sin registrar en Redis: el próximo backup pone el catálogo al día",
    orphans="{records} sin backup en el repositorio (huérfano)",
    foreign="{records} de otro origen, sin tocar (ajeno)",
    page_errors="con errores de página",
    inconsistent="no consistente",
    tried={"correcto": "restaura (probado {day})", "fallido": "NO RESTAURA (probado {day})"},
    empty=(
        "El catálogo está vacío: la stanza {stanza} no tiene ningún backup todavía. "
        "Haga el primero con: ansible-playbook backup.yml -e day=1"
    ),
    state="Estado",
    # src/command/info/info.c of pgBackRest 2.55, INFO_STANZA_STATUS_CODE.
    states={
        0: "correcto",
        1: "no existe el directorio de la stanza",
        2: "no hay ningún backup válido",
        3: "faltan datos de la stanza",
        4: "distinto según el repositorio",
        5: "la base difiere entre repositorios",
        6: "no existe el backup pedido",
    },
    unknown="desconocido",
    running=", hay un backup en curso",
    cipher="Cifrado",
    no_cipher="ninguno",
    system="{version}, sistema {system}",
    archive="Archivo WAL",
    archive_range="{first} a {last}",
    archive_empty="vacío",
    redis_away="no disponible",
    redis_counts="registrados {recorded}, sin registrar {unrecorded}, huérfanos {orphans}, ajenos {foreign}",
    page_title="Backups",
    page_timeline="El ciclo en el tiempo",
    page_windows="Ventanas de recuperación",
    page_chains="Cadenas: cada backup debajo del que necesita",
    page_drills="Ensayos de restauración",
    page_no_drill="Ningún ensayo ha probado estos backups.",
    counted="Backups",
    growth="Crecimiento",
    growth_since="{change} de la base desde {label}, {duration} antes",
    on_disk="En disco",
    split_title="REPARTO DEL ESPACIO",
    own="Propio",
    shared="Compartido",
    wal="WAL",
    rest="otros archivos",
    disk="{size}, {free} libres en el sistema de archivos",
    disk_total="Total: {size} en disco, en {files}",
    disk_free="Libre: {free} de {capacity}",
)

_YES_NO = {"si": "yes", "no": "no"}
ENGLISH = Labels(
    code="en",
    fields={
        "fecha": "Date",
        "hora": "Time",
        "tipo_backup": "Type",
        "direccion_almacenamiento": "Stored at",
        "maestro_usado": "Primary",
        "metodo": "Method",
        "stanza": "Stanza",
        "etiqueta": "Label",
        "dia": "Day",
        "paso": "Step",
        "ciclo": "Cycle",
        "solicitado": "Requested",
        "solicitado_por": "Requested by",
        "omitido": "Skipped",
        "previo": "Prior",
        "tamano_base": "Size of the database",
        "tamano_copia": "Size of the backup",
        "duracion_s": "Duration",
        "wal_inicio": "WAL start",
        "wal_fin": "WAL end",
        "lsn_inicio": "LSN start",
        "lsn_fin": "LSN end",
        "sistema_id": "System",
        "consistente": "Consistent",
        "error": "Error",
        "verificado": "Tried",
        "resultado": "Result",
        "motivo": "Reason",
        "rto_s": "RTO (s)",
        "rpo_s": "RPO (s)",
        "repositorio": "Repository",
    },
    values={
        "resultado": {"correcto": "restores", "fallido": "does not restore"},
        "tipo_backup": {"completo": "full", "incremental": "incremental", "diferencial": "differential"},
        "maestro_usado": {"desconocido": "unknown"},
        "consistente": _YES_NO,
        "error": _YES_NO,
    },
    status={"recorded": "recorded", "orphan": "orphan", "foreign": "foreign", "unrecorded": "not recorded"},
    types={
        "completo": ("full", "full"),
        "incremental": ("incremental", "incremental"),
        "diferencial": ("differential", "differential"),
    },
    size="Size",
    database="Database",
    copy="Backup",
    share="Backup/Database",
    note="Note",
    directory="Directory",
    files="Files",
    recorded_title="BACKUPS RECORDED IN REDIS",
    repository_title="BACKUPS IN THE REPOSITORY (WITHOUT REDIS)",
    one_repository="repository {number}",
    info_title="PGBACKREST AND REDIS",
    info_title_without_redis="PGBACKREST (WITHOUT REDIS)",
    directories_title="REPOSITORY {path}",
    sizes_title="SIZE OF THE BACKUPS",
    backup=("backup", "backups"),
    record=("record", "records"),
    file=("file", "files"),
    total="Total: {backups}",
    total_with_types="Total: {backups} ({types}), {size} in the repository",
    window="Recovery window: any moment since {since}",
    window_ended="Recovery window: any moment since {since} until {until}",
    window_before_newest=", {duration} before the newest backup",
    window_oldest=" (oldest: {label})",
    no_window="Recovery window: none, because there is no consistent backup",
    hole="WAL is missing in the archive ({segments}, {first} to {last}): "
    "not every moment from {since} to {until} can be recovered",
    history_hole="{history} is missing in the archive: no backup before it leads to the newest timeline",
    segment=("segment", "segments"),
    the_beginning="the beginning",
    the_next_backup="the next backup",
    shown="Shown: the newest {count} of {all}",
    filtered="Filtered by: {filters}",
    none_match="No backup matches the filter {filters}.",
    timeline="Timeline",
    timeline_window="Timeline {timeline}: from {since} to {until} (from backup {oldest} on)",
    without_redis="Redis is not available: this list is the repository's own.",
    unrecorded="{backups} not in Redis yet (not recorded): the next backup brings the catalog up to date",
    orphans="{records} without a backup in the repository (orphan)",
    foreign="{records} of other origin, left alone (foreign)",
    page_errors="with page errors",
    inconsistent="not consistent",
    tried={"correcto": "restores (tried {day})", "fallido": "DOES NOT RESTORE (tried {day})"},
    empty=(
        "The catalog is empty: stanza {stanza} has no backup yet. "
        "Make the first one with: ansible-playbook backup.yml -e day=1"
    ),
    state="Status",
    states={},
    unknown="unknown",
    running=", a backup is running",
    cipher="Cipher",
    no_cipher="none",
    system="{version}, system {system}",
    archive="WAL archive",
    archive_range="{first} to {last}",
    archive_empty="empty",
    redis_away="not available",
    redis_counts="recorded {recorded}, not yet {unrecorded}, orphans {orphans}, foreign {foreign}",
    page_title="Backups",
    page_timeline="The cycle over time",
    page_windows="Recovery windows",
    page_chains="Chains: each backup below the one that it needs",
    page_drills="Restore drills",
    page_no_drill="No drill has tried any of these backups.",
    counted="Backups",
    growth="Growth",
    growth_since="{change} of the database since {label}, {duration} before",
    on_disk="On disk",
    split_title="WHAT TAKES THE SPACE",
    own="Own",
    shared="Shared",
    wal="WAL",
    rest="other files",
    disk="{size}, {free} of the file system free",
    disk_total="Total: {size} on disk in {files}",
    disk_free="Free: {free} of {capacity}",
)

#: By the value of ``catalog_language``.
LABELS: Mapping[str, Labels] = {"es": SPANISH, "en": ENGLISH}
