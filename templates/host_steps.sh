# Steps that change files, systemd units and Docker. Every step may run again, and changes only what differs.
# Needs output.sh, and to restart Docker write_text of transaction.sh, and RUNNING_CONTAINERS and DEPENDENTS: the containers
# and units to start afterwards.
# shellcheck shell=dash disable=SC2154

DAEMON_JSON=/etc/docker/daemon.json
PENDING=/etc/dockmesh/pending
SAVED_JSON=$PENDING/daemon.json
UNITS=/etc/systemd/system
# The exit status of a step that failed because of Docker. No program that the steps call uses it.
DOCKER_FAILED=77
# Ends the name of a file that is about to replace another one.
NEW=.dockmesh-new
# The seconds that the start of one container or unit may take, and the start of all. systemd starts the rest later, so that
# they do not decide whether the change is confirmed in time.
START_S=30
ALL_STARTS_S=90
LATER="starts later, since the others took too long"
reload_needed=
# "yes" while the steps of a revert run.
reverting=

# put_file PATH MODE, with the content in base64 on stdin: writes a file next to the target and renames it, so that no
# process reads half a file. A file that has the content already needs no space, so a revert works on a full disk.
put_file() {
  if [ ! -L "$1" ] && [ ! -e "$1" ]; then
    replace_file "$@"
    return
  fi
  content=$(cat)
  target=$(readlink -f "$1") || return 1
  # A masked unit is a link to /dev/null, which is no regular file.
  [ ! -e "$target" ] || [ -f "$target" ] || { echo "$1 leads to $target, which is no file"; return 1; }
  if [ -e "$target" ] && [ "$(base64 <"$target")" = "$content" ]; then
    remove_new "$target" && chmod "$2" "$target"
  else
    printf '%s\n' "$content" | replace_file "$target" "$2"
  fi
}

# replace_file PATH MODE [DECODER], with the content in base64 on stdin, or as DECODER reads it.
replace_file() {
  [ -d "${1%/*}" ] || mkdir -p "${1%/*}" || return 1
  remove_new "$1" || return 1
  mask=077
  [ "$2" != 644 ] || mask=022
  # With noclobber the shell opens no link that others made.
  if (umask "$mask" && set -C && ${3-base64 -d} >"$1$NEW") && case "$2" in 600 | 644) ;; *) chmod "$2" "$1$NEW" ;; esac &&
    { [ ! -e "$1" ] || chown --reference="$1" "$1$NEW"; } && sync "$1$NEW" && mv -f "$1$NEW" "$1"; then
    return 0
  fi
  rm -f "$1$NEW"
  return 1
}

# remove_new PATH: removes the new content that a power cut left beside the file.
remove_new() { [ ! -e "$1$NEW" ] || rm -f "$1$NEW"; }

remove_file() { rm -f "$1" "$1$NEW"; }

