#!/bin/bash
# reason_look.sh - looking at a run: status, export, and what the page refuses.
# shellcheck disable=SC2154  # serve NAME sets $NAME
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"

python3 - <<'END'
import json
with open("d.jsonl", "w") as f:
    for i in range(40):
        r = {"id": f"r{i}", "problem": f"What is {i} + {i}?", "answer": str(2 * i)}
        if i == 7:
            del r["problem"]
        f.write(json.dumps(r) + "\n")
END
serve url
"$T" reason --dataset d.jsonl -o out.jsonl --server "$url" -q --samples-per-example 2 2>err || cat err

# ---- status ----
cat >look.py <<'END'
"""The status against the final file, the manifest and the store, read apart."""
import json, sqlite3, sys
s, m = json.load(open("status.json")), json.load(open("out.jsonl.run/manifest.json"))
out = [json.loads(l) for l in open("out.jsonl")]
db = sqlite3.connect("file:out.jsonl.run/results.sqlite?mode=ro", uri=True)
one = lambda q: db.execute(q).fetchone()[0]
assert s["chains"] == 80 == s["done"] and s["open"] == 0, s
assert s["failed"] == 2 and s["good"] + s["weak"] == 78 == len(out), s
assert s["weak"] == sum(o["needs_improvement"] for o in out)
assert list(s["failures"].values()) == [2] and "problem" in list(s["failures"])[0], s["failures"]
for k, name in enumerate(("generate", "evaluate", "improve")):
    v = s["stages"][name]
    assert v["responses"] == one(f"select count(*) from result where stage={k} and finish>0") > 0
    assert v["completion_tokens"] == one(f"select sum(completion_tokens) from result where stage={k} and finish>0")
assert sum(s["scores"]) == 78
for i in range(20):
    inside = sum(min(int(o["quality_score"] * 20 + 1e-12), 19) == i for o in out)
    assert s["scores"][i] == inside, (i, s["scores"], inside)
assert s["responses"] == sum(v["responses"] for v in s["stages"].values())
assert s["duplicates"] == 0 and s["cap_hit_rate"] == 0
END
expect status_json 0 "" "$T" reason status out.jsonl --json
cp out status.json
holds status_is_right python3 look.py
expect status_words 0 "" "$T" reason status out.jsonl.run
holds status_words_are_right grep -q "^80 of 80 chains (100.0%): .* 2 failed, 0 open" out
holds status_reasons grep -q "^failed 2: .*problem" out
# While it runs: rates, and when it will end; what has come can be had.
serve slow --latency 0.5
"$T" reason --dataset d.jsonl -o going.jsonl --server "$slow" --batch-size 4 --samples-per-example 50 -q & # minutes, if it is let
going=$!
goes() {
    "$T" reason status going.jsonl --json >out && python3 -c '
import json
s = json.load(open("out"))
assert s["is_running"] and 0 < s["done"] < 2000 and s["chains_per_second"] > 0 and s["tokens_per_second"] > 0 and s["eta_seconds"] > 0'
}
wait_until goes
verdict status_running_is_right $?
expect status_running 0 "" "$T" reason status going.jsonl
says status_has_rates "chains/s"
says status_has_time_to_go " to go"
expect status_running_json 0 "" "$T" reason status going.jsonl --json
expect export_running 0 "chains" "$T" reason export going.jsonl -o so_far.jsonl
holds export_running_has_some test -s so_far.jsonl
kill -INT $going
wait $going
expect status_stopped 0 "" "$T" reason status going.jsonl
says status_says_how_to_go_on "not running; tabmill reason ... --resume goes on"
expect status_of_nothing 1 "no run" "$T" reason status d.jsonl
expect status_without_run 2 "RUN" "$T" reason status

# ---- export ----
expect export_jsonl 0 "78 chains" "$T" reason export out.jsonl -o e.jsonl
holds export_is_the_final_file cmp e.jsonl out.jsonl
expect export_json 0 "78 chains" "$T" reason export out.jsonl -o e.json
expect export_csv 0 "78 chains" "$T" reason export out.jsonl -o e.csv
holds export_formats_agree python3 -c '
import csv, json
a = [json.loads(l) for l in open("e.jsonl")]
assert json.load(open("e.json")) == a
b = list(csv.DictReader(open("e.csv", newline="")))
assert [r["reasoning"] for r in b] == [r["reasoning"] for r in a] and list(b[0]) == list(a[0])'
expect export_failed 0 "1 record that failed" "$T" reason export out.jsonl -o f.jsonl --failed
holds export_failed_runs_again python3 -c '
import json
[r] = [json.loads(l) for l in open("f.jsonl")]
assert r["record"] == 7 and "problem" in r["failure"]'
expect export_no_overwriting 1 "--force" "$T" reason export out.jsonl -o e.jsonl
expect export_wrong_kind 1 "xlsx" "$T" reason export out.jsonl -o e.xlsx
expect export_no_output 2 "FILE is missing" "$T" reason export out.jsonl
cp -r out.jsonl.run other.run
sed -i 's/d.jsonl/gone.jsonl/' other.run/run.json
expect export_without_data 1 "gone.jsonl" "$T" reason export other.run -o g.jsonl

