#!/usr/bin/env python3
"""prior_official.py KIND FIRST N [OUT] - data sets FIRST .. FIRST + N - 1 of the official generator, a JSON line each.

A data set is drawn alone (batch and group of one), after all three generators were seeded with its number: so data sets do not depend
on one another, which the two-sample tests need, and each can be drawn again.  The line has the number, the seconds of processor time
and the summaries of prior_summary.py.  `tabicl` of the kind's release has to be importable; OUT is appended to.
"""
import json
import os
import random
import sys
import time

KINDS = {  # kind: (release, prior, what else the official generator is told, what tabmill is told)
    "mlp_scm": ("0.1.4", "mlp_scm", {}, []),
    "tree_scm": ("0.1.4", "tree_scm", {}, []),
    "mix_scm": ("0.1.4", "mix_scm", {}, []),
    "graph_clf": ("2.2.0", "graph_scm", {}, ["--recipe", "v2-clf-stage1"]),
    "graph_reg": ("2.2.0", "graph_scm", {"regression": True}, ["--recipe", "v2-reg-stage1"]),
    "dummy": ("2.2.0", "dummy", {"min_seq_len": 200, "max_seq_len": 2000, "log_seq_len": True, "max_features": 10}, []),
}
SEED = 20261121
COMMON = dict(batch_size=1, batch_size_per_gp=1, min_features=2, max_features=100, max_classes=10, max_seq_len=1024, n_jobs=1)


def generator(kind):
    """An official PriorDataset, and a list to which its filter's verdicts and its attempts are appended."""
    release, prior, more, _ = KINDS[kind]
    news = []
    options = {**COMMON, **more, "prior_type": prior}
    if release == "0.1.4":
        from tabicl.prior import dataset
        scms = ["MLPSCM", "TreeSCM"]
        options["batch_size_per_subgp"] = 1
    else:
        from tabicl.prior import _dataset as dataset
        from tabicl.prior.graph_lib._config import PriorConfig
        scms = ["GraphSCM"]
        if prior == "graph_scm":
            options.update(min_train_size=0.3, max_train_size=0.9, min_features=1,
                           config=PriorConfig(filter_unpredictable_datasets=True, filter_unpredictable_graphs=True))
        judge = dataset.should_filter

        def should_filter(*a, **k):
            news.append("filtered" if judge(*a, **k) else "passed")
            return news[-1] == "filtered"
        dataset.should_filter = should_filter
    for name in scms:
        made = getattr(dataset, name)

        def make(*a, made=made, **k):
            news.append("attempt")
            return made(*a, **k)
        setattr(dataset, name, make)
    return dataset.PriorDataset(**options), news


def draw(kind, first, n):
    """Yields (number, x, y, train_size, attempts, filtered, seconds of processor time)."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    data, news = generator(kind)
    for i in range(first, first + n):
        random.seed(SEED + i)
        np.random.seed(SEED + i)
        torch.manual_seed(SEED + i)
        news.clear()
        began = time.process_time()
        x, y, d, rows, train = data.get_batch()
        seconds = time.process_time() - began
        x, y = x[0].numpy()[: int(rows[0]), : int(d[0])], y[0].numpy()[: int(rows[0])]
        yield i, x, y, int(train[0]), max(news.count("attempt"), 1), news.count("filtered"), seconds


def main(kind, first, n, out=None):
    from prior_summary import summarise

    sink = open(out, "a") if out else sys.stdout
    for i, x, y, train, attempts, filtered, seconds in draw(kind, first, n):
        while os.environ.get("PRIOR_PAUSE") and os.path.exists(os.environ["PRIOR_PAUSE"]):
            time.sleep(1)
        row = summarise(x, y, train, not KINDS[kind][2].get("regression"), attempts, filtered)
        print(json.dumps([i, round(seconds, 4), [None if v != v else float("%.4g" % v) for v in row.tolist()]]), file=sink, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
