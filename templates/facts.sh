# Reads a host and changes nothing. Follows sections.sh and kernel.sh.
# Needs PEERS and PEERS6, the underlay addresses of the peers by family. Files come as their octal mode, then base64; or as "absent".
# "basis" fingerprints what a plan rests on: the sections of read_basis, in which nothing moves by itself.
# A program takes a millisecond of a processor to start, which is what reading hosts costs: each is asked once for all it
# can tell, and one awk cuts that into sections.
# shellcheck shell=dash disable=SC2154

FILES='/etc/docker/daemon.json /etc/dockmesh/original.json /etc/dockmesh/reassert.sh /etc/systemd/system/dockmesh.service
/etc/systemd/system/dockmesh.timer /etc/dockmesh/previous.json'
FILE_BYTES=8388608
OWN=/etc/systemd/system/dockmesh

# What stands between two listings of one ip, and behind the last: no line of them is like that of the interface lo.
BETWEEN='link show dev lo'

# One process asks the kernel for everything; -force goes on where a peer has no way.
ask_ip() {
  # Addresses hold no blanks.
  # shellcheck disable=SC2086
  { printf '%s\n' 'link show' 'addr show' "$BETWEEN" 'route show' "$BETWEEN" 'rule show' "$BETWEEN"
    [ -z "$PEERS$PEERS6" ] || printf 'route get %s\n' $PEERS $PEERS6
    echo "$BETWEEN"; } | ip -o -force -batch - 2>/dev/null
}

# tables TABLES, TABLES being iptables or ip6tables: all rules. The save command rather than -S: one process for all
# tables, and no error where a chain is absent. Where a rule of nft's own stands among those of a table, it says so, exits
# 0 and keeps the whole table to itself: that is 3.
tables() {
  command -v "$1-save" >/dev/null || { echo "no $1"; return 127; }
  all=$("$1-save" 2>&1) || { echo "$all"; return 1; }
  for name in filter raw nat; do
    case "$all" in *"# Table \`$name' is incompatible"*) echo "$1: table $name is incompatible"; return 3 ;; esac
  done
  printf '%s\n' "$all"
}

# value NAME PROPERTIES, as systemctl shows them of a unit.
value() {
  value=${2##*"$1="}
  echo "${value%%"$LINE"*}"
}

# Of Docker's unit all, and whether it is active as systemctl is-active has it. Of dockmesh's a line each: both enabled, the
# timer active; what the service does at the moment is no part of it. Units that cannot be there are not asked for, since
# systemd looks for them everywhere.
look_at_units() {
  unit='' enabled='' awake=''
  set --
  ! command -v docker >/dev/null || set -- docker.service
  [ ! -e "$OWN.service" ] && [ ! -e "$OWN.timer" ] || set -- "$@" dockmesh.service dockmesh.timer
  [ "$#" != 0 ] || return 0
  shown=$(systemctl show "$@" --property=LoadState --property=ActiveState --property=UnitFileState \
    --property=FragmentPath --property=MainPID --property=ExecMainStartTimestamp 2>&1)
  if [ "$1" = docker.service ]; then
    unit=${shown%%"$LINE$LINE"*} shown=${shown#*"$LINE$LINE"}
    case "$(value ActiveState "$unit")" in active | reloading | refreshing) awake=yes ;; esac
    shift
  fi
  [ "$#" != 0 ] || return 0
  service=${shown%%"$LINE$LINE"*} timer=${shown#*"$LINE$LINE"}
  enabled=$(value UnitFileState "$service"; value UnitFileState "$timer"; value ActiveState "$timer")
}

# The name, mode and size of each file that is there.
look_at_files() {
  set --
  for path in $FILES; do [ ! -e "$path" ] || set -- "$@" "$path"; done
  [ "$#" = 0 ] || stat -L -c '%n %a %s' "$@"
}

# All that sections are made from, once.
look() {
  ip=$(ask_ip)
  ip6=
  [ ! -e /proc/sys/net/ipv6 ] || ip6=$(ip -o -6 route show)
  saved=$(tables iptables)
  known=$?
  saved6=$(tables ip6tables)
  known6=$?
  nft=
  ! command -v nft >/dev/null || nft=$(nft list tables 2>/dev/null)
  files=$(look_at_files)
  look_at_units
}

# file PATH
file() {
  case "$LINE$files" in
    *"$LINE$1 "*) ;;
    *) told "${1##*/}" 0 absent; return ;;
  esac
  is=$LINE$files
  is=${is#*"$LINE$1 "}
  is=${is%%"$LINE"*}
  [ -f "$1" ] || { told "${1##*/}" 1 "$1 is no file"; return; }
  if [ "${is#* }" -le "$FILE_BYTES" ]; then
    content=$(base64 "$1" 2>&1)
  else
    content=$(head -c $((FILE_BYTES + 1)) "$1" 2>&1 | base64)
  fi
  told "${1##*/}" 0 "${is% *}$LINE$content"
}

# own_table FAMILY, of nft's.
own_table() {
  case "$LINE$nft$LINE" in *"${LINE}table $1 dockmesh$LINE"*) nft -s list table "$1" dockmesh ;; *) return 1 ;; esac
}

