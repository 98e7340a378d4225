#!/bin/bash
# train.sh - `tabmill train` and `tabmill predict`: what they refuse, leave, resume, and predict.
. tests/lib/cli.sh
T=$TABMILL
train() { "$T" train -i "$PENGUINS" -t species --epochs 3 "$@"; }
hash_of() { "$T" inspect --hash "$1"; }

# ---- refused, before anything is done ----
expect no_data 2 "--data FILE is missing" "$T" train -t y
expect no_target 2 "--target NAME is missing" "$T" train -i "$PENGUINS"
expect unknown_target 1 'no column is called "specie"; did you mean "species"?; there are species, island, bill_length_mm' "$T" train -i "$PENGUINS" -t specie
expect no_restarts 2 "of a command that starts ranks" train --max-restarts 2
expect fp16 2 "--amp fp16: processors have no products" train --amp fp16
expect unknown_arch 2 "mlp or ft-transformer" train --arch resnet
expect other_arch 2 "it is an option of ft-transformer" train --heads 4
expect heads 2 "--heads 5 do not divide" train --arch ft-transformer --heads 5
expect gpu_ids 2 "no CUDA back end" train --gpu-ids 0,1
expect unknown_mode 2 "none, ddp or dp" train --multi-gpu fsdp
expect ranks_of_none 2 "ddp makes them ranks" train --nproc 2
expect shards 2 "a power of two" train --virtual-shards 3
expect val_twice 2 "one of them" train --val-data "$PENGUINS" --val-fraction .2
expect mode_of_table 2 "--mode is for arrays" train --mode first
expect frozen_noise 2 "layers of random numbers" train --freeze-encoder
expect smoothing 1 "is for classes" "$T" train -i "$PENGUINS" -t body_mass_g --label-smoothing .1
expect memory 1 "over the limit of" train --memory-limit 1MB
expect words 1 "no regression" train --task regression
holds refused_leave_nothing sh -c '! ls checkpoints'

# ---- a run ----
expect runs 0 "validation: 34 rows" train -o run
holds one_is_one_rank grep -qF "a step: batch 32 x accumulation 1 x 1 rank = 32 rows; 9 steps an epoch; 1 rank of" err
says_nothing() { test ! -s out; }
holds stdout_is_empty says_nothing
for file in best.mill latest.mill training_results.json metrics.jsonl manifest.json; do
    holds "leaves_$file" test -e run/$file
done
holds events sh -c 'ls run/events.out.tfevents.*'
holds results python3 - <<'END'
import json
r = json.load(open("run/training_results.json"))
assert r["best"]["rows"] == 34 and r["test"]["rows"] == 34, r
assert r["plan"]["effective_batch"] == 32 and r["plan"]["steps"] == 27, r["plan"]
assert len(r["history"]) == 3 and r["history"][2]["step"] == 27
assert r["best_val_acc"] == max(h["val_accuracy"] for h in r["history"]) == r["history"][r["best_epoch"] - 1]["val_accuracy"]
assert sum(c["rows"] for c in r["test"]["per_class"]) == 34
assert r["config"]["shards"] == 1 and r["total_time_minutes"] > 0
END
holds tags_of_tensorboard python3 - <<'END'
import glob
events = open(glob.glob("run/events.out.tfevents.*")[0], "rb").read()
for tag in ("Loss/train", "Loss/val", "Accuracy/train", "Accuracy/val", "Learning_rate"):
    assert bytes([len(tag)]) + tag.encode() in events, tag
END
expect again 1 "--resume goes on, --force starts over" train -o run
expect again_before_reading 1 "--resume goes on, --force starts over" "$T" train -i no.csv -t y -o run
expect finished 0 "this run is finished" train -o run --resume
expect other_rate 1 "lr was 0.001, is 0.002" train -o run --resume --lr 2e-3
expect other_reading 1 "na was" train -o run --resume --na none
expect aliases 0 "*" "$T" train -i "$PENGUINS" --target species --epochs 3 --model mlp --learning_rate 1e-3 --batch_size 32 -o alias
holds aliases_same_weights test "$(hash_of run/latest.mill)" = "$(hash_of alias/latest.mill)"

