# Changes a host as a whole: into its new state, or back into its old one. Follows sections.sh and facts.sh.
# Needs RUN (who changes), BASIS (what the plan was made from), PEERS, and the functions go_forward and go_back.
# Output: the section "outcome" with one JSON document, then the facts as they are now.
# shellcheck shell=dash disable=SC2154

STATE=/etc/dockmesh

# --- one resource each; every verb may be run again -----------------------------------------------------------------

# put_file PATH MODE, the content in base64 on stdin: beside it, then renamed over it, so that no half file is read.
put_file() {
  target=$(readlink -f "$1") && mkdir -p "$(dirname "$target")" && beside=$(mktemp "$target.XXXXXX") || return 1
  if base64 -d >"$beside" && chmod "$2" "$beside" && { [ ! -e "$target" ] || chown --reference="$target" "$beside"; } &&
    sync "$beside" && mv -f "$beside" "$target"; then return 0; fi
  rm -f "$beside"
  return 1
}

remove_file() { rm -f "$1"; }

# change_routes, lines for ip -batch on stdin. A route to delete that is gone already is no failure.
change_routes() {
  problems=$(ip -4 -force -batch - 2>&1 | grep -v -e 'No such process' -e '^Command failed')
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

unhook() {
  iptables -w 10 -t "$1" -S | grep -- " -j $2\$" | sed 's/^-A/-D/' | while read -r jump; do
    # A jump's words hold no blanks.
    # shellcheck disable=SC2086
    iptables -w 10 -t "$1" $jump
  done
}

# put_chain TABLE NAME HOOK, lines for iptables-restore on stdin: filled at one blow, then hooked in first place.
put_chain() { iptables-restore -w 10 --noflush && unhook "$1" "$2" && iptables -w 10 -t "$1" -I "$3" 1 -j "$2"; }

remove_chain() {
  unhook "$1" "$2"
  iptables -w 10 -t "$1" -S "$2" >/dev/null 2>&1 || return 0
  iptables -w 10 -t "$1" -F "$2" && iptables -w 10 -t "$1" -X "$2"
}

bridge_address() { ip -o -4 addr show dev docker0 2>/dev/null | sed -n 's/.* inet \([^ ]*\) .*/\1/p'; }

# restart_docker ADDRESS: docker0 goes and comes again on ADDRESS, then the containers that ran before.
restart_docker() {
  if [ "$(bridge_address)" != "$1" ] || ! systemctl is-active --quiet docker.service; then
    renew_bridge || return 1
    address=$(bridge_address)
    [ "$address" = "$1" ] || { echo "docker0 came up on ${address:-no address}, not on $1"; return 1; }
  fi
  restart_containers
}

# restart_docker_by FILE ADDRESS, in base64 on stdin the content with which Docker starts on ADDRESS: the file is as it
# was once Docker has started.
restart_docker_by() {
  aside=$(mktemp -d "$STATE/XXXXXX") || return 1
  [ ! -e "$1" ] || cp -p "$1" "$aside/file" || return 1
  put_file "$1" 644 && restart_docker "$2"
  status=$?
  if [ -e "$aside/file" ]; then mv -f "$aside/file" "$(readlink -f "$1")"; else rm -f "$1"; fi || status=1
  rmdir "$aside"
  return "$status"
}

renew_bridge() {
  socket=$(systemctl is-active docker.socket)
  # With live-restore a container left running keeps the bridge, and Docker passes over bip in silence (moby#43562).
  # shellcheck disable=SC2086
  [ -z "$RUNNING" ] || [ "$(docker info --format '{{.LiveRestoreEnabled}}')" != true ] || docker stop $RUNNING >/dev/null
  systemctl stop docker.socket docker.service 2>/dev/null || systemctl stop docker.service || return 1
  ip link delete docker0 2>/dev/null
  # Three starts a minute are all that systemd allows docker.service.
  systemctl reset-failed docker.service docker.socket 2>/dev/null
  [ "$socket" != active ] || systemctl start docker.socket || return 1
  systemctl start docker.service || { journalctl -q -n 3 -o cat -u docker.service; return 1; }
}

# Twice, since a container may need another one's network; those with --rm are gone by now.
restart_containers() {
  there=$(docker ps -aq --no-trunc)
  ids=$(for id in $RUNNING; do echo "$there" | grep -Fx "$id"; done)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker start $ids >/dev/null 2>&1 || docker start $ids
}

# --- the transaction ------------------------------------------------------------------------------------------------

# outcome STATUS ERROR
outcome() {
  error=$(printf '%s' "$2" | head -c 4000 | tr '\000-\037' ' ' | sed 's/[\\"]/\\&/g')
  section outcome printf '{"status": "%s", "error": "%s"}\n' "$1" "$error"
}

# The lock is on the file that has the name now: its holder may have removed the one that was opened.
lock() {
  mkdir -p "$STATE" && chmod 700 "$STATE" && exec 9>>"$STATE/lock" && flock -n 9 &&
    [ "$(stat -c %i "$STATE/lock" 2>/dev/null)" = "$(stat -L -c %i /dev/fd/9)" ] && printf '%s\n' "$RUN" >"$STATE/lock"
}

# Leaves no trace where dockmesh has nothing to remember on this host.
unlock() {
  rm -f "$STATE/lock"
  rmdir "$STATE" 2>/dev/null
}

change() {
  if [ "$(read_basis | fingerprint)" != "$BASIS" ]; then
    outcome refused 'the host is no longer as the plan found it: plan again'
    return
  fi
  RUNNING=$(docker ps -q --no-trunc 2>/dev/null)
  if problem=$(go_forward 2>&1); then
    outcome changed ''
  elif back=$(go_back 2>&1); then
    outcome reverted "$problem"
  else
    outcome failed "$problem; and on the way back: $back"
  fi
}

transact() {
  if lock; then
    change
    unlock
  else
    outcome refused "locked by $(cat "$STATE/lock" 2>&1)"
  fi
  read_facts
}
