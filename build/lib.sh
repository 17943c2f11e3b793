# SPDX-License-Identifier: Apache-2.0
# Shared by build/run and build/check: find the tree, say things, install packages, build.
# Not a command; sourced.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 2 ]; then
    c_bold=$'\e[1m' c_red=$'\e[31m' c_green=$'\e[32m' c_off=$'\e[0m'
else
    c_bold='' c_red='' c_green='' c_off=''
fi

say()  { printf '%s==>%s %s\n' "$c_bold" "$c_off" "$*" >&2; }
fail() { printf '%serror:%s %s\n' "$c_red" "$c_off" "$*" >&2; exit 1; }

# packages USE: the Debian packages of a use, from build/packages.
packages() {
    sed -n "s/^$1[[:space:]]\{1,\}//p" "$top/build/packages" | tr -s ' \n' ' '
}

# missing USE: those of them that are not installed.
missing() {
    local p
    for p in $(packages "$1"); do
        # A command from elsewhere (a newer node, say) will do as well as the package.
        case $p in
        nodejs) command -v node >/dev/null && continue ;;
        npm|gcc|make|curl) command -v "$p" >/dev/null && continue ;;
        esac
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$p"
    done
}

# install USE: install what is missing; as an ordinary user say the command instead.
install_packages() {
    local want
    command -v dpkg-query >/dev/null || { say "not a Debian system: packages are yours to install ($(packages "$1"))"; return; }
    want=$(missing "$1")
    [ -n "$want" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        fail "packages are missing; run: sudo apt-get install --no-install-recommends $want"
    fi
    say "installing: $want"
    # Nothing that is installed here may start a service by itself.
    local policy=/usr/sbin/policy-rc.d made_policy=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy && made_policy=1
    fi
    local log rc=0
    log=$(mktemp)
    { apt-get -o DPkg::Lock::Timeout=300 update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq \
          --no-install-recommends $want; } > "$log" 2>&1 || rc=$?
    [ -z "$made_policy" ] || rm -f $policy
    [ $rc = 0 ] || { tail -n 20 "$log" >&2; rm -f "$log"; fail "apt-get failed (status $rc); the lines above say why"; }
    rm -f "$log"
}

# is_reachable DIR: root serves as www-data, who has to reach what it serves through every directory above it.
is_reachable() {
    [ "$(id -u)" != 0 ] || setpriv --reuid=www-data --regid=www-data --clear-groups test -x "$1" 2>/dev/null
}

# configure_tree BUILDDIR ARGS...: (re)configure out of tree when something asks for it. Parts of
# build/check share a tree: one of them looks at it at a time.
configure_tree() {
    local dir=$1 lock; shift
    mkdir -p "$dir"
    exec {lock}>"$dir/tree.lock" && flock "$lock" || fail "$dir cannot be locked"
    if [ ! -x "$top/configure" ] || [ "$top/configure.ac" -nt "$top/configure" ] ||
       [ -n "$(find "$top/Makefile.am" "$top/build/m4" "$top"/modules -name '*.am' -newer "$top/configure" -print -quit)" ]; then
        say "autoreconf"
        (cd "$top" && autoreconf -fi) > "$dir/autoreconf.log" 2>&1 ||
            { tail -n 20 "$dir/autoreconf.log" >&2; fail "autoreconf failed"; }
    fi
    printf '%s\n' "$*" > "$dir/args.new"
    if [ ! -f "$dir/Makefile" ] || [ "$top/configure" -nt "$dir/config.status" ] ||
       ! cmp -s "$dir/args" "$dir/args.new"; then
        say "configure $*"
        (cd "$dir" && "$top/configure" "$@") > "$dir/configure.log" 2>&1 ||
            { tail -n 20 "$dir/configure.log" >&2; fail "configure failed; see $dir/config.log"; }
    fi
    mv "$dir/args.new" "$dir/args"
    exec {lock}>&-
}

# make_tree BUILDDIR TARGETS...: make, quiet unless it fails.
make_tree() {
    local dir=$1 lock; shift
    exec {lock}>"$dir/tree.lock" && flock "$lock" || fail "$dir cannot be locked"
    make -C "$dir" -j"$(nproc)" "$@" > "$dir/make.log" 2>&1 ||
        { grep -E -A3 'error|warning|Error' "$dir/make.log" | tail -n 40 >&2; fail "make $* failed; see $dir/make.log"; }
    exec {lock}>&-
}
