#!/bin/bash
# launch.sh - `tabmill launch` of programs that are not ours: variables, exit status, signals, output, logs, ports, and nothing left.
# shellcheck disable=SC2016 # the words of `sh -c` are for the ranks' shells
. tests/lib/cli.sh
L=("$TABMILL" launch)

# ---- what a rank finds  (on one processor the launcher says that ranks take turns: stderr is not compared then)
expect variables 0 "*" "${L[@]}" -n 2 -- sh -c 'echo $RANK $LOCAL_RANK $WORLD_SIZE $LOCAL_WORLD_SIZE $GROUP_RANK $MASTER_ADDR $TORCHELASTIC_RESTART_COUNT $TORCHELASTIC_MAX_RESTARTS'
sort out >sorted && printf '0 0 2 2 0 127.0.0.1 0 0\n1 1 2 2 0 127.0.0.1 0 0\n' >want
holds "variables of torchrun" cmp sorted want
expect "torchrun's spellings" 0 "*" "${L[@]}" --nproc_per_node=2 --nnodes=1 --node_rank=0 --master_addr=127.0.0.1 --standalone sh -c 'test $WORLD_SIZE = 2' --epochs 5
expect "second of two hosts" 0 "*" "${L[@]}" -n 2 --nnodes 2 --node-rank 1 --master-addr 10.0.0.1 --master-port 4567 sh -c 'test $GROUP_RANK = 1 && test $WORLD_SIZE = 4 && test $RANK = $((2 + LOCAL_RANK)) && test $MASTER_ADDR = 10.0.0.1 && test $MASTER_PORT = 4567'
cat >args.py <<'PY'
import os, sys
print(sys.argv[1:], os.environ["RANK"])
PY
expect "a script runs by python3, its options are its own" 0 "" "${L[@]}" --nproc_per_node=1 args.py --learning_rate 2e-5 -h
says "arguments" "['--learning_rate', '2e-5', '-h'] 0"
chmod +x args.py
echo >plain.py
expect "--no-python" 126 "plain.py: Permission denied" "${L[@]}" --no-python ./plain.py
printf '#!/bin/sh\necho itself\n' >args2.py && chmod +x args2.py
expect "--no-python runs the file" 0 "" "${L[@]}" --no-python ./args2.py
says itself itself
expect stdin 0 "*" sh -c 'echo words | "$0" launch -n 2 -- sh -c "cat; sleep 0.1"' "$TABMILL"
says "rank 0 has the pipe, the others nothing" words
expect module 0 "" "${L[@]}" -m json.tool --help
says "module's help" "json.tool"

# ---- how it ends
expect "a rank's status" 7 "rank 1 (process" "${L[@]}" -n 3 sh -c 'if [ $RANK = 1 ]; then echo boo >&2; exit 7; fi; sleep 60'
holds "its last words" grep -q "its last words: boo" err
expect "a rank's signal" 137 "was killed by signal 9" "${L[@]}" -n 2 sh -c 'if [ $RANK = 1 ]; then kill -9 $$; fi; sleep 60'
here=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup) # a cgroup that gives little memory; version 1, or 2
box=/sys/fs/cgroup/memory$here/tabmill-$$ limit=memory.limit_in_bytes
[ -n "$here" ] || { box=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/tabmill-$$ limit=memory.max; }
if mkdir "$box" 2>/dev/null && echo 80000000 2>/dev/null >"$box/$limit" && sh -c 'echo $$ >"$0/cgroup.procs"' "$box" 2>/dev/null; then
    expect "no memory" 137 "rank 1 (process" sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$box" \
        "${L[@]}" -n 2 sh -c 'test $RANK = 1 || exec sleep 60; exec python3 -c "x = bytearray(300000000)"'
    holds "is told from other kills" grep -q "killed by signal 9 (Killed); the system was out of memory (OOM killer)" err
else
    echo "SKIP: no cgroup of our own for memory here"
