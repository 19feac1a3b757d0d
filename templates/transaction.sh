# Changes a host in one transaction: into its new state, or back into its old one. Needs output.sh, facts.sh,
# network_steps.sh and host_steps.sh. Prints the section "outcome", which is one JSON document.
# shellcheck shell=dash disable=SC2154

STATE=/etc/dockmesh
ARMING=$STATE/arming
DISARMED=$STATE/disarmed
REVERT=dockmesh-revert
REVERT_IN="systemd-run --quiet --timer-property=AccuracySec=100ms --unit=$REVERT.service --on-active"
BY_ITSELF=
# The time that a change may take, besides the time to confirm it.
CHANGE_S=300
# The time to wait for the lock: dockmesh.service may hold it for 25 seconds.
LOCK_S=30
warnings=

# emit_outcome STATUS CODE ERROR, with the warnings that read_warnings has read.
emit_outcome() {
  error=
  [ -z "$3" ] || error=$(printf '%s' "$3" | head -c 4000 | tr '\000-\037' ' ' | sed 's/[\\"]/\\&/g')
  run_section outcome printf '{"status": "%s", "code": "%s", "error": "%s", "warnings": [%s]}\n' \
    "$1" "$2" "$error" "$warnings"
}

# Reads the warnings of a pending change as JSON: lines of a code, a name and an error. A full disk may have cut the last.
read_warnings() {
  [ ! -e "$PENDING/warnings" ] || warnings=$(head -n 100 "$PENDING/warnings" | sed -n 's/[\\"]/\\&/g
    s/^\(container-not-started\|unit-not-started\) \([^ ]*\) \(.*\)/{"code": "\1", "key": "\2", "error": "\3"}/p' | paste -s -d , -)
}

# error_code STATUS OUTPUT: the code for a step that failed with these. A disk error comes first: it explains the others.
error_code() {
  case "$2" in
    *'No space left on device'* | *'Disk quota exceeded'*) echo no-space ;;
    *'Read-only file system'*) echo read-only ;;
    *) if [ "$1" = "$DOCKER_FAILED" ]; then echo docker-failed; else echo step-failed; fi ;;
  esac
}

# take_lock OPTION...: takes the lock, with options of flock. The previous holder may have removed the file that flock waited
# for, so the function tries again until the locked file is the one with the name. `command` keeps dash running if the
# file cannot be opened.
take_lock() {
  while { [ -d "$STATE" ] || (umask 077 && mkdir -p "$STATE"); } && command exec 9>>"$STATE/lock" && flock "$@" 9; do
    if [ "$STATE/lock" -ef /dev/fd/9 ]; then
      # Ignores a failure: the name only informs others, and a full disk must not prevent a revert.
      printf '%s\n' "${RUN:-the host itself}" >"$STATE/lock" || true
      return 0
    fi
  done
  return 1
}

# lock_error STATUS: prints the outcome after take_lock failed.
lock_error() {
  if problem=$(touch "$STATE/lock" 2>&1); then
    holder=$(cat "$STATE/lock")
    emit_outcome "$1" locked "locked by ${holder:-a process without a name}"
  else
    emit_outcome "$1" "$(error_code 1 "$problem")" "cannot write to $STATE: $problem"
  fi
}

# Also removes the directory of a host that is no longer part of the mesh.
release_lock() {
  if [ -e "$STATE/reassert.sh" ] || [ -e "$PENDING" ]; then
    rm -f "$STATE/lock"
  else
    rm -f "$STATE/previous.json" "$STATE/lock"
    rmdir "$STATE" 2>/dev/null
  fi
}

