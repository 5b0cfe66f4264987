// What the page says, in two languages. What the plays say (plans, problems, logs) is English, and is marked as such.
export const WORDS = {
  en: {
    skip: "Skip to the content", leave: "Sign out", clusters: "Clusters", servers: "Servers", backups: "Backups", jobs: "Operations",
    problems: "Needs attention", allBackups: "All backups as a table", footer: "Relevo control API. This page loads nothing from anywhere else.",
    enterTitle: "Sign in", enterText: "Paste a token of this server. It stays in this tab, and goes when you close it.",
    token: "Token", enter: "Sign in", badToken: "This server does not know that token.", otherLanguage: "Español", language: "es",
    dark: "Dark", light: "Light", no: "Cancel", showPlan: "Show the plan", working: "Working out the plan…", starting: "Starting…",
    live: "Live", oldView: "The servers are not being watched", away: "No answer",
    stale: "The API does not answer. What you see is from {time}, {age} ago. This page goes on trying.",
    oldStatus: "What is shown of problems and backups is from {time}, {age} ago.",
    primary: "Primary", standby: "Standby", none: "Does not answer",
    isPrimary: "{name} is primary.", noPrimary: "Nobody is primary.", twoPrimaries: "Two servers accept writes: {names}.",
    loading: "Looking at the cluster…", allWell: "Every standby follows, and backups work.", wrong: "{n} things need attention.", wrongOne: "One thing needs attention.",
    unknown: "What the servers are doing is not known at the moment.", asOf: "As of {time}.",
    lag: "behind in replay", none_behind: "nothing behind", accepts: "accepts writes", timeline: "timeline {n}", notStreaming: "does not stream", seconds: "{n} s old",
    windowFrom: "Restorable from", windowUntil: "Restorable until", lastBackup: "Last backup", archive: "WAL archive", works: "works", fails: "fails", notKnown: "not known",
    nextDay: "Next: day {n} of the cycle", ago: "{age} ago", inWindow: "can be restored to", hole: "hole in the archive", drilled: "restored in a drill", drillFailed: "did not restore in its drill", drill: "Drill", noBackups: "There is no backup yet.",
    full: "full", diff: "differential", incr: "incremental", backupsTimeline: "Timeline of the backups: {n} from {from} to {until}.",
    date: "Date", time: "Time", type: "Type", from: "Taken from", label: "Backup",
    copy: "Copy", copied: "Copied", noJobs: "Nothing has been done from here yet.", by: "by {who}, {time}", log: "Log of {what}",
    running: "running", succeeded: "done", failed: "failed", interrupted: "cut off",
    switchover: "Hand over", failover: "Fail over", failback: "Fail back", rejoin: "Rejoin", backup_now: "Back up", drills: "Drill", restores: "Restore beside", cleanup: "Clean up",
    candidate: "New primary", anyStandby: "the standby that is furthest ahead", day: "Day of the cycle", nextOne: "the next one",
    target: "Point in time, with its zone", target_hint: "2026-11-30 12:00:00+01:00", backup: "Backup", newest: "the newest",
    affects: "Changes", expected: "Expected", risk: "Risk", refused: "Refused", nothing: "Nothing would be changed.", do: "{what} now",
    error: "Error", warning: "Warning",
  },
  es: {
    skip: "Ir al contenido", leave: "Salir", clusters: "Clústeres", servers: "Servidores", backups: "Copias de seguridad", jobs: "Operaciones",
    problems: "Requiere atención", allBackups: "Todas las copias en una tabla", footer: "API de control de Relevo. Esta página no carga nada de ningún otro sitio.",
    enterTitle: "Entrar", enterText: "Pegue un token de este servidor. Se queda en esta pestaña y desaparece al cerrarla.",
    token: "Token", enter: "Entrar", badToken: "Este servidor no conoce ese token.", otherLanguage: "English", language: "en",
    dark: "Oscuro", light: "Claro", no: "Cancelar", showPlan: "Ver el plan", working: "Preparando el plan…", starting: "Empezando…",
    live: "En directo", oldView: "No se está observando a los servidores", away: "Sin respuesta",
    stale: "La API no responde. Última respuesta: {time}, hace {age}. La página sigue intentándolo.",
    oldStatus: "Lo que se muestra de problemas y copias es del {time}, hace {age}.",
    primary: "Primario", standby: "Réplica", none: "No responde",
    isPrimary: "{name} es el primario.", noPrimary: "Nadie es primario.", twoPrimaries: "Dos servidores aceptan escrituras: {names}.",
    loading: "Consultando el clúster…", allWell: "Todas las réplicas siguen y las copias funcionan.", wrong: "{n} cosas requieren atención.", wrongOne: "Una cosa requiere atención.",
    unknown: "En este momento no se sabe qué hacen los servidores.", asOf: "Última consulta: {time}.",
    lag: "por aplicar", none_behind: "sin retraso", accepts: "acepta escrituras", timeline: "línea de tiempo {n}", notStreaming: "no está replicando", seconds: "de hace {n} s",
    windowFrom: "Restaurable desde", windowUntil: "Restaurable hasta", lastBackup: "Última copia", archive: "Archivo de WAL", works: "funciona", fails: "falla", notKnown: "no se sabe",
    nextDay: "Siguiente: día {n} del ciclo", ago: "hace {age}", inWindow: "se puede restaurar a", hole: "hueco en el archivo", drilled: "restaurada en un simulacro", drillFailed: "no se restauró en su simulacro", drill: "Simulacro", noBackups: "Todavía no hay ninguna copia.",
    full: "completa", diff: "diferencial", incr: "incremental", backupsTimeline: "Línea de tiempo de las copias: {n}, del {from} al {until}.",
    date: "Fecha", time: "Hora", type: "Tipo", from: "Tomada de", label: "Copia",
    copy: "Copiar", copied: "Copiado", noJobs: "Todavía no se ha hecho nada desde aquí.", by: "por {who}, {time}", log: "Registro de {what}",
    running: "en curso", succeeded: "hecho", failed: "fallido", interrupted: "interrumpido",
    switchover: "Ceder el papel", failover: "Failover", failback: "Failback", rejoin: "Reincorporar", backup_now: "Hacer copia", drills: "Simulacro", restores: "Restaurar al lado", cleanup: "Limpiar",
    candidate: "Nuevo primario", anyStandby: "la réplica más avanzada", day: "Día del ciclo", nextOne: "el siguiente",
    target: "Momento, con su zona horaria", target_hint: "2026-11-30 12:00:00+01:00", backup: "Copia", newest: "la más reciente",
    affects: "Cambia", expected: "Se espera", risk: "Riesgo", refused: "Rechazado", nothing: "No se cambiaría nada.", do: "{what} ahora",
    error: "Error", warning: "Aviso",
  },
};

const stored = localStorage.getItem("relevo-language");
let chosen = stored in WORDS ? stored : navigator.language.toLowerCase().startsWith("es") ? "es" : "en";

export const language = () => chosen;
export function choose(name) { chosen = name; localStorage.setItem("relevo-language", name); }
export function say(key, values = {}) {
  return WORDS[chosen][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}
export const clock = (when) => new Date(when).toLocaleTimeString(chosen, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
// With its day where that need not be today.
export const recent = (when) => (Date.now() - when < 43200e3 ? clock(when) : moment(when));
export const moment = (when) => new Date(when).toLocaleString(chosen, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return chosen === "es" ? `${Math.round(s / 86400)} días` : `${Math.round(s / 86400)} days`;
}
export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  while (n >= 1024 && i < 4) { n /= 1024; i += 1; }
  return `${n.toLocaleString(chosen, { maximumFractionDigits: n < 10 && i ? 1 : 0 })} ${units[i]}`;
}