fi
rmdir "$box" 2>/dev/null
expect "no such program" 127 "No such file" "${L[@]}" -n 2 ./none
holds "is not started again" test "$(grep -c restart err)" = 0
expect "wrong usage is not tried again" 2 "ended with status 2" "${L[@]}" -n 2 --max-restarts 3 sh -c 'exit 2'
expect "restarts" 0 "restart 2 of 2" "${L[@]}" -n 2 --max-restarts 2 sh -c 'test $TORCHELASTIC_RESTART_COUNT = 2'
expect "restarts, of the last moment" 4 "restart 1 of 1" "${L[@]}" --max-restarts 1 --restart-window 1 sh -c 'n=$TORCHELASTIC_RESTART_COUNT; test $n -ge 3 || sleep 1.1; echo $n >times; exit 4'
holds "count" test "$(cat times)" -ge 3 # more where starting takes longer than the window
cat >record.py <<'PY'
import json, os, sys
json.dump({"message": {"message": "ValueError: bad batch", "extraInfo": {"timestamp": "1"}}}, open(os.environ["TORCHELASTIC_ERROR_FILE"], "w"))
sys.exit(3)
PY
expect "torch's error file" 3 "its last words: ValueError: bad batch" "${L[@]}" record.py

# ---- signals: forwarded; killed after the grace
cat >obey.sh <<'SH'
trap 'echo told $RANK; exit 75' TERM
touch up.$RANK
for i in $(seq 600); do sleep 0.1; done
SH
wait_for() { wait_until [ -e "$1" ]; }
"${L[@]}" -n 2 sh obey.sh >out 2>err & pid=$!
wait_for up.0; wait_for up.1
kill -TERM $pid; wait $pid
[ $? = 75 ]; verdict "SIGTERM reaches all, 75 means saved" $?
says told "told 0"; says told "told 1"
rm -f up.*
cat >deaf.sh <<'SH'
trap '' TERM INT
touch up.$RANK
for i in $(seq 600); do sleep 0.1; done
SH
"${L[@]}" -n 2 --grace 0.3 sh deaf.sh >out 2>err & pid=$!
wait_for up.0; wait_for up.1
kill -TERM $pid; wait $pid
[ $? = 143 ]; verdict "the deaf are killed" $?
rm -f up.*
"${L[@]}" -n 2 --grace 60 sh deaf.sh >out 2>err & pid=$!
wait_for up.0; wait_for up.1
kill -INT $pid; sleep 0.1; kill -INT $pid; wait $pid
[ $? = 130 ]; verdict "a second SIGINT ends at once" $?
cat >each.sh <<'SH'
[ $RANK = 0 ] && trap 'exit 143' TERM
[ $RANK = 1 ] && trap 'sleep 1.5; touch saved; exit 0' TERM
touch up.$RANK
for i in $(seq 600); do sleep 0.1; done
SH
for sig in TERM HUP; do
    rm -f up.* saved
    "${L[@]}" -n 3 sh each.sh >out 2>err & pid=$!
    wait_for up.0; wait_for up.1; wait_for up.2
    kill -$sig $pid; wait $pid
    [ $? = $((128 + $(kill -l $sig))) ]; verdict "SIG$sig ends all" $?
    holds "SIG$sig leaves each its time" test -e saved
done

