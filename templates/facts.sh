# Reads a host and changes nothing. Needs output.sh and kernel_settings.sh.
# Needs PEERS and PEERS6, the underlay addresses of the peers by family. A file is printed as its octal mode and its content
# in base64, or as "absent".
# The section "basis" is a fingerprint of all facts that a plan depends on: the sections of read_basis. They contain
# nothing that changes by itself.
# Starting a program takes about a millisecond of CPU, which dominates the time to read a host. Therefore each program
# runs once and prints all that it can, and a single awk splits that into sections.
# shellcheck shell=dash disable=SC2154

FILES='/etc/docker/daemon.json /etc/dockmesh/original.json /etc/dockmesh/reassert.sh /etc/systemd/system/dockmesh.service
/etc/systemd/system/dockmesh.timer /etc/dockmesh/reverted /etc/dockmesh/previous.json'
MAX_FILE_BYTES=8388608
UNIT_FILE=/etc/systemd/system/dockmesh

# Separates the listings of one ip process. The line of the interface lo differs from every line of the listings after it.
SEPARATOR='link show dev lo'

# Runs one ip process for all listings. -force makes it continue after a peer without a route.
query_ip() {
  # Addresses contain no blanks.
  # shellcheck disable=SC2086
  { printf '%s\n' 'link show' 'addr show' "$SEPARATOR" 'route show' "$SEPARATOR" 'rule show' "$SEPARATOR"
    [ -z "$PEERS$PEERS6" ] || printf 'route get %s\n' $PEERS $PEERS6
    echo "$SEPARATOR"; } | ip -o -force -batch - 2>/dev/null
}

# iptables_rules COMMAND: all rules of iptables or ip6tables. The save command needs one process for all tables, and unlike
# -S it does not fail where a chain is absent. If a table contains a rule that only nft knows, the save command prints a
# comment instead of that table and exits 0. The status is 3 then, and 127 where the command is missing.
iptables_rules() {
  command -v "$1-save" >/dev/null || { echo "no $1"; return 127; }
  saved=$("$1-save" 2>&1) || { echo "$saved"; return 1; }
  for table in filter raw nat; do
    case "$saved" in *"# Table \`$table' is incompatible"*) echo "$1: table $table is incompatible"; return 3 ;; esac
  done
  printf '%s\n' "$saved"
}

