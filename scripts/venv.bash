# Python tools of the tests, in environments of their own under the target directory. Sourced; does nothing by itself.

# venv NAME: makes it once from scripts/requirements/NAME.txt, anew when that changes, and prints where it is.
venv() {
    local name=$1 root dir wanted
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    dir=${CARGO_TARGET_DIR:-$root/target}/venv/$name
    wanted=$root/scripts/requirements/$name.txt
    mkdir -p "$(dirname "$dir")"
    (
        flock 9
        if ! cmp -s "$wanted" "$dir/made-from.txt"; then
            "$root/scripts/install" >&2
            rm -rf "$dir"
            python3 -m venv "$dir" >&2
            "$dir/bin/pip" install --quiet --disable-pip-version-check -r "$wanted" >&2
            cp "$wanted" "$dir/made-from.txt"
        fi
    ) 9>"$dir.lock"
    echo "$dir"
}
