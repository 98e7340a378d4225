#!/bin/bash
# reason_run.sh - records through a server that answers by arithmetic: whole runs, killed runs, bad input.
# shellcheck disable=SC2154,SC2086  # serve NAME sets $NAME; a status is a number
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"

fact() { # FILE EXPRESSION-OF-m: of a run's manifest
    python3 -c "import json,sys; m=json.load(open(sys.argv[1])); print($2)" "$1"
}

python3 - <<'END2'
import json, random
random.seed(8)
with open("d.jsonl", "w") as f:
    for i in range(60):
        a, b = random.randint(1, 99), random.randint(1, 99)
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {a} + {b}?" + " and why" * (i % 7), "answer": str(a + b),
                            "weight": 0.1, "tags": ["a", i]}) + "\n")
END2
serve A
serve B
serve C

# ---- a whole run ----
expect run 0 "60 in = " "$T" reason --dataset d.jsonl -o out.jsonl --server "$A"
cat >look.py <<'END2'
"""Every record is there, in its order, with what it was and what was made of it."""
import json
records = [json.loads(s) for s in open("d.jsonl")]
out = [json.loads(s) for s in open("out.jsonl")]
m = json.load(open("out.jsonl.run/manifest.json"))
assert len(out) == 60 == m["good"] + m["needs_improvement"] + m["failed"] and m["failed"] == 0, m
assert [o["record"] for o in out] == list(range(60))
weights = {"correctness": .4, "step_by_step_clarity": .2, "logical_coherence": .2, "mathematical_precision": .2}
verdicts = set()
for r, o in zip(records, out):
    assert o["metadata"]["original_data"] == r and o["problem"] == r["problem"] and o["tags"] == r["tags"] and o["weight"] == .1
    score = sum(weights[k] * o["scores"][k] for k in weights)
    assert abs(score - o["quality_score"]) < 1e-9 and o["needs_improvement"] == (o["quality_score"] < .8)
    wrong = o["answer_given"] != r["answer"]
    assert o["verdict"] == ("different" if wrong else "equal")
    assert not wrong or (o["scores"]["correctness"] == 0 and o["quality_score"] <= .6)
    assert o["timestamp"].endswith("Z") and o["finish_reason"] == "stop" and o["sample"] == 0
    before = o["metadata"]["previous_version"]
    assert (o["improvement_iteration"] > 0) == (before is not None)
    assert before is None or before["quality_score"] <= o["quality_score"]
    verdicts.add(o["verdict"])
assert verdicts == {"equal", "different"}, verdicts
END2
holds run_records python3 look.py
holds run_metrics grep -q '"done":60,"records":60' out.jsonl.run/metrics.jsonl
cp out.jsonl first.jsonl
expect finished_again 0 "60 in = " "$T" reason --dataset d.jsonl -o out.jsonl --server "$A" --resume
same finished_again_bytes first.jsonl out.jsonl
fact out.jsonl.run/manifest.json 'm["stages"]' >one.stages

# ---- the same bytes for any number of servers, and through any kills ----
"$T" reason --dataset d.jsonl -o two.jsonl --server "$A" --server "$B" -q --batch-size 3 2>err
same two_servers out.jsonl two.jsonl
"$T" reason --dataset d.jsonl -o many.jsonl -q --low-memory \
    --server "$A" --server "$B" --server "$C" --server "$A" --server "$B" --server "$C" --server "$A" --server "$B" 2>err
same eight_servers out.jsonl many.jsonl

serve slow --log slow.log --latency 0.1
: >slow.log
for n in $(seq 12); do
    resume=(--resume)
    [ "$n" = 1 ] && resume=()
    "$T" reason --dataset d.jsonl -o killed.jsonl --server "$slow" --batch-size 16 -q "${resume[@]}" 2>err &
    run=$!
    [ "$n" -lt 7 ] && { sleep "0.$((RANDOM % 30 + 25))"; kill -9 $run 2>/dev/null; }
    wait $run 2>/dev/null
    status=$?
    [ $status = 0 ] && break
    [ $status = 137 ] || break
