#!/bin/sh
# usage: contain.sh CGROUP/cgroup.procs COMMAND...
# Joins the control group before anything else happens: from then on, ending the group ends the command and all of its
# children, whatever became of the process that started them.
set -eu
echo "$$" >"$1"
shift
exec "$@"