# unit_property NAME PROPERTIES: the value of one property in the output of `systemctl show`.
unit_property() {
  value=${2##*"$1="}
  echo "${value%%"$LINE"*}"
}

# Sets docker_unit to the properties of docker.service, docker_running to "yes" as `systemctl is-active` decides it, and
# unit_states to three lines about the units of dockmesh: both UnitFileStates and whether the timer is active. The state of
# dockmesh.service is left out, because it changes with every run of the timer. The function asks only for units that can
# exist, because systemd searches all unit directories for a unit that does not.
read_units() {
  docker_unit='' unit_states='' docker_running=''
  set --
  ! command -v docker >/dev/null || set -- docker.service
  [ ! -e "$UNIT_FILE.service" ] && [ ! -e "$UNIT_FILE.timer" ] || set -- "$@" dockmesh.service dockmesh.timer
  [ "$#" != 0 ] || return 0
  properties=$(systemctl show "$@" --property=LoadState --property=ActiveState --property=UnitFileState \
    --property=FragmentPath --property=MainPID --property=ExecMainStartTimestamp 2>&1)
  if [ "$1" = docker.service ]; then
    docker_unit=${properties%%"$LINE$LINE"*} properties=${properties#*"$LINE$LINE"}
    case "$(unit_property ActiveState "$docker_unit")" in active | reloading | refreshing) docker_running=yes ;; esac
    shift
  fi
  [ "$#" != 0 ] || return 0
  service=${properties%%"$LINE$LINE"*} timer=${properties#*"$LINE$LINE"}
  unit_states=$(
    unit_property UnitFileState "$service"
    unit_property UnitFileState "$timer"
    unit_property ActiveState "$timer"
  )
}

# The name, mode and size of each file that exists.
stat_files() {
  set --
  for path in $FILES; do [ ! -e "$path" ] || set -- "$@" "$path"; done
  [ "$#" = 0 ] || stat -L -c '%n %a %s' "$@"
}

# Reads once all that the sections are made from.
read_all() {
  ip_output=$(query_ip)
  ip6_output=
  [ ! -e /proc/sys/net/ipv6 ] || ip6_output=$(ip -o -6 route show)
  iptables_output=$(iptables_rules iptables)
  iptables_status=$?
  ip6tables_output=$(iptables_rules ip6tables)
  ip6tables_status=$?
  nft_tables=
  ! command -v nft >/dev/null || nft_tables=$(nft list tables 2>/dev/null)
  file_stats=$(stat_files)
  read_units
}

# emit_file PATH: the section of a file, named after its last component.
emit_file() {
  case "$LINE$file_stats" in
    *"$LINE$1 "*) ;;
    *) emit_section "${1##*/}" 0 absent; return ;;
  esac
  mode_and_size=$LINE$file_stats
  mode_and_size=${mode_and_size#*"$LINE$1 "}
  mode_and_size=${mode_and_size%%"$LINE"*}
  [ -f "$1" ] || { emit_section "${1##*/}" 1 "$1 is no file"; return; }
  if [ "${mode_and_size#* }" -le "$MAX_FILE_BYTES" ]; then
    content=$(base64 "$1" 2>&1)
  else
    content=$(head -c $((MAX_FILE_BYTES + 1)) "$1" 2>&1 | base64)
  fi
  emit_section "${1##*/}" 0 "${mode_and_size% *}$LINE$content"
}

# own_nft_table FAMILY: dockmesh's table of that nft family, ip or ip6.
own_nft_table() {
  case "$LINE$nft_tables$LINE" in
    *"${LINE}table $1 dockmesh$LINE"*) nft -s list table "$1" dockmesh ;;
    *) return 1 ;;
  esac
}

# Splits the sections "ip", "ip6", "iptables" and "ip6tables" on stdin, each the output of one process, into the sections
# of the facts, and copies all other sections. The sections from "links" on are no part of the basis. To keep the basis
# stable it leaves out:
# - addresses: lifetimes, which count down; temporary and tentative IPv6 addresses, which change by the day or the second.
# - routes: "linkdown", which changes with the containers; link-local IPv6 routes, which change with the interfaces.
# - routes to peers: the cached MTU, and which of its own addresses the host would use.
# - iptables: all rules but dockmesh's own, because rules of others change with containers; all counters. "# late CHAIN"
#   follows an own rule that is not before all others of its chain.
# All rules are in the section "iptables_rules", which the forecast reads. A section that is cut ends with "# more".
split_output() {
  awk -v default_rules="$DEFAULT_IP_RULES" '
    function add(section) { text[section, ++lines[section]] = $0 }
    function print_section(section, n) {
      print "@" section, status
      for (n = 1; n <= lines[section]; n++) print " " text[section, n]
    }
    function print_sections(names, suffix, name, n, count) {
      count = split(names, name)
      for (n = 1; n <= count; n++) print_section(name[n] suffix)
    }
    function finish_source() {
      if (source == "ip" && listing != 4) status = 1
      if (source == "ip") print_sections("addresses addresses6 routes peer_routes peer_routes6")
      if (source == "ip6") print_section("routes6")
      if (source ~ /tables$/) print_sections("filter raw", suffix)
    }
    /^@/ {
      finish_source()
      source = substr($1, 2)
      status = $2
      suffix = source == "ip6tables" ? 6 : ""
      table = listing = lo_lines = 0
      if (source !~ /^ip6?(tables)?$/) print
      next
    }
    source !~ /^ip6?(tables)?$/ { print; next }
    { $0 = substr($0, 2) }
    source ~ /^ip6?$/ { sub(/ expires [^ ]*/, "") }
    source == "ip6" { if (!/^fe80:/) { gsub(/ linkdown( |$)/, " "); add("routes6") } next }
    source == "ip" && /^1: lo: </ && lo_lines++ { listing++; next }
    source == "ip" && listing == 1 { gsub(/ linkdown( |$)/, " "); add("routes"); next }
    source == "ip" && listing == 2 { if ($0 !~ default_rules) add("ip_rules"); next }
    # ip joins lines with a backslash, which names of interfaces may contain.
    source == "ip" { sub(/ *\\ +(link\/|valid_lft |cache).*/, "") }
    source == "ip" && listing == 3 {
      sub(/ mtu [^ ]*/, "")
      sub(/ src [^ ]*/, "")
      add(($1 $2) ~ /:/ ? "peer_routes6" : "peer_routes")
      next
    }
    source == "ip" && $3 ~ /^</ { add("links") }
    source == "ip" && $3 == "inet" { add("addresses") }
    source == "ip" && $3 == "inet6" && / scope global/ && !/ temporary / { sub(/ scope global.*/, ""); add("addresses6") }
    source == "ip" { next }
    status != 0 { add("filter" suffix); add("raw" suffix); next }
    source == "iptables" && !/^# [GC]/ && $0 != "COMMIT" && rules < 20000 {
      rule = $0
      if (++rules == 20000) $0 = "# more"
      add("iptables_rules")
      $0 = rule
    }
    /^\*/ { table = substr($0, 2) suffix }
    table !~ /^(filter|raw)6?$/ { next }
    /^:(FORWARD|DOCKER-USER) / { sub(/ \[[0-9:]*\]$/, ""); add(table) }
    /^-A [^ ]+ .*--comment dockmesh( |$)/ {
      add(table)
      if ((table, $2) in others) { $0 = "# late " $2; add(table) }
      next
    }
    /^-A / { others[table, $2] }
    END { finish_source(); status = 0; print_sections("links ip_rules iptables_rules") }
  '
}

