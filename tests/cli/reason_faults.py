"""reason_faults.py - runs through servers that break by script: nothing is lost, and nothing is asked twice without need.

The oracle is a run through a server that does not break: whatever happens on the way, the final file is the same, byte for byte, and
the server's own log says what was asked.  Cases wait more than they compute, so six run at a time.  Prints `ok name`, `FAIL name`.
ONLY=part of names runs those.
"""
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import time

TABMILL = os.environ["TABMILL"]
ROOT = os.getcwd()
TMP = os.environ["TEST_TMP"]
MOCK = os.path.join(TMP, "mock_server")  # a path without a space, since it is written into commands
os.symlink(os.path.join(ROOT, os.environ["TEST_BUILD"], "tests/mock/mock_server"), MOCK)
LATE = os.path.join(TMP, "late.sh")  # its server's connections are gone a while before it is
with open(LATE, "w") as script:
    script.write('#!/bin/sh\n"$@"\nstatus=$?\nsleep 0.7\nexit $status\n')
os.chmod(LATE, 0o755)
N = 24
ONLY = os.environ.get("ONLY", "")


class Wrong(Exception):
    pass


def must(fact, why):
    if not fact:
        raise Wrong(why)


class Server:
    def __init__(self, folder, *options):
        self.log = os.path.join(folder, "server%d.log" % random.getrandbits(40))
        self.p = subprocess.Popen([MOCK, "--port", "0", "--log", self.log, *options], stdout=subprocess.PIPE, text=True)
        self.url = self.p.stdout.readline().strip()
        must(self.url, "the mock server did not start")

    def chats(self):
        """(stage, hash, attempt, prompt tokens, completion tokens, status, fault, sent or cut) of each"""
        return [tuple(line.split()[1:]) for line in open(self.log)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.p.send_signal(signal.SIGCONT)
        self.p.kill()
        self.p.wait()


def run(folder, *options, name="f", data="d.jsonl", status=0, patience="60"):
    out = os.path.join(folder, name + ".jsonl")
    p = subprocess.run([TABMILL, "reason", "--dataset", os.path.join(TMP, data), "-o", out, "--first-byte-timeout", patience,
                        "--idle-timeout", patience, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    must(p.returncode == status, "status %d: %s" % (p.returncode, p.stderr[-400:]))
    p.bytes = open(out, "rb").read() if os.path.exists(out) else None
    return p


def same(p):
    if p.bytes != BASE:
        ours, theirs = p.bytes.split(b"\n"), BASE.split(b"\n")
        first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
        raise Wrong("line %d of %d differs" % (first, len(theirs)))


def without(records):
    lines = BASE.split(b"\n")
    return b"\n".join(line for i, line in enumerate(lines) if i not in records)


# ---- cases: each gets a folder of its own ----

def again(folder, fault, mode, scale=None):
    """On the first attempt of a fifth of all requests: each of those is asked once more, and no other."""
    with Server(folder, "--fault", "share=0.2 attempt=1 " + fault) as s:
        same(run(folder, "--server", s.url, mode, patience=str(0.7 * scale) if scale else "60"))
        chats = s.chats()
        faulted = sum(c[6] != "none" for c in chats)
        must(faulted > 3, "only %d requests failed" % faulted)
        must(len(chats) == ASKED + faulted, "%d requests for %d, %d failed" % (len(chats), ASKED, faulted))


def bent(folder, fault, mode):
    """The bytes are odd, what they say is not: nothing is asked again."""
    with Server(folder, "--fault", fault) as s:
        same(run(folder, "--server", s.url, mode))
        must(len(s.chats()) == ASKED, "%d requests, not %d" % (len(s.chats()), ASKED))


def tokens(folder):
    with Server(folder) as s:
        same(run(folder, "--server", s.url))
        stages = json.load(open(os.path.join(folder, "f.jsonl.run/manifest.json")))["stages"].values()
        chats = s.chats()
        must(len(chats) == sum(x["responses"] for x in stages), "responses")
        must(sum(int(c[3]) for c in chats) == sum(x["prompt"] for x in stages), "prompt tokens")
        must(sum(int(c[4]) for c in chats) == sum(x["completion"] for x in stages), "completion tokens")


def mended(folder):
    """Answers that are no UTF-8 are mended, the same way each time."""
    with Server(folder, "--fault", "stage=generate bad-utf8", "--fault", "stage=improve bad-utf8") as s:
        first, second = run(folder, "--server", s.url), run(folder, "--server", s.url, "--no-stream", name="g")
        must(first.bytes == second.bytes, "not the same twice")
        texts = [json.loads(line)["reasoning"] for line in first.bytes.decode("utf-8").splitlines()]
        must(len(texts) == N and all("\ufffd" in t for t in texts), "no U+FFFD")


def lost_record(folder):
    """One record never gets an answer: it fails, with the reason, after so many attempts; the others are as ever; it can be run again."""
    with Server(folder, "--fault", "text=Problem%205. torn") as s, Server(folder) as good:
        p = run(folder, "--server", s.url)
        must(p.bytes == without({5}), "the others differ")
        must("garbled: broken JSON" in p.stderr, p.stderr[-300:])
        must(sum(c[6] == "torn" for c in s.chats()) <= 5, "asked too often")
        failed = os.path.join(folder, "f.jsonl.run/failed.jsonl")
        p = run(folder, "--server", good.url, name="again", data=failed)
        must(p.bytes.count(b"\n") == 1 and json.loads(p.bytes)["id"] == "r5", "failed.jsonl cannot be run")


def slow_drip(folder, scale):
    with Server(folder, "--fault", "share=0.1 attempt=1 drip:40") as s:
        same(run(folder, "--server", s.url, "--timeout", str(0.6 * scale), "--no-stream"))


def stopped_server(folder, *limits, scale):
    """One of two servers stands still in mid run; what it had goes to the other, long before requests time out by themselves."""
    with Server(folder, "--latency", "0.05") as a, Server(folder, "--latency", "0.05") as b:
        command = [TABMILL, "reason", "--dataset", os.path.join(TMP, "d.jsonl"), "-o", os.path.join(folder, "f.jsonl"), "-q", "--server",
                   a.url, "--server", b.url, "--batch-size", "4"]
        for name in limits:
            command += [name, str(0.7 * scale)]
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while not os.path.exists(a.log) or len(a.chats()) < 5:
            time.sleep(0.01)
        a.p.send_signal(signal.SIGSTOP)
        try:
            err = p.communicate(timeout=120)[1]
        finally:
            p.kill()
        must(p.returncode == 0, err[-300:])
        p.bytes = open(os.path.join(folder, "f.jsonl"), "rb").read()
        same(p)


def refusing(folder):
    """A server with four places that says 503 to more: the window finds it out, and the requests do not become a storm."""
    with Server(folder, "--window", "4", "--refuse", "--latency", "0.02") as s:
        same(run(folder, "--server", s.url))
        must(len(s.chats()) <= 2 * ASKED, "%d requests for %d" % (len(s.chats()), ASKED))


def served(folder, fault, n):
    log = os.path.join(folder, "served.log")
    return ["--serve", "%s --port {port} --model {model} --log %s --fault '%s'" % (MOCK, log, fault), "--model", "mock", "--num-gpus", str(n),
            "--cleanup-delay", "0.2"], log


def crashes(folder):
    """A server of ours that dies is started again; its second life is too short for the fault."""
    options, log = served(folder, "nth=100 crash", 1)
    same(run(folder, *options))
    must(sum(" crash " in line for line in open(log)) == 1, "no server died, or two")


def poison(folder, *wrapper):
    """A record that kills servers is put aside after the second, and only that one, however long they take to die."""
    options, log = served(folder, "text=Problem%207. crash", 2)
    options[1] = " ".join([*wrapper, options[1]])
    p = run(folder, *options)
    must(p.bytes == without({7}), "the others differ")
    must("killed 2 servers" in p.stderr, p.stderr[-300:])
    deaths = sum(" crash " in line for line in open(log))
    must(deaths == 2, "%d servers died" % deaths)


def huge(folder):
    with Server(folder, "--fault", "nth=3 huge:10000000") as s:
        p = run(folder, "--server", s.url, "--max-iterations", "0", "--quality-threshold", "0")
        must(p.bytes.count(b"\n") == N and len(p.bytes) > 10_000_000, "%d bytes" % len(p.bytes))


CASES = {"tokens": (tokens,), "mended": (mended,), "lost_record": (lost_record,), "slow_drip": (slow_drip,), "stopped_server": (stopped_server, "--first-byte-timeout", "--idle-timeout"),
         "lost_server": (stopped_server, "--hang-timeout"),
         "refusing": (refusing,), "crashes": (crashes,), "poison": (poison,), "poison_dies_late": (poison, LATE), "huge": (huge,)}
for mode in "--stream", "--no-stream":
    for fault in ("status:429 retry-after=0.1", "status:500", "status:503", "reset-before", "reset-body", "close-body", "not-http", "torn", "no-choices",
                  "no-finish", "error-mid", "null-content", "empty-content", "hang", "hang-body", "finish:abort"):
        CASES[fault.split()[0] + mode[1:]] = (again, fault, mode)
    for fault in "duplicate-keys", "share=0.2 odd-chunks:1", "odd-chunks:7":
        CASES[fault.split()[-1] + mode[1:]] = (bent, fault, mode)
CASES["pings-stream"] = (bent, "pings", "--stream")
for fault in "long-length", "short-length":
    CASES[fault] = (again, fault, "--no-stream")


def one(name):
    """A case that waits for less than a second is tried again, with more patience: a good answer of a busy machine is late, too."""
    case, *arguments = CASES[name]
    is_timed = case in (slow_drip, stopped_server) or "hang" in name
    for scale in (1, 4, 16) if is_timed else (None,):
        folder = os.path.join(TMP, "%s_%s" % (name.replace(":", "_"), scale))
        os.mkdir(folder)
        try:
            case(folder, *arguments, **({"scale": scale} if scale else {}))
            return "ok " + name
        except (Wrong, subprocess.TimeoutExpired, OSError, LookupError, ValueError) as e:
            result = "FAIL %s: %s" % (name, e)
    return result


random.seed(3)
with open(os.path.join(TMP, "d.jsonl"), "w") as f:
    for i in range(N):
        a, b = random.randint(1, 99), random.randint(1, 99)
        f.write(json.dumps({"id": "r%d" % i, "problem": "Problem %d. What is %d + %d?" % (i, a, b), "answer": str(a + b)}) + "\n")
with Server(TMP) as good:
    BASE = run(TMP, "--server", good.url, "--no-stream", name="base").bytes
    ASKED = len(good.chats())
must(BASE.count(b"\n") == N, "the run without faults")
with concurrent.futures.ThreadPoolExecutor(6) as pool:
    for line in pool.map(one, [name for name in CASES if ONLY in name]):
        print(line, flush=True)
