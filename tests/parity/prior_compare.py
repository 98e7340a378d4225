"""Ours beside the official generator's data sets: two samples of summaries (prior_summary.py), a test for each summary of each kind.

The test is that of Kolmogorov and Smirnov on the values that are there, and Fisher's exact one on how many are; both samples are rounded
to float16 first.  Data sets are independent on both sides (groups and blocks of one).  All tests of a comparison are one family: a
difference is reported where Holm's rule rejects at .01, so that a family without any difference is accepted 99 times in 100.  At 2,000
against 2,000 a distance of .07 or more is found in a family of 140.  Effect sizes: the distance D of the distribution functions (0 to 1),
and the difference of the means in standard deviations of the official ones.
"""
import os
import struct
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

for library in ("OMP", "OPENBLAS"):  # processes share the cores, threads would only wait for each other
    os.environ.setdefault(library + "_NUM_THREADS", "1")
import numpy as np  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from prior_official import KINDS, SEED  # noqa: E402
from prior_summary import NAMES, summarise  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ALPHA = 0.01
OURS = ["--batch-size", "1", "--batch-size-per-gp", "1"]


def our_options(kind):
    _, prior, more, recipe = KINDS[kind]
    options = recipe or ["--prior", prior]
    for name, flag in (("min_seq_len", "--min-seq"), ("max_seq_len", "--max-seq"), ("max_features", "--max-features")):
        if name in more:
            options = options + [flag, str(more[name])]
    return options + (["--log-seq"] if more.get("log_seq_len") else []) + OURS


def our_sets(tabmill, kind, first, n):
    """Yields (x, y, train_rows, classes, attempts, filtered)."""
    command = [tabmill, "prior", "stream", "-q", "--max-ahead", "0", "--seed", str(SEED), "-n", str(n), "--start-index", str(first)]
    with subprocess.Popen(command + our_options(kind), stdout=subprocess.PIPE) as p:
        while head := p.stdout.read(128):
            _, _, rows, train, d, _, classes, attempts, _, text = struct.unpack_from("<8s3q4idq", head)
            rejected = struct.unpack_from("<4i", head, 80)
            x = np.frombuffer(p.stdout.read(4 * rows * d), "<f4").reshape(d, rows).T
            y = np.frombuffer(p.stdout.read(4 * rows), "<f4")
            p.stdout.read(4 * d + text)
            yield x, y, train, classes, attempts, rejected[2]
    if p.returncode:
        raise RuntimeError("tabmill prior stream ended with status %d" % p.returncode)


def summarise_ours(job):
    tabmill, kind, first, n, learned = job
    return np.array([summarise(x, y, train, classes, attempts, filtered, with_learners=first + i < learned)
                     for i, (x, y, train, classes, attempts, filtered) in enumerate(our_sets(tabmill, kind, first, n))])


def ours(tabmill, kind, n, learned):
    """(n, len(NAMES)); scores of learners for the first `learned` only, NaN behind."""
    step = 50
    jobs = [(tabmill, kind, first, min(step, n - first), learned) for first in range(0, n, step)]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return np.concatenate(list(pool.map(summarise_ours, jobs)))


def draw_official(job):
    import json
    kind, first, n = job
    release = KINDS[kind][0]
    path = [os.path.join(ROOT, "build", "venv", "tabicl-" + release)] if release != "2.2.0" else []
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path + os.environ.get("PYTHONPATH", "").split(os.pathsep))}
    p = subprocess.run([sys.executable, os.path.join(HERE, "prior_official.py"), kind, str(first), str(n)], env=env, capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(p.stderr[-2000:])
    lines = [json.loads(line) for line in p.stdout.splitlines() if line.startswith("[")]
    return np.array([[np.nan if v is None else v for v in line[2]] for line in lines], np.float16)


def has_official(kind):
    """tools/venv.sh may have failed to get the older release."""
    return KINDS[kind][0] == "2.2.0" or os.path.isdir(os.path.join(ROOT, "build", "venv", "tabicl-" + KINDS[kind][0]))


def official(kind, first, n):
    cores = len(os.sched_getaffinity(0))
    step = min(100, -(-n // cores))  # a process takes seconds to import the packages
    jobs = [(kind, at, min(step, first + n - at)) for at in range(first, first + n, step)]
    with ProcessPoolExecutor(cores) as pool:
        return np.concatenate(list(pool.map(draw_official, jobs)))


def checked_in(kind):
    """The summaries of tests/parity/prior; None where a kind has none yet."""
    path = os.path.join(HERE, "prior", kind + ".npz")
    if not os.path.exists(path):
        return None
    with np.load(path) as f:
        assert list(f["names"]) == NAMES and str(f["release"]) == KINDS[kind][0] and int(f["seed"]) == SEED, path
        return f["rows"]


def save(kind, rows):
    np.savez_compressed(os.path.join(HERE, "prior", kind + ".npz"), rows=np.asarray(rows, np.float16), names=np.array(NAMES),
                        release=KINDS[kind][0], seed=SEED)


def compare(kind, theirs, mine):
    """Yields (kind, name, p, D, shift, median theirs, median mine)."""
    from scipy.stats import fisher_exact, ks_2samp

    for k, name in enumerate(NAMES):
        a, b = (np.asarray(s[:, k], np.float64) for s in (theirs, mine))
        there = [np.isfinite(v) for v in (a, b)]
        if not there[0].any() and not there[1].any():
            continue
        learned = name in ("linear", "trees")  # not of all on our side, and that is no difference
        p = 1 if learned else fisher_exact([[t.sum(), (~t).sum()] for t in there])[1]
        a, b = a[there[0]], b[there[1]]
        if not len(a) or not len(b):
            yield kind, name, 0.0, 1.0, np.nan, np.nan, np.nan
            continue
        test = ks_2samp(a, b, method="asymp")
        spread = a.std() or 1
        yield kind, name, min(1, 2 * min(p, test.pvalue)), test.statistic, (b.mean() - a.mean()) / spread, np.median(a), np.median(b)


def holm(rows, alpha=ALPHA):
    """The rows that differ."""
    bad = []
    for i, row in enumerate(sorted(rows, key=lambda r: r[2])):
        if row[2] > alpha / (len(rows) - i):
            break
        bad.append(row)
    return bad


def table(rows, bad):
    lines = ["%-10s %-18s %9s %7s %8s %11s %11s" % ("kind", "summary", "p", "D", "shift", "theirs", "ours")]
    for r in rows:
        lines.append("%-10s %-18s %9.2g %7.3f %8.3f %11.4g %11.4g%s" % (*r, "  differs" if r in bad else ""))
    return "\n".join(lines)


def kinds_here(tabmill):
    """The kinds that this build makes; the others, with the reason."""
    have, gone = [], []
    for kind in KINDS:
        p = subprocess.run([tabmill, "prior", "stream", "-q", "-n", "1", "--max-ahead", "0", *our_options(kind)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
        (gone if p.returncode else have).append((kind, p.stderr.strip()))
    return [k for k, _ in have], gone

