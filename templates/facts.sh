# Reads a host and changes nothing. Follows sections.sh and kernel.sh.
# Needs PEERS and PEERS6, the underlay addresses of the peers by family. Files come as their octal mode, then base64; or as "absent".
# "basis" fingerprints what a plan rests on: the sections of read_basis, in which nothing moves by itself.
# shellcheck shell=dash disable=SC2154

# Lifetimes count down and linkdown comes and goes with the containers.
addresses() { ip -o -4 addr show | sed 's/ *\\.*//'; }
routes() { ip -o -4 route show | sed 's/ linkdown\>//'; }

# Of IPv6, what is settled: privacy addresses change by the day, others are tentative for their first second, and every
# interface that comes or goes has a link-local route.
addresses6() { ip -o -6 addr show scope global | sed '/ temporary /d; s/ scope global.*//'; }
routes6() { ip -o -6 route show | sed '/^fe80:/d; s/ linkdown\>//; s/ expires [^ ]*//'; }

links() { ip -o link show | sed 's/ *\\.*//'; }

# ways FAMILY PEER...: one process asks the kernel for the way to every peer; -force goes on where a peer has none. What the
# kernel remembers of a way for a while, and which of several own addresses it would take, is not what a plan rests on.
ways() {
  family=$1
  shift
  for peer; do echo "route get $peer"; done | ip -o "-$family" -force -batch - 2>/dev/null |
    sed 's/ *\\.*//; s/ expires [^ ]*//; s/ mtu [^ ]*//; s/ src [^ ]*//'
}

# tables TABLES, TABLES being iptables or ip6tables: dockmesh's own chains and the jumps to them; the rules of others come
# and go with containers, and counters go on. The save command rather than -S: one process for all tables, and no error
# where a chain is absent. Where a rule of nft's own stands among those of a table, it says so, exits 0 and keeps the whole
# table to itself: that is 3.
tables() {
  command -v "$1-save" >/dev/null || { echo "no $1"; return 127; }
  all=$("$1-save" 2>&1) || { echo "$all"; return 1; }
  for name in filter raw nat; do
    case "$all" in *"# Table \`$name' is incompatible"*) echo "$1: table $name is incompatible"; return 3 ;; esac
  done
  printf '%s\n' "$all" | sed -n -E -e '/^(\*|COMMIT)/p' -e 's/^(:(FORWARD|DOCKER-USER|DOCKMESH-[A-Z]+) .*) \[[0-9:]*\]$/\1/p' \
    -e '/^-A (DOCKMESH-[A-Z]+|POSTROUTING) | -j DOCKMESH-[A-Z]+$/p'
}

# table NAME, of what `tables` has said in $saved, with $known for its status. In nat the first rule wins, and Docker puts
# its masquerades first: a jump behind them is none.
table() {
  [ "$known" = 0 ] || { echo "$saved"; return "$known"; }
  printf '%s\n' "$saved" | sed -n -e "/^\\*$1\$/,/^COMMIT/!d" \
    -e '/^-A POSTROUTING /{ x; s/^/x/; /^x$/!{ x; d; }; x; / -j DOCKMESH-NAT$/!d; }' -e '/^[:-]/p'
}

# What else there is in the firewall is read to foresee what becomes of packets. Where it is too much, it ends with "# more".
rules() {
  ! command -v iptables-save >/dev/null ||
    iptables-save | sed -e '20000{ s/.*/# more/; q; }' -e '/^# [GC]/d' -e '/^COMMIT$/d' -e '/^-A DOCKMESH-/d'
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
  ! command -v nft >/dev/null || nft list tables | while read -r _ family name; do
    case "$iptables $family $name" in
      *' ip6 '* | *' arp '* | *' ip dockmesh') ;;
      nft\ ip\ filter | nft\ ip\ nat | nft\ ip\ raw | nft\ ip\ mangle | nft\ ip\ security) ;;
      *) nft -s list table "$family" "$name" | sed '20000{ s/.*/# more/; q; }' ;;
    esac
  done
}