done
kills=$((n - 1))
verdict killed_status $status "after $kills kills"
same killed_bytes out.jsonl killed.jsonl
fact killed.jsonl.run/manifest.json 'm["stages"]' >killed.stages
same killed_tokens one.stages killed.stages
# What was paid for: one pass, and for each kill at most a window in flight and one that had come and was not durable.
paid=$(wc -l <slow.log)
stored=$(fact out.jsonl.run/manifest.json 'sum(s["responses"] for s in m["stages"].values())')
if [ "$kills" -gt 0 ] && [ "$paid" -le $((stored + 32 * kills)) ]; then verdict killed_paid 0; else
    verdict killed_paid 1 "$paid requests for $stored responses, $kills kills"
fi

"$T" reason --dataset d.jsonl -o stopped.jsonl --server "$slow" --batch-size 1 >out 2>err </dev/null &
run=$!
wait_until [ -s stopped.jsonl.run/results.sqlite ]
kill -INT $run
wait $run
verdict stopped_status $(($? != 130)) "status $? after SIGINT"
holds stopped_words grep -q -e "--resume goes on" err
holds stopped_nothing test ! -e stopped.jsonl
expect stopped_resumed 0 "60 in = " "$T" reason --dataset d.jsonl -o stopped.jsonl --server "$A" --resume
same stopped_bytes out.jsonl stopped.jsonl

# ---- another run says so ----
go() { "$T" reason --dataset d.jsonl -o out.jsonl --server "$A" "$@"; }
expect exists 1 "--force overwrites it" go
expect holds_results 1 "--resume goes on, --force starts over" sh -c "mv out.jsonl away; '$T' reason --dataset d.jsonl -o out.jsonl --server '$A'"
mv away out.jsonl
expect changed_parameter 1 "temperature" go --resume --temperature 0.7
expect changed_seed 1 "seed" go --resume --seed 1
expect changed_part 1 "records" go --resume -n 5
echo "Solve {problem}" >p.txt
expect changed_prompt 1 "prompt_generate" go --resume --prompt-generate p.txt
serve other --model else
expect changed_model 1 "model (there" "$T" reason --dataset d.jsonl -o out.jsonl --server "$other" --resume
holds changed_nothing python3 look.py
sed 's/"id": "r0"/"id": "s0"/' d.jsonl >d2.jsonl
cp out.jsonl.run/run.json was.json
expect changed_data 1 "dataset" "$T" reason --dataset d2.jsonl -o out.jsonl --server "$A" --resume
same changed_data_run_file was.json out.jsonl.run/run.json
cp d.jsonl now.jsonl
"$T" reason --dataset now.jsonl -o now_out.jsonl --server "$A" -q -n 5 2>err
sed -i 's/"id": "r0"/"id": "s0"/' now.jsonl
expect changed_in_place 1 "now.jsonl is not the file that the run began with" "$T" reason export now_out.jsonl -o export.jsonl

# ---- --force takes nothing from a run that goes on, nor before it is sure ----
"$T" reason --dataset d.jsonl -o live.jsonl --server "$slow" --batch-size 4 -q 2>live.err &
run=$!
wait_until [ -s live.jsonl.run/results.sqlite ]
expect force_on_a_live_one 1 "is locked" "$T" reason --dataset d.jsonl -o live.jsonl --server "$A" -f
wait $run
verdict live_goes_on $? "$(cat live.err)"
same live_bytes out.jsonl live.jsonl
holds live_store_is_there "$T" reason status live.jsonl
cat d.jsonl d.jsonl >dd.jsonl
expect force_with_twins 1 'have the same "id"' "$T" reason --dataset dd.jsonl -o live.jsonl --server "$A" -f
expect twins_took_nothing 0 "60 chains" "$T" reason export live.jsonl -o live_export.jsonl
expect force 0 "2 in = " "$T" reason --dataset d.jsonl -o live.jsonl --server "$A" -f -n 2

# ---- formats ----
for f in json csv; do expect "as_$f" 0 "" "$T" reason --dataset d.jsonl -o "as.$f" --server "$A" -q; done
cat >formats.py <<'END2'
import csv, json
lines = [json.loads(s) for s in open("out.jsonl")]
assert json.load(open("as.json")) == lines
rows = list(csv.DictReader(open("as.csv", newline="")))
assert len(rows) == len(lines)
for r, o in zip(rows, lines):
    assert list(r) == list(o)
    for k, v in o.items():
        want = "" if v is None else v if isinstance(v, str) else None
        assert r[k] == want if want is not None else json.loads(r[k]) == v, (k, r[k], v)
