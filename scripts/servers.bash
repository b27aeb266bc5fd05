# Starting and stopping private servers. Sourced by the scripts that need some; starts nothing by itself.

# PostgreSQL's programs, in front of Debian's wrappers; the newest when there are several.
pg_bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -z "$pg_bin" ] || PATH=$pg_bin:$PATH

# PostgreSQL refuses to run as root; then it runs as the user that its package made.
as_pg() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid postgres --regid postgres --init-groups env HOME=/tmp PATH="$PATH" "$@"; else "$@"; fi; }

# A directory that the server's user can reach, whatever the caller's own directories allow.
pg_dir() {
    local dir
    dir=$(mktemp -d "${1:-/tmp}/coditect-pg.XXXXXX")
    [ "$(id -u)" -ne 0 ] || chown postgres "$dir"
    echo "$dir"
}

# A TCP port of the loopback interface that is free now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "$what did not start in time." >&2; return 1; }
        sleep 0.05
    done
}
