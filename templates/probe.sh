# Probes the mesh from one host. Follows sections.sh.
# shellcheck shell=dash disable=SC2154

# inside PID COMMAND...: in the network namespace of a process; 0 is the host's own.
inside() {
  pid=$1
  shift
  if [ "$pid" = 0 ]; then "$@"; else nsenter --target "$pid" --net "$@"; fi
}

# whereabouts METRIC: the host's addresses, of IPv6 those of global scope; its interfaces; its routes with that metric.
whereabouts() {
  {
    printf '%s\n' 'link show' 'addr show' 'route show' | ip -o -batch -
    [ ! -e /proc/sys/net/ipv6 ] || ip -o -6 route show
  } 2>/dev/null | awk -v metric="$1" '
    { name = "" }
    $3 ~ /^</ { name = "links" }
    $3 == "inet" { name = "addresses" }
    $3 == "inet6" && / scope global/ { name = "addresses6" }
    index($0 " ", " metric " metric " ") { name = "mesh" }
    name { line[name, ++lines[name]] = $0 }
    END {
      count = split("addresses addresses6 links mesh", names)
      for (at = 1; at <= count; at++) {
        print "@" names[at] " 0"
        for (n = 1; n <= lines[names[at]]; n++) print " " line[names[at], n]
      }
    }'
}

# leg_of PID ADDRESS: the container's interface with that address.
leg_of() { inside "$1" ip -o -4 addr show to "$2" | sed -n '1s/^[0-9]*: \([^ ]*\) .*/\1/p'; }

# size_of PID INTERFACE: its MTU.
size_of() { inside "$1" ip -o link show dev "$2" | sed -n 's/.* mtu \([0-9]*\) .*/\1/p'; }

# The MTU of docker0's containers, then their addresses.
bridge_network() {
  docker network inspect bridge --format '{{index .Options "com.docker.network.driver.mtu"}}
    {{range .Containers}}{{println .IPv4Address}}{{println .IPv6Address}}{{end}}'
}

# The first running container with an address on docker0, as "ADDRESS ADDRESS6 PID", with - where it has no IPv6. There the
# client of Docker 29 prints "invalid IP", and older ones nothing.
find_container() {
  # shellcheck disable=SC2046
  docker inspect --format \
    '{{with index .NetworkSettings.Networks "bridge"}}{{.IPAddress}}/{{.GlobalIPv6Address}}{{end}}/{{.State.Pid}}' \
    $(docker ps -q --no-trunc --filter network=bridge --filter status=running) 2>/dev/null |
    sed 's,/invalid IP/,//,; s,//,/-/,; s,/, ,g' | grep -E -m 1 '^[0-9.]+ [0-9a-f:-]+ [1-9][0-9]*$'
}

# hold_namespace SECONDS BRIDGE BRIDGE6 CANDIDATE...: a network namespace with a leg in docker0 and free addresses of its
# networks, as "ADDRESS ADDRESS6 PID". A candidate is one address of each, with a slash between and - for no IPv6. It
# lives as long as the process that holds it, which ends by itself: when that is gone, the kernel takes the namespace
# and both ends of the leg away.
hold_namespace() {
  seconds=$1 bridge=$2 bridge6=$3
  shift 3
  used=$(bridge_network 2>/dev/null) || { echo 'Docker does not answer'; return 1; }
  mtu=${used%%[!0-9]*}
  for candidate; do
    address=${candidate%/*} address6=${candidate#*/}
    case "$used" in *"$address/"* | *"$address6/"*) continue ;; esac
    setsid unshare --net sleep "$seconds" >/dev/null 2>&1 &
    holder=$!
    until [ "$(readlink /proc/$holder/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do
      kill -0 "$holder" || return 1
    done
    ip link add "dmp$holder" mtu "${mtu:-1500}" type veth peer name eth0 mtu "${mtu:-1500}" netns "$holder" &&
      ip link set "dmp$holder" master docker0 up &&
      nsenter --target "$holder" --net ip addr add "$address/${bridge#*/}" dev eth0 &&
      nsenter --target "$holder" --net ip link set eth0 up &&
      nsenter --target "$holder" --net ip route add default via "${bridge%/*}" &&
      with_ipv6 "$holder" && echo "$address $address6 $holder" && return
    kill "$holder"
    return 1
  done
  echo 'no free address in the network of docker0'
  return 1
}