# Arms the revert before the first change: after CONFIRM_S seconds or at the next boot the host reverts by itself, unless
# it receives a confirmation. systemd loads the unit when the timer fires and at boot, so it needs no reload.
# The rename to PENDING comes last: the files of a revert and its unit are complete and on disk, and its timer runs, before
# it counts.
arm_revert() {
  { [ ! -e "$ARMING" ] && [ ! -e "$DISARMED" ] || remove_disarmed; } && mkdir -m 700 "$ARMING" &&
    write_text "$ARMING/run" "$RUN" && write_text "$ARMING/containers" "$RUNNING_CONTAINERS" &&
    write_text "$ARMING/dependents" "$DEPENDENTS" && write_pending && sync "$ARMING"/* "$ARMING" &&
    write_revert_unit && sync_names && start_revert_timer "$((CONFIRM_S + CHANGE_S))" &&
    mv -T "$ARMING" "$PENDING" && sync "$STATE"
}

# write_text PATH TEXT. On a full disk the shell reports "I/O error"; cat reports the real cause.
write_text() { { printf '%s\n' "$2" >"$1"; } 2>/dev/null || printf '%s\n' "$2" | cat >"$1"; }

# save_pending NAME, with the content in base64 on stdin: a file that the revert needs, readable by root only.
save_pending() { (umask 077 && base64 -d >"$ARMING/$1"); }

# systemd remembers a failed unit, even as "not found" after its file is gone, and starts no timer for it.
start_revert_timer() { $REVERT_IN "$1" 2>/dev/null || { reset_failed; $REVERT_IN "$1"; }; }

# The unit also removes what a power cut left of a change that was not armed yet, or no longer. There is one such file at
# most. dockmesh.service waits for the unit at boot, so it restores the routes and rules of the reverted state. After a
# revert that was killed or failed, systemd starts the timer again. A stop of the unit, as in a reboot, makes it wait for the
# timeout, since a timer stops after its unit.
write_revert_unit() {
  replace_file "$UNITS/$REVERT.service" 644 cat <<END && add_want multi-user.target "$REVERT.service"
# Written by dockmesh: reverts a change, unless a confirmation removes this unit.
[Unit]
Description=dockmesh: revert an unconfirmed change
After=network-online.target docker.service
Before=dockmesh.service
ConditionPathExistsGlob=/etc/dockmesh/*/revert.sh

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'exec /bin/sh /etc/dockmesh/*/revert.sh'
ExecStopPost=/bin/sh -c '[ ! -e /etc/dockmesh/pending/run ] || { systemctl --job-mode=ignore-dependencies stop $REVERT.timer; $REVERT_IN 60; }'
TimeoutStopSec=10
END
}

reset_failed() {
  systemctl reset-failed "$REVERT.service" "$REVERT.timer" 2>/dev/null
  return 0
}

# disarm_revert [SAVE_PREVIOUS]: the rename decides, and is on disk when the function returns: from then on the change is
# confirmed, or already reverted. With SAVE_PREVIOUS=yes its previous state becomes what a rollback restores.
disarm_revert() {
  if [ -e "$PENDING" ]; then
    [ "$1" = yes ] || rm -f "$PENDING/previous.json"
    mv -T "$PENDING" "$DISARMED" && sync "$STATE" || return 1
  fi
  remove_disarmed
}

# The unit goes before the files that it runs, so it removes them at boot if this is interrupted. The timer stops only now:
# until the rename is on disk, it must end what an interrupted script leaves.
remove_disarmed() {
  systemctl stop "$REVERT.timer" 2>/dev/null
  [ ! -e "$DISARMED/previous.json" ] || mv -f "$DISARMED/previous.json" "$STATE/previous.json"
  rm -rf "$UNITS/multi-user.target.wants/$REVERT.service" "$UNITS/$REVERT.service" "$UNITS/$REVERT.service$NEW" \
    "$DISARMED" "$ARMING"
  reset_failed
}

apply_change() {
  if [ -e "$PENDING" ]; then
    emit_outcome refused change-pending \
      "a change waits for its confirmation, or reverts soon: by $(cat "$PENDING/run")"
  elif read_all; [ "$(fingerprint "$(read_basis)")" != "$BASIS" ]; then
    emit_outcome refused stale-plan 'the host is no longer as the plan found it: plan again'
  else
    RUNNING_CONTAINERS=
    DEPENDENTS=
    if [ -n "$docker_running" ]; then
      RUNNING_CONTAINERS=$(docker ps -q --no-trunc 2>/dev/null)
      DEPENDENTS=$(active_dependents)
    fi
    if ! problem=$(arm_revert 2>&1); then
      disarm_revert
      emit_outcome refused "$(error_code 1 "$problem")" "$problem"
      return
    fi
    # The time to confirm starts when the change is complete, however long Docker took.
    if problem=$({ apply_steps && sync_names && systemctl stop "$REVERT.timer" && start_revert_timer "$CONFIRM_S"; } 2>&1); then
      emit_outcome changed '' ''
    else
      failed=$?
      revert_change "$(error_code "$failed" "$problem")" "$problem"
    fi
  fi
}