END2
holds formats python3 formats.py

# ---- samples, parts, machines ----
expect samples 0 "120 in = " "$T" reason --dataset d.jsonl -o k.jsonl --server "$A" --samples-per-example 2
cat >samples.py <<'END2'
import json
one = [json.loads(s) for s in open("out.jsonl")]
two = [json.loads(s) for s in open("k.jsonl")]
assert [(o["record"], o["sample"]) for o in two] == [(i, k) for i in range(60) for k in (0, 1)]
assert two[::2] == one and all(a["reasoning"] != b["reasoning"] for a, b in zip(two[::2], two[1::2]))
END2
holds samples_are_apart python3 samples.py
expect part 0 "20 in = " "$T" reason --dataset d.jsonl -o part.jsonl --server "$A" --start-from 10 -n 20
same part_is_the_same part.jsonl <(sed -n 11,30p out.jsonl)
"$T" reason --dataset d.jsonl -o shared.jsonl --server "$A" --num-nodes 2 --node-rank 0 --node-timeout 30 2>err &
run=$!
expect machine_1 0 "*" "$T" reason --dataset d.jsonl -o shared.jsonl --server "$B" --num-nodes 2 --node-rank 1
wait $run
verdict machine_0 $? "$(tail -1 err)"
same machines_bytes out.jsonl shared.jsonl
expect machine_is_late 1 "machine 1 has not finished" \
    "$T" reason --dataset d.jsonl -o late.jsonl --server "$A" --num-nodes 2 --node-timeout 0.3

# ---- what goes wrong and comes right ----
for fault in status:500 torn; do # reason_faults.sh has the others
    serve F --fault "share=0.1 attempt=1 $fault"
    "$T" reason --dataset d.jsonl -o f.jsonl -f --server "$F" -q 2>err
    same "fault_$fault" out.jsonl f.jsonl
done

# ---- what goes wrong ----
serve F --fault "nth=3 finish:content_filter" --fault "nth=4 status:400"
expect failed_records 0 "58 good" "$T" reason --dataset d.jsonl -o failed.jsonl --server "$F" --max-iterations 0 --quality-threshold 0
holds failed_reasons grep -q "failed 1: content filter" err
expect failed_again 0 "2 in = " "$T" reason --dataset failed.jsonl.run/failed.jsonl -o again.jsonl --server "$A"
serve short --context 400
expect cut 0 "hit the cap" "$T" reason --dataset d.jsonl -o cut.jsonl --server "$A" --max-tokens 20
holds cut_fails grep -q "truncated" err
expect cut_again 0 "60 in = " "$T" reason --dataset d.jsonl -o cut2.jsonl --server "$A" --max-tokens 20 --max-tokens-retry 4096
holds cut_again_none_failed grep -q " 0 failed" err
expect overflow 0 "failed" "$T" reason --dataset d.jsonl -o over.jsonl --server "$short" -n 3

# A server that will never answer: the run stops before all its records are lost.
many=(--dataset d.jsonl --samples-per-example 3)
serve F --fault "nth=9 status:402"
expect no_credit 1 "HTTP 402" "$T" reason "${many[@]}" -o credit.jsonl --server "$F"
expect no_credit_any_more 0 "180 in = " "$T" reason "${many[@]}" -o credit.jsonl --server "$A" --resume
holds no_credit_lost_nothing grep -q " 0 failed" err
serve F --fault "status:400"
expect all_refused 1 "the first 64 requests to generate were all refused, the last: HTTP 400" \
    "$T" reason "${many[@]}" -o refused.jsonl --server "$F"
holds all_refused_are_kept sh -c "tail -1 refused.jsonl.run/metrics.jsonl | grep -q '\"failed\":63,'"
serve F --fault "stage=evaluate status:422"
expect judge_refuses 1 "the first 64 requests to evaluate were all refused" "$T" reason "${many[@]}" -o refused.jsonl -f --server "$F"
serve F --fault "share=0.6 stage=generate status:400"
expect most_refused 0 "180 in = " "$T" reason "${many[@]}" -o refused.jsonl -f --server "$F"
holds most_refused_are_more_than_64 test "$(fact refused.jsonl.run/manifest.json 'm["failed"]')" -gt 64

