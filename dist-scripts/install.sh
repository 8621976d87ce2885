#!/bin/sh
# Installs ccrouter for one user: finds the archive for this machine, verifies it, puts it where the PATH finds it.
#
#     sh install.sh                     install the newest release, or upgrade to it
#     sh install.sh --version 1.2.3     that one
#     sh install.sh --to DIR            into DIR instead of ~/.local/bin
#     sh install.sh --folder            the program as a folder, for systems on which nothing may be unpacked and run
#     sh install.sh --uninstall         remove the program, what it unpacked and what it remembers
#     sh install.sh --uninstall --purge and the configuration; all of it where the program is gone already, too
#
# CCROUTER_RELEASES is where releases are, if not where this copy of the script came from:
# https://HOST/OWNER/REPOSITORY/releases. Nothing outside of the directories named here is written.
set -eu

# A release writes its own place here; a copy from the sources knows none.
releases=${CCROUTER_RELEASES:-"@RELEASES@"}
# The oldest glibc on which the program runs; a release writes it here.
floor="@GLIBC@"

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

main() {
    version=latest to='' folder=no action=install purge=no
    while [ $# -gt 0 ]; do
        case $1 in
            --version) [ $# -gt 1 ] || fail "--version wants a version, such as 1.2.3"; version=${2#v}; shift ;;
            --to) [ $# -gt 1 ] || fail "--to wants a directory"; to=$2; shift ;;
            --folder) folder=yes ;;
            --uninstall) action=uninstall ;;
            --purge) purge=yes ;;
            -h | --help) usage; exit 0 ;;
            *) fail "there is no option $1; see sh install.sh --help" ;;
        esac
        shift
    done
    [ "$purge" = no ] || [ "$action" = uninstall ] || fail "--purge goes with --uninstall"
    [ -n "$to" ] || [ -n "${HOME:-}" ] || fail "HOME is not set; say where to with --to DIR"
    to=${to:-"$HOME/.local/bin"}
    case $to in /*) ;; *) to=$PWD/$to ;; esac
    find_places
    "$action"
}

usage() {
    say "usage: sh install.sh [--version VERSION] [--to DIR] [--folder]"
    say "       sh install.sh --uninstall [--purge] [--to DIR]"
    say
    say "Installs ccrouter into DIR (default: ~/.local/bin), or upgrades it, and verifies what it downloads."
    say
    say "  --version VERSION   a certain release instead of the newest"
    say "  --folder            the program as a folder in DIR/../lib/ccrouter, which unpacks nothing when it starts"
    say "  --uninstall         remove the program, what it unpacked and what it remembers"
    say "  --purge             with --uninstall: remove the configuration too"
}

# Where things are

find_places() {
    while :; do
        case $to in ?*/) to=${to%/} ;; *) break ;; esac
    done
    [ ! -d "$to" ] || to=$(cd "$to" && pwd)
    # Beside the directory of programs, as packages of a user's own do: ~/.local/bin, ~/.local/lib.
    library=$(dirname "$to")/lib/ccrouter
    # What the program has itself is where it finds it; it unpacks itself to the same place on every system.
    cache=$(place "${XDG_CACHE_HOME:-}" .cache)
    remembered=$(place "${XDG_STATE_HOME:-}" .local/state)
    configuration=$(place "${XDG_CONFIG_HOME:-}" .config)
    # Where a running router says who it is: the one, or the other where there is no such directory.
    case ${XDG_RUNTIME_DIR:-} in /*) runtime=${XDG_RUNTIME_DIR%/}/ccrouter ;; *) runtime='' ;; esac
    case ${TMPDIR:-} in /*) temporary=${TMPDIR%/} ;; *) temporary=/tmp ;; esac
    temporary=$temporary/ccrouter-$(id -u)
}

# place VALUE BELOW: the program's folder in VALUE, else in BELOW of the home. As the program has it, a path that is
# not absolute counts for nothing: it would be somewhere in the directory that this happens to run in.
place() {
    case $1 in
        /*) say "${1%/}/ccrouter" ;;
        *) case ${HOME:-} in /*) say "${HOME%/}/$2/ccrouter" ;; esac ;;
    esac
}

# Whether the folder form of the program is what lies there: it may be a folder of the user's own, of that name.
is_program() { [ -d "$1" ] && [ ! -L "$1" ] && [ -f "$1/ccrouter" ] && [ -f "$1/NOTICES.txt" ]; }

# Whether the library is there and this script's: the link in the directory of programs leads into it, or it looks it.
owns_library() {
    [ -d "$library" ] && [ ! -L "$library" ] || return 1
    leads_to_library || is_program "$library"
}

leads_to_library() {
    [ -L "$to/ccrouter" ] || return 1
    target=$(readlink "$to/ccrouter")
    [ "$target" != "$library/ccrouter" ] || return 0
    # The same place may have been told by another way, over links.
    case $target in /*/ccrouter) ;; *) return 1 ;; esac
    target=$(real "${target%/ccrouter}") && [ "$target" = "$(real "$library")" ]
}

