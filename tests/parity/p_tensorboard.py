"""Event files read by TensorBoard's own reader, against metrics.jsonl of the same run.

Values go to the event file as floats, and to JSON as doubles in full: they are equal once the latter are rounded to float.  A NaN or an
infinity is null in JSON and left out of the events.  Of a run that was killed and resumed TensorBoard has to drop the points behind the
state that was gone on from, as metrics.jsonl has: its accumulator's points are the file's lines, each once.
"""
# NEEDS: numpy tensorboard
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build/release/tabmill"))
TABLE = os.path.join(ROOT, "examples/penguins.csv")
NO_TAG = {"ts", "step", "epoch", "rank"}


def verdict(name, wrong):
    print("ok " + name if not wrong else "FAIL %s: %s" % (name, wrong))


def fit(folder, *options, fault=None):
    env = {**os.environ, **({"TABMILL_FAULT": fault} if fault else {})}
    model = os.path.join(folder, "m.mill")
    p = subprocess.run([TABMILL, "fit", "-q", "-i", TABLE, "-o", model, "--checkpoint-every", "0", *options], env=env,
                       stderr=subprocess.PIPE, text=True)
    return p.returncode, p.stderr.strip(), model + ".run"


def metrics(run):
    """{tag: [(step, value as float, seconds)]}"""
    out = {}
    with open(os.path.join(run, "metrics.jsonl")) as f:
        for line in f:
            record = json.loads(line)
            for tag, value in record.items():
                if tag not in NO_TAG and value is not None:
                    out.setdefault(tag, []).append((record["step"], float(np.float32(value)), record["ts"]))
    return out


def events(path):
    """The same from one event file, and what else is in it."""
    out, versions, starts = {}, [], []
    for event in EventFileLoader(path).Load():
        if event.HasField("file_version"):
            versions.append(event.file_version)
        if event.HasField("session_log"):
            starts.append(event.step)
        for value in event.summary.value:
            number = value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
            out.setdefault(value.tag, []).append((event.step, float(number), event.wall_time))
    return out, versions, starts


def differ(want, got):
    """Steps and values are equal, times within a second: the two are written one after the other."""
    if set(want) != set(got):
        return "tags %s and %s" % (sorted(want), sorted(got))
    for tag in want:
        if [w[:2] for w in want[tag]] != [g[:2] for g in got[tag]]:
            return "%s: %s and %s" % (tag, want[tag][:3], got[tag][:3])
        if any(abs(w[2] - g[2]) > 1 for w, g in zip(want[tag], got[tag])):
            return tag + ": other times"
    return ""


def undisturbed(method, *options):
    with tempfile.TemporaryDirectory() as d:
        status, why, run = fit(d, "-m", method, *options)
        files = glob.glob(os.path.join(run, "events.out.tfevents.*"))
        if status or len(files) != 1:
            return verdict(method, why or "%d event files" % len(files))
        want = metrics(run)
        got, versions, starts = events(files[0])
        wrong = differ(want, got)
        if not wrong and (versions != ["brain.Event:2"] or starts):
            wrong = "version %s, starts %s" % (versions, starts)
        if not wrong and ("quality" not in want or len(want) < 3 or not all(len(v) > 1 for v in want.values())):
            wrong = "too little to compare: %s" % want
        verdict(method + ": the reader sees what metrics.jsonl has", wrong)


def resumed():
    options = ["-m", "tvae", "-e", "12", "--batch-size", "100", "--probe-every", "2"]
    with tempfile.TemporaryDirectory() as d:
        fault = None
        for rename in range(4, 9):  # the checkpoint of some epoch
            fault = "rename:%d:kill" % rename
            status, _, run = fit(d, *options, *(["--resume"] if rename > 4 else []), fault=fault)
            if status != -9:
                break
        status, why, run = fit(d, *options, "--resume")
        files = glob.glob(os.path.join(run, "events.out.tfevents.*"))
        if status or len(files) < 2:
            return verdict("resumed", why or "%d event files after %s" % (len(files), fault))
        reader = EventAccumulator(run, size_guidance={"tensors": 0, "scalars": 0})
        reader.Reload()
        got = {tag: [(e.step, float(e.value), e.wall_time) for e in reader.Scalars(tag)]
               for tag in reader.Tags()["scalars"]}
        for tag in reader.Tags()["tensors"]:
            got[tag] = [(e.step, float(e.tensor_proto.float_val[0]), e.wall_time) for e in reader.Tensors(tag)]
        verdict("resumed: the accumulator drops what was repeated", differ(metrics(run), got))


undisturbed("mixture", "--iterations", "12", "--probe-every", "3")
undisturbed("ctgan", "-e", "8", "--probe-every", "2")
undisturbed("tvae", "-e", "8", "--batch-size", "100", "--probe-every", "2")
resumed()
sys.exit(0)
