# Changes a host as a whole: into its new state, or back into its old one. Follows sections.sh, facts.sh and verbs.sh.
# Output: the section "outcome" with one JSON document.
# shellcheck shell=dash disable=SC2154

DAEMON_JSON=/etc/docker/daemon.json
STATE=/etc/dockmesh
PENDING=$STATE/pending
ARMING=$STATE/arming
DISARMED=$STATE/disarmed
UNITS=/etc/systemd/system
REVERT=dockmesh-revert
CHANGE_S=300
# The exit status of a step that Docker failed in; no program that steps call ends with it.
DOCKER_FAILED=77
stale=

# --- one resource each ----------------------------------------------------------------------------------------------

# put_file PATH MODE, the content in base64 on stdin: beside it, then renamed over it, so that no half file is read.
# A file that has the content already needs no room, which the way back may not find on a full disk.
put_file() {
  if [ ! -L "$1" ] && [ ! -e "$1" ]; then
    make_file "$@"
    return
  fi
  content=$(cat)
  target=$(readlink -f "$1") || return 1
  # As the device that a masked unit is a link to.
  [ ! -e "$target" ] || [ -f "$target" ] || { echo "$1 leads to $target, which is no file"; return 1; }
  if [ -e "$target" ] && [ "$(base64 <"$target")" = "$content" ]; then
    chmod "$2" "$target"
  else
    printf '%s\n' "$content" | make_file "$target" "$2"
  fi
}

make_file() {
  [ -d "${1%/*}" ] || mkdir -p "${1%/*}" || return 1
  # Made for its owner alone, which is the mode 600.
  beside=$(mktemp "$1.XXXXXX") || return 1
  if base64 -d >"$beside" && { [ "$2" = 600 ] || chmod "$2" "$beside"; } &&
    { [ ! -e "$1" ] || chown --reference="$1" "$beside"; } && sync "$beside" && mv -f "$beside" "$1"; then return 0; fi
  rm -f "$beside"
  return 1
}

remove_file() { rm -f "$1"; }

# put_unit NAME, its text in base64 on stdin: enabled, as by systemctl, which would have systemd read all units again for
# each; that is for settle_units.
put_unit() {
  put_file "$UNITS/$1" 644 || return 1
  put=$UNITS/$1
  while read -r line || [ -n "$line" ]; do
    case "$line" in WantedBy=*) ;; *) continue ;; esac
    # The words of that line, each a unit's name.
    for wanting in ${line#*=}; do
      [ "$UNITS/$wanting.wants/$1" -ef "$UNITS/$1" ] || want "$wanting" "$1" || return 1
    done
  done <"$put"
}

# want WANTING NAME. What runs already learns of that only when systemd reads all units again; these two matter at boot.
want() {
  case "$1" in multi-user.target | timers.target) ;; *) stale=yes ;; esac
  { [ -d "$UNITS/$1.wants" ] || mkdir -p "$UNITS/$1.wants"; } && ln -sf "$UNITS/$2" "$UNITS/$1.wants/$2"
}

remove_unit() {
  case "$1" in *.timer) systemctl stop "$1" 2>/dev/null ;; esac
  [ ! -L "$UNITS/docker.service.wants/$1" ] || stale=yes
  rm -f "$UNITS/$1" "$UNITS"/*.wants/"$1"
  [ ! -d "$UNITS/docker.service.wants" ] || rmdir "$UNITS/docker.service.wants" 2>/dev/null
  systemctl reset-failed "$1" 2>/dev/null
  return 0
}

# settle_units TIMER...: systemd knows of the units put and removed, and these timers run. What it has not in memory it
# reads when it needs it; to have it read all units again costs twenty times as much as asking for that.
settle_units() {
  if [ -n "$stale" ] || [ -n "$(systemctl list-units --all --plain --no-legend 'dockmesh.*' 2>&1)" ]; then
    systemctl daemon-reload || return 1
  fi
  stale=
  [ "$#" = 0 ] || systemctl restart "$@"
}

# remove_chain TABLES TABLE NAME: it and every jump to it, at one blow.
remove_chain() {
  has=$(rules_of "$1" "$2") || return 1
  steps=$(printf '%s\n' "$has" | awk -v chain="$3" '
    $1 == ":" chain { there = 1 }
    $1 == "-A" && substr($0, length($0) - length(chain) - 3) == " -j " chain { print "-D" substr($0, 3) }
    END { if (there) { print "-F " chain; print "-X " chain } }')
  [ -z "$steps" ] || printf '*%s\n%s\nCOMMIT\n' "$2" "$steps" | "$1-restore" -w 10 --noflush
}

# remove_nat FAMILY
remove_nat() { printf 'table %s dockmesh {\n}\ndelete table %s dockmesh\n' "$1" "$1" | nft -f -; }

bridge_address() { ip -o -4 addr show dev docker0 2>/dev/null | sed -n 's/.* inet \([^ ]*\) .*/\1/p'; }

