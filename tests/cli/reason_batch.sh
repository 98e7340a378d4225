#!/bin/bash
# reason_batch.sh - a run through batch files: the same final file as through requests.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
serve url

python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(12):
        f.write(json.dumps({"id": f"r{i}", "problem": f"What is {i} + {i}?", "answer": str(2 * i)}) + "\n")
END
same=(--dataset d.jsonl --samples-per-example 2 -q --no-stream)
"$T" reason "${same[@]}" -o want.jsonl --server "$url" 2>err || cat err
# The same run with an empty store: what its first answers were, all but the first, never came.
cp -r want.jsonl.run out.jsonl.run
sed -i 's/want.jsonl/out.jsonl/' out.jsonl.run/run.json
python3 - <<'END'
import sqlite3
db = sqlite3.connect("out.jsonl.run/results.sqlite")
db.execute("DELETE FROM result WHERE key > 0")
db.execute("DELETE FROM range")
db.execute("UPDATE count SET value = 0")
db.execute("UPDATE count SET value = 1 WHERE name = 'rows.generate'")
db.commit()
END
cp -r out.jsonl.run once.jsonl.run
sed -i 's/out.jsonl/once.jsonl/' once.jsonl.run/run.json
cat >answer.py <<'END'
"""A hosted server's batch interface: answers a file by asking the mock; shuffled, with errors for a few of the first round."""
import json, random, sys, urllib.request
url, name, to, errors = sys.argv[1:]
lines = [dict(json.loads(l), text=l[l.index('"body":') + 7:-2]) for l in open(name)]  # its answer depends on the bytes
random.Random(1).shuffle(lines)
with open(to, "w") as f:
    for i, l in enumerate(lines):
        assert set(l) == {"custom_id", "method", "url", "body", "text"} and l["method"] == "POST" and not l["body"].get("stream"), l
        o = {"id": f"batch_{i}", "custom_id": l["custom_id"], "response": None, "error": None}
        if i < int(errors):
            o["error"] = {"code": "batch_expired", "message": "it took too long"}
            if i % 2:
                o["error"], o["response"] = None, {"status_code": 500, "body": {"error": {"message": "oh"}}}
        else:
            r = urllib.request.Request(url + l["url"], l["text"].encode(), {"Content-Type": "application/json"})
            o["response"] = {"status_code": 200, "request_id": "x", "body": json.load(urllib.request.urlopen(r))}
        f.write(json.dumps(o) + "\n")
END
expect first_requests 0 "24 requests" "$T" reason export out.jsonl --openai-batch -o requests.jsonl
holds one_is_a_second_step grep -q -- '-0-0-1"' requests.jsonl
python3 answer.py "$url" requests.jsonl answers.jsonl 3
cp answers.jsonl all.jsonl
expect answers_are_taken 0 "21 responses were taken, 0 were known" "$T" reason import out.jsonl --openai-batch answers.jsonl
holds errors_stay_open grep -q "3 requests without an answer there" err
expect answers_are_taken_once 0 "0 responses were taken, 21 were known" "$T" reason import out.jsonl --openai-batch answers.jsonl
for _ in $(seq 8); do
    "$T" reason export out.jsonl --openai-batch -o requests.jsonl -f -q
    [ -s requests.jsonl ] || break
    python3 answer.py "$url" requests.jsonl answers.jsonl 0
    "$T" reason import out.jsonl --openai-batch answers.jsonl -q
    cat answers.jsonl >>all.jsonl
done
holds rounds_come_to_an_end [ ! -s requests.jsonl ]
expect export 0 "24 chains" "$T" reason export out.jsonl -o got.jsonl
holds same_as_by_requests cmp got.jsonl want.jsonl
# ---- all rounds at once, the last first, each answer twice; a refusal ----
rows() { python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1] + ".run/results.sqlite").execute("SELECT count(*) FROM result").fetchone()[0])' "$1"; }
taken=$(($(rows out.jsonl) - 1)) # one was there
expect step_without_the_one_before 1 "is answered, but step" "$T" reason import once.jsonl --openai-batch answers.jsonl
cat all.jsonl all.jsonl | tac >both.jsonl
expect all_rounds_at_once 0 "$taken responses were taken, $taken were known" "$T" reason import once.jsonl --openai-batch both.jsonl
expect export_of_once 0 "24 chains" "$T" reason export once.jsonl -o once_got.jsonl
holds once_is_the_same cmp once_got.jsonl want.jsonl
python3 - <<'END'
import json, sqlite3
db = sqlite3.connect("once.jsonl.run/results.sqlite")
db.execute("DELETE FROM result WHERE key / 65536 = 3")
db.execute("DELETE FROM range")
db.commit()
import json, sqlite3
db = sqlite3.connect("once.jsonl.run/results.sqlite")
db.execute("DELETE FROM result WHERE key / 65536 = 3")
db.execute("DELETE FROM range")
db.commit()
END
"$T" reason export once.jsonl --openai-batch -o refused.jsonl -q
id=$(head -1 refused.jsonl | sed 's/.*"custom_id":"\([^"]*\)".*/\1/')
echo '{"custom_id":"'"$id"'","response":{"status_code":400,"body":{"error":{"message":"no such option"}}},"error":null}' >refusal.jsonl
expect refusal 0 "1 responses were taken" "$T" reason import once.jsonl --openai-batch refusal.jsonl
"$T" reason export once.jsonl --openai-batch -o refused.jsonl -q -f
holds refusal_ends_its_chain [ "$(wc -l <refused.jsonl)" = 1 ]
sed 's/"custom_id": "[0-9a-f]*/"custom_id": "ffffffffffff/' answers.jsonl >foreign.jsonl
expect foreign_answers 1 "of another run" "$T" reason import out.jsonl --openai-batch foreign.jsonl
echo '{"custom_id":"mine-7"}' >other.jsonl
expect other_files 1 "other.jsonl:1: custom_id mine-7 is not of a run" "$T" reason import out.jsonl --openai-batch other.jsonl
echo '{"custom_id":7}' >other.jsonl
expect no_custom_id 1 "other.jsonl:1: custom_id is missing" "$T" reason import out.jsonl --openai-batch other.jsonl
expect file_missing 2 "FILE is missing" "$T" reason import out.jsonl
expect not_both 2 "not both" "$T" reason export out.jsonl --openai-batch --failed -o x.jsonl
