#!/bin/sh
# A fence command: 0 only when the engine, which runs the machine, says that it does not run.
test "$(docker inspect -f '{{.State.Running}}' "$RELEVO_NODE")" = false