file() {
  if [ -e "$1" ]; then
    stat -L -c %a "$1"
    head -c 1048577 "$1" | base64
  else
    echo absent
  fi
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

unit() {
  systemctl show "$1" --property=LoadState --property=ActiveState --property=FragmentPath --property=MainPID \
    --property=ExecMainStartTimestamp
}

# A line each: both units enabled, the timer active. What the service does at the moment is no part of it.
enabled() {
  systemctl show dockmesh.service dockmesh.timer --property=UnitFileState --property=ActiveState |
    sed -e '1,/^$/{ /^ActiveState=/d; }' -e 's/.*=//'
}

asleep() { echo 'docker.service is not active'; return 1; }

daemon_arguments() {
  pid=$(systemctl show docker.service --property=MainPID) && tr '\0' '\n' <"/proc/${pid#MainPID=}/cmdline"
}

tools() {
  for tool in ip iptables ip6tables nft ping systemd-run systemctl flock base64 sha256sum docker dockerd; do
    command -v "$tool"
  done
  return 0
}

# Whether it is systemd that runs the host, as sd_booted(3) finds out; else what does.
systemd() { [ -d /run/systemd/system ] || { if [ -d /run/openrc ]; then echo OpenRC; else cat /proc/1/comm; fi; return 1; }; }

ip_forward() { cat /proc/sys/net/ipv4/ip_forward; }

# Absent where the kernel has no IPv6.
forwarding6() { [ ! -e /proc/sys/net/ipv6 ] || cat /proc/sys/net/ipv6/conf/all/forwarding; }

# By interface, whether it takes a default route from router advertisements: 1 while the host does not forward, 2 always.
accept_ra() { [ ! -e /proc/sys/net/ipv6 ] || grep . /proc/sys/net/ipv6/conf/*/accept_ra | sed 's/.*conf.\(.*\)\/accept_ra:/\1 /'; }

read_basis() {
  section addresses addresses
  section addresses6 addresses6
  section routes routes
  section routes6 routes6
  # Addresses hold no blanks.
  # shellcheck disable=SC2086
  section ways ways 4 $PEERS
  # shellcheck disable=SC2086
  section ways6 ways 6 $PEERS6
  saved=$(tables iptables)
  known=$?
  section filter table filter
  section raw table raw
  section nat table nat
  saved=$(tables ip6tables)
  known=$?
  section filter6 table filter
  section raw6 table raw
  section nat6 table nat
  section nft nft -s list table ip dockmesh
  section nft6 nft -s list table ip6 dockmesh
  section forwarding6 forwarding6
  section daemon.json file /etc/docker/daemon.json
  section original.json file /etc/dockmesh/original.json
  section reassert.sh file /etc/dockmesh/reassert.sh
  section dockmesh.service file /etc/systemd/system/dockmesh.service
  section dockmesh.timer file /etc/systemd/system/dockmesh.timer
  section enabled enabled
  if awake; then section networks networks; fi
}

fingerprint() { sha256sum | cut -d ' ' -f 1; }

read_facts() {
  section user id -u
  section version ip -V
  section systemd systemd
  section tools tools
  section ip_forward ip_forward
  section accept_ra accept_ra
  section links links
  basis=$(read_basis)
  section basis printf '%s\n' "$(printf '%s\n' "$basis" | fingerprint)"
  printf '%s\n' "$basis"
  section unit unit docker.service
  section pending cat /etc/dockmesh/pending/run
  section previous.json file /etc/dockmesh/previous.json
  section rules rules
  section tables others
  section policy policy
  section switches switches
  # A Docker that has come up since the basis was read is one that is about to.
  if awake && printf '%s\n' "$basis" | grep -q '^@networks '; then
    section daemon_arguments daemon_arguments
    section info docker info --format '{{json .}}'
    section admission docker_admits
    section containers containers
  elif command -v docker >/dev/null; then
    section info asleep
  fi
  section end true
}