# inspect_listed IDS COMMAND...: runs a docker inspect command with the ids. Containers and networks come and go all the
# time, so an object that was removed after it was listed is no error. Docker prints all others then. Warnings do not
# count, for example about a damaged config.json of the client.
inspect_listed() {
  ids=$1
  shift
  [ -n "$ids" ] || return 0
  # Ids contain no blanks.
  # shellcheck disable=SC2086
  { problems=$("$@" $ids 2>&1 >&3) && return; } 3>&1
  problems=$(printf '%s\n' "$problems" | grep -v -i -E '^warning|no such (object|network)|network .* not found')
  [ -z "$problems" ] || { echo "$problems"; return 1; }
}

docker_networks() {
  listed=$(docker network ls -q) || return 1
  inspect_listed "$listed" docker network inspect --format \
    '[{{json .Name}},{{json .Driver}},{{json .Options}},{{json .IPAM.Config}},{{json .Id}}]'
}

docker_containers() {
  listed=$(docker ps -q --no-trunc) || return 1
  inspect_listed "$listed" docker inspect --format \
    '[{{json .Id}},{{json .Name}},{{json .HostConfig.AutoRemove}},{{json .NetworkSettings.Networks}},
    {{- json .HostConfig.PortBindings}},
    {{- json .HostConfig.NetworkMode}},{{json .HostConfig.IpcMode}},{{json .HostConfig.PidMode}}]'
}

docker_inactive() { echo 'docker.service is not active'; return 1; }

daemon_arguments() { tr '\0' '\n' <"/proc/$(unit_property MainPID "$docker_unit")/cmdline"; }

installed_tools() {
  for tool in ip iptables ip6tables nft ping systemd-run systemctl flock base64 sha256sum docker dockerd; do
    command -v "$tool"
  done
  return 0
}

# Fails if the host does not run systemd, by the test of sd_booted(3), and prints the name of its init then.
runs_systemd() {
  [ ! -d /run/systemd/system ] || return 0
  if [ -d /run/openrc ]; then echo OpenRC; else cat /proc/1/comm; fi
  return 1
}