bridge_addresses6() { ip -o -6 addr show dev docker0 scope global 2>/dev/null | sed -n 's/.* inet6 \([^ ]*\) .*/\1/p'; }

# settle_bridge6 ADDRESS: of IPv6, docker0 has that address alone. Docker brings back the one from before as it starts,
# and leaves it there with the link-local one that goes with it, also where it has no IPv6 any more.
settle_bridge6() {
  for other in $(bridge_addresses6); do
    [ "$other" = "$1" ] || ip -6 addr del "$other" dev docker0 || return 1
  done
  [ -n "$1" ] || ip -6 addr del fe80::1/64 dev docker0 2>/dev/null
  return 0
}

# The pools of the running Docker, as "BASE SIZE;" each; after a reload Docker 28.5 has "invalid Prefix" for every base.
docker_pools() { docker info --format '{{range .DefaultAddressPools}}{{.Base}} {{.Size}};{{end}}'; }

# The MTU of docker0's containers; docker0 itself has another one as long as there are none.
bridge_mtu() {
  docker network inspect bridge --format '{{with index .Options "com.docker.network.driver.mtu"}}{{.}}{{else}}1500{{end}}'
}

is_docker_on() {
  systemctl is-active --quiet docker.service && [ "$(bridge_address)" = "$1" ] && [ "$(bridge_addresses6)" = "$2" ] &&
    [ "$(docker_pools)" = "$3" ] && [ "$(bridge_mtu)" = "$4" ]
}

# The fifth word is there where what Docker lets in is to change.
is_admitting() { [ -z "$5" ] || [ "$(docker_admits)" = "$5" ]; }

# restart_docker ADDRESS ADDRESS6 POOLS MTU [ADMISSION]: docker0 goes and comes again on the addresses, then the containers
# that ran before.
restart_docker() {
  if ! { is_docker_on "$@" && is_admitting "$@"; }; then
    renew_bridge && settle_bridge6 "$2" || return "$DOCKER_FAILED"
    is_docker_on "$@" || {
      echo "Docker came up with docker0 on '$(bridge_address) $(bridge_addresses6)', pools '$(docker_pools)' and MTU $(bridge_mtu), not with '$1 $2', '$3' and $4"
      return "$DOCKER_FAILED"
    }
  fi
  # systemd stops these with Docker, but starts them with nothing.
  # shellcheck disable=SC2086
  [ -z "$DEPENDENTS" ] || systemctl start $DEPENDENTS || return "$DOCKER_FAILED"
  restart_containers || return "$DOCKER_FAILED"
}

# The active units that systemd stops when Docker is stopped.
dependents() {
  for unit in $(systemctl show docker.service docker.socket -p RequiredBy -p BoundBy -p ConsistsOf --value); do
    case "$unit" in docker.service | docker.socket) continue ;; esac
    ! systemctl is-active --quiet "$unit" || echo "$unit"
  done | sort -u
}

# restart_docker_by ADDRESS ADDRESS6 POOLS MTU [ADMISSION], in base64 on stdin the daemon.json with which Docker starts on
# them: the file is as it was once Docker has started.
restart_docker_by() {
  aside=$(mktemp -d "$PENDING/XXXXXX") || return 1
  [ ! -e "$DAEMON_JSON" ] || cp -p "$DAEMON_JSON" "$aside/file" || return 1
  put_file "$DAEMON_JSON" 644 && restart_docker "$@"
  status=$?
  if [ -e "$aside/file" ]; then mv -f "$aside/file" "$(readlink -f "$DAEMON_JSON")"; else rm -f "$DAEMON_JSON"; fi || status=1
  rmdir "$aside"
  # A Docker that takes no such file may remember the address by itself.
  [ "$status" = 0 ] || { restart_docker "$@"; status=$?; }
  return "$status"
}

# dockerd knows --validate since 23.0; what it refuses need not stop the running one.
validate() {
  [ ! -e "$DAEMON_JSON" ] || ! dockerd --help 2>/dev/null | grep -q -e --validate ||
    dockerd --validate --config-file="$DAEMON_JSON"
}