# What ip and the tables have told, cut into sections. Those behind "links" are no part of the basis.
# Of addresses: lifetimes count down; of IPv6 what is settled, since privacy addresses change by the day and others are
# tentative for their first second. Of routes: linkdown comes and goes with the containers, and every interface that
# comes or goes has a link-local one of IPv6. Of ways: what the kernel remembers for a while, and which of several own
# addresses it would take, is not what a plan rests on.
# Of tables: dockmesh's own chains and the jumps to them; the rules of others come and go with containers, and counters go
# on. In nat the first rule wins, and Docker puts its masquerades first: a jump behind them is none. What else there is in
# the firewall is read to foresee what becomes of packets; where it is too much, it ends with "# more".
settle() {
  awk -v every="$EVERY_LINUX" '
    function line(name) { text[name, ++lines[name]] = $0 }
    function section(name, n) {
      print "@" name, status
      for (n = 1; n <= lines[name]; n++) print " " text[name, n]
    }
    function sections(names, suffix, name, n, count) {
      count = split(names, name)
      for (n = 1; n <= count; n++) section(name[n] suffix)
    }
    function ended() {
      if (raw == "ip" && part != 4) status = 1
      if (raw == "ip") sections("addresses addresses6 routes ways ways6")
      if (raw == "ip6") section("routes6")
      if (raw == "tables") sections("filter raw nat")
      if (raw == "tables6") sections("filter raw nat", 6)
    }
    /^@/ { ended(); raw = substr($1, 2); status = $2; table = part = found = 0; if (raw !~ /^(ip|tables)6?$/) print; next }
    raw !~ /^(ip|tables)6?$/ { print; next }
    { $0 = substr($0, 2) }
    raw ~ /^ip/ { sub(/ expires [^ ]*/, "") }
    raw == "ip6" { if (!/^fe80:/) { gsub(/ linkdown( |$)/, " "); line("routes6") } next }
    raw == "ip" && /^1: lo: </ && found++ { part++; next }
    raw == "ip" && part == 1 { gsub(/ linkdown( |$)/, " "); line("routes"); next }
    raw == "ip" && part == 2 { if ($0 !~ every) line("policy"); next }
    raw == "ip" { sub(/ *\\.*/, "") }
    raw == "ip" && part == 3 {
      sub(/ mtu [^ ]*/, "")
      sub(/ src [^ ]*/, "")
      line(($1 $2) ~ /:/ ? "ways6" : "ways")
      next
    }
    raw == "ip" && $3 ~ /^</ { line("links") }
    raw == "ip" && $3 == "inet" { line("addresses") }
    raw == "ip" && $3 == "inet6" && / scope global/ && !/ temporary / { sub(/ scope global.*/, ""); line("addresses6") }
    raw == "ip" { next }
    status != 0 { line("filter" substr(raw, 7)); line("raw" substr(raw, 7)); line("nat" substr(raw, 7)); next }
    raw == "tables" && !/^# [GC]/ && $0 != "COMMIT" && !/^-A DOCKMESH-/ && rules < 20000 {
      rule = $0
      if (++rules == 20000) $0 = "# more"
      line("rules")
      $0 = rule
    }
    /^\*/ { table = substr($0, 2) substr(raw, 7); found = 0 }
    table !~ /^(filter|raw|nat)6?$/ { next }
    /^:(FORWARD|DOCKER-USER|DOCKMESH-[A-Z]+) / { sub(/ \[[0-9:]*\]$/, ""); line(table) }
    /^-A POSTROUTING / { if (!found++ && / -j DOCKMESH-NAT$/) line(table); next }
    /^-A DOCKMESH-[A-Z]+ / || / -j DOCKMESH-[A-Z]+$/ { line(table) }
    END { ended(); status = 0; sections("links policy rules") }
  '
}

networks() {
  # Network ids hold no blanks.
  # shellcheck disable=SC2046
  docker network inspect --format \
    '[{{json .Name}},{{json .Driver}},{{json .Options}},{{json .IPAM.Config}},{{json .Id}}]' $(docker network ls -q)
}