# ---- output
expect "lines behind their rank" 0 "*" "${L[@]}" -n 2 -t sh -c 'echo a; echo b'
sort out >sorted && printf '[rank 0] a\n[rank 0] b\n[rank 1] a\n[rank 1] b\n' >want
holds "all of them" cmp sorted want
expect "some ranks" 0 "*" "${L[@]}" -n 3 --ranks 0,2 sh -c 'echo $RANK'
sort out >sorted && printf '0\n2\n' >want
holds "only these" cmp sorted want
expect "logs" 4 "its last words: bad" "${L[@]}" -n 2 --log-dir logs sh -c 'echo out $RANK; touch said.$RANK; if [ $RANK = 1 ]; then while [ ! -e said.0 ]; do sleep 0.1; done; echo bad >&2; exit 4; fi; sleep 60'
holds "nothing on the console" test ! -s out
holds "a file a rank" grep -qx "out 1" logs/*/attempt_0/1/stdout
holds "stderr" grep -qx bad logs/*/attempt_0/1/stderr
holds "one of all" grep -qx "\[rank 0\] out 0" logs/*/run.log
python3 - logs/*/attempt_0/1/error.json >out 2>err <<'PY'
import json, sys
e = json.load(open(sys.argv[1]))
print(e["message"]["message"], e["rank"], e["exitcode"], e["stderr"], "timestamp" in e["message"]["extraInfo"])
PY
says error.json "bad 1 4 bad True"
expect "any byte" 4 "*" "${L[@]}" --log-dir logs5 --tee sh -c 'printf "a\0b\nsecond\n"; printf "caf\351\n" >&2; exit 4'
printf '[rank 0] a\0b\n[rank 0] second\n' >want
holds "comes through" cmp out want
holds "or is replaced" python3 -c 'import glob, json; assert json.load(open(glob.glob("logs5/*/attempt_0/0/error.json")[0]))["stderr"] == "caf\ufffd"'
cat >slow.py <<'PY'
import os, subprocess, sys, time
r, w = os.pipe()
os.set_blocking(w, False)
p = subprocess.Popen(sys.argv[1:], stdout=w)
os.close(w)
time.sleep(0.5)
with open(r, "rb") as f:
    print(len(f.read()), p.wait())
PY
for how in --tee --ranks=0; do
    expect "a reader that is slow, at a pipe that does not wait" 0 "" python3 slow.py "${L[@]}" $how seq 30000
    says "misses nothing, $how" "$([ $how = --tee ] && echo $((168894 + 30000 * 9)) || echo 168894) 0"
done
expect "long logs" 0 "" "${L[@]}" --log-dir logs3 --log-size 1000 sh -c 'for i in $(seq 100 699); do echo line $i; sleep 0.001; done'
cat logs3/*/attempt_0/0/stdout.1 logs3/*/attempt_0/0/stdout >both
last=$(seq -f 'line %.0f' 100 699 | tail -n "$(wc -l <both)")
holds "are cut, whole lines, the newest kept" test "$(cat both)" = "$last"
holds "at most so long" sh -c 'test $(wc -c <both) -le 2000 && test $(wc -c <both) -gt 1000 && test "$(ls logs3/*/attempt_0/0 | wc -l)" = 2'
holds "and so is that of all" sh -c 'test $(cat logs3/*/run.log | wc -c) -le 1000 && test -s logs3/*/run.log.1'
began=$SECONDS
expect "a flood" 0 "[rank 1] (" "${L[@]}" -n 2 --log-dir flood --tee --console-rate 20 -- sh -c 'test $RANK = 0 && echo one || { seq 3000; seq 3000 >&2; }'
most=$((20 * (SECONDS - began + 3))) # lines in that time
holds "is held back on the console" sh -c 'test $(grep -c "^.rank 1. [0-9]" out) -le $0 && test $(grep -c "^.rank 1. [0-9]" err) -le $0 && grep -qx ".rank 0. one" out' $most
holds "and told" python3 -c 'import re, sys
for f in "out", "err":
    t = open(f).read()
    assert len(re.findall(r"\[rank 1\] \d+\n", t)) + sum(map(int, re.findall(r"\[rank 1\] \((\d+) lines? more, in its log\)", t))) == 3000'
holds "its log has all" sh -c 'test "$(seq 3000)" = "$(cat flood/*/attempt_0/1/stdout)" && test "$(grep -c "^.rank 1. [0-9]" flood/*/run.log)" = 6000'
expect "all of a flood" 0 "" "${L[@]}" --log-dir flood2 --tee --console-rate 0 seq 3000
holds "that was asked for" test "$(wc -l <out)" = 3000
expect "one that does not end keeps nobody from ending it" 143 "*" sh -c 'exec timeout --preserve-status -k 30 0.5 "$0" launch --tee yes >/dev/null' "$TABMILL"
expect "nothing is held back that no log has" 2 "needs --log-dir and --tee" "${L[@]}" --tee --console-rate 20 true
expect "a full disk loses lines, not the run" 0 " of the logs lost" env TABMILL_FAULT=write:2:fail "${L[@]}" --log-dir logs2 sh -c 'echo a; sleep 0.1; echo b; sleep 0.1; echo c'

