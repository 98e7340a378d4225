# mock.sh - sourced behind cli.sh by the tests of records: servers that answer by arithmetic, in the background until the test ends.
# shellcheck shell=bash
mock_built=$TEST_BUILD/tests/mock/mock_server
case $mock_built in /*) ;; *) mock_built=$ROOT/$mock_built ;; esac
[ -x "$mock_built" ] || { echo "FAIL mock_server: it is not built"; exit 1; }
ln -s "$mock_built" mock_server
MOCK=$PWD/mock_server # a path without a space, since it is written into commands
mocks=()
end_mocks() { kill -KILL "${mocks[@]}" 2>/dev/null; }
trap end_mocks EXIT

serve_by() { # NAME COMMAND...: a command that becomes a mock server; its URL becomes $NAME, its process $mock
    local name=$1
    shift
    rm -f "$name.url"
    "$@" >"$name.url" 2>"$name.err" &
    mock=$!
    mocks+=("$mock")
    wait_until [ -s "$name.url" ]
    read -r "${name?}" <"$name.url"
}
serve() { # NAME ARGUMENTS...
    local name=$1
    shift
    serve_by "$name" "$MOCK" "$@"
}

same() { if cmp -s "$2" "$3"; then verdict "$1" 0; else verdict "$1" 1 "$2 and $3 differ"; fi; } # NAME FILE FILE
