#!/bin/sh
# usage: contain.sh CGROUP/cgroup.procs COMMAND...
# Joins the control group first, then executes COMMAND. Killing the group then ends the command and all of its children,
# regardless of the process that started them.
set -eu
echo "$$" >"$1"
shift
exec "$@"