# with_ipv6 HOLDER: its address of IPv6 too, which the kernel need not try on the link first.
with_ipv6() {
  [ "$bridge6" != - ] || return 0
  nsenter --target "$1" --net ip -6 addr add "$address6/${bridge6#*/}" dev eth0 nodad &&
    nsenter --target "$1" --net ip -6 route add default via "${bridge6%/*}"
}

# An address of IPv6 that docker0 has just been given serves once the kernel has tried it on the link, which it does
# when something is in the bridge.
settled6() {
  tries=30
  while [ -n "$(ip -6 addr show dev docker0 tentative)" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
  done
}

# release PID: ends a holder, and only one.
release() {
  case "$(tr '\0' ' ' <"/proc/$1/cmdline")" in "sleep "*) kill "$1" ;; esac
}

# container_target SECONDS BRIDGE BRIDGE6 CANDIDATE...: "ADDRESS ADDRESS6 PID container|namespace MTU", the last as - where
# it cannot be read.
container_target() {
  awake || { echo 'docker.service is not active'; return 1; }
  what=container
  # What a Docker that is just coming up complains of is no part of the answer.
  found=$(find_container 2>/dev/null) ||
    { what=namespace; found=$(hold_namespace "$@" 2>&1) || { echo "$found"; return 1; }; }
  found=$(printf '%s\n' "$found" | tail -n 1)
  pid=${found##* }
  size=$({ size_of "$pid" "$(leg_of "$pid" "${found%% *}")"; } 2>/dev/null)
  echo "$found $what ${size:--}"
  [ "$3" = - ] || settled6
}

# How ping is told that its packets may not be cut. As probes, what was learnt of the way before has no say; older pings
# cannot.
uncut() { case "$(ping -M probe 2>&1)" in *'invalid -M'*) echo "do" ;; *) echo probe ;; esac; }

# row COUNT INTERVAL WAIT PARALLEL PID, lines "KIND ADDRESS PAYLOAD LARGE" on stdin; PID has the container's network
# namespace. Answers "KIND ADDRESS" and what ping said, its lines joined; where LARGE is no - and there was a reply also
# "KIND+ ADDRESS" and what it said of a packet with that payload, which may not be cut, and of a second one only if the
# first is lost. Of programs it starts ping alone: a row may have hundreds.
row() {
  count=$1 interval=$2 wait=$3 parallel=$4 pid=$5 uncut=$(uncut) lanes=0
  # Words hold no blanks, and nothing that a shell takes for more than itself.
  # shellcheck disable=SC2046
  set -- $(cat)
  while [ "$lanes" -lt "$parallel" ] && [ "$#" -gt 0 ]; do
    lane "$@" &
    lanes=$((lanes + 1))
    shift 4
  done
  wait
}

# lane QUESTION..., of four words each: asks the first of them, and every PARALLEL-th behind it.
lane() {
  while ask "$1" "$2" "$3" "$4"; [ "$#" -gt $((4 * parallel)) ]; do shift $((4 * parallel)); done
}

# ask KIND ADDRESS PAYLOAD LARGE
ask() {
  inside=
  [ "$1" != container-container ] || inside="nsenter --target $pid --net"
  said=$($inside ping -n -c "$count" -i "$interval" -W "$wait" -s "$3" "$2" 2>&1)
  joined "$1 $2" "$said"
  case "$4 $said" in -* | *', 0 received'* | *' 0 packets received'*) return ;; esac
  one="$inside ping -n -M $uncut -c 1 -W $wait -s $4 $2"
  said=$($one 2>&1) || said=$said$LINE$($one 2>&1)
  joined "$1+ $2" "$said"
}

# joined HEAD TEXT: in one line, written at one blow.
joined() {
  head=$1
  IFS=$LINE
  set -f
  # shellcheck disable=SC2086
  set -- $2
  set +f
  IFS='|'
  text=$*
  unset IFS
  printf '%s %s\n' "$head" "$text"
}