# ---- an early end: patience begins anew with a gain that counts, the best is the best by any gain ----
"$T" train -i "$PENGUINS" -t species --epochs 30 --early-stopping-patience 3 --early-stopping-min-delta .5 -q -o early
holds small_gains_do_not_count python3 - <<'END'
import json
r = json.load(open("early/training_results.json"))
acc = [h["val_accuracy"] for h in r["history"]]
mark, since, stop = acc[0], 0, None
for i, a in enumerate(acc[1:], 2):
    mark, since = (a, 0) if a > mark + .5 else (mark, since + 1)
    if since == 3:
        stop = i
        break
assert r["stopped_early"] and stop == len(acc) < 30, (stop, acc)
assert r["best_val_acc"] == max(acc) > acc[0], acc
END
expect min_delta_is_config 1 "early-stopping-min-delta was 0.5, is 0.001" "$T" train -i "$PENGUINS" -t species --epochs 30 --early-stopping-patience 3 -q -o early --resume
awk -v OFS=, 'BEGIN { print "a,b,y"; for (i = 0; i < 1600; i++) print i % 80 + i % 3 / 9, i % 7, "c" i % 80 }' >many.csv
"$T" train -i many.csv -t y --epochs 2 --val-fraction .3 -q -o many
holds auc_of_80_classes python3 - <<'END'
import json
best = json.load(open("many/training_results.json"))["best"]
assert len(best["per_class"]) == 80 and .5 < best["auc_macro"] <= 1, best["auc_macro"]
END

# ---- the same weights ----
for threads in 1 4; do
    train -o "shards$threads" --virtual-shards 4 --batch-size 8 --threads $threads -q
done
holds threads_same_weights test "$(hash_of shards1/latest.mill)" = "$(hash_of shards4/latest.mill)"
expect dp 0 "4 batches make a step and the learning rate is not scaled" train -o dp --multi-gpu dp --nproc 4 --batch-size 8
holds dp_same_weights test "$(hash_of shards1/latest.mill)" = "$(hash_of dp/latest.mill)"
holds other_seed_other_weights test "$(hash_of shards1/latest.mill)" != "$(hash_of run/latest.mill)"

# ---- killed at any write, and gone on with: the same bytes ----
whole() { train -o "$@" --grad-accum-steps 2 --batch-size 8 --amp bf16 --checkpoint-every 0 --log-interval 4; }
last_step() { sed -n 's/.*"step":\([0-9]*\),.*/\1/p' "$1" 2>/dev/null | tail -1; } # of whole lines
without_times() { sed 's/"ts":[^,]*,//; s/,"steps_per_s":[^,}]*//' "$1"; }
whole calm -q
without_times calm/metrics.jsonl >calm.txt
hash_of calm/latest.mill >calm.hash
bad=0
tried=0
back=
faults=(write:{5..60..6} fsync:{3..14..2} rename:{2..16..2})
[ "${TEST_FULL-0}" = 1 ] && faults=(write:{1..150} fsync:{1..60} rename:{1..60}) # more than there are
for fault in fsync:8 rename:9 "${faults[@]}"; do # these two: the last checkpoint stands, its links do not
    rm -rf torn
    (TABMILL_FAULT=$fault:kill whole torn -q) 2>/dev/null && continue # it was through before
    reached=$(last_step torn/metrics.jsonl)
    whole torn --resume 2>resumed
    from=$(sed -n 's/.*going on from step \([0-9]*\).*/\1/p' resumed)
    [ -n "$from" ] || from=$(grep -q "there is nothing to do" resumed && echo 99 || echo 0)
    [ "$from" -ge $((${reached:-0} - 18)) ] || back="$back $fault: $reached to $from" # a checkpoint every 18 steps
    tried=$((tried + 1))
    hash_of torn/latest.mill | cmp -s - calm.hash || bad=$((bad + 1))
    without_times torn/metrics.jsonl | cmp -s - calm.txt || bad=$((bad + 1))