# ---- cores: each rank its own, together all
cpus() { sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status; }
expect "bound" 0 "*" "${L[@]}" -n 2 --bind core sh -c 'sed -n "s/^Cpus_allowed_list:[[:space:]]*/$RANK /p" /proc/self/status'
if [ "$(nproc)" = 1 ]; then echo "SKIP: one processor"; else
    python3 - "$(cpus)" >facts 2>&1 <<'PY'
import sys
read = lambda t: {c for p in t.split(",") for c in range(int(p.split("-")[0]), int(p.split("-")[-1]) + 1)}
ranks = [read(line.split()[1]) for line in open("out")]
assert len(ranks) == 2 and ranks[0] | ranks[1] == read(sys.argv[1]) and not ranks[0] & ranks[1], ranks
core = lambda c: [open(f"/sys/devices/system/cpu/cpu{c}/topology/{n}").read() for n in ("physical_package_id", "core_id")]
assert not [1 for a in ranks[0] for b in ranks[1] if core(a) == core(b)] or len({str(core(c)) for c in ranks[0] | ranks[1]}) < 2
PY
    verdict "each its own cores" $? "$(cat facts)"
fi
expect "threads of a bound rank" 0 "rank_threads $(($(nproc) / 2 > 1 ? $(nproc) / 2 : 1))" "${L[@]}" -n 2 --bind core -- sh -c "\"$TABMILL\" train -i '$PENGUINS' -t species --epochs 1 -o bound 2>&1 | sed -n 's/.* ranks of \([0-9]*\) thread.*/rank_threads \1/p' >&2"
expect "how long a rank may hang" 2 "seconds, or auto" "${L[@]}" --hang-timeout soon true
expect "bound to what" 2 "core or none" "${L[@]}" --bind socket true

# ---- ports
cat >hold.py <<'PY'
import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
time.sleep(60)
PY
python3 hold.py >port & holder=$!
while [ ! -s port ]; do sleep 0.02; done
expect "a port that is taken names its holder" 69 "is taken by process $holder (python3)" "${L[@]}" --master-port "$(cat port)" true
expect "--port-range takes a next one" 0 "" "${L[@]}" --master-port "$(cat port)" --port-range 50 sh -c 'test $MASTER_PORT != '"$(cat port)"
kill $holder
cat >listen.py <<'PY'
import os, socket, sys
if os.environ["RANK"] == "0":
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", int(os.environ["MASTER_PORT"])))
    s.listen()
PY
expect "rank 0 can listen on the port that is held" 0 "*" "${L[@]}" -n 2 listen.py
for i in 1 2 3 4; do "${L[@]}" -n 2 sh -c 'echo $MASTER_PORT; sleep 0.3' >p.$i & done
wait
holds "jobs at the same time have ports of their own" test "$(cat p.? | sort | uniq -c | grep -c '^ *2 ')" = 4

# ---- refused
expect "no command" 2 "COMMAND is missing" "${L[@]}" -n 2
expect "a count" 2 "-n two" "${L[@]}" -n two true
expect "too many" 2 "-n 1000" "${L[@]}" -n 1000 true
expect "a node too many" 2 "they count from 0" "${L[@]}" --nnodes 2 --node-rank 2 true
expect "node without nodes" 2 "needs --nnodes" "${L[@]}" --node-rank 1 true
expect "an address of another host" 69 "not one of this host" "${L[@]}" --nnodes 2 --master-addr 192.0.2.1 true
expect "ranks of all hosts, too many" 2 "400 ranks on 2 hosts: 1 to 256 in all" "${L[@]}" -n 200 --nnodes 2 true
expect "no port for the launchers" 2 "--master-port 65535" "${L[@]}" --nnodes 2 --master-port 65535 true
expect "a port that other hosts cannot know" 2 "--port-range is of one host" "${L[@]}" --nnodes 2 --master-port 4567 --port-range 5 true
expect "a range of no port" 2 "--port-range needs --master-port" "${L[@]}" --port-range 5 true
expect "a window of no restarts" 2 "--restart-window needs --max-restarts" "${L[@]}" --restart-window 5 true
expect "a size of no logs" 2 "--log-size needs --log-dir" "${L[@]}" --log-size 5MB true
touch file
expect "logs that cannot be" 1 "is a file, not a folder" "${L[@]}" --log-dir file/logs true
expect "refused by name" 2 "ranks are not polled" "${L[@]}" --monitor-interval 1 true
[ -d /proc/driver/nvidia/gpus ] || expect "no GPU" 2 "no GPU" "${L[@]}" -n gpu true
expect "more ranks than processors is only said" 0 "they will take turns" "${L[@]}" -n 50 true

