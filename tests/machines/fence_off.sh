#!/bin/sh
# A fence command as docs/explanation/handover.md wants it: switches the machine off without asking it, then asks whether
# it is off. Only that is 0.
docker kill "$RELEVO_NODE" >&2
docker wait "$RELEVO_NODE" >&2
test "$(docker inspect -f '{{.State.Running}}' "$RELEVO_NODE")" = false