# revert_change CODE REASON
revert_change() {
  # shellcheck disable=SC2034 # host_steps.sh reads it
  reverting=yes
  # The change has started some of them already, in a subshell.
  RUNNING_CONTAINERS=$(cat "$PENDING/containers" 2>/dev/null)
  DEPENDENTS=$(cat "$PENDING/dependents" 2>/dev/null)
  if revert_problem=$({ restore_daemon_json && revert_steps && sync_names && record_own_revert; } 2>&1) &&
    read_warnings && revert_problem=$(disarm_revert 2>&1); then
    emit_outcome reverted "$1" "$2"
  else
    read_warnings
    # The files stay for the next attempt, in a minute and at the next boot.
    record_failure "$revert_problem" 2>/dev/null
    revert_later
    emit_outcome failed revert-failed "$2; and on the way back: $revert_problem"
  fi
}

revert_later() {
  systemctl stop "$REVERT.timer" 2>/dev/null
  start_revert_timer 60
}

# Records a revert by the host itself, with its time and reason, until the next confirmed change. systemd-run made the
# timer, so it does not exist after a reboot. On a full disk there is no record.
record_own_revert() {
  [ -n "$BY_ITSELF" ] || return 0
  if systemctl is-active --quiet "$REVERT.timer"; then reason=not-confirmed; else reason=reboot; fi
  { write_text "$STATE/reverted" "$(date +%s) $reason $(cat "$PENDING/run")" && sync "$STATE/reverted"; } 2>/dev/null ||
    rm -f "$STATE/reverted"
}

# record_failure PROBLEM: counts the failed reverts, and records the time and the problem of the last one.
record_failure() {
  attempts=
  { read -r attempts _ <"$PENDING/failed"; } 2>/dev/null
  case "$attempts" in '' | *[!0-9]*) attempts=0 ;; esac
  write_text "$PENDING/failed" "$((attempts + 1)) $(date +%s) $(printf '%s' "$1" | head -c 4000 | tr '\000-\037' ' ')"
}

# Needs RUN, the name of the run; BASIS, the fingerprint of the plan; PEERS and PEERS6; CONFIRM_S; and the functions
# apply_steps, revert_steps and write_pending, which saves what the revert needs.
transact() {
  trap '' HUP PIPE
  if take_lock -w "$LOCK_S"; then
    apply_change
    release_lock
  else
    lock_error refused
  fi
}

# Keeps the change of RUN.
confirm() {
  trap '' HUP PIPE
  if ! take_lock -w "$LOCK_S"; then
    lock_error failed
    return
  fi
  pending_run=
  { read -r pending_run <"$PENDING/run"; } 2>/dev/null
  if [ "$pending_run" = "$RUN" ]; then
    read_warnings
    if problem=$(disarm_revert "$SAVE_PREVIOUS" 2>&1); then
      emit_outcome confirmed '' ''
    else
      emit_outcome failed "$(error_code 1 "$problem")" "$problem"
    fi
  else
    emit_outcome reverted not-confirmed 'the change is no longer pending: no confirmation reached the host in time'
  fi
  release_lock
}

# Reverts an unconfirmed change: run by the timer, at boot, and by the controller (BY_CONTROLLER) if probes fail or for
# `dockmesh rollback`.
revert() {
  trap '' HUP PIPE
  # A script that hangs may hold the lock: the next attempt finds it gone.
  take_lock -w 300 || { [ ! -e "$PENDING" ] || revert_later; exit 1; }
  if [ -e "$PENDING/run" ]; then
    [ -n "${BY_CONTROLLER-}" ] || BY_ITSELF=yes
    revert_change not-confirmed 'not confirmed'
  else
    disarm_revert
    emit_outcome reverted '' ''
  fi
  release_lock
}