serve keyed --key secret
expect no_key 1 "401" "$T" reason --dataset d.jsonl -o x.jsonl --server "$keyed"
export GOOD_KEY=secret BAD_KEY=public
expect bad_key 1 "401" "$T" reason --dataset d.jsonl -o x.jsonl -f --server "$keyed" --api-key-env BAD_KEY
expect good_key 0 "60 in = " "$T" reason --dataset d.jsonl -o x.jsonl -f --server "$keyed" --api-key-env GOOD_KEY
holds key_is_kept_secret sh -c '! grep -rq secret x.jsonl.run x.jsonl'
expect absent_key 2 "NO_SUCH_KEY" "$T" reason --dataset d.jsonl -o y.jsonl --server "$keyed" --api-key-env NO_SUCH_KEY
expect no_such_model 1 "nothing-of-the-kind" "$T" reason --dataset d.jsonl -o y.jsonl --server "$A" --model nothing-of-the-kind
expect no_server_there 1 "127.0.0.1:9" "$T" reason --dataset d.jsonl -o y.jsonl -f --server http://127.0.0.1:9 --start-timeout 1

# ---- a record that kills servers, which are started here: it alone is put aside ----
{ head -20 d.jsonl; echo '{"id":"poison","problem":"POISON"}'; tail -n +21 d.jsonl; } >poison.jsonl
echo "text=POISON crash" >poison.faults
expect poison 0 "failed 1: killed 2 servers" "$T" reason --dataset poison.jsonl -o poison.out.jsonl --model mock --num-gpus 2 \
    --serve "$MOCK --port {port} --latency 0.03 --faults $PWD/poison.faults" --max-iterations 0 --cleanup-delay 1
holds poison_is_named grep -q '"id":"poison".*killed 2 servers' poison.out.jsonl.run/failed.jsonl

# ---- bad records ----
cat >bad.jsonl <<'END2'
{"id":"a","problem":"What is 1 + 1?","answer":2}
{"id":"b","question":"What is 1 + 2?"}
{"id":"c","problem":["What","is"]}
{"id":"d","problem":null}
{"id":"e","problem":""}
not a record
{"id":"g","problem":"What is 2 + 2?","answer":{"value":4}}
{"id":"h","problem":"What is 2 + 3?"}
END2
expect bad_records 0 "8 in = " "$T" reason --dataset bad.jsonl -o b.jsonl --server "$A"
holds bad_records_counted grep -q " 6 failed" err
holds bad_field_named grep -q 'there is no field "problem"' err
cat >bad.py <<'END2'
import json
assert [json.loads(s)["id"] for s in open("b.jsonl")] == ["a", "h"]
failed = [json.loads(s) for s in open("b.jsonl.run/failed.jsonl")]
assert [f.get("record") for f in failed] == [1, 2, 3, 4, 5, 6] and all(f["failure"] for f in failed), failed
assert [f.get("id") for f in failed] == ["b", "c", "d", "e", None, "g"] and failed[0]["question"] == "What is 1 + 2?", failed
END2
holds bad_records_listed python3 bad.py
expect with_their_field 0 "1 in = " "$T" reason --dataset b.jsonl.run/failed.jsonl -n 1 -o q.jsonl --server "$A" --problem-field question
holds the_end_is_told sh -c 'tail -1 b.jsonl.run/metrics.jsonl | grep -q "\"is_over\":true"'
holds only_mine sh -c 'stat -c %a b.jsonl.run/run.json | grep -qx 600'
printf '%s\n' '{"q":[],"r":[]}' '{"q":["What is 1 + 1?"],"r":"A 2"}' >fields.jsonl
expect two_fields 0 "1 failed" "$T" reason --dataset fields.jsonl -o two_fields.jsonl --server "$A" --problem-field q,r
holds two_fields_joined grep -qF '"problem":"What is 1 + 1?\nA 2"' two_fields.jsonl
printf '%s\n' '{"id":"a","problem":"p"}' '{"id":"b","problem":"q"}' '{"id":"a","problem":"r"}' >twice.jsonl
expect duplicate_ids 1 'records 0 and 2 have the same "id": "a"' "$T" reason --dataset twice.jsonl -o t.jsonl --server "$A"
python3 -c 'import json; print(json.dumps({"problem": "What is 1 + 1? " + "x" * 10_000_000}))' >huge.jsonl
expect huge_record 0 "1 in = " "$T" reason --dataset huge.jsonl -o h.jsonl --server "$short"
holds huge_record_fails grep -q "context overflow" err