expect "few descriptors" 1 "3 ranks need 25 open files, and this process may have 20 (ulimit -n)" sh -c 'ulimit -n 20; exec "$@"' sh "${L[@]}" -n 3 true
expect "enough" 0 "*" sh -c 'ulimit -n 25; exec "$@"' sh "${L[@]}" -n 3 true
expect "enough for logs" 0 "*" sh -c 'ulimit -n 31; exec "$@"' sh "${L[@]}" -n 3 --log-dir logs4 --tee echo

# ---- the launcher is killed: nothing of ours is left
rm -f up.* pids
cat >family.sh <<'SH'
sleep 60 & echo $! >>pids
echo $$ >>pids
touch up.$RANK
wait
SH
"${L[@]}" -n 2 sh family.sh >out 2>err & pid=$!
wait_for up.0; wait_for up.1
kill -KILL $pid; wait $pid 2>/dev/null
alive() { while read -r p; do grep -qs '^State:.[^Z]' /proc/"$p"/status && return 0; done <pids; return 1; }
gone() { ! alive; }
wait_until gone
if alive; then verdict "nothing is left" 1 "processes $(cat pids)"; else verdict "nothing is left" 0; fi

# ---- launchers of several hosts, here all on one: they know of each other
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
# Their own door is at the next one.
door() { grep -qsi ":$(printf %04X $((port + 1))) [0-9A-F]*:[0-9A-F]* $1 " /proc/net/tcp /proc/net/tcp6; }
is_open() { door 0A; }
has_met() { door 01; }
hosts() { # HOST COMMAND...: its launcher, in the background
    local host=$1
    shift
    "${L[@]}" --nnodes 2 --node-rank "$host" --master-port "$port" -n 2 --max-restarts "${restarts-0}" -- "$@" >"out.$host" 2>"err.$host" &
}
cat >live.sh <<'SH'
echo $$ >>pids
touch up.$RANK
sleep 60
SH
rm -f up.* pids
hosts 0 sh live.sh; a=$!
hosts 1 sh -c 'touch up.$RANK; while [ ! -e met ]; do sleep 0.05; done; test $RANK = 2 || sleep 60; exit 7'; b=$!
for i in 0 1 2 3; do wait_for up.$i; done
wait_until has_met
sleep 1
touch met
wait $b; [ $? = 7 ]
verdict "a rank of another host fails" $?
wait $a; [ $? = 7 ]
verdict "and its status is that of all" $?
cp err.0 err; holds "which every host says" grep -q "host 1: rank 2 ended with status 7" err
holds "and blames nobody else" sh -c '! grep -q "(process" err'
rm -f up.* pids
hosts 0 sh live.sh; a=$!
hosts 1 sh live.sh; b=$!
for i in 0 1 2 3; do wait_for up.$i; done
wait_until has_met
sleep 1
kill -KILL $b
wait $a; [ $? = 69 ]
verdict "a killed launcher ends those of other hosts" $?
cp err.0 err; holds "with a word" grep -q "the launcher of host 1 is gone" err
wait_until gone
if alive; then verdict "and all ranks" 1 "processes $(cat pids)"; else verdict "and all ranks" 0; fi
wait $b 2>/dev/null
rm -f up.* pids
hosts 0 sh -c 'while [ ! -e go ]; do sleep 0.1; done'; a=$!
wait_until is_open
expect "another number of ranks is refused" 69 "refuses this one: it has 2 hosts of 3 ranks, and host 0 has 2 of 2" "${L[@]}" --nnodes 2 --node-rank 1 --master-port "$port" -n 3 -q sleep 60
cp err.0 err; holds "on both sides" grep -q "calls itself host 1 was refused: it has 2 hosts of 3 ranks" err
hosts 1 sh -c 'while [ ! -e go ]; do sleep 0.1; done'; b=$!
wait_until has_met
sleep 1
expect "a host that is there already is refused" 69 "host 1 is there already" "${L[@]}" --nnodes 2 --node-rank 1 --master-port "$port" -n 2 -q sleep 60
touch go
wait $a && wait $b
verdict "and disturbs nobody" $?
cat >again.sh <<'SH'
touch up.$RANK.$TORCHELASTIC_RESTART_COUNT
[ $TORCHELASTIC_RESTART_COUNT = 1 ] && exec sleep 1
while [ ! -e fails ]; do sleep 0.05; done
test $RANK = 2 || sleep 60
exit 7
SH
restarts=1
hosts 0 sh again.sh; a=$!
hosts 1 sh again.sh; b=$!
for i in 0 1 2 3; do wait_for up.$i.0; done
wait_until has_met
sleep 1
touch fails
wait $a && wait $b
verdict "all hosts start again" $?
cp err.0 err; holds "after the failure of one" sh -c 'grep -q "host 1: rank 2 ended with status 7" err.0 && grep -q "restart 1 of 1" err.0 && grep -q "restart 1 of 1" err.1'
for i in 0 1 2 3; do echo up.$i.1; done >want
holds "every rank" sh -c 'ls up.*.1 | cmp -s - want'
rm -f up.* fails
hosts 0 sh -c 'trap "" TERM; touch up.$RANK.$TORCHELASTIC_RESTART_COUNT; sleep 20'; a=$! # it is killed half a second later
hosts 1 sh again.sh; b=$!
for i in 0 1 2 3; do wait_for up.$i.0; done
sed -i 's/exec sleep 1/exit 7/' again.sh
wait_until has_met
sleep 1
touch fails
wait $b; [ $? = 7 ]
verdict "a host that fails again" $?
wait $a; [ $? = 7 ]
verdict "before the others are there" $?
cp err.0 err; holds "is heard" test "$(grep -c "host 1: rank [23] ended with status 7" err.0)" = 2
unset restarts
expect "a host that does not come" 69 "the launcher of host 1 did not come within 0.5 s" env TABMILL_RANK_MEET=0.5 "${L[@]}" --nnodes 2 --node-rank 0 --master-port "$port" -n 2 -q sleep 60

