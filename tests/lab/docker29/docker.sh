#!/bin/sh
# A client that reports what Docker 29 reports: its version, its firewall backend, no bases of the address pools after a
# reload, and masquerades, which Docker 28.5 leaves out without iptables. Everything else is Docker 28.5's.
set -u
backend=$(sed -n 's/^firewall-backend //p' /run/docker29/running)
case "$*" in
'info --format {{json .}}')
  info=$(/usr/bin/docker "$@") || exit
  proxy='[["EnableUserlandProxy","true"],["UserlandProxyPath","/usr/sbin/docker-proxy"]]'
  # With its own iptables off, Docker 28.5 names no backend.
  echo "$info" | sed 's/"ServerVersion":"[^"]*"/"ServerVersion":"29.7.2"/; s/"FirewallBackend":{[^}]*},//
    s/"Base":"invalid Prefix"/"Base":""/g
    s|"CDISpecDirs"|"FirewallBackend":{"Driver":"'"${backend:-iptables}"'","Info":'"$proxy"'},&|'
  ;;
'version --format {{.Server.Version}}')
  /usr/bin/docker "$@" | sed 's/.*/29.7.2/'
  ;;
'inspect --format {{with index .NetworkSettings.Networks "bridge"}}'*)
  # Docker 29 uses Go's netip type for addresses, which prints a missing address like this.
  /usr/bin/docker "$@" | sed 's,//,/invalid IP/,'
  ;;
"network inspect "*)
  /usr/bin/docker "$@" | sed 's/\("com.docker.network.bridge.enable_ip_masquerade": *\)"false"/\1"true"/'
  ;;
*) exec /usr/bin/docker "$@" ;;
esac
