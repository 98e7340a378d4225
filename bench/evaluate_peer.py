"""evaluate_peer.py - the peers of bench/evaluate.c, on the same files: one line of JSON each.

    evaluate_peer.py quality REAL SYNTHETIC          sdmetrics' QualityReport, from the files
    evaluate_peer.py boost TRAIN TEST TARGET AUC     scikit-learn's HistGradientBoosting: the fewest rounds, then the time
"""
import json
import resource
import sys
import time
import warnings

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
ROUNDS = 5


def say(what, seconds, **more):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"what": what, "seconds": round(float(np.median(seconds)), 4), "peak_bytes": peak, **more}), flush=True)


def quality(real_path, syn_path):
    from sdmetrics.reports import QualityReport

    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        real, syn = pd.read_csv(real_path), pd.read_csv(syn_path)
        meta = {"columns": {c: {"sdtype": "numerical" if real[c].dtype.kind in "if" else "categorical"} for c in real}}
        report = QualityReport()
        report.generate({"t": real}, {"t": syn}, {"tables": {"t": meta}, "relationships": []}, verbose=False)
        seconds.append(time.perf_counter() - began)
    say("quality, sdmetrics", seconds, rows=len(syn), score=report.get_score())


def boost(train_path, test_path, target, wanted):
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    train, test = pd.read_csv(train_path), pd.read_csv(test_path)
    columns = [c for c in train if c != target]
    for c in columns:  # codes in order of appearance, as ours
        if train[c].dtype.kind not in "if":
            code = {v: i for i, v in enumerate(pd.unique(train[c]))}
            train[c], test[c] = train[c].map(code), test[c].map(code)
    one = pd.unique(train[target])[1]
    y, y_test = train[target] == one, test[target] == one

    def fit(rounds):
        model = HistGradientBoostingClassifier(max_iter=rounds, early_stopping=False, random_state=0)
        began = time.perf_counter()
        model.fit(train[columns], y)
        return time.perf_counter() - began, roc_auc_score(y_test, model.predict_proba(test[columns])[:, 1])

    few, rounds = 1, 1
    while fit(rounds)[1] < wanted:
        few, rounds = rounds, 2 * rounds
    while rounds - few > 1:
        half = (rounds + few) // 2
        few, rounds = (half, rounds) if fit(half)[1] < wanted else (few, half)
    say("boost, scikit-learn", [fit(rounds)[0] for _ in range(ROUNDS)], trees=rounds)


if __name__ == "__main__":
    if sys.argv[1] == "quality":
        quality(*sys.argv[2:])
    else:
        boost(*sys.argv[2:5], float(sys.argv[5]))