# ---- questions on a terminal
count=$("$TABMILL" devices | sed -n 's/^threads *\([0-9]*\) allowed.*/\1/p') # how many ranks may be asked for
count=$((count < 2 ? count : 2))
cat >ask.py <<'PY'
import os, pty, signal, sys
signal.alarm(120) # for when it asks more than there are answers
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], [sys.argv[1], "launch"])
os.write(fd, sys.argv[2].encode())
text = b""
try:
    while True:
        got = os.read(fd, 1000)
        if not got:
            break
        text += got
except OSError:
    pass
print(text.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
echo "a,y" >t.csv
expect "asks, shows, and runs only after yes" 0 "" python3 ask.py "$TABMILL" $'none.csv\nt.csv\ny\nfast\nddp\n9999\n'$count$'\nlinear\nN\n'
says "the equivalent command" "tabmill train --data t.csv --target y --multi-gpu ddp --nproc $count --lr-scale linear"
says "a wrong answer is asked again" '"9999" is not 1 to'
expect "and nothing has run" 0 "" sh -c '! test -e checkpoints'
{ echo a,y; for i in $(seq 60); do echo "$((i * i % 17)).5,$((i % 2))"; done; } >t.csv
expect "runs after yes" 0 "" python3 ask.py "$TABMILL" $'t.csv\ny\nddp\n'$count$'\nlinear\ny\n'
says "in so many ranks" "$count rank"
holds "to the end" test -s checkpoints/training_results.json
