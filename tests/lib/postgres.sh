# postgres.sh - sourced behind cli.sh: a PostgreSQL of the test's own, from Debian's package.
# initdb and postgres refuse to be root: they run as the user postgres then.
# shellcheck shell=bash
pg_bin=$(dirname "$(find /usr/lib/postgresql -name initdb 2>/dev/null | sort | tail -1)")
[ -x "$pg_bin/initdb" ] || { echo "SKIP: there is no PostgreSQL (Debian's package postgresql)"; exit 0; }
pg_as=() pg=
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { echo "SKIP: there is no user postgres"; exit 0; }
    pg_as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
pg_near=$TEST_TMP # which the runner removes even when this is killed; a socket's name has 107 bytes
[ ${#pg_near} -lt 60 ] && "${pg_as[@]}" test -x "$pg_near" || pg_near=/tmp
pg_folder=$(mktemp -d "$pg_near/t_pg_XXXXXX")
[ "${#pg_as[@]}" = 0 ] || chown postgres "$pg_folder"
(cd / && "${pg_as[@]}" "$pg_bin/initdb" -D "$pg_folder/data" -A trust -U tester -N -E UTF8 --locale=C) >init 2>&1 ||
    { echo "FAIL initdb: $(tail -1 init)"; rm -rf "$pg_folder"; exit 1; }

start_postgres() { # HOST PORT: false if it cannot; $pg is its process
    (cd / && exec "${pg_as[@]}" "$pg_bin/postgres" -D "$pg_folder/data" -k "$pg_folder" -h "$1" -p "$2" -c fsync=off -c shared_buffers=16MB) >log 2>&1 &
    pg=$!
    until "$pg_bin/pg_isready" -q -h "$1" -p "$2"; do
        kill -0 "$pg" 2>/dev/null || return 1
        sleep 0.05
    done
}
end_postgres() {
    [ -z "$pg" ] || { kill -INT "$pg" && wait "$pg"; } 2>/dev/null
    rm -rf "$pg_folder"
}
