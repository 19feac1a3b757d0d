# Reads what decides about the packets between two hosts. Follows sections.sh, kernel.sh, probe.sh and trace.sh; changes
# nothing.
# shellcheck shell=dash disable=SC2154

# Every rule with its counters, of all tables. Without iptables there are none.
counted_rules() { command -v iptables-save >/dev/null || return 0; iptables-save -c | grep -v '^#'; }

# Others' nft tables, counters included; without nft there are none.
ruleset() { command -v nft >/dev/null || return 0; nft -a list ruleset; }

# How many packets rp_filter has refused so far.
filtered() {
  awk '$1 == "TcpExt:" { if (at) { print $at; exit } for (n = 2; n <= NF; n++) if ($n == "IPReversePathFilter") at = n }' \
    /proc/net/netstat
}

count() {
  section "$1.rules" counted_rules
  section "$1.ruleset" ruleset
  section "$1.filtered" filtered
}

# full_size PID ADDRESS FAR: two pings that may not be cut, as large as the interface takes. 28 bytes are headers.
full_size() {
  size=$(size_of "$1" "$(leg_of "$1" "$2")")
  [ -n "$size" ] || { echo "no interface has $2"; return 1; }
  echo "size $size"
  inside "$1" ping -n -M "$(uncut)" -c 2 -i 0.2 -W 1 -s $((size - 28)) -I "$2" "$3"
}

docker_state() {
  command -v docker >/dev/null || { echo absent; return; }
  awake || { echo stopped; return; }
  docker version --format '{{.Server.Version}}'
}

policy() { ip -4 rule show | grep -v -E "$EVERY_LINUX"; }

device_with() { ip -o -4 addr show to "$1" | sed -n '1s/^[0-9]*: \([^ ]*\) .*/\1/p'; }

# The way out as the kernel takes it for what comes from the bridge, or from the host itself.
way_out() {
  if [ -n "$bridge" ]; then ip -o -4 route get "$far" from "$address" iif "$bridge"; else ip -o -4 route get "$far"; fi
}

# And in, as for what comes by the interface that bears the host's address for its peers.
way_in() {
  uplink=$(device_with "$own")
  [ -n "$uplink" ] || { echo "no interface has $own"; return 1; }
  ip -o -4 route get "$address" from "$far" iif "$uplink"
}

# look PID ADDRESS OWN PEER FAR: what there is on the way between ADDRESS on this host, whose own address is OWN, and FAR
# on the host PEER. The ping makes the kernel ask for the neighbour; it comes after the rules were counted.
look() {
  pid=$1 address=$2 own=$3 peer=$4 far=$5 bridge=''
  count after
  if [ "$pid" != 0 ]; then
    leg=$(leg_of "$pid" "$address")
    bridge=$(bridge_of "$pid" "${leg:-none}")
    section leg printf '%s %s\n' "${leg:--}" "${bridge:--}"
    section container.links inside "$pid" ip -o link show
    section container.routes inside "$pid" ip -o -4 route show
  fi
  section lan ping -n -c 1 -W 1 "$peer"
  section neighbours ip -4 neigh show
  section addresses ip -o -4 addr show
  section links ip -o link show
  section routes ip -o -4 route show
  section policy policy
  section switches switches
  section docker docker_state
  section source_nat nft -s list table ip dockmesh
  section way_out way_out
  section way_in way_in
}
