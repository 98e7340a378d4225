#!/bin/bash
# prior_output.sh - what lies in the files, read without this program: shapes, types, class ratios, splits, structures.
. tests/lib/cli.sh
T=$TABMILL
: >out

# read.py DIR LEAST MOST: of every pair of .npy files: their shapes are those of the index; where MOST is not 0, classes have a
# ratio within LEAST .. MOST as near as whole rows come, the index has that ratio, and training rows have their share of each.
cat >read.py <<'PY'
import array
import ast
import collections
import glob
import json
import struct
import sys
folder, least, most = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])

def npy(path):
    data = open(path, "rb").read()
    n = struct.unpack("<H", data[8:10])[0]
    head = ast.literal_eval(data[10:10 + n].decode())
    values = array.array({"<f4": "f", "<i8": "q"}[head["descr"]])
    values.frombytes(data[10 + n:])
    return head, values

sets = [json.loads(line) for path in sorted(glob.glob(folder + "/index/*.jsonl")) for line in open(path)]
bad = []
for s in sets:
    name = "%s/episode_%06d_" % (folder, s["index"] + 1)
    x, _ = npy(name + "X.npy")
    y, labels = npy(name + "y.npy")
    if x["shape"] != (s["rows"], s["features"]) or x["descr"] != "<f4" or x["fortran_order"]:
        bad.append("X of %d is %s" % (s["index"], x))
    if y["shape"] != (s["rows"],) or y["descr"] != "<i8":
        bad.append("y of %d is %s" % (s["index"], y))
    count, train = collections.Counter(labels), collections.Counter(labels[:s["train_rows"]])
    a, b = max(count.values()), min(count.values())
    if abs(s["imbalance"] - a / b) > 1e-9 * a / b:
        bad.append("ratio of %d: %g, index %g" % (s["index"], a / b, s["imbalance"]))
    if most and not ((a + 1) / (b - 1) >= least and (a - 1) / (b + 1) <= most and len(count) == s["classes"]):
        bad.append("ratio of %d: %d to %d rows of %d classes" % (s["index"], a, b, len(count)))
    if most and any(abs(train[k] - n * s["train_rows"] / s["rows"]) >= 1 for k, n in count.items()):
        bad.append("split of %d: %s, of them %s" % (s["index"], count, train))
print(len(sets), "sets,", len(bad), "bad", *bad[:3], sep="\n" if bad else " ")
PY
small="--min-seq 300 --max-seq 400 --max-features 8 --max-classes 5 --format npy --batch-size 8 -q"
for prior in mlp_scm tree_scm mix_scm graph_scm dummy; do
    # shellcheck disable=SC2086
    "$T" prior -n 24 -o $prior --prior $prior $small 2>err
    python3 read.py $prior 0 0 >out 2>err
    says "shapes_$prior" "24 sets, 0 bad"
    # shellcheck disable=SC2086
    "$T" prior -n 24 -o uneven_$prior --prior $prior $small --min-imbalance-ratio 2 --max-imbalance-ratio 9 --min-train-size 0.3 2>err
    python3 read.py uneven_$prior 2 9 >out 2>err
    says "ratios_$prior" "24 sets, 0 bad"
done
# shellcheck disable=SC2086
"$T" prior -n 24 -o fixed --prior graph_scm $small --recipe v2-clf-stage1 --min-imbalance-ratio 4 --max-imbalance-ratio 4 2>err
python3 read.py fixed 4 4 >out 2>err
says fixed_ratio "24 sets, 0 bad"

# More than 65,000 rows drawn per group have up to ten columns, though two are the most asked for.
for format in shards pt npy; do
    expect "long_$format" 0 "1 data set," "$T" prior -n 1 -o long_$format --format $format --prior tree_scm --batch-size 1 \
        --seq-len-per-gp --min-seq 70000 --max-seq 70000 --max-features 2