real() { (cd -P "$1" 2>/dev/null && pwd -P); }

# Where it runs

find_system() {
    case $(uname -s) in
        Linux) os=linux ;;
        Darwin) os=macos ;;
        *) fail "there is no program for $(uname -s); with Python 3.11 or newer, install the sources by pipx" ;;
    esac
    case $(uname -m) in
        x86_64 | amd64) arch=x64 ;;
        aarch64 | arm64) arch=arm64 ;;
        *) fail "there is no program for $(uname -m); with Python 3.11 or newer, install the sources by pipx" ;;
    esac
    if [ "$os" = macos ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then
        arch=arm64 # this shell is translated, the machine is not an Intel
    fi
    [ "$os" = macos ] || check_libc
}

check_libc() {
    found=$(getconf GNU_LIBC_VERSION 2>/dev/null) || found=''
    found=${found#glibc }
    [ -n "$found" ] || fail "the program needs glibc, which this system (musl?) has not; install the sources by pipx"
    case $floor in @*) return ;; esac
    oldest=$(printf '%s\n%s\n' "$floor" "$found" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$oldest" = "$floor" ] || fail "the program needs glibc $floor or newer, here is $found; install the sources by pipx"
}

# Downloads

find_tools() {
    case $releases in
        @*) fail "this copy does not know where releases are: take it from a release, or set CCROUTER_RELEASES" ;;
        https://* | http://127.0.0.1:* | http://localhost:*) ;;
        *) fail "CCROUTER_RELEASES must begin with https://" ;;
    esac
    releases=${releases%/}
    has curl || has wget || fail "curl or wget is needed for the download"
    has sha256sum || has shasum || has openssl || fail "sha256sum, shasum or openssl is needed to verify the download"
    has tar || fail "tar is needed to unpack the download"
}

# fetch URL FILE
fetch() {
    if has curl; then
        # Redirects lead from the release to where its files are kept; they must not lead out of TLS.
        case $1 in https://*) only='=https' ;; *) only='=http' ;; esac
        curl --proto "$only" --fail --silent --show-error --location --retry 2 --output "$2" -- "$1" ||
            fail "could not download $1"
    else
        fetch_by_wget "$1" "$2" "$1" || fail "could not download $1"
    fi
}

