#!/bin/sh
# usage: join_cgroup.sh CGROUP/cgroup.procs COMMAND...
# Joins the control group first. Killing the group then ends the command and all of its children, even after the process
# that started them has died.
set -eu
echo "$$" >"$1"
shift
exec "$@"
