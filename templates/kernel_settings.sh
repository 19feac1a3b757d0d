# Kernel settings that facts.sh and explain.sh read besides addresses and routes. Needs output.sh.
# shellcheck shell=dash

# The routing rules of every Linux host, as a regular expression for awk and grep.
# shellcheck disable=SC2034
DEFAULT_IP_RULES='^(0:.*lookup local|32766:.*lookup main|32767:.*lookup default) *$'

# Prints "INTERFACE RP_FILTER FORWARDING" for each interface, except the veth interfaces, which come and go with containers.
# A shell reads byte by byte, and the kernel ends these files after the first read: `read` fails, but has set the value.
interface_sysctls() {
  for folder in /proc/sys/net/ipv4/conf/*; do
    case "${folder##*/}" in veth*) continue ;; esac
    rp_filter='' forwarding=''
    { read -r rp_filter <"$folder/rp_filter"; read -r forwarding <"$folder/forwarding"; } 2>/dev/null
    [ -z "$forwarding" ] || printf '%s\n' "${folder##*/} ${rp_filter:-0} $forwarding"
  done
}
