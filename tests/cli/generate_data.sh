#!/bin/bash
# generate_data.sh - document 0's command lines: its files, its defaults, its last lines, what it cannot do by name.
. tests/lib/cli.sh
T=$TABMILL
export TABMILL
: >out
small="--prior dummy --max_features 4 --min_seq 30 --max_seq 60 --max_classes 3"

# shellcheck disable=SC2086
{
expect runs 0 "Finished generating 120 datasets in" "$T" generate-data --n_datasets 120 --out_dir a $small --num_gpus 0
expect python 0 "Average time per dataset:" python3 "$ROOT/python/generate_data.py" --n_datasets 120 --out_dir b $small --inner_bsz 128 --save_csv
expect port 0 "no port is used" "$T" generate-data --n_datasets 3 --out_dir c $small --master_port 29501 --log_level WARNING
ln -s "$T" generate_data
expect alias 0 "Finished generating 120 datasets" ./generate_data --n_datasets 120 --out_dir d $small
}
holds ids_from_1 test -e a/episode_000001_X.npy -a -e a/episode_000120_y.npy
holds same_by_python cmp a/episode_000077_X.npy b/episode_000077_X.npy
holds same_by_alias diff -r -x run -x generate_data.log a d
holds csv test -e b/episode_000001_X.csv
grep . a/generate_data.log >out
says log_line "INFO - Finished generating 120 datasets"
holds log_level test ! -s c/generate_data.log
python3 - >out <<'PY'
import struct
def head(path):
    text = open(path, "rb").read(200)
    return text[10:10 + struct.unpack("<H", text[8:10])[0]].decode()
print(head("a/episode_000005_X.npy"))
print(head("a/episode_000005_y.npy"))
PY
says x_is_float32 "'descr': '<f4', 'fortran_order': False"
says y_is_int64 "'descr': '<i8'"

expect undefined_prior 2 "no publication and no program defines it" "$T" generate-data --n_datasets 1 --out_dir x --prior deterministic_tree_scm
for flag in min_swap_prob max_swap_prob transform_type noise_type n_estimators max_depth class_separability separation_strength \
    balance_strength cluster_separation within_cluster_std label_noise; do
    expect "refused_$flag" 2 "no publication and no program defines" "$T" generate-data --n_datasets 1 --out_dir x --$flag 1
done
expect assigner 2 "rank or value" "$T" generate-data --n_datasets 1 --out_dir x --assigner_type piecewise
expect contradiction 2 "contradict" "$T" generate-data --n_datasets 1 --out_dir x --is_causal --no_causal
expect ratio 2 "min-imbalance-ratio is 5" "$T" generate-data --n_datasets 1 --out_dir x --min_imbalance_ratio 5 --max_imbalance_ratio 2
expect gpus 2 "this machine has" "$T" generate-data --n_datasets 1 --out_dir x --num_gpus 4
holds refused_leaves_nothing test ! -e x
