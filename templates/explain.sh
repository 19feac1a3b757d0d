# Reads what decides about packets between two hosts, and changes nothing. Needs output.sh, kernel_settings.sh, probe.sh and
# trace.sh.
# shellcheck shell=dash disable=SC2154

# Every iptables rule with its counters. A host without iptables has none.
iptables_counters() { command -v iptables-save >/dev/null || return 0; iptables-save -c | grep -v '^#'; }

# All nft tables with their counters. A host without nft has none.
nft_ruleset() { command -v nft >/dev/null || return 0; nft -a list ruleset; }

# trace_table LENGTH: commands for nft that make the kernel trace pings of this length through all its tables. The kernel
# removes the table when the nft that owns it ends, even if it is killed.
trace_table() {
  table="inet dockmesh-explain-$$"
  cat <<END
add table $table { flags owner; }
add chain $table arrives { type filter hook prerouting priority -1000; }
add chain $table starts { type filter hook output priority -1000; }
add chain $table leaves { type filter hook postrouting priority 1000; }
add rule $table arrives ip length $1 icmp type { echo-request, echo-reply } meta nftrace set 1
add rule $table starts ip length $1 icmp type { echo-request, echo-reply } meta nftrace set 1
END
}

# own_pings LENGTH: the number of pings of the host to itself in the trace.
own_pings() { grep -c "ip saddr 127\.0\.0\.1 .* ip length $1 " /dev/fd/4; }

# await_trace LENGTH: pings the host itself until the trace shows one more ping, and thus every packet before it. Fails if it
# does not.
await_trace() {
  seen=$(own_pings "$1") tries=20
  until [ "$(own_pings "$1")" -gt "$seen" ] || [ "$tries" = 0 ]; do
    ping -n -c 1 -W 1 -s $(($1 - 28)) 127.0.0.1 >/dev/null 2>&1
    sleep 0.05
    tries=$((tries - 1))
  done
  [ "$tries" != 0 ]
}

# hold_trace SECONDS LENGTH: completes the output so far, traces pings of this length until stdin ends or the time is over,
# prints the trace and ends the script. stdin ends with the SSH session. The trace is empty without nft, or with an nft or a
# kernel that cannot trace. Its file is removed at once, so that no kill can leave it behind, and has 8 MiB at most.
hold_trace() {
  if file=$(mktemp) && exec 4>"$file"; then rm "$file"; else exec 4>/dev/null; fi
  (trap '' XFSZ; ulimit -f 16384; exec timeout "$1" nft -a monitor trace >&4 2>/dev/null) &
  monitor=$!
  exec 3>&1
  # Without a home, nft keeps no history of commands.
  {
    trace_table "$2"
    await_trace "$2"
    { run_section end true; run_section held true; } >&3
    timeout "$1" cat >/dev/null
    [ ! -s /dev/fd/4 ] || await_trace "$2" || printf '\n# ERROR: the trace ended early\n' >&4
  } | { HOME=/dev/null nft -i; cat; kill "$monitor"; } >/dev/null 2>&1
  wait "$monitor" 2>/dev/null
  run_section probe_trace cat /dev/fd/4
  run_section end true
  exit
}

# The number of packets that rp_filter has dropped. The first line of TcpExt has the names of the columns.
rp_filter_drops() {
  awk '$1 == "TcpExt:" {
      if (column) { print $column; exit }
      for (n = 2; n <= NF; n++) if ($n == "IPReversePathFilter") column = n
    }' /proc/net/netstat
}

# read_counters before|after
read_counters() {
  run_section "$1.iptables_rules" iptables_counters
  run_section "$1.nft_ruleset" nft_ruleset
  run_section "$1.rp_filter_drops" rp_filter_drops
}

# full_size_ping PID ADDRESS FAR: two pings with DF set and the MTU of the interface. The headers take 28 bytes.
full_size_ping() {
  mtu=$(interface_mtu "$1" "$(interface_with "$1" "$2")")
  [ -n "$mtu" ] || { echo "no interface has $2"; return 1; }
  echo "size $mtu"
  in_namespace "$1" ping -n -M "$(df_option)" -c 2 -i 0.2 -W 1 -s $((mtu - 28)) -I "$2" "$3"
}

# "absent", "stopped" or the version.
docker_state() {
  command -v docker >/dev/null || { echo absent; return; }
  docker_active || { echo stopped; return; }
  docker version --format '{{.Server.Version}}'
}

# The routing rules that not every Linux host has.
ip_rules() { ip -4 rule show | grep -v -E "$DEFAULT_IP_RULES"; }

# The kernel's route to the far end for packets that the bridge forwards, or that the host sends.
route_out() {
  if [ -n "$bridge" ]; then ip -o -4 route get "$far" from "$address" iif "$bridge"; else ip -o -4 route get "$far"; fi
}

# The kernel's route for packets from the far end, as if they arrived on the interface with the host's underlay address.
route_in() {
  uplink=$(interface_with 0 "$underlay")
  [ -n "$uplink" ] || { echo "no interface has $underlay"; return 1; }
  ip -o -4 route get "$address" from "$far" iif "$uplink"
}

# read_snapshot PID ADDRESS UNDERLAY PEER FAR: all that decides about packets between ADDRESS on this host, which has the
# underlay address UNDERLAY, and FAR on the host PEER. The ping makes the kernel resolve the neighbour. It follows the
# counters, because it would change them.
read_snapshot() {
  pid=$1 address=$2 underlay=$3 peer=$4 far=$5 bridge=''
  read_counters after
  if [ "$pid" != 0 ]; then
    interface=$(interface_with "$pid" "$address")
    bridge=$(bridge_of "$pid" "${interface:-none}")
    run_section container_link printf '%s %s\n' "${interface:--}" "${bridge:--}"
    run_section container.links in_namespace "$pid" ip -o link show
    run_section container.routes in_namespace "$pid" ip -o -4 route show
  fi
  run_section peer_ping ping -n -c 1 -W 1 "$peer"
  run_section neighbours ip -4 neigh show
  run_section addresses ip -o -4 addr show
  run_section links ip -o link show
  run_section routes ip -o -4 route show
  run_section ip_rules ip_rules
  run_section sysctls interface_sysctls
  run_section docker_state docker_state
  run_section own_nft nft -s list table ip dockmesh
  run_section route_out route_out
  run_section route_in route_in
}
