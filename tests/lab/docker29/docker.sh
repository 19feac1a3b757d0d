#!/bin/sh
# A client that reports the version and the firewall backend of Docker 29. Everything else is Docker 28.5's.
set -u
case "$*" in
'info --format {{json .}}')
  info=$(/usr/bin/docker "$@") || exit
  backend=$(sed -n 's/^firewall-backend //p' /run/docker29/running)
  # With its own iptables off, Docker 28.5 names no backend.
  echo "$info" | sed 's/"ServerVersion":"[^"]*"/"ServerVersion":"29.0.1"/; s/"FirewallBackend":{[^}]*},//' |
    sed "s/^{/{\"FirewallBackend\":{\"Driver\":\"${backend:-iptables}\"},/"
  ;;
'version --format {{.Server.Version}}')
  /usr/bin/docker "$@" | sed 's/.*/29.0.1/'
  ;;
'inspect --format {{with index .NetworkSettings.Networks "bridge"}}'*)
  # Docker 29 uses Go's netip type for addresses, which prints a missing address like this.
  /usr/bin/docker "$@" | sed 's,//,/invalid IP/,'
  ;;
*) exec /usr/bin/docker "$@" ;;
esac
