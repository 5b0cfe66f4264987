#!/bin/sh
# Only asks: whether the engine runs the machine.
if [ "${1:-}" = status ]; then
    docker inspect -f '{{if .State.Running}}on{{else}}off{{end}}' "$RELEVO_NODE"
    exit
fi
# A fence command: 0 only when the engine, which runs the machine, says that it does not run.
test "$(docker inspect -f '{{.State.Running}}' "$RELEVO_NODE")" = false
