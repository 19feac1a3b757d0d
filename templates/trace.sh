# Captures one ping on a host. Follows sections.sh and probe.sh.
# The captures run in a transient unit of systemd's: it ends them after their time, takes every process along, and
# removes the folder they are in, whatever became of the controller and of this script.
# shellcheck shell=dash disable=SC2154

# Most hosts have neither. Either writes the same kind of file.
capture_tool() {
  command -v tcpdump || command -v tshark || {
    echo 'neither tcpdump nor tshark is there: install tcpdump'
    return 1
  }
}

# named_container NAME: its process; 0 where it is in the host's own network.
named_container() {
  awake || { echo 'docker.service is not active'; return 1; }
  pid=$(docker inspect --type container --format '{{.State.Pid}}' -- "$1" 2>/dev/null) ||
    { echo "there is no container $1"; return 1; }
  [ "$pid" != 0 ] || { echo "container $1 does not run"; return 1; }
  [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ] || pid=0
  echo "$pid"
}

# container_addresses NAME: what it has of its own, one a line.
container_addresses() {
  pid=$(named_container "$1") || { echo "$pid"; return 1; }
  echo "$pid"
  [ "$pid" = 0 ] || inside "$pid" ip -o -4 addr show scope global | sed -n 's/.* inet \([0-9.]*\).*/\1/p'
}

# device_to ADDRESS [OPTION...]: the interface by which the kernel sends there.
device_to() { ip -o -4 route get "$@" 2>/dev/null | sed -n 's/.* dev \([^ ]*\) .*/\1/p'; }

mac_of() { ip -o link show dev "$1" | sed -n 's/.* link\/ether \([^ ]*\) .*/ \1/p' | grep . || echo ' -'; }

# bridge_of PID LEG: what the other end of it is in.
bridge_of() {
  other=$(inside "$1" ip -o link show dev "$2" | sed -n 's/^[0-9]*: [^ ]*@if\([0-9]*\): .*/\1/p')
  ip -o link show | sed -n "s/^${other:-none}: .* master \([^ ]*\) .*/\1/p"
}

# points PID ADDRESS HOST FAR: where a packet between ADDRESS and FAR, on the host with the address HOST, should come
# by, as "PLACE INTERFACE MAC", with - for no MAC. The bridge is the one that the other end of the container's leg is in. Where HOST is
# reached and where FAR is differ if a route is not as it should be.
points() {
  pid=$1 address=$2 next=$3 far=$4 bridge=''
  if [ "$pid" != 0 ]; then
    leg=$(leg_of "$pid" "$address")
    [ -n "$leg" ] || { echo "the container has no interface with $address"; return 1; }
    echo "container $leg -"
    bridge=$(bridge_of "$pid" "$leg")
    [ -z "$bridge" ] || echo "bridge $bridge$(mac_of "$bridge")"
  fi
  {
    device_to "$next"
    # As the kernel forwards it, rules by source included; it may refuse to.
    if [ -n "$bridge" ]; then device_to "$far" from "$address" iif "$bridge"; else device_to "$far"; fi
  } | grep -v -x -F -e lo -e "${bridge:-lo}" | sort -u | while read -r device; do
    echo "uplink $device$(mac_of "$device")"
  done
}

# What the unit runs: run FOLDER TOOL PID PACKETS SECONDS FILTER. AppArmor lets tcpdump write to *.pcap alone, and not to
# a file for its messages: hence their pipe. The captures end with the unit, which stays for all of its time, since the
# folder goes with it.
run_text() {
  cat <<'END'
folder=$1 tool=$2 pid=$3 packets=$4 seconds=$5 filter=$6 number=0
while read -r place interface _; do
  number=$((number + 1)) inside=
  [ "$place" != container ] || inside="nsenter --target $pid --net"
  case $tool in
    */tcpdump) set -- tcpdump --immediate-mode -U -n -p -i "$interface" -c "$packets" -w - "$filter" ;;
    *) set -- tshark -F pcap -n -p -i "$interface" -c "$packets" -w - -f "$filter" ;;
  esac
  {
    { $inside "$@" >"$folder/$number.pcap"; } 2>&1 | cat >"$folder/$number.said"
    echo >"$folder/$number.ended"
  } &
done <"$folder/points"
exec sleep "$seconds"
END
}

start() {
  mkdir -m 700 "$folder" && echo "$points" >"$folder/points" && run_text >"$folder/run" &&
    systemd-run --quiet --collect --unit="$unit" --description='dockmesh trace' \
      --property=RuntimeDirectory="$unit" --property=RuntimeDirectoryMode=0700 \
      --property=RuntimeMaxSec=$((seconds + 5)) --property=TimeoutStopSec=2 \
      sh "$folder/run" "$folder" "$1" "$2" "$packets" "$seconds" "$filter"
}

# Whether every capture takes packets, which is so when it has written the head of its file, or has ended.
begun() {
  for number; do
    [ -s "$folder/$number.pcap" ] || [ -e "$folder/$number.ended" ] || return
  done
}

# The points, one a line; where a capture failed, what it said stands behind.
points_begun() {
  number=0
  while read -r point; do
    number=$((number + 1)) said=
    [ -s "$folder/$number.pcap" ] || said=" $(tr '\n' ' ' <"$folder/$number.said")"
    echo "$point$said"
  done <"$folder/points"
}

# begin RUN SECONDS PACKETS FILTER PID ADDRESS HOST FAR: returns when the captures have begun, and prints the points.
begin() {
  unit=dockmesh-trace-$1 folder=/run/dockmesh-trace-$1 seconds=$2 packets=$3 filter=$4 left=50
  shift 4
  tool=$(capture_tool) || { echo "$tool"; return 1; }
  points=$(points "$@") || { echo "$points"; return 1; }
  [ -n "$points" ] || { echo "no interface leads to $3"; return 1; }
  start "$tool" "$1" || { rm -rf "$folder"; return 1; }
  numbers=$(seq "$(wc -l <"$folder/points")")
  # shellcheck disable=SC2086
  until begun $numbers; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo 'the captures do not begin'; return 1; }
    sleep 0.1
  done
  points_begun
}

# ping_far PID COUNT INTERVAL WAIT SIZE ADDRESS FAR
ping_far() { inside "$1" ping -n -c "$2" -i "$3" -W "$4" -s "$5" -I "$6" "$7"; }

# collect RUN: each capture, by the number of its point. A packet takes a moment into the file, and tshark half a
# second more.
collect() {
  if command -v tcpdump >/dev/null; then sleep 0.3; else sleep 1; fi
  for file in "/run/dockmesh-trace-$1"/*.pcap; do
    number=${file##*/}
    [ ! -e "$file" ] || section "capture.${number%.pcap}" base64 "$file"
  done
  section stop systemctl stop "dockmesh-trace-$1.service"
}
