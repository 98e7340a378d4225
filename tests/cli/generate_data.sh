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

# Every flag that is not refused acts: other files than without it.
files() { cat "$1"/episode_* | md5sum; }
echo '{"prior": "mlp_scm", "min-features": 3, "max-features": 8, "min-seq": 40, "max-seq": 60, "max-classes": 4, "nproc": "1"}' >plain.json
run() { # FOLDER FLAG...
    local folder=$1
    shift
    "$T" generate-data --n_datasets 40 --out_dir "$folder" --config plain.json "$@" 2>err
}
acts() { # NAME FLAG...; beside the files of $plain
    local name=$1
    shift
    rm -rf acting
    run acting "$@"
    holds "acts_$name" test -e acting/episode_000040_y.npy -a "$(files acting)" != "$plain"
}
run plain
plain=$(files plain)
stated=$(cat err)
holds plain_is_whole test "$(find plain -name 'episode_*' | wc -l)" = 80
acts min_features --min_features 7
acts max_features --max_features 12
acts min_seq --min_seq 55
acts max_seq --max_seq 90
acts log_seq --log_seq
acts min_classes --min_classes 4
acts max_classes --max_classes 6
acts seq_len_per_gp --seq_len_per_gp
acts imbalance --min_imbalance_ratio 3 --max_imbalance_ratio 3
acts is_causal --is_causal
acts no_causal --no_causal
holds no_causal_is_the_other test "$(files acting)" != "$(run causal --is_causal; files causal)"
acts y_is_effect --y_is_effect
acts in_clique --in_clique
acts num_layers --num_layers 3
acts num_causes --num_causes 4
acts noise_std --noise_std 0.5
acts pre_sample_noise_std --pre_sample_noise_std
acts assigner_type --assigner_type value
acts seed --seed 1
for flag in y_is_effect in_clique pre_sample_noise_std; do
    run "with_$flag" --$flag
    run "without_$flag" --no_$flag
    holds "acts_no_$flag" test "$(files with_$flag)" != "$(files without_$flag)"
done
run groups --seq_len_per_gp --min_seq 20
run replay --seq_len_per_gp --min_seq 20 --replay_small
holds acts_replay_small test "$(files groups)" != "$(files replay)"
run inner --inner_bsz 1
holds inner_bsz_changes_no_byte test "$(files inner)" = "$plain"
cp err out
holds inner_bsz_changes_memory test "$(grep -o 'at most .* each' out)" != "$(grep -o 'at most .* each' <<<"$stated")"
expect one_layer 2 "num-layers: 0, drawn, or from 2 up" "$T" generate-data --n_datasets 1 --out_dir x --num_layers 1
expect of_another_prior 2 "does nothing with the prior dummy" "$T" generate-data --n_datasets 1 --out_dir x --prior dummy --num_causes 3

for prior in deterministic_tree_scm gmm_clusters_scm real_explicit_clusters_scm; do
    expect "refused_$prior" 2 "no publication and no program defines it" "$T" generate-data --n_datasets 1 --out_dir x --prior $prior
    expect "prior_refused_$prior" 2 "no publication and no program defines it" "$T" prior -n 1 -o x --prior $prior
done
for flag in min_swap_prob max_swap_prob transform_type noise_type n_estimators max_depth class_separability separation_strength \
    balance_strength cluster_separation within_cluster_std label_noise; do
    expect "refused_$flag" 2 "no publication and no program defines" "$T" generate-data --n_datasets 1 --out_dir x --$flag 1
done
expect assigner 2 "rank or value" "$T" generate-data --n_datasets 1 --out_dir x --assigner_type piecewise
expect contradiction 2 "contradict" "$T" generate-data --n_datasets 1 --out_dir x --is_causal --no_causal
expect ratio 2 "min-imbalance-ratio is 5" "$T" generate-data --n_datasets 1 --out_dir x --min_imbalance_ratio 5 --max_imbalance_ratio 2
expect gpus 2 "this machine has" "$T" generate-data --n_datasets 1 --out_dir x --num_gpus 4
holds refused_leaves_nothing test ! -e x
