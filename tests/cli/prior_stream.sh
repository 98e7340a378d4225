#!/bin/bash
# prior_stream.sh - data sets on stdout and a socket: the same bytes however made, at the reader's pace; the examples.
. tests/lib/cli.sh
T=$TABMILL
dummy="--prior dummy --max-features 6 --max-seq 64 --max-classes 3"

# shellcheck disable=SC2086
{
"$T" prior stream -n 400 $dummy --max-ahead 0 -q >alone
"$T" prior stream -n 400 $dummy --max-ahead 5 --nproc 3 -q >three
"$T" prior stream -n 150 $dummy --start-index 250 -q >last
}
holds same_bytes cmp alone three
tail -c "$(wc -c <last)" alone >end
holds same_bytes_from_the_middle cmp end last
expect long_texts 0 "2 data sets in" "$T" prior stream -n 2 --prior graph_scm --min-n-nodes 200 --max-n-nodes 200 \
    --multi-fct-types agg --cauchy-dag-offset 6 --min-features 4 --max-features 4 --max-seq 20 --max-classes 2
holds is_not_empty test "$(wc -c <alone)" -gt 400000

# A reader that leaves is no error; one that does not read makes the workers wait.
# shellcheck disable=SC2086
"$T" prior stream $dummy 2>err | head -c 100000 >/dev/null
holds reader_left test "${PIPESTATUS[0]}" = 0
cp err out
says reader_left_words "the reader has left"
mkfifo pipe
# shellcheck disable=SC2086
"$T" prior stream $dummy --max-ahead 4 --nproc 2 -q >pipe &
run=$!
exec 3<pipe # and nothing is read
busy() { # what its two workers have computed by now
    local p sum=0
    for p in $(pgrep -P $run); do sum=$((sum + $(awk '{ print $14 + $15 }' "/proc/$p/stat"))); done
    echo $sum
}
have_stopped() {
    local before
    [ "$(pgrep -c -P $run)" = 2 ] || return 1
    before=$(busy)
    sleep 0.5
    [ "$(busy)" -le $((before + 1)) ]
}
wait_until have_stopped
verdict workers_wait $?
kill $run
exec 3<&-
wait

# The socket of one that was killed while it waited is in nobody's way.
# shellcheck disable=SC2086
"$T" prior stream -n 50 $dummy --socket door 2>killed &
run=$!
wait_until grep -q waiting killed
kill -9 $run
wait $run 2>/dev/null
# shellcheck disable=SC2086
"$T" prior stream -n 50 $dummy --socket door 2>waits &
wait_until grep -q -e waiting -e Address waits
# shellcheck disable=SC2086
expect socket_in_use 1 "Address already in use" "$T" prior stream -n 1 $dummy --socket door
python3 - <<'PY'
import socket
s = socket.socket(socket.AF_UNIX)
s.connect("door")
with open("by_socket", "wb") as f:
    while block := s.recv(1 << 16):
        f.write(block)
PY
wait
head -c "$(wc -c <by_socket)" alone >begin
holds socket_bytes cmp begin by_socket
holds socket_is_gone test ! -e door
echo notes >door
# shellcheck disable=SC2086
expect socket_is_a_file 1 "Address already in use" "$T" prior stream -n 1 $dummy --socket door
holds file_is_kept grep -q notes door
expect alone 2 "max-ahead 0 there is one process" "$T" prior stream --prior dummy --max-ahead 0 --nproc 2
expect memory 2 "above --memory-limit" "$T" prior stream --prior dummy --memory-limit 1MB
