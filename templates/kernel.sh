# What a host's kernel goes by besides its addresses and routes, for facts.sh and explain.sh. Follows sections.sh.
# shellcheck shell=dash

# The routing rules that are in every Linux, as awk and grep take them.
# shellcheck disable=SC2034
EVERY_LINUX='^(0:.*lookup local|32766:.*lookup main|32767:.*lookup default) *$'

# By interface: rp_filter, forwarding. Those of containers come and go, and nothing is said of them alone.
# Of such a file the kernel gives a shell one byte at a time: `read` says no at its end, and has the value.
switches() {
  for folder in /proc/sys/net/ipv4/conf/*; do
    case "${folder##*/}" in veth*) continue ;; esac
    rp_filter='' forwarding=''
    { read -r rp_filter <"$folder/rp_filter"; read -r forwarding <"$folder/forwarding"; } 2>/dev/null
    [ -z "$forwarding" ] || printf '%s\n' "${folder##*/} ${rp_filter:-0} $forwarding"
  done
}
