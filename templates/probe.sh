# Probes the mesh from one host. Needs output.sh.
# shellcheck shell=dash disable=SC2154

# in_namespace PID COMMAND...: runs the command in the network namespace of a process. PID 0 is the host itself.
in_namespace() {
  pid=$1
  shift
  if [ "$pid" = 0 ]; then "$@"; else nsenter --target "$pid" --net "$@"; fi
}

# host_addresses METRIC: the sections for the host's addresses (of IPv6 those of global scope), its interfaces, and its
# routes with that metric, which are dockmesh's.
host_addresses() {
  {
    printf '%s\n' 'link show' 'addr show' 'route show' | ip -o -batch -
    [ ! -e /proc/sys/net/ipv6 ] || ip -o -6 route show
  } 2>/dev/null | awk -v metric="$1" '
    { section = "" }
    $3 ~ /^</ { section = "links" }
    $3 == "inet" { section = "addresses" }
    $3 == "inet6" && / scope global/ { section = "addresses6" }
    index($0 " ", " metric " metric " ") { section = "mesh_routes" }
    section { text[section, ++lines[section]] = $0 }
    END {
      count = split("addresses addresses6 links mesh_routes", sections)
      for (at = 1; at <= count; at++) {
        print "@" sections[at] " 0"
        for (n = 1; n <= lines[sections[at]]; n++) print " " text[sections[at], n]
      }
    }'
}

# interface_with PID ADDRESS: the interface with that address, in the network namespace of PID.
interface_with() { in_namespace "$1" ip -o -4 addr show to "$2" | sed -n '1s/^[0-9]*: \([^ ]*\) .*/\1/p'; }

# interface_mtu PID INTERFACE
interface_mtu() { in_namespace "$1" ip -o link show dev "$2" | sed -n 's/.* mtu \([0-9]*\) .*/\1/p'; }

# The MTU of the containers on docker0, then their addresses.
bridge_network() {
  docker network inspect bridge --format '{{index .Options "com.docker.network.driver.mtu"}}
    {{range .Containers}}{{println .IPv4Address}}{{println .IPv6Address}}{{end}}'
}

# A running container with an address on docker0, as "ADDRESS ADDRESS6 PID". Others may end before the probes arrive, so it
# is one that Docker did not have to restart, the oldest of them, and none that is a few seconds old. The age counts from
# the creation, since a restart of Docker has just started all of them. ADDRESS6 is "-" without IPv6: Docker 29 prints
# "invalid IP" there, and earlier versions print nothing.
find_container() {
  # shellcheck disable=SC2046
  docker inspect --format '{{.RestartCount}}/{{.Created}}/{{with index .NetworkSettings.Networks "bridge"}}
    {{- .IPAddress}}/{{.GlobalIPv6Address}}{{end}}/{{.State.Pid}}' \
    $(docker ps -q --no-trunc --filter network=bridge --filter status=running) 2>/dev/null |
    sed 's,/invalid IP/,//,; s,//,/-/,; s,/, ,g' | sort -k 1,1n -k 2,2 |
    awk -v newest="$(date -u -d "@$(($(date +%s) - 5))" +%Y-%m-%dT%H:%M:%S)" '
      $2 < newest && /^[0-9]+ [^ ]+ [0-9.]+ [0-9a-f:-]+ [1-9][0-9]*$/ { print $3, $4, $5; found = 1; exit }
      END { exit !found }'
}

# create_namespace SECONDS BRIDGE BRIDGE6 CANDIDATE...: creates a network namespace with an interface in docker0 and free
# addresses of its networks, as "ADDRESS ADDRESS6 PID". A candidate is "ADDRESS/ADDRESS6", with "-" for no IPv6. The
# process PID keeps the namespace and ends by itself; then the kernel removes the namespace and the veth pair.
create_namespace() {
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
      add_ipv6 "$holder" && echo "$address $address6 $holder" && return
    kill "$holder"
    return 1
  done
  echo 'no free address in the network of docker0'
  return 1
}

# add_ipv6 PID: gives the namespace its IPv6 address. "nodad" makes it usable at once: bridge_network shows that it is free.
add_ipv6() {
  [ "$bridge6" != - ] || return 0
  nsenter --target "$1" --net ip -6 addr add "$address6/${bridge6#*/}" dev eth0 nodad &&
    nsenter --target "$1" --net ip -6 route add default via "${bridge6%/*}"
}