done 2>err
verdict killed_goes_back_one_checkpoint_at_most "$(test -z "$back"; echo $?)" "$back"
verdict killed_same_bytes $((bad != 0 || tried < 12)) "$bad of $tried differ"

# ---- data ----
awk 'NR == 1 || NR % 2' "$PENGUINS" >one.csv
awk 'NR == 1 || NR % 8 == 2' "$PENGUINS" >two.csv
grep -v Chinstrap "$PENGUINS" >less.csv
expect files 0 "validation: 43 rows" "$T" train -i one.csv -t species --val-data two.csv --test-fraction 0 --epochs 2 -o files
expect unseen_class 1 '"Chinstrap" is not among the classes' "$T" train -i less.csv -t species --val-data two.csv -o unseen
sed 's/^Adelie,/,/' "$PENGUINS" >gaps.csv
expect no_label 0 "152 rows without a target left out" "$T" train -i gaps.csv -t species --epochs 1 -o gaps
for n in 1 2 3 4 5 6 7; do
    head -$((n + 1)) "$PENGUINS" >few.csv
    expect "rows_$n" 0 "*" "$T" train -i few.csv -t species --epochs 2 -o few$n
done
printf 'a,y\n1,p\n2,p\n3,p\n' >same.csv
expect one_class 0 "nothing to tell apart" "$T" train -i same.csv -t y --epochs 1 -o same

# ---- an encoder of another run ----
expect encoder 0 "*" "$T" train -i "$PENGUINS" -t species --epochs 2 --encoder-path run/best.mill --freeze-encoder -o frozen
expect encoder_of_another 1 "net.h0.b" "$T" train -i "$PENGUINS" -t species --hidden-dims 7 --encoder-path run/best.mill -o other

# ---- predictions ----
"$T" train -i "$PENGUINS" -t species -o good --epochs 12 -q
expect predicts 0 "344 rows predicted" "$T" predict good -i "$PENGUINS"
holds a_line_each test "$(wc -l <out)" = 345
says names species,p_Adelie,p_Gentoo,p_Chinstrap
holds mostly_right python3 - "$PENGUINS" <<'END'
import csv, sys
told = [r["species"] for r in csv.DictReader(open("out"))]
true = [r["species"] for r in csv.DictReader(open(sys.argv[1]))]
assert sum(a == b for a, b in zip(told, true)) > 0.9 * len(true)
END
holds with_all_their_digits python3 - <<'END'
import csv
rows = [[float(v) for k, v in r.items() if k[:2] == "p_"] for r in csv.DictReader(open("out"))]
assert all(p > 0 for r in rows for p in r) and all(abs(sum(r) - 1) < 1e-12 for r in rows)
END
awk -F, -v OFS=, '{ $6 = NR == 1 ? "y" : $6 == "NA" ? $6 : $6 "e-13"; print }' "$PENGUINS" >tiny.csv
"$T" train -i tiny.csv -t y --epochs 12 -q -o tiny
expect predicts_tiny_numbers 0 "344 rows predicted" "$T" predict tiny -i tiny.csv
holds as_they_are python3 - <<'END'
import csv
told = [float(r["y"]) for r in csv.DictReader(open("out"))]
true = [r["y"] for r in csv.DictReader(open("tiny.csv"))]
pairs = [(a, float(b)) for a, b in zip(told, true) if b != "NA"]
middle = sum(b for _, b in pairs) / len(pairs)
assert sum((a - b) ** 2 for a, b in pairs) < .5 * sum((b - middle) ** 2 for _, b in pairs)
END
cut -d, -f2- "$PENGUINS" >unlabelled.csv
"$T" predict run -i "$PENGUINS" -q >with.csv
"$T" predict run -i unlabelled.csv -q -o without.csv
holds target_is_not_needed cmp with.csv without.csv
cp "$PENGUINS" rows.csv
expect not_over_its_rows 1 "rows.csv: is what is read" "$T" predict run -i rows.csv -o rows.csv -f
expect exists 1 "--force overwrites" "$T" predict run -i "$PENGUINS" -o without.csv
cut -d, -f1-3 "$PENGUINS" >narrow.csv
expect column_missing 1 'column "bill_depth_mm" is missing' "$T" predict run -i narrow.csv
"$T" fit -i "$PENGUINS" -o synth.mill -q
expect model_of_fit 1 'synth.mill: this is no model of `tabmill train`' "$T" predict synth.mill -i "$PENGUINS"
expect run_of_another_job 1 "run: holds no run of a prior (manifest.json is of another)" "$T" prior verify run
expect resume_of_another_job 1 "run: holds a run, and not of a prior" "$T" prior -n 4 -o run --resume
expect no_model 1 "holds no checkpoint" "$T" predict . -i "$PENGUINS"
head -c 3000 run/best.mill >cut.mill
expect cut_model 1 "cut.mill" "$T" predict cut.mill -i "$PENGUINS"
expect no_rows_file 2 "-i TABLE is missing" "$T" predict run