# Makes the renames and removals of all steps survive a power cut. Journaling file systems write them all for the first
# directory. The content of the files is on disk already.
sync_names() {
  daemon_json=$DAEMON_JSON
  [ ! -L "$daemon_json" ] || daemon_json=$(readlink -f "$daemon_json")
  set --
  for directory in /etc "${PENDING%/*}" "${daemon_json%/*}" "$UNITS" "$UNITS"/*.wants; do
    [ ! -d "$directory" ] || set -- "$@" "$directory"
  done
  sync "$@"
}

# put_unit NAME, with its text in base64 on stdin: writes the unit and enables it. `systemctl enable` would make systemd
# reload all units for each of them, so activate_units does that once.
put_unit() {
  put_file "$UNITS/$1" 644 || return 1
  unit_path=$UNITS/$1
  while read -r line || [ -n "$line" ]; do
    case "$line" in WantedBy=*) ;; *) continue ;; esac
    # The value of WantedBy is a list of units.
    for wanting in ${line#*=}; do
      [ "$UNITS/$wanting.wants/$1" -ef "$UNITS/$1" ] || add_want "$wanting" "$1" || return 1
    done
  done <"$unit_path"
}

# put_stopped_unit NAME enabled|disabled, with its text in base64 on stdin: writes the unit, as a revert needs it where an
# operator had stopped or disabled the unit before the change.
put_stopped_unit() {
  put_file "$UNITS/$1" 644 || return 1
  [ "$2" = enabled ] || remove_wants "$1"
  case "$1" in *.timer) systemctl stop "$1" 2>/dev/null ;; esac
  return 0
}

# remove_wants NAME: makes no unit want the unit NAME.
remove_wants() {
  [ ! -L "$UNITS/docker.service.wants/$1" ] || reload_needed=yes
  rm -f "$UNITS"/*.wants/"$1"
  [ ! -d "$UNITS/docker.service.wants" ] || rmdir "$UNITS/docker.service.wants" 2>/dev/null
  return 0
}

# add_want WANTING NAME: makes the unit WANTING want the unit NAME. A running unit needs a reload to learn that. The two
# targets need none, because they matter at boot only.
add_want() {
  case "$1" in multi-user.target | timers.target) ;; *) reload_needed=yes ;; esac
  { [ -d "$UNITS/$1.wants" ] || mkdir -p "$UNITS/$1.wants"; } && ln -sf "$UNITS/$2" "$UNITS/$1.wants/$2"
}

remove_unit() {
  case "$1" in *.timer) systemctl stop "$1" 2>/dev/null ;; esac
  remove_wants "$1"
  rm -f "$UNITS/$1" "$UNITS/$1$NEW" "$PROBLEMS" "$RESTORED"
  systemctl reset-failed "$1" 2>/dev/null
  return 0
}

# activate_units TIMER...: makes systemd use the new units, and starts the timers. systemd reads a unit when it needs it, so
# only a unit that it has already read, and whose file differs now, needs a reload. A reload reads the units of all other
# software too, and takes fifty times as long as the check. systemd before 246 also needs it for a unit that it knows by
# name only, and does not start the timer without it.
activate_units() {
  if [ -n "$reload_needed" ] || needs_reload; then
    systemctl daemon-reload || return 1
  fi
  reload_needed=
  [ "$#" = 0 ] || systemctl restart "$@" 2>/dev/null || { systemctl daemon-reload && systemctl restart "$@"; }
}

needs_reload() {
  case "$(systemctl show dockmesh.service dockmesh.timer --property=NeedDaemonReload 2>&1)" in *=no*=no) return 1 ;; esac
}

bridge_address() { ip -o -4 addr show dev docker0 2>/dev/null | sed -n 's/.* inet \([^ ]*\) .*/\1/p'; }

bridge_addresses6() { ip -o -6 addr show dev docker0 scope global 2>/dev/null | sed -n 's/.* inet6 \([^ ]*\) .*/\1/p'; }

# set_bridge_address6 ADDRESS: leaves docker0 no other IPv6 address. When Docker starts it adds the previous one and its
# link-local address again, even after IPv6 was switched off.
set_bridge_address6() {
  for other in $(bridge_addresses6); do
    [ "$other" = "$1" ] || ip -6 addr del "$other" dev docker0 || return 1
  done
  [ -n "$1" ] || ip -6 addr del fe80::1/64 dev docker0 2>/dev/null
  return 0
}

# The address pools of the running Docker, each as "BASE SIZE;".
docker_pools() { docker info --format '{{range .DefaultAddressPools}}{{.Base}} {{.Size}};{{end}}'; }

# has_pools POOLS: after a reload Docker since 28.5 reports every base as "invalid Prefix" or, to an older client of 29, as
# nothing. Then a Docker that the change has not restarted has the pools from before the change.
has_pools() {
  reported_pools=$(docker_pools)
  [ "$reported_pools" != "$1" ] || return 0
  case ";$reported_pools" in
    *';invalid Prefix '* | *'; '*) [ -n "$reverting" ] && [ ! -e "$PENDING/docker-restarted" ] ;;
    *) return 1 ;;
  esac
}

# The MTU of the containers on docker0. docker0 itself has another MTU while it has no containers.
bridge_mtu() {
  docker network inspect bridge --format '{{with index .Options "com.docker.network.driver.mtu"}}{{.}}{{else}}1500{{end}}'
}

# docker_matches ADDRESS ADDRESS6 POOLS MTU
docker_matches() {
  docker_active && [ "$(bridge_address)" = "$1" ] && [ "$(bridge_addresses6)" = "$2" ] &&
    has_pools "$3" && [ "$(bridge_mtu)" = "$4" ]
}

