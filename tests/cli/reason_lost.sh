#!/bin/bash
# reason_lost.sh - what a plain program loses when its server is killed and started again, and `tabmill reason` does not.  The plain program is of
# the kind that people write: threads that ask, go on when a request fails, and append what came to one file.
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
: >out
: >err
server=
trap '[ -z "$server" ] || end' EXIT
for i in $(seq 60); do echo "{\"id\":\"r$i\",\"problem\":\"What is $i + 3?\",\"answer\":\"$((i + 3))\"}"; done >d.jsonl
cat >plain.py <<'END'
import concurrent.futures, json, sys, urllib.request
url, to = sys.argv[1:]
out = open(to, "a")
def ask(record):
    body = {"model": "mock", "messages": [{"role": "user", "content": record["problem"]}], "max_tokens": 4096, "seed": 1}
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        reply = json.load(urllib.request.urlopen(request, timeout=20))
        out.write(json.dumps({**record, "reasoning": reply["choices"][0]["message"]["content"]}) + "\n")
    except Exception as e:
        print(f"{record['id']}: {e}")
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(ask, [json.loads(line) for line in open("d.jsonl")]))
END
# A server that is killed by its 20th chat, and stands again half a second later.
begin() {
    rm -f url
    (
        "$MOCK" --port 0 --latency 0.02 --fault "nth=20 crash" >url 2>/dev/null &
        wait $!
        sleep 0.5
        port=$(sed 's/.*://' url)
        "$MOCK" --port "$port" --latency 0.02 >/dev/null 2>&1 &
        wait
    ) &
    server=$!
    for _ in $(seq 500); do [ -s url ] && break; sleep 0.02; done
}
end() {
    # The second life may not have begun.
    while kill -0 "$server" 2>/dev/null; do pkill -P "$server"; sleep 0.1; done
    wait "$server" 2>/dev/null
    server=
}
begin
python3 plain.py "$(cat url)" plain.jsonl >out 2>err
verdict plain_ends $? "$(tail -1 err)"
end
lost=$((60 - $(wc -l <plain.jsonl)))
holds plain_loses_rows test "$lost" -gt 0
begin
expect ours 0 "60 in = " "$T" reason --dataset d.jsonl -o ours.jsonl --server "$(cat url)" --batch-size 4 --max-iterations 0 --start-timeout 20
end
holds ours_loses_none test "$(wc -l <ours.jsonl)" = 60
holds ours_fails_none test ! -s ours.jsonl.run/failed.jsonl
echo "# lost: $lost of 60 by the plain program, $((60 - $(wc -l <ours.jsonl))) by ours"