# ---- a disk that fails, a checkpoint that is damaged ----
"$T" train -i "$PENGUINS" -t species --epochs 1 -o plain -q
fails() { TABMILL_FAULT=$1:fail "$T" train -i "$PENGUINS" -t species --epochs 1 -o "$2"; }
expect best_not_saved 0 "not kept as the best" fails rename:2 nobest
expect end_not_saved 74 "step_0000000009.mill" fails rename:5 noend
holds not_saved_goes_on sh -c "\"$T\" train -i \"$PENGUINS\" -t species --epochs 1 -o noend --resume -q"
holds not_saved_same_weights test "$(hash_of noend/latest.mill)" = "$(hash_of plain/latest.mill)"
(TABMILL_FAULT=rename:12:kill train -o hurt --checkpoint-every 0 -q) 2>/dev/null
newest=$(readlink hurt/latest.mill)
printf '\xff' | dd of="hurt/$newest" bs=1 seek=70000 conv=notrunc 2>/dev/null
expect strict 1 "$newest" train -o hurt --checkpoint-every 0 --resume --strict
expect passed_over 0 "this checkpoint is passed over" train -o hurt --checkpoint-every 0 --resume
holds passed_over_same_weights test "$(hash_of hurt/latest.mill)" = "$(hash_of run/latest.mill)"
for how in empty short other; do # the newest one is empty, cut in the middle, of another network
    rm -rf hurt
    (TABMILL_FAULT=rename:12:kill train -o hurt --checkpoint-every 0 -q) 2>/dev/null
    newest=hurt/$(readlink hurt/latest.mill)
    case $how in
    empty) : >"$newest" ;;
    short) truncate -s 60000 "$newest" ;;
    other) "$T" train -i "$PENGUINS" -t species --hidden-dims 7 --epochs 1 -q -f -o seven && cp seven/latest.mill "$newest" ;;
    esac
    expect "newest_$how" 0 "this checkpoint is passed over" train -o hurt --checkpoint-every 0 --resume
    holds "newest_${how}_named" grep -q "$newest" err
    holds "newest_${how}_same_weights" test "$(hash_of hurt/latest.mill)" = "$(hash_of run/latest.mill)"
done
TABMILL_FAULT=write:9:fail "$T" train -i "$PENGUINS" -t species --epochs 3 --log-interval 1 -o lossy >out 2>err
verdict lost_metrics_go_on $?
holds lost_metrics_are_counted grep -qE "lines? of metrics could not be written" err
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then # a disk that is too small for it
    mkdir small
    unshare -m sh -c 'mount -t tmpfs -o size=100k tmpfs small && "$0" train -i "$1" -t species --epochs 1 -o small/run; echo $? >status; ls small/run >left' "$T" "$PENGUINS" >out 2>err
    holds small_disk_is_foreseen grep -q "will not fit" err
    holds small_disk_status grep -qx 74 status
    holds small_disk_no_temporaries sh -c '! grep tmp left'
else
    echo "SKIP: no file system can be mounted"
fi