containers() {
  ids=$(docker ps -q --no-trunc) || { echo "$ids"; return 1; }
  [ -n "$ids" ] || return 0
  # shellcheck disable=SC2086
  docker inspect --format \
    '[{{json .Id}},{{json .Name}},{{json .HostConfig.AutoRemove}},{{json .NetworkSettings.Networks}}]' \
    $ids
}

asleep() { echo 'docker.service is not active'; return 1; }

daemon_arguments() { tr '\0' '\n' <"/proc/$(value MainPID "$unit")/cmdline"; }

tools() {
  for tool in ip iptables ip6tables nft ping systemd-run systemctl flock base64 sha256sum docker dockerd; do
    command -v "$tool"
  done
  return 0
}

# Whether it is systemd that runs the host, as sd_booted(3) finds out; else what does.
systemd() { [ -d /run/systemd/system ] || { if [ -d /run/openrc ]; then echo OpenRC; else cat /proc/1/comm; fi; return 1; }; }

# Of this shell, without a program.
user() {
  while read -r name _ effective _; do
    case "$name" in Uid:) echo "$effective"; return ;; esac
  done </proc/self/status
}

# switch FILE of the kernel's; empty where it has none, as one without IPv6.
switch() {
  value=''
  { read -r value <"$1"; } 2>/dev/null
  echo "$value"
}

# By interface, whether it takes a default route from router advertisements: 1 while the host does not forward, 2 always.
accept_ra() {
  for folder in /proc/sys/net/ipv6/conf/*; do
    value=''
    { read -r value <"$folder/accept_ra"; } 2>/dev/null
    [ -z "$value" ] || printf '%s %s\n' "${folder##*/}" "$value"
  done
}

# What that does not tell of: others' tables of nft, and those of the other kind of iptables.
others() {
  iptables=none
  if command -v iptables-save >/dev/null; then iptables=nft; fi
  # Only where the kernel has tables of the older kind is it worth asking which kind the command is.
  if { read -r legacy </proc/net/ip_tables_names; } 2>/dev/null; then
    case "$(readlink -f "$(command -v iptables-save)")" in
      *legacy*) iptables=legacy ;;
      *) echo "iptables-legacy $legacy" ;;
    esac
  fi
  [ -z "$nft" ] || printf '%s\n' "$nft" | while read -r _ family name; do
    case "$iptables $family $name" in
      *' ip6 '* | *' arp '* | *' ip dockmesh') ;;
      nft\ ip\ filter | nft\ ip\ nat | nft\ ip\ raw | nft\ ip\ mangle | nft\ ip\ security) ;;
      *) nft -s list table "$family" "$name" | sed '20000{ s/.*/# more/; q; }' ;;
    esac
  done
}

# The sections that plans rest on, of what `look` has found; then those that come of the same programs.
read_basis() {
  {
    told ip 0 "$ip"
    told ip6 0 "$ip6"
    told tables "$known" "$saved"
    told tables6 "$known6" "$saved6"
    section nft own_table ip
    section nft6 own_table ip6
    section forwarding6 switch /proc/sys/net/ipv6/conf/all/forwarding
    told enabled 0 "$enabled"
    for path in $FILES; do [ "$path" = /etc/dockmesh/previous.json ] || file "$path"; done
    [ -z "$awake" ] || section networks networks
  } | settle
}

# fingerprint BASIS, and what follows it.
fingerprint() {
  sum=$(printf '%s\n' "${1%%"$LINE@links "*}" | sha256sum)
  echo "${sum%% *}"
}

read_facts() {
  look
  basis=$(read_basis)
  section basis fingerprint "$basis"
  printf '%s\n' "$basis"
  section user user
  # One that does not get to the end of its batch may be none of iproute2's.
  case "$basis" in *"$LINE@routes 0"*) ;; *) section version ip -V ;; esac
  section systemd systemd
  section tools tools
  section ip_forward switch /proc/sys/net/ipv4/ip_forward
  section accept_ra accept_ra
  told unit 0 "$unit"
  if [ -e /etc/dockmesh/pending/run ]; then section pending cat /etc/dockmesh/pending/run; else told pending 1 ''; fi
  file /etc/dockmesh/previous.json
  section tables others
  section switches switches
  if [ -n "$awake" ]; then
    section daemon_arguments daemon_arguments
    section info docker info --format '{{json .}}'
    section admission docker_admits
    section containers containers
  elif command -v docker >/dev/null; then
    section info asleep
  fi
  section end true
}
