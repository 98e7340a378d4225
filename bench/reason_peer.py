"""reason_peer.py URL SECONDS IN_FLIGHT STORE - the requests of bench/reason.c by aiohttp: built, parsed and stored as there.

One session that keeps its connections, so many tasks as are in flight, json of the standard library; SQLite in WAL mode with
synchronous=FULL, and a commit for each 64 rows or 50 ms, as ours.  The same line of JSON.
"""
import asyncio
import json
import resource
import sqlite3
import sys
import time

import aiohttp

TEXT = ("Let \\(n\\) be an integer with \"n > 2\".\nShow that x^2 + y^2 = z "
        "has a solution whenever z is a sum of two squares, and find it. ")
PROMPT = (TEXT * 20)[:1850]
SCHEMA = ("CREATE TABLE results (key INTEGER PRIMARY KEY, stage INT, finish INT, outcome INT, score REAL, attempts INT, server INT, "
          "prompt_tokens INT, completion_tokens INT, cached_tokens INT, created INT, seconds REAL, first_byte REAL, content TEXT, "
          "reasoning TEXT, why TEXT)")


class Bench:
    def __init__(self, url, seconds, in_flight, store):
        self.url, self.seconds, self.in_flight = url + "/v1/chat/completions", seconds, in_flight
        self.asked = self.done = self.failed = self.bytes = 0
        self.db = sqlite3.connect(store, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute(SCHEMA)
        self.rows, self.committed = [], time.monotonic()

    def put(self, row):
        self.rows.append(row)
        if len(self.rows) >= 64 or time.monotonic() - self.committed > 0.05:
            self.commit()

    def commit(self):
        self.db.execute("BEGIN")
        self.db.executemany("INSERT OR IGNORE INTO results VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", self.rows)
        self.db.execute("COMMIT")
        self.rows, self.committed = [], time.monotonic()

    async def worker(self, session):
        while time.monotonic() < self.until:
            i = self.asked
            self.asked += 1
            prompt = "Problem %012d: " % i + PROMPT[22:]
            body = json.dumps({"model": "mock", "messages": [{"role": "system", "content": "Reason step by step."},
                                                              {"role": "user", "content": prompt}],
                               "max_tokens": 4096, "temperature": 0.7, "top_p": 0.95, "seed": i}, separators=(",", ":"))
            began = time.monotonic()
            async with session.post(self.url, data=body.encode(), headers={"Content-Type": "application/json"}) as response:
                reply = json.loads(await response.read())
            choice, usage = reply["choices"][0], reply["usage"]
            message = choice["message"]
            content = message["content"]
            self.done += 1
            self.failed += response.status != 200 or choice["finish_reason"] != "stop"
            self.bytes += len(content)
            self.put((i, 0, 1, 0, 0.0, 1, 0, usage["prompt_tokens"], usage["completion_tokens"],
                      usage["prompt_tokens_details"]["cached_tokens"], reply["created"], time.monotonic() - began, 0.0, content,
                      message.get("reasoning_content", ""), ""))

    async def run(self):
        self.until = time.monotonic() + self.seconds
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=600)) as session:
            await asyncio.gather(*(self.worker(session) for _ in range(self.in_flight)))
        self.commit()


def processor():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def main():
    bench = Bench(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    began, cpu = time.perf_counter(), processor()
    asyncio.run(bench.run())
    wall, cpu = time.perf_counter() - began, processor() - cpu
    print(json.dumps({"mode": "aiohttp " + aiohttp.__version__, "requests": bench.done, "failed": bench.failed, "bytes": bench.bytes,
                      "seconds": round(wall, 3), "processor": round(cpu, 3), "per_processor_second": round(bench.done / cpu)}))


main()
