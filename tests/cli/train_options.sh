#!/bin/bash
# train_options.sh - every number that `tabmill train` takes does what its help says; arrays; other numbers of ranks without shards.
. tests/lib/cli.sh
T=$TABMILL
: >out
hash_of() { "$T" inspect --hash "$1/latest.mill"; }
train() { "$T" train -i "$PENGUINS" -t species --epochs 3 -q "$@"; }
results() { python3 -c "
import json
r = json.load(open('$1/training_results.json'))
m = [json.loads(l) for l in open('$1/metrics.jsonl')]
assert $2, (r['plan'], r['history'], m[:3])"; }

# ---- each acts: another model than without it
train -o plain
for o in "--weight-decay 0.1" "--max-grad-norm 0.01" "--label-smoothing 0" "--warmup-epochs 0" "--dropout 0" "--lr 2e-3" "--batch-size 16" \
    "--grad-accum-steps 2" "--hidden-dims 64,32" "--activation gelu" "--val-fraction .2" "--seed 1" "--discrete year" "--drop year"; do
    name=$(echo "${o%% *}" | tr -d -)
    # shellcheck disable=SC2086
    train -o "$name" $o
    holds "$name acts" test "$(hash_of "$name")" != "$(hash_of plain)"
done
# what only says how it is computed does not
for o in "--num-workers 0" "--num-workers 3" "--log-interval 1" "--checkpoint-every 0" "--keep 5" "--threads 1"; do
    name=same$(echo "$o" | tr -d ' -')
    # shellcheck disable=SC2086
    train -o "$name" $o
    holds "$o changes nothing" test "$(hash_of "$name")" = "$(hash_of plain)"
done
holds "a line every step" results sameloginterval1 "sorted({l['step'] for l in m}) == list(range(1, 28))"
train -o cold --warmup-epochs 0 --log-interval 1
holds "the rate of no warm-up begins at the top" results cold "m[0]['lr'] == 1e-3 > m[1]['lr']"
train -o linear --lr-scale linear --grad-accum-steps 4
train -o sqrt --lr-scale sqrt --grad-accum-steps 4
holds "linear is scaled once" results linear "r['plan']['lr'] == 4e-3 and r['config']['lr'] == 1e-3 and r['config']['lr-scale'] == 'linear'"
holds "sqrt is scaled once" results sqrt "r['plan']['lr'] == 2e-3"
expect "and said" 0 "learning rate 0.002 (scaled once)" "$T" train -i "$PENGUINS" -t species --epochs 1 -o said --lr-scale sqrt --grad-accum-steps 4
expect "more ranks than cores" 0 "they will wait for one another" "$T" train -i "$PENGUINS" -t species --epochs 1 -o crowd --multi-gpu ddp --nproc 9
expect "memory that is not there" 1 "it will not fit" bash -c "ulimit -v 4000000; exec '$T' train -i '$PENGUINS' -t species --epochs 1 -o vast --hidden-dims 300000,300000"

# ---- what a plan says is what is taken, within a tenth (libraries, the first reading): answers to all rows of a set, batches ahead
awk 'BEGIN { print "a,b,y"; for (i = 0; i < 12000; i++) print i % 80 + i % 3 / 9 "," i % 7 ",c" i % 1000 }' >wide.csv
wide=("$T" train -i wide.csv -t y --hidden-dims 16 --val-fraction .5 --test-fraction 0 --batch-size 4000 --num-workers 20 --epochs 1 --threads 1 -q -f)
"${wide[@]}" -o small --memory-limit 1MB 2>err
sed -n 's/.*needs \([0-9.]*\) MiB.*/\1/p' err >out
python3 -IS -c 'import os, sys
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
assert status == 0
print(usage.ru_maxrss / 1024)' "${wide[@]}" -o wide >>out
holds "said and taken memory" awk '{ m[NR] = $1 } END { exit !(m[1] > .9 * m[2] && m[1] < 1.1 * m[2]) }' out

# ---- validation and test rows of their own files
awk 'NR == 1 || NR % 3 == 0' "$PENGUINS" >v.csv
awk 'NR == 1 || NR % 4 == 0' "$PENGUINS" >e.csv
train -o files --val-data v.csv --test-data e.csv
holds "metrics are over exactly these rows" results files "r['best']['rows'] == $(($(wc -l <v.csv) - 1)) and r['test']['rows'] == $(($(wc -l <e.csv) - 1))"
expect "a fraction and a file" 2 "one of them" train -o both --test-data e.csv --test-fraction .2
"$T" train -i "$PENGUINS" -t body_mass_g --task regression --epochs 3 -q -o number
holds "a number" results number "'accuracy' not in r['best'] and r['best']['rows'] > 30"
expect "a number is predicted" 0 "*" "$T" predict number -i "$PENGUINS" -q
says "as the target's column" body_mass_g

# ---- arrays [N, C, L]: what tells the classes apart is in the second channel, the first has noise
cat >arrays.py <<'PY'
import io, random, struct, sys, zipfile
def npy(dtype, shape, data):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }" % (dtype, ", ".join(map(str, shape)))
    head += " " * (-(11 + len(head)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data
random.seed(3)
for name, n in ("data", 400), ("new", 50):
    y = [random.randint(0, 1) for _ in range(n)]
    x = [random.gauss(2 * y[i] if c == 1 else 0, 1) for i in range(n) for c in range(2) for l in range(4)]
    with zipfile.ZipFile(name + ".npz", "w") as z:
        z.writestr("x.npy", npy("<f4", (n, 2, 4), struct.pack("<%df" % len(x), *x)))
        z.writestr("y.npy", npy("<i8", (n,), struct.pack("<%dq" % n, *y)))
PY
python3 arrays.py
for mode in flatten average first; do
    expect "arrays, $mode" 0 "classes of" "$T" train --data data.npz --target y --mode $mode --epochs 8 -o "a_$mode"
done
holds "flatten sees the second channel" results a_flatten "r['test_acc'] > .9"
holds "average sees it under noise" results a_average "r['test_acc'] > .75"
holds "first does not" results a_first "r['test_acc'] < .7"
holds "as wide as they are" results a_flatten "r['plan']['parameters'] == (8 + 1) * 512 + (512 + 1) * 2"
holds "and the average half" results a_average "r['plan']['parameters'] == (4 + 1) * 512 + (512 + 1) * 2"
expect "arrays are predicted" 0 "50 rows predicted" "$T" predict a_flatten -i new.npz -o p.csv
holds "a line each" test "$(wc -l <p.csv)" = 51
expect "without the array" 1 '"z"' "$T" train --data data.npz --target z -o none
expect "on ranks" 0 "2 ranks" "$T" train --data data.npz --target y --epochs 2 -o a_ranks --multi-gpu ddp --nproc 2

# ---- infinities, which break no feature: in an array, and what a float takes for one in a table
cat >>arrays.py <<'PY'
x[0], x[9] = float("inf"), -float("inf")
with zipfile.ZipFile("far.npz", "w") as z:
    z.writestr("x.npy", npy("<f4", (n, 2, 4), struct.pack("<%df" % len(x), *x)))
    z.writestr("y.npy", npy("<i8", (n,), struct.pack("<%dq" % n, *y)))
PY
python3 arrays.py
expect "infinite in arrays" 0 "far.npz: 2 numbers infinite or beyond 3.4e38, taken for missing" "$T" train --data far.npz --target y --epochs 2 -o far
expect "predicted with them" 0 "far.npz: 2 numbers infinite" "$T" predict far -i far.npz -o p.csv -f
holds "to numbers" sh -c '! grep -qi nan p.csv'
awk -F, -v OFS=, 'NR == 2 { $3 = "1e200" } { print }' "$PENGUINS" >far.csv
expect "far away in a table" 0 "far.csv: 1 number infinite or beyond 3.4e38, taken for missing" "$T" train -i far.csv -t species --epochs 1 -o far_table

# ---- without shards: the same rows in each step on 1, 2 and 4 ranks; sums are added in another order (docs/train.md)
for n in 1 2 4; do
    "$T" train -i "$PENGUINS" -t species -q -o "curve$n" --epochs 6 --dropout 0 --batch-size $((32 / n)) --log-interval 1 --multi-gpu ddp --nproc $n --threads 1
done
holds "loss curves" python3 - <<'PY'
import json
def curve(n, key):
    return [l[key] for l in map(json.loads, open("curve%d/metrics.jsonl" % n)) if l.get(key) is not None]
for key, steps in ("train_loss", 54), ("val_loss", 6), ("grad_norm", 54):
    one = curve(1, key)
    assert len(one) == steps, (key, len(one))
    for n in 2, 4:
        other = curve(n, key)
        worst = max(abs(a - b) / a for a, b in zip(one, other))
        print(key, n, worst)
        assert len(other) == steps and worst < 1e-5, (key, n, worst) # it was 1.5e-7: a float's rounding, over 54 steps
PY