renew_bridge() {
  checked=$(validate 2>&1) || { echo "$checked"; return 1; }
  socket=$(systemctl is-active docker.socket)
  # With live-restore a container left running keeps the bridge, and Docker passes over bip in silence (moby#43562).
  # shellcheck disable=SC2086
  [ -z "$RUNNING" ] || [ "$(docker info --format '{{.LiveRestoreEnabled}}')" != true ] || docker stop $RUNNING >/dev/null
  systemctl stop docker.socket docker.service 2>/dev/null || systemctl stop docker.service || return 1
  ip link delete docker0 2>/dev/null
  # Three starts a minute are all that systemd allows docker.service.
  systemctl reset-failed docker.service docker.socket 2>/dev/null
  [ "$socket" != active ] || systemctl start docker.socket || return 1
  systemctl start docker.service 2>/dev/null || { journalctl -q -n 3 -o cat -u docker.service; return 1; }
}

# Twice, since a container may need another one's network; those with --rm are gone by now.
restart_containers() {
  there=$(docker ps -aq --no-trunc)
  ids=$(for id in $RUNNING; do echo "$there" | grep -Fx "$id"; done)
  # shellcheck disable=SC2086
  [ -z "$ids" ] || docker start $ids >/dev/null 2>&1 || docker start $ids
}

# --- the transaction ------------------------------------------------------------------------------------------------

# outcome STATUS CODE ERROR
outcome() {
  error=
  [ -z "$3" ] || error=$(printf '%s' "$3" | head -c 4000 | tr '\000-\037' ' ' | sed 's/[\\"]/\\&/g')
  section outcome printf '{"status": "%s", "code": "%s", "error": "%s"}\n' "$1" "$2" "$error"
}

# code_of STATUS TEXT: the code of a step that failed so. What the kernel says of the disk explains what came of it.
code_of() {
  case "$2" in
    *'No space left on device'* | *'Disk quota exceeded'*) echo no-space ;;
    *'Read-only file system'*) echo read-only ;;
    *) if [ "$1" = "$DOCKER_FAILED" ]; then echo docker-failed; else echo step-failed; fi ;;
  esac
}

# lock OPTION... of flock. The lock is on the file that has the name now: its holder may have removed the one that was
# waited for. `command` keeps dash alive where the file cannot be opened.
lock() {
  while { [ -d "$STATE" ] || (umask 077 && mkdir -p "$STATE"); } && command exec 9>>"$STATE/lock" && flock "$@" 9; do
    if [ "$STATE/lock" -ef /dev/fd/9 ]; then
      # The name is a courtesy: a full disk must not keep a host from its way back.
      printf '%s\n' "${RUN:-the host itself}" >"$STATE/lock" || true
      return 0
    fi
  done
  return 1
}

# unlocked STATUS: the outcome where lock failed.
unlocked() {
  if [ -s "$STATE/lock" ]; then
    outcome "$1" locked "locked by $(cat "$STATE/lock")"
  else
    problem=$(touch "$STATE/lock" 2>&1)
    outcome "$1" "$(code_of 1 "$problem")" "cannot write to $STATE: $problem"
  fi
}

# Leaves no trace where dockmesh has nothing to remember on this host.
unlock() {
  if [ -e "$STATE/reassert.sh" ] || [ -e "$PENDING" ]; then
    rm -f "$STATE/lock"
  else
    rm -f "$STATE/previous.json" "$STATE/lock"
    rmdir "$STATE" 2>/dev/null
  fi
}

