#!/bin/bash
# f_hosts.sh - two hosts: two network namespaces with their own addresses, host names and loopback, a wire between them, and mpirun of
# ranks that know nothing of it, with a script in place of ssh.  Needs root, ip, unshare, mpirun.
set -u
penguins=$PWD/examples/penguins.csv
[ -e "$penguins" ] || penguins=$F_HOSTS_DATA
cd "$TEST_TMP" || exit 1
moment=0.7 cut=5 patience=2 # seconds: a cut that is survived; one that is not, with deadlines that notice it
[ "${TEST_FULL-0}" = 1 ] && moment=5 cut=60 patience=20
cut=${F_HOSTS_CUT:-$cut}
ranks=$TEST_BUILD/tests/unit/t_rank_mpi
skip() { echo "SKIP: $1"; exit 0; }
case $TEST_BUILD in *asan*) skip "MPI's own leaks are not ours" ;; esac
command -v mpirun >/dev/null || skip "mpirun is absent (openmpi-bin)"
command -v ip >/dev/null || skip "ip is absent (iproute2)"
[ -e "$TEST_BUILD/libtabmill_mpi.so" ] || skip "the plug-in was not built: mpicc is absent (libopenmpi-dev)"
mpirun --version | grep -q 'Open MPI' || skip "mpirun is not OpenMPI's: the host list is written for that one"
[ "$(id -u)" = 0 ] || skip "needs root"
if [ "${F_HOSTS-}" != inside ]; then # a mount namespace of its own, for /etc/hosts
    unshare -m true 2>/dev/null || skip "no namespaces here"
    F_HOSTS=inside F_HOSTS_DATA=$penguins exec unshare -m "$0"
fi
printf '127.0.0.1 localhost\n10.77.0.1 milla\n10.77.0.2 millb\n' >hosts
mount --bind hosts /etc/hosts || skip "cannot mount"

unshare -n -u sleep 300 & a=$!
unshare -n -u sleep 300 & b=$!
in_a() { nsenter -t $a -n -u "$@"; }
in_b() { nsenter -t $b -n -u "$@"; }
for _ in $(seq 100); do # until both have left our namespace
    [ "$(readlink /proc/$a/ns/uts)" != "$(readlink /proc/self/ns/uts)" ] &&
        [ "$(readlink /proc/$b/ns/uts)" != "$(readlink /proc/self/ns/uts)" ] && break
    sleep 0.02
done
net_a=$(readlink /proc/$a/ns/net) net_b=$(readlink /proc/$b/ns/net) own=$(readlink /proc/self/ns/net)
if [ -z "$net_a" ] || [ -z "$net_b" ] || [ "$net_a" = "$own" ] || [ "$net_b" = "$own" ]; then
    kill $a $b
    skip "no network namespaces here" # what follows kills all that is in them
fi
mend() { # the wire; a moment after `up` it still carries nothing
    in_a ip link set wire up
    for _ in $(seq 200); do
        in_a ip link show wire | grep -q "state UP" && in_b ip link show wire | grep -q "state UP" && break
        sleep 0.05
    done
}
in_wires() { # processes in our two network namespaces
    for p in /proc/[0-9]*; do
        case $(readlink "$p/ns/net") in "$net_a" | "$net_b") basename "$p" ;; esac
    done
}
trap 'kill -KILL $(in_wires) 2>/dev/null' EXIT
{ in_a hostname milla && in_b hostname millb; } || skip "cannot name hosts"
in_a ip link add wire type veth peer name wire netns $b || skip "no veth here"
in_a ip addr add 10.77.0.1/24 dev wire
in_b ip addr add 10.77.0.2/24 dev wire
for where in in_a in_b; do
    $where ip link set lo up
    $where ip link set wire up
done
cat >rsh <<SH
#!/bin/bash
host=\$1
shift
case \$host in milla) pid=$a ;; *) pid=$b ;; esac
exec nsenter -t \$pid -n -u sh -c "\$*"
SH
chmod +x rsh