# restart_docker ADDRESS ADDRESS6 POOLS MTU [ADMISSION]: recreates docker0 with these addresses and starts the
# containers and units that ran before. ADMISSION is given if what Docker accepts must change, as nft_admission prints it.
restart_docker() {
  if ! { docker_matches "$@" && { [ -z "$5" ] || [ "$(nft_admission)" = "$5" ]; }; }; then
    recreate_bridge && set_bridge_address6 "$2" || return "$DOCKER_FAILED"
    docker_matches "$@" || {
      echo "Docker came up with docker0 on '$(bridge_address) $(bridge_addresses6)'," \
        "pools '$(docker_pools)' and MTU $(bridge_mtu), not with '$1 $2', '$3' and $4"
      # A change is reverted now, and that starts them. A host may stay as it is until a revert succeeds.
      [ -z "$reverting" ] || { start_units && start_containers; }
      return "$DOCKER_FAILED"
    }
  fi
  start_units && start_containers || return "$DOCKER_FAILED"
}

# The active units that systemd stops when Docker stops, also because they depend on another such unit.
active_dependents() {
  found='docker.service docker.socket' units=
  while [ "$found" != "$units" ]; do
    units=$found
    # shellcheck disable=SC2046,SC2086
    found=$(printf '%s ' $(distinct $units $(systemctl show $units -p RequiredBy -p RequisiteOf -p BoundBy -p ConsistsOf \
      -p PropagatesStopTo --value)))
    found=${found% }
  done
  for unit in $units; do
    case "$unit" in docker.service | docker.socket) continue ;; esac
    ! systemctl is-active --quiet "$unit" || echo "$unit"
  done | sort -u
}

# restart_docker_with ADDRESS ADDRESS6 POOLS MTU [ADMISSION], with a daemon.json in base64 on stdin: restarts Docker with
# that file, which makes it use these addresses, and restores the previous file afterwards.
restart_docker_with() {
  save_daemon_json || return 1
  put_file "$DAEMON_JSON" 644 && restart_docker "$@"
  status=$?
  restore_daemon_json || status=1
  # A Docker that rejects such a file may remember the address without it.
  [ "$status" = 0 ] || { restart_docker "$@"; status=$?; }
  return "$status"
}

# The saved file is on disk before Docker's file changes, so a revert after a power cut restores it.
save_daemon_json() {
  if [ -e "$DAEMON_JSON" ]; then
    cp -p "$DAEMON_JSON" "$SAVED_JSON$NEW" && sync "$SAVED_JSON$NEW" && mv -f "$SAVED_JSON$NEW" "$SAVED_JSON"
  else
    : >"$SAVED_JSON.none"
  fi && sync "$PENDING"
}

restore_daemon_json() {
  if [ -e "$SAVED_JSON" ]; then
    mv -f "$SAVED_JSON" "$(readlink -f "$DAEMON_JSON")"
  elif [ -e "$SAVED_JSON.none" ]; then
    rm -f "$DAEMON_JSON" "$SAVED_JSON.none"
  fi
}

# dockerd has --validate since 23.0. Validation keeps the running Docker up if the file is invalid.
validate_daemon_json() {
  [ ! -e "$DAEMON_JSON" ] || ! dockerd --help 2>/dev/null | grep -q -e --validate ||
    dockerd --validate --config-file="$DAEMON_JSON"
}

recreate_bridge() {
  validation=$(validate_daemon_json 2>&1) || { echo "$validation"; return 1; }
  touch "$PENDING/docker-restarted" || [ -n "$reverting" ] || return 1
  note_running
  socket=$(systemctl is-active docker.socket)
  # With live-restore a running container keeps the bridge, and Docker ignores bip without a message (moby#43562).
  # shellcheck disable=SC2086
  [ -z "$RUNNING_CONTAINERS" ] || [ "$(docker info --format '{{.LiveRestoreEnabled}}')" != true ] ||
    docker stop $RUNNING_CONTAINERS >/dev/null
  systemctl stop docker.socket docker.service 2>/dev/null || systemctl stop docker.service || return 1
  ip link delete docker0 2>/dev/null
  # systemd allows docker.service three starts a minute.
  systemctl reset-failed docker.service docker.socket 2>/dev/null
  [ "$socket" != active ] || systemctl start docker.socket || return 1
  systemctl start docker.service 2>/dev/null || { journalctl -q -n 3 -o cat -u docker.service; return 1; }
}

# Adds what runs now to the containers and units to start again. A revert finds there what its change did not start.
note_running() {
  docker_active || return 0
  # Ids and names of units contain no blanks.
  # shellcheck disable=SC2046,SC2086
  set -- "$(distinct $RUNNING_CONTAINERS $(docker ps -q --no-trunc 2>/dev/null))" \
    "$(distinct $DEPENDENTS $(active_dependents))"
  [ "$1$2" = "$RUNNING_CONTAINERS$DEPENDENTS" ] || { RUNNING_CONTAINERS=$1 DEPENDENTS=$2; save_running; }
}

