"""What one synthetic data set looks like, as a row of numbers: the same for the official generator's and ours.

summarise(x, y, train, classes) with x (rows, features), y (rows) and the first `train` rows for training.  A summary that a data set
does not have (a class entropy in regression) is NaN on both sides and is not compared.  Values are kept in float16, so that the
checked-in rows are small; ours are rounded the same way before they are compared.
"""
import warnings

import numpy as np

NAMES = [
    "rows", "train_share", "features", "classes", "entropy", "majority", "minority",  # the shape and the labels
    "categorical", "binary", "levels",  # columns of few values: their share, that of two values, mean log of how many
    "skew", "kurtosis", "kurtosis_max", "largest", "unique",  # of columns, after standardising
    "top_eigenvalue", "participation", "spectrum_entropy", "correlation",  # of the correlation matrix of x
    "y_correlation", "y_skew", "y_kurtosis",  # the largest |correlation| of a column with y (label sets: with a class)
    "linear", "trees",  # accuracy less that of the majority, or R2, on the rows that are not for training
    "attempts", "filtered",  # structures that were tried, and how many the filter rejected
]
FEW = 50  # values that make a column of 1,024 rows a categorical one


def column_moments(x):
    z = x - x.mean(0)
    s = z.std(0)
    z = z / np.where(s > 0, s, 1)
    return np.abs((z ** 3).mean(0)), (z ** 4).mean(0), np.abs(z).max(0)


def spectrum(x):
    """Eigenvalues of the correlation matrix, and the mean |correlation| of two columns."""
    z = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1)
    c = z.T @ z / len(z)
    off = np.abs(c[~np.eye(len(c), dtype=bool)]).mean() if len(c) > 1 else np.nan
    return np.clip(np.linalg.eigvalsh(c), 0, None), off


def learners(x, y, train, classes):
    """Scores of a linear model and of a few boosted trees; scikit-learn's, whoever made the data."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(x[:train])
    a, b = scale.transform(x[:train]), scale.transform(x[train:])
    few = dict(max_iter=10, max_leaf_nodes=8, max_bins=32, early_stopping=False, random_state=0)
    if classes:
        if len(np.unique(y[:train])) < 2:
            return np.nan, np.nan
        base = np.bincount(y[train:]).max() / len(b)
        models = LogisticRegression(max_iter=50), HistGradientBoostingClassifier(**few)
        return tuple(m.fit(a, y[:train]).score(b, y[train:]) - base for m in models)
    return tuple(max(m.fit(a, y[:train]).score(b, y[train:]), -1) for m in (Ridge(), HistGradientBoostingRegressor(**few)))


def summarise(x, y, train, classes, attempts=np.nan, filtered=np.nan, with_learners=True):
    x = np.asarray(x, np.float64)
    rows, d = x.shape
    out = dict.fromkeys(NAMES, np.nan)
    out.update(rows=rows, train_share=train / rows, features=d, attempts=attempts, filtered=filtered)
    if classes:
        y = np.asarray(y, np.int64)
        share = np.unique(y, return_counts=True)[1] / rows
        out.update(classes=len(share), entropy=-(share * np.log(share)).sum(), majority=share.max(), minority=share.min())
    values = np.array([len(np.unique(x[:, j])) for j in range(d)])
    few = values <= FEW
    out.update(categorical=few.mean(), binary=(values == 2).mean(), unique=values.mean() / rows,
               levels=np.log(values[few]).mean() if few.any() else np.nan)
    skew, kurtosis, largest = column_moments(x)
    out.update(skew=np.median(skew), kurtosis=np.median(kurtosis), kurtosis_max=kurtosis.max(), largest=largest.mean())
    eigenvalue, off = spectrum(x)
    p = eigenvalue / eigenvalue.sum()
    out.update(top_eigenvalue=p.max(), participation=1 / (p ** 2).sum() / d, correlation=off,
               spectrum_entropy=-(p[p > 0] * np.log(p[p > 0])).sum() / np.log(max(d, 2)))
    targets = (y[:, None] == np.unique(y)).astype(float) if classes else np.asarray(y, np.float64)[:, None]
    zx, zy = ((v - v.mean(0)) / np.where(v.std(0) > 0, v.std(0), 1) for v in (x, targets))
    out["y_correlation"] = np.abs(zx.T @ zy / rows).max()
    if not classes:
        s, k, _ = column_moments(targets)
        out.update(y_skew=s[0], y_kurtosis=k[0])
    if not with_learners:
        return np.array([out[n] for n in NAMES], np.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a logistic regression that has not converged is one on both sides
        out["linear"], out["trees"] = learners(x, y, train, classes)
    return np.array([out[n] for n in NAMES], np.float16)