export OMPI_MCA_btl_vader_backing_directory=$TEST_TMP # else MPI's segments of killed ranks stay in /dev/shm
export TMPDIR=$TEST_TMP TABMILL_RANK_TIMEOUT=60 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
run() { # SECONDS WHAT [mpirun options]
    local limit=$1 what=$2
    shift 2
    in_a timeout -k 2 "$limit" mpirun --host milla:2,millb:2 -n 4 --oversubscribe --mca plm_rsh_agent "$TEST_TMP/rsh" \
        --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 -x "TEST_MPI=$what" "$@" "$ranks" >out 2>&1
}
named() { in_wires | while read -r p; do grep -qx "$1" "/proc/$p/comm" 2>/dev/null && echo "$p"; done; }
left() { named t_rank_mpi; }
wait_for_ranks() { for _ in $(seq 400); do [ "$(left | wc -l)" = 4 ] && break; sleep 0.1; done; }
verdict() { if [ "$2" = 0 ]; then echo "ok $1"; else echo "FAIL $1"; sed 's/^/    /' out | head -20; fi; }

run 60 all
verdict "two hosts give the bits of one" $?
run 60 fails
grep -q "says: rank 1 failed: no space on /data" out
verdict "a failure is told on both hosts" $?

# A training: the weights of one process, from two ranks on two hosts.
tabmill=${TABMILL:-$TEST_BUILD/tabmill}
train=("$tabmill" train -i "$penguins" -t species --virtual-shards 4 --batch-size 16 --threads 1 -q)
train_on_two() { # SECONDS [options of train]
    local limit=$1
    shift
    in_a timeout -k 2 "$limit" mpirun --host milla:1,millb:1 -n 2 --mca plm_rsh_agent "$TEST_TMP/rsh" --mca btl_tcp_if_include 10.77.0.0/24 \
        --mca oob_tcp_if_include 10.77.0.0/24 -x TABMILL_RANK_TIMEOUT --wdir "$TEST_TMP" "${train[@]}" "$@" >out 2>&1
}
same_weights() { [ "$("$tabmill" inspect --hash "$1/latest.mill")" = "$("$tabmill" inspect --hash "$2/latest.mill")" ]; }
"${train[@]}" --epochs 3 -o one >out 2>&1 && train_on_two 60 --epochs 3 -o two && same_weights one two && grep -q '"ranks": *2' two/manifest.json
verdict "two hosts train the weights of one process" $?

