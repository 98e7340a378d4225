#!/bin/bash
# train_alias.sh - the command lines of document 4 through python/: the same weights as from `tabmill train`.
. tests/lib/cli.sh
T=$TABMILL
export TABMILL
: >out
P=$ROOT/python
hash_of() { "$T" inspect --hash "$1"; }
mkdir data
cp "$PENGUINS" data/penguins.csv
same() { holds "$1" test "$(hash_of "$2/latest.mill")" = "$(hash_of "$3/latest.mill")"; }

"$T" train -i "$PENGUINS" -t species --lr 1e-3 --batch-size 32 --epochs 3 -o one -q
expect main_py 0 "validation: 34 rows" python3 "$P/main.py" --lr 1e-3 --batch-size 32 --epochs 3 --data-dir data --target species --save-dir a
same main_py_weights one a
expect no_data 1 "--data FILE or --data-dir FOLDER is missing" python3 "$P/main.py"
expect cuda 2 "no CUDA back end" python3 "$P/main.py" --data "$PENGUINS" --target species --device cuda

"$T" train -i "$PENGUINS" -t species --multi-gpu ddp --nproc 2 --batch-size 16 --grad-accum-steps 2 --lr 8e-3 --epochs 3 -o two -q
expect own_ranks 0 "2 ranks" python3 "$P/main_multi_gpu.py" --multi-gpu ddp --nproc 2 --batch-size 16 --grad-accum-steps 2 --lr 8e-3 \
    --epochs 3 --data "$PENGUINS" --target species --save-dir b
same own_ranks_weights two b
expect under_launch 0 "2 ranks" "$T" launch --nproc_per_node=2 "$P/main_multi_gpu.py" --multi-gpu ddp --batch-size 16 \
    --grad-accum-steps 2 --lr 8e-3 --epochs 3 --data "$PENGUINS" --target species --save-dir c
same under_launch_weights two c
expect dp 0 "2 shards" python3 "$P/main_multi_gpu.py" --multi-gpu dp --nproc 2 --batch-size 16 --grad-accum-steps 2 --lr 8e-3 --epochs 3 \
    --data "$PENGUINS" --target species --save-dir d
same dp_weights two d
expect gpu_ids 2 "no CUDA back end" python3 "$P/main_multi_gpu.py" --multi-gpu dp --gpu-ids 0,1,2,3 --data "$PENGUINS" --target species

expect launcher 0 "2 ranks" "$P/launch_multi_gpu.sh" --mode ddp --gpus 2 --epochs 3 -y --data "$PENGUINS" --target species --save-dir e
says launcher_prints "main_multi_gpu.py --epochs 3 --data"
says launcher_scales "--lr-scale linear"
expect launcher_scales_as_told 0 "" "$P/launch_multi_gpu.sh" --lr-scale sqrt --nproc 2 --multi-gpu=dp --data "$PENGUINS"
holds launcher_adds_nothing_to_that grep -qx "main_multi_gpu.py --data $PENGUINS --multi-gpu dp --nproc 2 --lr-scale sqrt" out
expect launcher_defaults 0 "" "$P/launch_multi_gpu.sh" --data "$PENGUINS"
says launcher_takes_all_cores "--multi-gpu ddp --nproc auto --lr-scale linear"
expect launcher_single 2 "--gpus 2 does nothing with --mode single" "$P/launch_multi_gpu.sh" --mode single --gpus 2 --data "$PENGUINS"
expect launcher_cut 2 "--gpus without a value" "$P/launch_multi_gpu.sh" --data "$PENGUINS" --gpus
expect launcher_asks 0 "" "$P/launch_multi_gpu.sh" --mode ddp --gpus 2 --data "$PENGUINS" --target species --save-dir f
says launcher_default_is_no "not run"
expect launcher_mode 2 "ddp, dp or single" "$P/launch_multi_gpu.sh" --mode fsdp --data "$PENGUINS"
holds not_run_leaves_nothing test ! -e f