# ---- refused before anything is sent ----
expect no_dataset 2 "--dataset FILE is missing" "$T" reason -o x.jsonl
expect no_output 2 "-o FILE is missing" "$T" reason --dataset d.jsonl --server "$A"
expect no_server 2 "--server URL or --serve COMMAND" "$T" reason --dataset d.jsonl -o z.jsonl
expect output_name 2 ".parquet" "$T" reason --dataset d.jsonl -o z.txt --server "$A"
expect gpus_of_none 2 "--num-gpus does nothing without --serve" "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --num-gpus 2
expect retry_of_less 2 "--max-tokens-retry 1000 is not above --judge-max-tokens 1024" \
    "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --max-tokens 512 --max-tokens-retry 1000
expect retry_of_as_much 2 "--max-tokens-retry 4096 is not above --max-tokens 4096" \
    "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --max-tokens-retry 4096
expect nobody_to_wait_for 2 "--node-timeout does nothing" "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --node-timeout 9
expect rank_too_high 2 "they are 0 to 1" "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --num-nodes 2 --node-rank 2
expect start_too_high 1 "has 60 records" "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --start-from 60
echo "Solve it" >p.txt
expect prompt_without_problem 1 "p.txt: the prompt to generate has no place {problem}" \
    "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --prompt-generate p.txt
echo "{problem} {reasonin} {reasoning}" >p.txt
expect prompt_misspelt 1 "no place {reasonin}" "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --prompt-evaluate p.txt
expect key_not_there 1 "get the data set from the Hugging Face hub" "$T" reason --dataset gsm8k -o z.jsonl --server "$A"
expect folder_of_a_file 1 "--data-dir goes with a key" "$T" reason --dataset d.jsonl --data-dir data -o z.jsonl --server "$A"
expect split_of_a_file 1 "--split goes with a key" "$T" reason --dataset d.jsonl --split train -o z.jsonl --server "$A"
expect extra_of_ours 1 '"seed" is an option' "$T" reason --dataset d.jsonl -o z.jsonl --server "$A" --extra-body '{"seed":1}'
holds nothing_was_left test ! -e z.jsonl.run

# ---- the disk is full: one line, and what has come is kept ----
# shellcheck disable=SC2016
expect full_disk 1 "full.jsonl.run/results.sqlite" bash -c 'trap "" XFSZ; ulimit -f 96; exec "$@"' bash \
    "$T" reason --dataset d.jsonl -o full.jsonl --server "$A" -q
holds full_disk_one_line test "$(wc -l <err)" = 1
expect full_disk_goes_on 0 "60 in = " "$T" reason --dataset d.jsonl -o full.jsonl --server "$A" --resume
same full_disk_bytes out.jsonl full.jsonl

# ---- as many descriptors as requests in flight: the soft limit is raised, the hard one named ----
few() { # -n or -Sn, OUT
    (ulimit "$1" 32 && exec "$T" reason --dataset d.jsonl --server "$slow" --batch-size 60 -o "$2")
}
expect soft_limit 0 "60 in = " few -Sn soft.jsonl
holds soft_limit_is_no_dead_server sh -c '! grep -q "is down" err'
same soft_limit_bytes out.jsonl soft.jsonl
expect hard_limit 1 "this process may have 32 (ulimit -n)" few -n hard.jsonl
holds hard_limit_is_no_dead_server sh -c '! grep -q "is down" err'
expect hard_limit_goes_on 0 "60 in = " "$T" reason --dataset d.jsonl -o hard.jsonl --server "$A" --resume
same hard_limit_bytes out.jsonl hard.jsonl

# ---- names ----
expect address_of_no_store 0 "--master-addr and --master-port are of --store" \
    "$T" reason --dataset d.jsonl -n 1 -o addr.jsonl --server "$A" --master-addr localhost
cp d.jsonl $'d\xff.jsonl'
expect no_utf8 1 "run.json cannot name it" "$T" reason --dataset $'d\xff.jsonl' -n 1 -o utf.jsonl --server "$A"
expect no_threads_to_verify 2 "threads" "$T" reason verify d.jsonl --threads 2

