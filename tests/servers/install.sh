#!/usr/bin/env bash
# Installs what a machine lacks for Steam: as root on Debian with apt, else it says what to install and goes on.
#   install.sh python    only Python with venv, for `make demo`
#   install.sh           that, and what the tests need: RabbitMQ, mosquitto, Chromium, a font, InfluxDB 1.8
# What is there already costs a look (well under a second). Proxies and mirrors are those of apt and Go.
set -euo pipefail

influxdb_version=1.8.10
bin=${XDG_CACHE_HOME:-$HOME/.cache}/steam/bin
here=$(cd "$(dirname "$0")" && pwd)
missing=() notes=()

have() { command -v "$1" >/dev/null 2>&1; }
lacks() { # lacks PACKAGE WHY
  missing+=("$1")
  notes+=("$1: $2")
}

want_python() {
  have git || lacks git "the sources"
  have make || lacks make "the commands"
  local python
  if ! python=$("$here/../../.ci/python"); then
    lacks python3 "Python 3.11 or newer"
    have uv || lacks python3-venv "virtual environments"
  elif ! have uv && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    lacks python3-venv "virtual environments"
  fi
}

want_servers() {
  if [[ -z ${STEAM_TEST_AMQP_URL:-} && ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]]; then
    lacks rabbitmq-server "tests on a real broker"
  fi
  if ! have mosquitto && [[ ! -x /usr/sbin/mosquitto ]]; then
    lacks mosquitto "tests of the embedded deployment on a real broker"
  fi
  if [[ -z ${STEAM_TEST_CHROMIUM:-} ]] && ! have chromium && ! have google-chrome; then
    lacks chromium "browser tests"
  fi
  if [[ ! -d /usr/share/fonts || -z $(find /usr/share/fonts -name '*.ttf' -print -quit) ]]; then
    lacks fonts-dejavu-core "letters in the browser tests"
  fi
  if needs_influxdb && ! have go; then
    lacks golang-go "builds InfluxDB $influxdb_version"
    [[ -e /etc/ssl/certs/ca-certificates.crt ]] || lacks ca-certificates "Go's downloads"
  fi
}

needs_influxdb() {
  [[ -z ${STEAM_TEST_INFLUXDB_URL:-} && ! -x $bin/influxd ]] && ! have influxd
}

install_packages() {
  if [[ $(id -u) != 0 ]] || ! have apt-get; then
    echo "steam: not installed, because this is not root on Debian or Ubuntu:" >&2
    printf '  %s\n' "${notes[@]}" >&2
    echo "steam: install them, e.g. sudo apt-get install ${missing[*]}; going on without" >&2
    return
  fi
  echo "steam: installing with apt: ${missing[*]}"
  keep_services_still
  export DEBIAN_FRONTEND=noninteractive
  local options=(-q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  apt-get "${options[@]}" update >/dev/null
  apt-get "${options[@]}" install --no-install-recommends "${missing[@]}" >/dev/null
  let_services_start
}

# Debian starts the service of each package that it installs, unless this program answers 101.
policy=/usr/sbin/policy-rc.d
keep_services_still() {
  trap let_services_start EXIT
  if [[ -e $policy ]]; then
    mv "$policy" "$policy.before-steam"
  fi
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

let_services_start() {
  trap - EXIT
  rm -f "$policy"
  if [[ -e $policy.before-steam ]]; then
    mv "$policy.before-steam" "$policy"
  fi
}

install_influxdb() {
  if ! have go; then
    echo "steam: no InfluxDB: it is built with Go, and Go is not here" >&2
    return
  fi
  echo "steam: building InfluxDB $influxdb_version in $bin (a minute or two, once)"
  mkdir -p "$bin"
  # Without cgo it needs no C compiler; a workspace or a toolchain of the user must not bend this build.
  (cd "$bin" && CGO_ENABLED=0 GO111MODULE=on GOWORK=off GOFLAGS='' GOBIN="$bin" \
    go install -ldflags "-s -w -X main.version=$influxdb_version" \
    "github.com/influxdata/influxdb/cmd/influxd@v$influxdb_version" \
    2> >(grep -v '^go: downloading' >&2))
}

want_python
[[ ${1:-} == python ]] || want_servers
((${#missing[@]} == 0)) || install_packages
if [[ ${1:-} != python ]] && needs_influxdb; then
  install_influxdb
fi