# fetch_by_wget URL FILE FIRST [HOPS]: wget has no word for "within TLS", so each redirect is looked at before it is
# followed. What is downloaded is verified by the list of sums, and nothing verifies that but TLS.
fetch_by_wget() {
    hops=${4:-0}
    # Wget2 follows redirects all the same, but knows that word; wget knows it for other downloads only.
    case $1 in https://*) only=--https-only ;; *) only=--no-verbose ;; esac
    heard=$(LC_ALL=C wget "$only" --no-verbose --server-response --max-redirect=0 --tries=3 --output-document="$2" -- "$1" 2>&1) &&
        return 0
    code=$(printf '%s\n' "$heard" | sed -n 's|^ *HTTP/[0-9.]* *\([0-9]*\).*|\1|p' | tail -n 1)
    case $code in
        301 | 302 | 303 | 307 | 308) ;;
        *)
            # Neither the headers, which it indents, nor the advice to do without certificates.
            printf '%s\n' "$heard" | sed -e '/^ /d' -e '/insecurely/d' >&2
            return 1
            ;;
    esac
    next=$(printf '%s\n' "$heard" | tr -d '\r' | sed -n 's|^ *[Ll]ocation: *||p' | tail -n 1)
    case $next in
        //*) next=${1%%:*}:$next ;;
        /*) next=$(printf '%s' "$1" | sed 's|^\([a-z]*://[^/]*\).*|\1|')$next ;;
    esac
    case $next in
        "${3%%:*}"://*) ;;
        *)
            say "$1 redirects to $next, which is not followed" >&2
            return 1
            ;;
    esac
    if [ "$hops" -ge 10 ]; then
        say "$3 redirects without end" >&2
        return 1
    fi
    fetch_by_wget "$next" "$2" "$3" $((hops + 1))
}

sum_of() {
    if has sha256sum; then
        sha256sum <"$1"
    elif has shasum; then
        shasum -a 256 <"$1"
    else
        openssl dgst -sha256 -r <"$1"
    fi | cut -d ' ' -f 1
}

# Sets archive to the verified one, in $work.
download() {
    case $version in
        latest) from=$releases/latest/download ;;
        *) from=$releases/download/v$version ;;
    esac
    fetch "$from/SHA256SUMS" "$work/SHA256SUMS"
    suffix=$os-$arch
    [ "$folder" = no ] || suffix=$suffix-folder
    # 64 digits, two spaces (or a star), a name: only that is taken from the list.
    line=$(grep -E "^[0-9a-f]{64} [ *]ccrouter-[0-9A-Za-z.+-]+-$suffix\.tar\.gz\$" "$work/SHA256SUMS" | head -n 1) ||
        line=''
    [ -n "$line" ] || fail "the release at $from has no program for $suffix"
    expected=${line%% *}
    archive=${line#* ?}
    fetch "$from/$archive" "$work/$archive"
    actual=$(sum_of "$work/$archive")
    [ "$actual" = "$expected" ] ||
        fail "$archive is not what the release says it is (SHA-256 $actual instead of $expected); nothing was installed"
}

# Actions

install() {
    find_system
    find_tools
    mkdir -p "$to" 2>/dev/null || fail "can't write to $to; say where to with --to DIR"
    [ ! -d "$to/ccrouter" ] || fail "$to/ccrouter is a directory; say where else to with --to DIR"
    if [ "$folder" = yes ]; then
        for there in "$library" "$library.old"; do
            if [ -e "$there" ] || [ -L "$there" ]; then
                is_program "$there" || { [ "$there" = "$library" ] && owns_library; } ||
                    fail "$there is not the program's; say where else to with --to DIR"
            fi
        done
    fi
    # In the directory itself: the last step is then a rename, which a running program survives.
    work=$(mktemp -d "$to/.ccrouter-install-XXXXXX") || fail "can't write to $to; say where to with --to DIR"
    placing=no
    trap clean_up EXIT
    trap 'exit 130' HUP INT TERM
    download
    tar -xzf "$work/$archive" -C "$work" || fail "$archive can't be unpacked"
    unpacked=$work/${archive%.tar.gz}
    [ -x "$unpacked/ccrouter" ] || fail "$archive holds no program"
    # Tried before it takes the place of one that works.
    told=$("$unpacked/ccrouter" --version 2>&1) || {
        [ "$folder" = yes ] || say "(if the reason is that nothing may be run from the cache directory: sh install.sh --folder)" >&2
        fail "the program does not run here: $told"
    }
    if [ -L "$to/ccrouter" ] && ! leads_to_library; then
        say "$to/ccrouter was a link to $(readlink "$to/ccrouter"); this takes its place"
    fi
    if [ "$folder" = yes ]; then
        place_folder
    else
        owned=no
        ! owns_library || owned=yes
        mv -f "$unpacked/ccrouter" "$to/ccrouter"
        [ "$owned" = no ] || rm -rf "$library"
    fi
    sweep_cache
    say "$told is installed as $to/ccrouter"
    advise_path
    say "Begin with: ccrouter run"
}

place_folder() {
    mkdir -p "$(dirname "$library")" 2>/dev/null || fail "can't write to $library; say where to with --to DIR"
    # An upgrade that was cut off has left the program aside; it may be the only one.
    [ ! -e "$library.old" ] || [ -e "$library" ] || mv "$library.old" "$library"
    rm -rf "$library.old"
    ln -s "$library/ccrouter" "$work/link"
    placing=anew
    if [ -e "$library" ]; then
        placing=over
        mv "$library" "$library.old"
    fi
    mv "$unpacked" "$library" || fail "can't write to $library; nothing was installed"
    mv -f "$work/link" "$to/ccrouter"
    placing=no
    rm -rf "$library.old"
}

# However it ends. What was to take the place of a program and did not gives it back.
clean_up() {
    case $placing in
        anew) rm -rf "$library" ;;
        over) [ ! -e "$library.old" ] || { rm -rf "$library" && mv "$library.old" "$library"; } ;;
    esac
    rm -rf "$work"
}

# Other versions' unpacked files. No router needs them: one that runs has what it needs, and each start looks anew.
sweep_cache() {
    [ -n "$cache" ] || return 0
    kept=${archive#ccrouter-}
    kept=${kept%-"$suffix".tar.gz}
    for there in "$cache"/*-*; do
        fingerprint=${there##*-}
        case $there in "$cache/$kept"-*) continue ;; esac
        case $fingerprint in *[!0-9a-f]*) continue ;; esac
        [ "${#fingerprint}" != 12 ] || [ -L "$there" ] || rm -rf "$there" 2>/dev/null || :
    done
}

# Says what to do when the shell would not find the program, or would find another one.
advise_path() {
    found=$(command -v ccrouter 2>/dev/null) || found=''
    case :${PATH:-}: in
        *:"$to":* | *:"$to"/:*)
            [ -z "$found" ] || [ "$found" = "$to/ccrouter" ] || [ "$found" = "$to//ccrouter" ] ||
                say "Another ccrouter comes before it on your PATH: $found"
            return
            ;;
    esac
    say "$to is not on your PATH. Add it with:"
    special='\\"$`'
    written=$(escaped "$special" "$to")
    line="export PATH=\"$written:\$PATH\""
    case ${SHELL:-} in
        */fish)
            special="\\'"
            written=$(escaped "$special" "$to")
            say "    fish_add_path '$written'"
            ;;
        */zsh) quote "$line" && say "    echo $quoted >> ~/.zshrc" ;;
        */bash) quote "$line" && say "    echo $quoted >> ~/.bashrc" ;;
        *) say "    $line" ;;
    esac
}