# Our own launcher on each host, of a program that brings its own collectives.
cat >meet.py <<'PY'
import os, socket, time
rank, world, local = (int(os.environ[k]) for k in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
where = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
assert world == 4 and socket.gethostname() == ("milla" if rank < 2 else "millb") and local == rank % 2
if rank == 0:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(where)
    s.listen()
    s.settimeout(20)
    assert sorted(s.accept()[0].recv(1)[0] for _ in range(3)) == [1, 2, 3]
    print("all four")
else:
    for _ in range(200):
        try:
            socket.create_connection(where, 5).sendall(bytes([rank]))
            break
        except OSError:
            time.sleep(0.05)
PY
in_b "$tabmill" launch --nnodes 2 --node-rank 1 --master-addr 10.77.0.1 -n 2 meet.py >out_b 2>&1 & other=$!
in_a "$tabmill" launch --nnodes 2 --node-rank 0 --master-addr 10.77.0.1 -n 2 meet.py >out 2>&1 && wait $other && grep -q "all four" out
verdict "a launcher on each host starts four ranks that meet" $?
in_a "$tabmill" launch --nnodes 2 --node-rank 0 --master-addr 10.77.0.1 -n 2 -- "${train[@]}" -o no >out 2>&1
[ $? = 69 ] && grep -q "mpirun" out && grep -q "srun" out
verdict "ours are refused there, and led to mpirun and srun" $?

# The wire between our launchers is cut, and no word comes: both end within the lease of ten seconds and a little.
if [ "${TEST_FULL-0}" = 1 ]; then
    start=$(date +%s)
    in_b "$tabmill" launch --nnodes 2 --node-rank 1 --master-addr 10.77.0.1 -n 1 sleep 60 >out_b 2>&1 & other=$!
    in_a "$tabmill" launch --nnodes 2 --node-rank 0 --master-addr 10.77.0.1 -n 1 sleep 60 >out 2>&1 & one=$!
    sleep 2
    in_a ip link set wire down
    wait $one; first=$?
    wait $other; second=$?
    mend
    [ $first = 69 ] && [ $second = 69 ] && [ $(($(date +%s) - start)) -lt 20 ] && grep -q "host 1 has not been heard of for 10 s" out && grep -q "host 0" out_b
    verdict "launchers that do not hear of each other end" $?
fi

# Who started them is killed: the ranks of the other host go, too, long before they would be done.
run 100 slower -x TABMILL_RANK_TIMEOUT=100 & job=$!
wait_for_ranks
holds=$(left | wc -l)
named mpirun | xargs kill -KILL
for _ in $(seq 200); do [ -z "$(left)" ] && break; sleep 0.1; done
[ "$holds" = 4 ] && [ -z "$(left)" ]
verdict "a killed mpirun leaves no rank on any host" $?
left | xargs -r kill -KILL 2>/dev/null
wait $job

# The wire is cut for a moment: nothing is lost.
run 60 slow -x TABMILL_RANK_TIMEOUT=40 & job=$!
wait_for_ranks
sleep 1
in_a ip link set wire down
sleep $moment
mend
wait $job
verdict "a wire that is cut for a moment does not end them" $?

# Cut for longer than they wait: each host takes the other for lost and ends; when the wire is back the run goes on where it was.
longer=(--epochs 200 --hidden-dims "512,512" --early-stopping-patience 0 --checkpoint-every 0.05)
"${train[@]}" "${longer[@]}" -o calm >out 2>&1
for _ in 1 2; do # a busy machine may be late without a cut: then once more, with four times the patience
    rm -rf torn
    TABMILL_RANK_TIMEOUT=$patience train_on_two $((cut + 60)) "${longer[@]}" -o torn & job=$!
    for _ in $(seq 5000); do [ -e torn/latest.mill ] && break; sleep 0.02; done
    in_a ip link set wire down
    start=$(date +%s%N)
    while [ -n "$(named tabmill)" ] && [ $(($(date +%s%N) - start)) -lt $((cut * 1000000000)) ]; do sleep 0.1; done
    ended=$((($(date +%s%N) - start) / 1000000))
    sleep "$((cut > ended / 1000 ? cut - ended / 1000 : 0))"
    mend
    wait $job
    status=$?
    [ $status != 0 ] && [ $ended -lt $((cut * 1000)) ] && [ -z "$(named tabmill)" ] && [ -e torn/latest.mill ] &&
        grep -q "collective was not done within $patience s" out
    told=$?
    [ $told = 0 ] && break
    cut=$((cut * 4)) patience=$((patience * 4))
done
verdict "a wire that is cut for longer than they wait ends both hosts" "$told"
train_on_two 120 "${longer[@]}" -o torn --resume && same_weights torn calm
verdict "and the run goes on to the same weights when it is back" $?

# The wire is cut in the middle: the ranks of both hosts end at their deadline.  mpirun itself waits for a host that it cannot reach.
for patience in 2 8; do # a busy machine may be late without a cut
    run 100 slower -x TABMILL_RANK_TIMEOUT=$patience & job=$!
    wait_for_ranks
    sleep 1.5
    holds=$(left | wc -l)
    in_a ip link set wire down
    for _ in $(seq 300); do [ -z "$(left)" ] && break; sleep 0.1; done
    [ "$holds" = 4 ] && [ -z "$(left)" ] && grep -q "rank 0 says: rank . failed: its collective was not done within $patience s" out
    told=$?
    [ $told = 0 ] && break
    kill -KILL "$(named mpirun)" 2>/dev/null
    mend
done
verdict "a cut wire ends the ranks of both hosts" "$told"
exit 0
