# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Sourced by the other tools: messages, and the Debian packages they need. Nothing in here writes to stdout.
#
# shellcheck disable=SC2034 # the lists are for those who source this

say() {
        echo "${0##*/}: $*" >&2
}

die() {
        say "$*"
        exit 1
}

# What a build needs, what the tests need beside it, and what the other configurations of tools/check need.
packages_build=(gcc libc6-dev meson ninja-build pkg-config libserialport-dev libsystemd-dev libgpiod-dev
        libyaml-dev libsqlite3-dev libcrypt-dev)
packages_demo=(dbus-daemon)
# What the boards' firmware and its simulator need.
packages_boards=(gcc-avr avr-libc libsimavr-dev libelf-dev)
packages_test=(libcmocka-dev dbus-daemon python3 python3-dbus python3-gi binutils "${packages_boards[@]}" mandoc shellcheck
        spin tzdata systemd)
packages_clang=(clang libclang-rt-dev)
packages_valgrind=(valgrind libc6-dbg)
packages_deb=(dpkg-dev debhelper pkgconf systemd lintian git)
# For tests/vm: an emulated machine, and what its file system is made with. Not installed by tools/check.
packages_vm=(qemu-system-x86 qemu-utils mmdebstrap e2fsprogs cpio gcc libc6-dev git python3)
# For tests/vm/rpi, beside it: an emulated Raspberry Pi. Not installed by tools/check either.
packages_rpi=(qemu-system-arm mmdebstrap cpio git python3)

# Those of the named packages that are not installed, one a line.
missing_packages() {
        local package
        for package in "$@"; do
                # One line for each architecture the package is installed for; the assignment keeps grep from
                # closing the pipe early, which pipefail would take for a failure.
                local state
                # shellcheck disable=SC2016 # dpkg-query's own ${}
                state=$(dpkg-query --show --showformat '${db:Status-Status}\n' "$package" 2>/dev/null) || true
                grep -qx installed <<<"$state" || echo "$package"
        done
}

# Installs what is missing of the named packages, and asks for nothing (no root, no network) if all are there.
need_packages() {
        local -a missing as_root=()
        if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
                say "no apt here; going on in the hope that these are installed: $*"
                return 0
        fi
        mapfile -t missing < <(missing_packages "$@")
        [[ ${#missing[@]} -gt 0 ]] || return 0

        if [[ $EUID -ne 0 ]]; then
                command -v sudo >/dev/null ||
                        die "not root and no sudo; as root, type: apt-get install ${missing[*]}"
                as_root=(sudo)
        fi
        as_root+=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)

        say "installing: ${missing[*]}"
        # A machine that never ran `apt-get update` knows no package; one that ran it long ago knows versions that
        # the mirror no longer has. Only then are the lists fetched.
        if ! { apt_knows "${missing[@]}" && apt_install "${as_root[@]}"; }; then
                "${as_root[@]}" update >&2 || die "apt-get update failed"
                apt_install "${as_root[@]}" || die "apt-get could not install: ${missing[*]}"
        fi
}

apt_knows() {
        local package
        for package in "$@"; do
                [[ -n $(apt-cache show --no-all-versions "$package" 2>/dev/null) ]] || return 1
        done
}

# Uses the caller's list of missing packages.
apt_install() {
        "$@" install -y --no-install-recommends "${missing[@]}" >&2 </dev/null
}

# Configures a build directory once; later changes of meson.build reconfigure it through ninja.
configure() { # DIRECTORY [OPTION...]
        local dir=$1
        shift
        [[ -e $dir/build.ninja ]] && return 0
        # Left by an interrupted setup.
        rm -rf "$dir"
        meson setup "$dir" . "$@" >&2
}