distinct() { printf '%s\n' "$@" | awk '!seen[$0]++'; }

# Another attempt of a revert starts only what this one has not started: an operator may have stopped the rest since.
# A full disk keeps the old files, and must not prevent a revert.
save_running() {
  write_text "$PENDING/new" "$RUNNING_CONTAINERS" && sync "$PENDING/new" && mv -f "$PENDING/new" "$PENDING/containers" &&
    write_text "$PENDING/new" "$DEPENDENTS" && sync "$PENDING/new" && mv -f "$PENDING/new" "$PENDING/dependents"
  return 0
} 2>/dev/null

# Starts the units that systemd stopped with Docker: it does not start them with it.
start_units() {
  rm -f "$PENDING/warnings"
  not_started='' last_start=$(($(date +%s) + ALL_STARTS_S))
  for unit in $DEPENDENTS; do
    if [ "$(date +%s)" -ge "$last_start" ]; then
      systemctl start --no-block "$unit"
      warn unit "$unit" "$LATER"
    elif start_or_warn unit "$unit" systemctl start "$unit"; then
      continue
    fi
    not_started="$not_started $unit"
  done
  DEPENDENTS=$not_started
  save_running
}

# Starts each container that ran before, still exists and does not run. Docker has removed those with --rm.
start_containers() {
  existing=$(docker ps -aq --no-trunc) && running=$(docker ps -q --no-trunc) || return 1
  # A host may have more ids than fit in one argument of a program.
  # shellcheck disable=SC2086
  stopped=$(printf '%s\n' $running / $existing / $RUNNING_CONTAINERS | awk '
    $0 == "/" { part++; next }
    part < 2 { seen[part + 0, $0]; next }
    (1, $0) in seen && !((0, $0) in seen)')
  not_started='' later=''
  # shellcheck disable=SC2086
  for entry in $(start_order $stopped); do
    if [ "$(date +%s)" -ge "$last_start" ]; then
      warn container "${entry#*/}" "$LATER"
      later="$later ${entry%%/*}"
    else
      start_or_warn container "${entry#*/}" docker start "${entry%%/*}" || not_started="$not_started ${entry%%/*}"
    fi
  done
  # shellcheck disable=SC2086
  [ -z "$later" ] || systemd-run --quiet --collect --no-block docker start $later ||
    warn unit docker.service "systemd cannot start the other containers either"
  RUNNING_CONTAINERS="$not_started $later"
  save_running
}

# start_order ID...: prints ID/NAME of each container, after the containers whose network, IPC or processes it uses and
# those that it links to. Docker refuses to start it before them.
start_order() {
  [ "$#" = 0 ] || docker inspect --format '{{.Id}}{{.Name}} {{with .HostConfig}}
    {{- .NetworkMode}} {{.IpcMode}} {{.PidMode}}{{range .Links}} {{.}}{{end}}{{end}}' "$@" 2>/dev/null | awk '
    function visit(number, words, count, i) {
      if (visited[number]++) return
      count = split(line[number], words, " ")
      for (i = 2; i <= count; i++) {
        # container:ID, or /NAME:/OWN/ALIAS for a link.
        if (!sub(/^container:/, "", words[i]) && !sub(/^\//, "", words[i])) continue
        sub(/:.*/, "", words[i])
        if (words[i] in place) visit(place[words[i]])
      }
      print words[1]
    }
    { line[NR] = $0; at = index($1, "/"); place[substr($1, 1, at - 1)] = place[substr($1, at + 1)] = NR }
    END { for (number = 1; number <= NR; number++) visit(number) }'
}

# start_or_warn KIND NAME COMMAND...: starts a unit or a container. A failure is a warning, because it must decide neither
# a change nor a revert: the container may have lost a bind mount, its runtime, or the container whose network it uses.
start_or_warn() {
  kind=$1 name=$2
  shift 2
  answer=$(timeout "$START_S" "$@" 2>&1 >/dev/null) && return 0
  [ "$?" != 124 ] || answer="not finished after $START_S s"
  warn "$kind" "$name" "$(printf '%s\n' "$answer" | sed 's/^Error response from daemon: //; /^Error: failed to start/d')"
  return 1
} 2>/dev/null

# warn KIND NAME PROBLEM. A full disk loses the warning.
warn() {
  printf '%s-not-started %s %s\n' "$1" "$2" "$(printf '%s' "$3" | head -c 500 | tr '\000-\037' ' ')" \
    >>"$PENDING/warnings" || true
} 2>/dev/null
