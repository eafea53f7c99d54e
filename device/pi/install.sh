#!/usr/bin/env bash
# Installs the firmware as a service of a Raspberry Pi (or any Debian), or takes it away.
# May be run again: it brings everything to the state that it describes.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: sudo device/pi/install.sh [OPTIONS]

  --config FILE    the configuration that `steam device add` wrote; becomes config.json
  --ca FILE        the CA of the broker's certificate, the ca.der that it wrote beside; for TLS
  --package FILE   a wheel or a folder that pip installs, instead of the sources around this script
  --no-apt         install no Debian packages (python3-venv, and what builds spidev)
  --dry-run        say what would be done, change nothing
  --uninstall      take the service away; configuration and data in /var/lib/steam-device stay
  --purge          with --uninstall: take configuration and data away too
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
readonly here root
readonly user=steam-device
readonly home=/opt/steam-device
readonly data=/var/lib/steam-device
readonly unit=/etc/systemd/system/steam-device.service
readonly groups=(gpio i2c spi dialout)
readonly packages=(python3-venv python3-dev gcc)

package=''
config=''
ca=''
apt=yes
dry=no
action=install
purge=no

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

# Every change goes through here: said, and done unless --dry-run.
run() {
    printf '+ %s\n' "$*"
    [[ $dry == yes ]] || "$@"
}

# A machine that is being built (a chroot, a container) has no systemd running.
systemd_runs() {
    [[ -d /run/systemd/system ]]
}

make_user() {
    getent passwd "$user" >/dev/null ||
        run useradd --system --user-group --home-dir "$data" --no-create-home \
            --shell /usr/sbin/nologin "$user"
    local group
    for group in "${groups[@]}"; do
        if ! getent group "$group" >/dev/null; then
            echo "group $group is not here: its buses cannot be used"
        elif [[ " $(id -nG "$user" 2>/dev/null) " != *" $group "* ]]; then
            run usermod --append --groups "$group" "$user"
        fi
    done
}

install_packages() {
    [[ $apt == yes ]] || return 0
    command -v apt-get >/dev/null || return 0
    local missing=() name
    for name in "${packages[@]}"; do
        dpkg-query --show --showformat='${Status}' "$name" 2>/dev/null |
            grep -q '^install ok installed$' || missing+=("$name")
    done
    ((${#missing[@]} == 0)) ||
        run env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
            "${missing[@]}"
}

install_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or later is needed; this is $(python3 --version)"
    # One of a Python that an upgrade of the system took away has no pip any more.
    "$home/bin/python" -m pip --version >/dev/null 2>&1 || run python3 -m venv --clear "$home"
    if [[ -n $package ]]; then
        run "$home/bin/python" -m pip install --quiet --upgrade "$package"
    else
        install_sources
    fi
    run install -m 0644 "$here/README.md" "$home/README.md"
}

# The sources that lie here, and the libraries of the lock with their hashes: no registry is asked
# for Steam itself, where anybody could have taken its name.
install_sources() {
    local site
    site=$home/lib/$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')/site-packages
    run "$home/bin/python" -m pip install --quiet --require-hashes \
        --requirement "$root/requirements/pi.txt"
    run rm -rf "$site/device"
    run cp -R "$root/device" "$site/device"
    run chmod -R go=rX "$site/device"
}

# Beside the package: when this firmware was made, for an older update is refused.
install_about() {
    local beside
    beside=$home/lib/$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')/site-packages/device
    run install -m 0644 /dev/stdin "$beside/update.json" \
        <<<"{\"v\": 1, \"board\": \"pi\", \"made\": $(date +%s)}"
}

# What is installed by hand counts: an update over the network would start in its stead. Its files
# stay, because the service that runs may yet need them; the next update takes their place.
forget_updates() {
    run rm -f "$data"/{a,b}.{ok,fails} "$data"/slot.{a,b,tmp}
}

install_config() {
    run install -d -m 0700 -o "$user" -g "$user" "$data"
    [[ -z $config ]] || run install -m 0600 -o "$user" -g "$user" "$config" "$data/config.json"
    [[ -z $ca ]] || run install -m 0600 -o "$user" -g "$user" "$ca" "$data/ca.der"
}

install_unit() {
    run install -m 0644 "$here/steam-device.service" "$unit"
    if ! systemd_runs; then
        echo "systemd does not run here: systemctl enable --now steam-device, once it does"
        return
    fi
    run systemctl daemon-reload
    run systemctl enable steam-device.service
    if [[ -n $config || -e $data/config.json ]]; then
        run systemctl restart steam-device.service
    else
        echo "no configuration yet: put it at $data/config.json, then: systemctl start steam-device"
    fi
}

uninstall() {
    if systemd_runs && [[ -e $unit ]]; then
        run systemctl disable --now steam-device.service
    fi
    [[ ! -e $unit ]] || run rm -f "$unit"
    if systemd_runs; then
        run systemctl daemon-reload
    fi
    [[ ! -e $home ]] || run rm -rf "$home"
    if [[ $purge == yes ]]; then
        [[ ! -e $data ]] || run rm -rf "$data"
        if getent passwd "$user" >/dev/null; then
            run userdel "$user"
        fi
    else
        echo "$data and the user $user stay: --purge takes them away"
    fi
}

while (($#)); do
    case $1 in
        --package | --config | --ca)
            [[ $# -ge 2 && -n $2 ]] || fail "$1 needs a value"
            case $1 in
                --package) package=$2 ;;
                --config) config=$2 ;;
                --ca) ca=$2 ;;
            esac
            shift
            ;;
        --no-apt) apt=no ;;
        --dry-run) dry=yes ;;
        --uninstall) action=uninstall ;;
        --purge) purge=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            fail "unknown: $1"
            ;;
    esac
    shift
done

[[ $purge == no || $action == uninstall ]] || fail "--purge goes with --uninstall"
[[ -z $config || -r $config ]] || fail "$config cannot be read"
[[ -z $ca || -r $ca ]] || fail "$ca cannot be read"
[[ -z $package || -e $package ]] || fail "--package: $package is no file and no folder"
[[ $action == uninstall || -n $package || -r $root/requirements/pi.txt ]] ||
    fail "no sources around $here: run this in a checkout, or give --package"
[[ $dry == yes || $(id -u) -eq 0 ]] || fail "must be root: sudo $0"

if [[ $action == uninstall ]]; then
    uninstall
else
    install_packages
    make_user
    install_python
    install_about
    install_config
    forget_updates
    install_unit
fi
