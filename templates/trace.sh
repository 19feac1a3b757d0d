# Captures one ping on a host. Needs output.sh and probe.sh.
# The captures run in a transient systemd unit. systemd ends it after its time, with all of its processes, and removes its
# directory, even if the controller or this script is killed.
# shellcheck shell=dash disable=SC2154

# Both write the same file format. Most hosts have neither.
capture_tool() {
  command -v tcpdump || command -v tshark || {
    echo 'neither tcpdump nor tshark is there: install tcpdump'
    return 1
  }
}

# container_pid NAME: its process; 0 if the container uses the host's network.
container_pid() {
  docker_active || { echo 'docker.service is not active'; return 1; }
  pid=$(docker inspect --type container --format '{{.State.Pid}}' -- "$1" 2>/dev/null) ||
    { echo "there is no container $1"; return 1; }
  [ "$pid" != 0 ] || { echo "container $1 does not run"; return 1; }
  [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || pid=0
  echo "$pid"
}

# container_addresses NAME: its PID as container_pid prints it, then its own addresses, one per line.
container_addresses() {
  pid=$(container_pid "$1") || { echo "$pid"; return 1; }
  echo "$pid"
  [ "$pid" = 0 ] || in_namespace "$pid" ip -o -4 addr show scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p'
}

# outgoing_interface ADDRESS [OPTION...]: the interface of the host's route to the address, with options of ip route get.
outgoing_interface() { ip -o -4 route get "$@" 2>/dev/null | sed -n 's/.* dev \([^ ]*\) .*/\1/p'; }

# mac_of INTERFACE: a blank and its MAC address, or "-".
mac_of() { ip -o link show dev "$1" | sed -n 's/.* link\/ether \([^ ]*\) .*/ \1/p' | grep . || echo ' -'; }

# bridge_of PID INTERFACE: the bridge that contains the host's end of a container's veth pair.
bridge_of() {
  peer_index=$(in_namespace "$1" ip -o link show dev "$2" | sed -n 's/^[0-9]*: [^ ]*@if\([0-9]*\): .*/\1/p')
  ip -o link show | sed -n "s/^${peer_index:-none}: .* master \([^ ]*\) .*/\1/p"
}

# capture_points PID ADDRESS NEXT_HOP FAR: the interfaces that a packet between ADDRESS and FAR should pass, each as
# "PLACE INTERFACE MAC", with "-" for no MAC. NEXT_HOP is the host of FAR. If a route is wrong, the interfaces to NEXT_HOP
# and to FAR differ, so both are captured.
capture_points() {
  pid=$1 address=$2 next_hop=$3 far=$4 bridge=''
  if [ "$pid" != 0 ]; then
    interface=$(interface_with "$pid" "$address")
    [ -n "$interface" ] || { echo "the container has no interface with $address"; return 1; }
    echo "container $interface -"
    bridge=$(bridge_of "$pid" "$interface")
    [ -z "$bridge" ] || echo "bridge $bridge$(mac_of "$bridge")"
  fi
  {
    outgoing_interface "$next_hop"
    # "from" and "iif" make the kernel apply routing rules by source, as it does when it forwards. It may refuse.
    if [ -n "$bridge" ]; then
      outgoing_interface "$far" from "$address" iif "$bridge"
    else
      outgoing_interface "$far"
    fi
  } | grep -v -x -F -e lo -e "${bridge:-lo}" | sort -u | while read -r uplink; do
    echo "uplink $uplink$(mac_of "$uplink")"
  done
}

# The script that the unit runs: run FOLDER TOOL PID PACKETS SECONDS FILTER. AppArmor lets tcpdump write only to *.pcap, so a
# pipe takes its messages. The unit stays until its time is over, because its directory is removed with it.
capture_script() {
  cat <<'END'
folder=$1 tool=$2 pid=$3 packets=$4 seconds=$5 filter=$6 number=0
while read -r place interface _; do
  number=$((number + 1)) enter=
  [ "$place" != container ] || enter="nsenter --target $pid --net"
  case $tool in
    */tcpdump) set -- tcpdump --immediate-mode -U -n -p -i "$interface" -c "$packets" -w - "$filter" ;;
    *) set -- tshark -F pcap -n -p -i "$interface" -c "$packets" -w - -f "$filter" ;;
  esac
  {
    { $enter "$@" >"$folder/$number.pcap"; } 2>&1 | cat >"$folder/$number.messages"
    echo >"$folder/$number.ended"
  } &
done <"$folder/points"
exec sleep "$seconds"
END
}

# start_unit TOOL PID
start_unit() {
  mkdir -m 700 "$folder" && echo "$points" >"$folder/points" && capture_script >"$folder/run" &&
    systemd-run --quiet --collect --unit="$unit" --description='dockmesh trace' \
      --property=RuntimeDirectory="$unit" --property=RuntimeDirectoryMode=0700 \
      --property=RuntimeMaxSec=$((seconds + 5)) --property=TimeoutStopSec=2 \
      sh "$folder/run" "$folder" "$1" "$2" "$packets" "$seconds" "$filter"
}

# captures_started NUMBER...: whether every capture has started, which writes the header of its file, or has ended.
captures_started() {
  for number; do
    [ -s "$folder/$number.pcap" ] || [ -e "$folder/$number.ended" ] || return
  done
}

# The points, one per line, each with the messages of its capture if that failed.
points_with_errors() {
  number=0
  while read -r point; do
    number=$((number + 1)) messages=
    [ -s "$folder/$number.pcap" ] || messages=" $(tr '\n' ' ' <"$folder/$number.messages")"
    echo "$point$messages"
  done <"$folder/points"
}

# start_captures RUN SECONDS PACKETS FILTER PID ADDRESS NEXT_HOP FAR: returns when the captures run, and prints the points.
start_captures() {
  unit=dockmesh-trace-$1 folder=/run/dockmesh-trace-$1 seconds=$2 packets=$3 filter=$4 tries=50
  shift 4
  tool=$(capture_tool) || { echo "$tool"; return 1; }
  points=$(capture_points "$@") || { echo "$points"; return 1; }
  [ -n "$points" ] || { echo "no interface leads to $3"; return 1; }
  start_unit "$tool" "$1" || { rm -rf "$folder"; return 1; }
  numbers=$(seq "$(wc -l <"$folder/points")")
  # shellcheck disable=SC2086
  until captures_started $numbers; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo 'the captures do not begin'; return 1; }
    sleep 0.1
  done
  points_with_errors
}

# ping_from PID COUNT INTERVAL WAIT PAYLOAD ADDRESS FAR
ping_from() { in_namespace "$1" ping -n -c "$2" -i "$3" -W "$4" -s "$5" -I "$6" "$7"; }

# collect_captures RUN: a section for each capture, with the number of its point. It waits first: tcpdump needs a moment to
# write a packet to the file, and tshark half a second more.
collect_captures() {
  if command -v tcpdump >/dev/null; then sleep 0.3; else sleep 1; fi
  for file in "/run/dockmesh-trace-$1"/*.pcap; do
    number=${file##*/}
    [ ! -e "$file" ] || run_section "capture.${number%.pcap}" base64 "$file"
  done
  run_section stop systemctl stop "dockmesh-trace-$1.service"
}