# Waits until the kernel accepts a new IPv6 address of docker0. Duplicate address detection starts only when the bridge has
# an interface.
wait_for_bridge6() {
  tries=30
  while [ -n "$(ip -6 addr show dev docker0 tentative)" ] && [ "$tries" -gt 0 ]; do
    tries=$((tries - 1))
    sleep 0.1
  done
}

# release_namespace PID: removes the interface of create_namespace and ends its process. The kernel removes the namespace a
# moment later. The check prevents killing another process with that PID.
release_namespace() {
  ip link del "dmp$1"
  case "$(tr '\0' ' ' <"/proc/$1/cmdline")" in "sleep "*) kill "$1" ;; esac
}

# container_target SECONDS BRIDGE BRIDGE6 CANDIDATE...: "ADDRESS ADDRESS6 PID container|namespace MTU". MTU is "-" if
# it cannot be read.
container_target() {
  docker_active || { echo 'docker.service is not active'; return 1; }
  kind=container
  # A Docker that is starting prints errors, which are no part of the answer.
  target=$(find_container 2>/dev/null) ||
    { kind=namespace; target=$(create_namespace "$@" 2>&1) || { echo "$target"; return 1; }; }
  target=$(printf '%s\n' "$target" | tail -n 1)
  pid=${target##* }
  mtu=$({ interface_mtu "$pid" "$(interface_with "$pid" "${target%% *}")"; } 2>/dev/null)
  echo "$target $kind ${mtu:--}"
  [ "$3" = - ] || wait_for_bridge6
}

# The value of ping -M that sets DF. "probe" also ignores the cached path MTU; earlier versions of ping lack it.
df_option() { case "$(ping -M probe 2>&1)" in *'invalid -M'*) echo "do" ;; *) echo probe ;; esac; }

# run_row NONCE PID COUNT DELAY_MS, with lines "INDEX host|container ADDRESS PAYLOAD ID" on stdin: runs the program $prober
# of probe.pl, which describes arguments and lines. It exits with 3 before it reads stdin if the kernel or the rights do not
# suffice. Then ping sends the probes.
run_row() {
  if command -v perl >/dev/null; then
    perl -e "$prober" "$@"
    [ "$?" = 3 ] || return 0
  fi
  ping_row "$@"
}

# ping_row NONCE PID COUNT DELAY_MS: run_row with one or two processes per probe. It starts 32 probes in 0.2 s, and no
# program but ping and sleep, because a host may have hundreds of probes.
ping_row() {
  pid=$2 df_option=$(df_option) started=0
  # With a deadline, ping repeats a lost packet until the first reply. The option -e sets the ICMP id.
  [ "$3" = 1 ] && series='-c 1 -w 1' || series="-c $3 -W 1"
  case "$(ping -e 1 2>&1)" in *'invalid option'* | *'unrecognized option'*) id_option= ;; *) id_option=-e ;; esac
  while read -r index where address payload id; do
    ping_probe &
    started=$((started + 1))
    [ $((started % 32)) != 0 ] || sleep 0.2
  done
  wait
}

# ping_probe: prints "INDEX +" and the output of a ping with a full-size packet, its lines joined. If that gets no reply,
# it also prints "INDEX ." and the output of a ping with a small packet.
ping_probe() {
  enter=''
  [ "$where" = host ] || enter="nsenter --target $pid --net"
  ping="$enter ping -n -i 0.2 $series ${id_option:+-e $id}"
  if [ "$payload" != 0 ]; then
    reply=$($ping -M "$df_option" -s "$payload" "$address" 2>&1)
    print_joined "$index +" "$reply"
    case "$reply" in *', 0 received'* | *', 0 packets received'*) ;; *' received'*) return ;; esac
  fi
  reply=$($ping -s 56 "$address" 2>&1)
  print_joined "$index ." "$reply"
}

# print_joined HEAD TEXT: prints all as one line in one write, so that lines of parallel workers do not mix.
print_joined() {
  head=$1
  IFS=$LINE
  set -f
  # shellcheck disable=SC2086
  set -- $2
  set +f
  IFS='|'
  joined=$*
  unset IFS
  printf '%s %s\n' "$head" "$joined"
}