# escaped CHARACTERS TEXT: with a backslash before each of these characters.
escaped() { printf '%s' "$2" | sed "s/[$1]/\\\\&/g"; }

# Sets quoted to a word for the shell, whatever stands in it.
quote() {
    quoted=$(printf '%s' "$1" | sed "s/'/'\\\\''/g")
    quoted="'$quoted'"
}

uninstall() {
    removed=''
    # Before the link is: it tells whose the library is.
    owned=no
    ! owns_library || owned=yes
    others=no
    # Whether the program was here. What an installation that was killed has left is none.
    found=$owned
    if [ -d "$to/ccrouter" ]; then
        say "$to/ccrouter is a directory, and stays: it is not the program"
    elif [ -L "$to/ccrouter" ] && ! leads_to_library; then
        others=yes
        say "$to/ccrouter leads to $(readlink "$to/ccrouter"), and stays: that was installed by something else"
    elif [ -e "$to/ccrouter" ] || [ -L "$to/ccrouter" ]; then
        found=yes
        remove "$to/ccrouter"
    fi
    [ "$owned" = no ] || remove "$library"
    # What an installation that was killed has left.
    ! is_program "$library.old" || remove "$library.old"
    for there in "$to"/.ccrouter-install-??????; do
        remove "$there"
    done
    # The rest is of whatever ccrouter the user has, so not where that is another one.
    if [ "$found" = yes ] || { [ "$others" = no ] && [ "$purge" = yes ]; }; then
        remove "$cache"
        remove "$remembered"
        # A router that was killed has left its token there.
        ! is_private "$runtime" || remove "$runtime"
        ! is_private "$temporary" || remove "$temporary"
        uninstall_configuration
    fi
    [ -n "$removed" ] || fail "there is no ccrouter in $to that this script has installed$(advice_on_others)"
    say "removed:$removed"
}

advice_on_others() {
    [ "$others" = no ] || return 0
    other=$(command -v ccrouter 2>/dev/null) || other=''
    case $other in
        /*) printf '%s' "; there is one in ${other%/*}: say where from with --to DIR" ;;
        *) printf '%s' "; say where from with --to DIR, or remove what it kept with --purge" ;;
    esac
}

# Anybody can make a directory in the one for temporary files.
is_private() { [ -n "$(find "$1" -prune -type d -user "$(id -u)" 2>/dev/null)" ]; }

remove() {
    if [ -d "$1" ] && [ ! -L "$1" ]; then
        rm -rf "$1"
    elif [ -e "$1" ] || [ -L "$1" ]; then
        rm -f "$1"
    else
        return 0
    fi
    removed="$removed $1"
}

uninstall_configuration() {
    if [ "$(uname -s)" = Darwin ] && [ -n "${HOME:-}" ] && [ ! -d "$configuration" ]; then
        case ${XDG_CONFIG_HOME:-} in /*) ;; *) configuration="$HOME/Library/Application Support/ccrouter" ;; esac
    fi
    if [ -n "$configuration" ] && [ -d "$configuration" ]; then
        if [ "$purge" = yes ]; then
            remove "$configuration"
        else
            say "Your configuration is kept in $configuration (--purge removes it too)"
        fi
    fi
}

# The whole script is read before any of it runs: a download that is cut runs nothing.
main "$@"