# Reads /proc to save the start of `id`.
effective_uid() {
  while read -r name _ effective _; do
    case "$name" in Uid:) echo "$effective"; return ;; esac
  done </proc/self/status
}

# read_sysctl FILE; empty where the kernel has no such setting, for example a kernel without IPv6.
read_sysctl() {
  value=''
  { read -r value <"$1"; } 2>/dev/null
  echo "$value"
}

# accept_ra of each interface: 1 accepts a default route from router advertisements unless the host forwards, 2 always.
accept_ra() {
  for folder in /proc/sys/net/ipv6/conf/*; do
    value=''
    { read -r value <"$folder/accept_ra"; } 2>/dev/null
    [ -z "$value" ] || printf '%s %s\n' "${folder##*/}" "$value"
  done
}

# The packet filters that the section "iptables_rules" lacks: nft tables of others, and the names of tables of the other
# iptables variant (nft or legacy).
foreign_nft() {
  variant=none
  if command -v iptables-save >/dev/null; then variant=nft; fi
  # The variant of the command matters only if the kernel has legacy tables.
  if { read -r legacy_table </proc/net/ip_tables_names; } 2>/dev/null; then
    case "$(readlink -f "$(command -v iptables-save)")" in
      *legacy*) variant=legacy ;;
      *) echo "iptables-legacy $legacy_table" ;;
    esac
  fi
  [ -z "$nft_tables" ] || printf '%s\n' "$nft_tables" | while read -r _ family table; do
    case "$variant $family $table" in
      *' ip6 '* | *' arp '* | *' ip dockmesh') ;;
      nft\ ip\ filter | nft\ ip\ nat | nft\ ip\ raw | nft\ ip\ mangle | nft\ ip\ security) ;;
      *) nft -s list table "$family" "$table" | sed '20000{ s/.*/# more/; q; }' ;;
    esac
  done
}

# Prints the sections that plans depend on, from what read_all has read, then those of the same programs that they do not.
read_basis() {
  {
    emit_section ip 0 "$ip_output"
    emit_section ip6 0 "$ip6_output"
    emit_section iptables "$iptables_status" "$iptables_output"
    emit_section ip6tables "$ip6tables_status" "$ip6tables_output"
    run_section own_nft own_nft_table ip
    run_section own_nft6 own_nft_table ip6
    run_section ipv6_forwarding read_sysctl /proc/sys/net/ipv6/conf/all/forwarding
    emit_section unit_states 0 "$unit_states"
    for path in $FILES; do [ "$path" = /etc/dockmesh/previous.json ] || emit_file "$path"; done
    [ -z "$docker_running" ] || run_section docker_networks docker_networks
  } | split_output
}

# fingerprint SECTIONS: the checksum of the basis in the output of read_basis.
fingerprint() {
  checksum=$(printf '%s\n' "${1%%"$LINE@links "*}" | sha256sum)
  echo "${checksum%% *}"
}

read_facts() {
  read_all
  basis=$(read_basis)
  run_section basis fingerprint "$basis"
  printf '%s\n' "$basis"
  run_section uid effective_uid
  # An ip that did not finish its batch may not be iproute2's.
  case "$basis" in *"$LINE@routes 0"*) ;; *) run_section ip_version ip -V ;; esac
  run_section systemd runs_systemd
  run_section tools installed_tools
  run_section ip_forward read_sysctl /proc/sys/net/ipv4/ip_forward
  run_section accept_ra accept_ra
  emit_section docker_unit 0 "$docker_unit"
  emit_unconfirmed
  emit_file /etc/dockmesh/previous.json
  run_section foreign_nft foreign_nft
  run_section sysctls interface_sysctls
  if [ -n "$docker_running" ]; then
    run_section daemon_arguments daemon_arguments
    run_section docker_info docker info --format '{{json .}}'
    run_section nft_admission nft_admission
    run_section docker_containers docker_containers
  elif command -v docker >/dev/null; then
    run_section docker_info docker_inactive
  fi
  run_section end true
}