# Before the first change: what the host does by itself, after CONFIRM_S seconds or at the next boot, unless it hears a
# confirmation. systemd loads the unit when the timer fires, and at boot; no reload is needed.
# What the way back needs is complete and on the disk before it has its name, and the unit is there before that.
arm() {
  { [ ! -e "$ARMING" ] && [ ! -e "$DISARMED" ] || rm -rf "$ARMING" "$DISARMED"; } && mkdir -m 700 "$ARMING" &&
    write "$ARMING/run" "$RUN" && write "$ARMING/running" "$RUNNING" && write "$ARMING/dependents" "$DEPENDENTS" &&
    write_pending && sync "$ARMING"/* && write_revert_unit && mv -T "$ARMING" "$PENDING" &&
    start_timer "$((CONFIRM_S + CHANGE_S))"
}

# write PATH TEXT. The shell's own word for a full disk is "I/O error"; cat says what it is.
write() { { printf '%s\n' "$2" >"$1"; } 2>/dev/null || printf '%s\n' "$2" | cat >"$1"; }

# keep NAME, the content in base64 on stdin: for the way back, and for root alone.
keep() { (umask 077 && base64 -d >"$ARMING/$1"); }

start_timer() {
  systemd-run --quiet --on-active="$1" --timer-property=AccuracySec=100ms --unit="$REVERT.service"
}

write_revert_unit() {
  { [ -d "$UNITS/multi-user.target.wants" ] || mkdir -p "$UNITS/multi-user.target.wants"; } &&
    ln -sf "$UNITS/$REVERT.service" "$UNITS/multi-user.target.wants/$REVERT.service" &&
    write "$UNITS/$REVERT.service" '# Written by dockmesh, and removed when its change is confirmed: takes back a change that was not.
[Unit]
Description=dockmesh: take back an unconfirmed change
After=network-online.target docker.service
ConditionPathExists=/etc/dockmesh/pending/revert.sh

[Service]
Type=oneshot
ExecStart=/bin/sh /etc/dockmesh/pending/revert.sh' && forget_failures
}

# systemd keeps a unit that failed in memory, even as "not found" when its file has gone, and starts no timer for it.
forget_failures() {
  systemctl reset-failed "$REVERT.service" "$REVERT.timer" 2>/dev/null
  return 0
}

disarm() {
  systemctl stop "$REVERT.timer" 2>/dev/null
  [ ! -e "$PENDING" ] || mv -T "$PENDING" "$DISARMED"
  rm -rf "$UNITS/multi-user.target.wants/$REVERT.service" "$UNITS/$REVERT.service" "$DISARMED" "$ARMING"
  forget_failures
}

change() {
  if [ -e "$PENDING" ]; then
    outcome refused change-pending "a change waits for its confirmation, or takes itself back soon: by $(cat "$PENDING/run")"
  elif look; [ "$(fingerprint "$(read_basis)")" != "$BASIS" ]; then
    outcome refused stale-plan 'the host is no longer as the plan found it: plan again'
  else
    RUNNING=
    DEPENDENTS=
    if [ -n "$awake" ]; then
      RUNNING=$(docker ps -q --no-trunc 2>/dev/null)
      DEPENDENTS=$(dependents)
    fi
    if ! problem=$(arm 2>&1); then
      disarm
      outcome refused "$(code_of 1 "$problem")" "$problem"
      return
    fi
    # What is left to the controller counts from the end of the change, however long Docker took.
    if problem=$({ go_forward && systemctl stop "$REVERT.timer" && start_timer "$CONFIRM_S"; } 2>&1); then
      outcome changed '' ''
    else
      failed=$?
      take_back "$(code_of "$failed" "$problem")" "$problem"
    fi
  fi
}

# take_back CODE WHY
take_back() {
  if back=$(go_back 2>&1); then
    disarm
    outcome reverted "$1" "$2"
  else
    # What the way back needs stays: it is gone again in a minute, and at the next boot.
    systemctl stop "$REVERT.timer" 2>/dev/null
    start_timer 60
    outcome failed revert-failed "$2; and on the way back: $back"
  fi
}

# Needs RUN, who changes; BASIS, what the plan was made from; PEERS; CONFIRM_S; go_forward, go_back and write_pending,
# which puts what the way back needs into PENDING.
transact() {
  trap '' HUP PIPE
  # The host's own reassertion holds the lock for a moment; a run holds it for longer.
  if lock -w 5; then
    change
    unlock
  else
    unlocked refused
  fi
}

# confirm: the change of RUN stays.
confirm() {
  trap '' HUP PIPE
  if ! lock -w 30; then
    unlocked failed
    return
  fi
  if [ "$(cat "$PENDING/run" 2>/dev/null)" = "$RUN" ]; then
    [ "$REMEMBER" = no ] || mv -f "$PENDING/previous.json" "$STATE/previous.json"
    disarm
    outcome confirmed '' ''
  else
    outcome reverted not-confirmed 'no confirmation reached the host in time, and it took the change back'
  fi
  unlock
}

# What the timer runs, the next boot, and the controller where the mesh does not stand.
revert() {
  trap '' HUP PIPE
  lock -w 300 || exit 1
  if [ -e "$PENDING/run" ]; then
    RUNNING=$(cat "$PENDING/running")
    DEPENDENTS=$(cat "$PENDING/dependents")
    take_back not-confirmed 'not confirmed'
  else
    outcome reverted '' ''
  fi
  unlock
}