# ---- the page ----
"$T" reason watch out.jsonl --port 0 >page 2>err &
watcher=$!
wait_until [ -s page ]
cat >ask.py <<'END'
"""Who may ask for what; prints ok or what was wrong."""
import http.client, json, sys, urllib.parse
host = urllib.parse.urlsplit(open("page").read().strip()).netloc
port = host.split(":")[1]

def ask(path="/", method="GET", body=None, **headers):
    c = http.client.HTTPConnection(host, timeout=10)
    c.putrequest(method, path, skip_host=True)
    for k, v in {"Host": host, **headers}.items():
        if v is not None:
            c.putheader(k, v)
    if body is not None:
        c.putheader("Content-Length", str(len(body)))
    c.endheaders(body)
    r = c.getresponse()
    return r.status, r.headers, r.read().decode()

status, headers, page = ask()
assert status == 200 and "<script src=\"/watch.js\"" in page and page.count("<script") == 1, page
assert "onclick" not in page and "onload" not in page and "style=" not in page
csp = headers["Content-Security-Policy"]
assert "default-src 'none'" in csp and "unsafe" not in csp and "frame-ancestors 'none'" in csp, csp
assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
assert headers["Access-Control-Allow-Origin"] is None
for bad in ("evil.example", "evil.example:" + port, "127.0.0.1", "127.0.0.1:1", "127.0.0.1:" + port + ".evil.example", "", None):
    for path in ("/", "/status.json", "/latest.json", "/watch.js"):
        status, _, text = ask(path, Host=bad)
        assert status == 403 and "chains" not in text, (bad, path, status)
for bad in ("http://evil.example", "null", "https://" + host, "http://127.0.0.1:1", "http://evil.example:" + port):
    assert ask("/status.json", Origin=bad)[0] == 403, bad
for good in ("http://" + host, "http://localhost:" + port):
    assert ask("/status.json", Origin=good)[0] == 200, good
assert ask("/", Host="localhost:" + port)[0] == 200
for method in ("POST", "PUT", "DELETE", "OPTIONS"):
    status, headers, _ = ask("/status.json", method, b"x" if method in ("POST", "PUT") else None)
    assert status == 405 and headers["Access-Control-Allow-Origin"] is None, (method, status)
assert ask("/", "HEAD")[2] == ""
for path in ("/nothing", "/../etc/passwd", "//", "/status.json/"):
    assert ask(path)[0] == 404, path
s = json.loads(ask("/status.json")[2])
mine = json.load(open("status.json"))
assert {k: s[k] for k in ("chains", "done", "failed", "scores", "failures")} == {k: mine[k] for k in ("chains", "done", "failed", "scores", "failures")}
latest = json.loads(ask("/latest.json")[2])
assert len(latest) == 20 and all(r["stage"] in ("generate", "evaluate", "improve") for r in latest)
END
python3 ask.py >asked 2>&1
holds page_answers_and_refuses [ $? = 0 ] || cat asked
holds page_listens_on_loopback_alone python3 -c '
port = int(open("page").read().strip().rstrip("/").rsplit(":", 1)[1])
at = [l.split()[1] for l in open("/proc/net/tcp").readlines()[1:] if l.split()[3] == "0A" and int(l.split()[1].split(":")[1], 16) == port]
assert at == ["0100007F:%04X" % port], at
assert not any(int(l.split()[1].split(":")[1], 16) == port for l in open("/proc/net/tcp6").readlines()[1:] if l.split()[3] == "0A")'
port=$(sed 's/.*:\([0-9]*\).*/\1/' page)
expect page_port_in_use 1 "port $port" "$T" reason watch out.jsonl --port "$port"
kill -INT "$watcher"
wait "$watcher"
holds page_ends_by_itself [ $? = 0 ]
holds run_is_untouched cmp e.jsonl out.jsonl