# ---- one server reasons, another one judges ----
serve G --log reasoned --port 0
serve J --log judged --model judge --key secret
judges=(--dataset d.jsonl --server "$G" --judge-server "$J" --judge-api-key-env)
expect judge 0 "60 in = " "$T" reason "${judges[@]}" GOOD_KEY -o judged.jsonl --judge-model judge
holds judge_judges test "$(cut -d' ' -f2 judged | sort -u)" = evaluate
holds judge_alone test "$(cut -d' ' -f2 reasoned | sort -u | tr '\n' ' ')" = "generate improve "
expect judge_without_model 1 "nobody" "$T" reason "${judges[@]}" GOOD_KEY -o judged2.jsonl --judge-model nobody
expect judge_without_key 1 "401" "$T" reason "${judges[@]}" BAD_KEY -o judged3.jsonl

# ---- little memory: few requests in flight, unless they are asked for ----
most() { python3 -c 'import json, sys, urllib.request as u; print(json.load(u.urlopen(sys.argv[1] + "/mock"))["most_running"])' "$1"; }
serve low --latency 0.1
serve wide --latency 0.1
"$T" reason --dataset d.jsonl -o low.jsonl --server "$low" -q --low-memory 2>err
"$T" reason --dataset d.jsonl -o wide.jsonl --server "$wide" -q 2>err
holds low_memory_in_flight test "$(most "$low")" = 16
holds wide_in_flight test "$(most "$wide")" -gt 16

# ---- a free place without work costs nothing: one record in flight for 2 s is at most 4 looks a second, and what starts and ends it ----
if command -v gcc >/dev/null && gcc -shared -fPIC -O1 -o counted.so "$ROOT/tests/cli/counted_waits.c"; then
    serve late --latency 2
    expect idle 0 "1 in = " env LD_PRELOAD="$PWD/counted.so" COUNTED_WAITS="$PWD/waits" "$T" reason --dataset d.jsonl -n 1 -o idle.jsonl \
        --server "$(cat late.url)" --max-iterations 0
    holds idle_waits test "$(cat waits)" -gt 4 -a "$(cat waits)" -lt 200
else
    echo "SKIP: idle: no gcc"
fi

# ---- how much is said ----
one=(--dataset d.jsonl -n 4 -f --model mock --serve "$MOCK --port {port} --fault 'attempt=1 stage=generate status:500'" --cleanup-delay 0)
expect warnings 0 "no GPU is visible" "$T" reason -o said.jsonl "${one[@]}"
holds warnings_are_not_debug sh -c '! grep -q "attempt 1" err'
expect debug 0 "attempt 1: HTTP 500" "$T" reason -o said.jsonl "${one[@]}" --debug
expect no_warnings 0 "4 in = " "$T" reason -o said.jsonl "${one[@]}" --no-warnings
holds no_warnings_none sh -c '! grep -q "no GPU\|attempt 1\|is ready" err'

# ---- numbers as they were written ----
printf '%s\n' '{"problem":"What is 1 + 1?","x":1e3,"y":-2.50E-07,"z":[0.10, 1.0]}' >numbers.jsonl
expect numbers 0 "1 in = " "$T" reason --dataset numbers.jsonl -o n.jsonl --server "$A"
holds numbers_stay grep -qF '{"x":1e3,"y":-2.50E-07,"z":[0.10, 1.0],"problem"' n.jsonl

# ---- without a server ----
expect list 0 "" "$T" reason --list-datasets
says list_keys numina_math
expect info 0 "" "$T" reason --dataset-info aqua
says info_source deepmind/aqua_rat
expect info_unknown 2 "did you mean gsm8k" "$T" reason --dataset-info gsm8
mkdir data
printf '%s\n' '{"question":"Two and two?","answer":"It is 2+2.\n#### 4"}' '{"question":"Ten?","answer":"#### 10"}' >data/gsm8k.jsonl
expect dry_run 0 "" "$T" reason --dataset gsm8k --dry-run
says dry_run_prompt "Two and two?"
says dry_run_tokens "improve and evaluate, at most"
expect key 0 "--force-download: nothing is downloaded; data/gsm8k.jsonl is indexed anew" \
    "$T" reason --dataset gsm8k -o g.jsonl --server "$A" --force-download
holds key_is_all grep -q "2 in = " err
holds key_has_gold python3 -c 'import json; assert all(json.loads(s)["verdict"] in ("equal", "different") for s in open("g.jsonl"))'