done
python3 read.py long_npy 0 0 >out 2>err
says shapes_long "1 sets, 0 bad"
holds long_is_wide grep -q '"rows":70000,.*"width":10,' long_npy/index/episodes_000000.jsonl
expect long_stream 0 "1 data set in" "$T" prior stream -n 1 --prior tree_scm --batch-size 1 --seq-len-per-gp --min-seq 70000 \
    --max-seq 70000 --max-features 2

# Structures: v1 has layers or trees, v2 its graph with the functions of each node, in shards as in the index of the others.
cat >structures.py <<'PY'
import json
import struct
import sys
data = open(sys.argv[1] + "/shard_000000.mill", "rb").read()
tensors = json.loads(data[16:16 + struct.unpack("<Q", data[8:16])[0]])["tensors"]
at, n = tensors["sets"]["offset"], tensors["sets"]["shape"][0]
for k in range(n):
    row = struct.unpack_from("<16q", data, at + 128 * k)
    text = tensors["text"]["offset"] + row[14]
    s = json.loads(data[text:text + row[15]])
    graph = s["structure"].get("graph")
    nodes = graph and all("functions" in node and "parents" in node for node in graph)
    print(s["kind"], row[0], "layers" in s["structure"], "noise_std" in s["structure"], bool(nodes))
PY
"$T" prior -n 8 -o v1 --prior mlp_scm --max-features 5 --max-seq 60 --max-classes 3 -q
"$T" prior -n 8 -o v2 --recipe v2-clf-stage1 --max-features 5 --max-seq 200 -q
python3 structures.py v1 >out 2>err
says structure_v1 "mlp_scm 7 True True False"
python3 structures.py v2 >out 2>err
says structure_v2 "graph_scm 7 False False True"
expect show_graph 0 "" "$T" prior show v2 -i 3
says show_functions '"function":'
says show_matrices '"matrix": {'
says show_classes "   class     train      test"
expect draw_graph 0 "drawn into" "$T" prior show v2 -i 3 -o graph.html
cp graph.html out
says draws_graph "The graph: from causes to effects"
says draws_distributions "column 0"
expect draw_again 1 "exists" "$T" prior show v2 -i 3 -o graph.html

# v1 as published and as in 2.2.0: causal networks, and half of the data sets with two classes unless told otherwise.
cat >shares.py <<'PY'
import glob
import json
import sys
s = [json.loads(line) for path in glob.glob(sys.argv[1] + "/index/*.jsonl") for line in open(path)]
causal, two = (sum(f(v) for v in s) / len(s) for f in (lambda v: v["structure"]["is_causal"], lambda v: v["classes"] == 2))
print(len(s), "causal" if 0.35 < causal < 0.65 else causal, "halved" if 0.46 < two < 0.66 else "even" if 0.05 < two < 0.18 else two)
PY
many="-n 400 --prior mlp_scm --max-features 3 --max-seq 40 --format npy --batch-size-per-gp 1 -q" # deviations: .025 of the shares
# shellcheck disable=SC2086
{
"$T" prior -o published $many
"$T" prior -o current $many --compat 2.2.0
"$T" prior -o unhalved $many --no-binary-half
}
python3 shares.py published >out
says published "400 causal halved"
python3 shares.py current >out
says current "400 0.0 halved"
python3 shares.py unhalved >out
says unhalved "400 causal even"

# What is told of a data set made alone is what its run has of it.
"$T" prior -n 8 -o v2_lines --recipe v2-clf-stage1 --max-features 5 --max-seq 200 --format pt -q
expect show_json 0 "" "$T" prior show v2 -i 3 --json
python3 - >both 2>err <<'PY'
import json
alone = json.load(open("out"))
run = json.loads(open("v2_lines/index/batch_000000.jsonl").readlines()[3])
keys = ["index", "kind", "rows", "train_rows", "features", "classes", "levels", "attempts", "rejected"]
print([k for k in keys if alone[k] != run[k]], abs(alone["imbalance"] / run["imbalance"] - 1) < 1e-8, alone["index"], [k for k in run["structure"] if k not in alone["structure"]])
PY
cp both out
says show_json_is_the_runs "[] True 3 []" # (nine digits of reals are told)
