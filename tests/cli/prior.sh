#!/bin/bash
# prior.sh - data sets into a folder: formats, workers that are killed, resumes, a full disk, what is refused.
. tests/lib/cli.sh
T=$TABMILL
: >out
dummy="--prior dummy --max-features 6 --max-seq 64 --max-classes 3 --batch-size 50"
same() { holds "$1" diff -r -x run "$2" "$3"; } # all files but times, host and logs

# shellcheck disable=SC2086
{
expect shards 0 "300 data sets" "$T" prior -n 300 -o one $dummy --nproc 1
expect one_unit 0 "1 worker for 1 unit of the format" "$T" prior -n 300 -o two $dummy --nproc 2 --inner-bsz 7
same inner_bytes one two
expect two_workers 0 "2 workers, at most" "$T" prior -n 300 -o ends $dummy --start-index 16234 --nproc 2 --inner-bsz 7
holds two_shards test "$(echo ends/shard_*)" = "ends/shard_000000.mill ends/shard_000001.mill"
"$T" prior -n 300 -o alone $dummy --start-index 16234 --nproc 1 -q
same two_workers_bytes ends alone
expect pt 0 "300 data sets" "$T" prior -n 300 -o pt $dummy --format pt --num-gpus 0
holds pt_is_a_zip python3 -m zipfile -t pt/batch_000005.pt
expect npy 0 "300 data sets" "$T" prior -n 300 -o npy $dummy --format npy --save-csv --nproc 2
holds npy_ids test -e npy/episode_000001_X.npy -a -e npy/episode_000300_y.npy -a ! -e npy/episode_000301_X.npy
holds csv_rows test "$(wc -l <npy/episode_000007_X.csv)" = 64 -a "$(wc -l <npy/episode_000007_y.csv)" = 64
expect one_column 0 "3 data sets" "$T" prior -n 3 -o narrow --prior dummy --max-features 1
expect start 0 "100 data sets" "$T" prior -n 100 -o start $dummy --format npy --start-index 100
holds start_same cmp npy/episode_000142_X.npy start/episode_000142_X.npy
}

# A killed worker: another one makes its part again.  A killed run: --resume.
many="--prior mlp_scm --max-features 20 --max-seq 256 --batch-size 10 --format pt" # 200 files of 120 KB
# shellcheck disable=SC2086
"$T" prior -n 2000 -o whole $many --nproc 2 -q
killed=0
for _ in 1 2 3 4 5 6; do # (it may end before it is shot at)
    rm -rf part
    # shellcheck disable=SC2086
    "$T" prior -n 2000 -o part $many --nproc 2 2>err &
    run=$!
    wait_until compgen -G 'part/*.pt' >/dev/null
    worker=$(pgrep -P $run | tail -1)
    kill -9 "$worker" 2>/dev/null
    wait $run
    status=$?
    grep -q "another one takes over" err && killed=1
    [ $status = 0 ] && [ $killed = 1 ] && break
done
holds a_worker_was_killed test $killed = 1
holds killed_worker_status test "$status" = 0
same killed_worker_bytes whole part
holds killed_worker_is_told grep -q '"workers_killed": 1' part/run/status.json

rm -rf part
for after in 0.1 0.2 0.3; do
    # shellcheck disable=SC2086
    "$T" prior -n 2000 -o part $many --nproc 2 -q --resume 2>/dev/null &
    run=$!
    sleep $after
    kill -9 $run 2>/dev/null
    wait $run 2>/dev/null
    find part -name '*.pt' | while read -r f; do python3 -m zipfile -t "$f" >/dev/null || echo "FAIL killed run: $f is not whole"; done
done
# shellcheck disable=SC2086
expect resume 0 "2000 data sets" "$T" prior -n 2000 -o part $many --resume
same resume_bytes whole part
holds resume_leaves_no_temporaries test -z "$(find part -name '*.tmp')"
# shellcheck disable=SC2086
"$T" prior -n 200000 -o int $many --nproc 1 2>err &
run=$!
wait_until compgen -G 'int/*.pt' >/dev/null
kill -INT $run
wait $run
holds interrupted test $? = 130 -o -e int/index.json
cp err out
says interrupted_words "data sets"

# Growing.
# shellcheck disable=SC2086
expect grow 0 "500 data sets" "$T" prior -n 500 -o one $dummy --resume
# shellcheck disable=SC2086
"$T" prior -n 500 -o long $dummy -q
same grow_bytes long one

# shellcheck disable=SC2086
{
expect grow_pt 0 "100 of them made now" "$T" prior -n 400 -o pt $dummy --format pt --resume
expect made_already 0 "400 data sets" "$T" prior -n 400 -o pt $dummy --format pt --resume
}
cp pt/run/log out
says log_begins "400 data sets of dummy from 0, 300 of them complete"
says log_ends "400 data sets complete, 100 of them made now"
# shellcheck disable=SC2086
if [ "${TEST_FULL-0}" = 1 ]; then # 100,001 pairs of files at once, and one that grew to them; in memory: 400,000 files
    tiny="--prior dummy --max-features 2 --max-seq 32 --max-classes 2 --format npy"
    wide=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
    expect flat 0 "100000 data sets" "$T" prior -n 100000 -o "$wide/flat" $tiny
    holds flat_has_no_folders test -e "$wide/flat/episode_100000_X.npy" -a ! -e "$wide/flat/0000"
    expect spread 0 "1 of them made now" "$T" prior -n 100001 -o "$wide/flat" $tiny --resume
    "$T" prior -n 100001 -o "$wide/folders" $tiny -q
    same spread_bytes "$wide/folders" "$wide/flat"
    holds ten_thousand_to_a_folder test "$(find "$wide/folders/0009" -type f | wc -l)" = 20000
    holds the_last_alone test "$(cd "$wide/folders/0010" && echo ./*)" = "./episode_100001_X.npy ./episode_100001_y.npy"
    rm -rf "$wide"
fi

# The folder of another run.
# shellcheck disable=SC2086
{
expect again 1 "holds a run already" "$T" prior -n 300 -o two $dummy
expect other 1 "max-seq was 64, is 65" "$T" prior -n 300 -o two ${dummy/64/65} --resume
expect other_seed 1 "seed was 0, is 1" "$T" prior -n 300 -o two $dummy --seed 1 --resume
expect fewer 1 "resume with --n-datasets 300 or more" "$T" prior -n 100 -o two $dummy --resume
}
mkdir strange
touch strange/shard_000000.mill strange/notes.tmp
# shellcheck disable=SC2086
expect stranger 1 "no manifest.json" "$T" prior -n 5 -o strange $dummy
holds strangers_keep_their_folder test "$(cd strange && echo *)" = "notes.tmp shard_000000.mill"
mkdir shared
touch shared/notes.tmp
# shellcheck disable=SC2086
{
expect beside_notes 0 "5 data sets" "$T" prior -n 5 -o shared $dummy
touch shared/shard_000001.mill.tmp
expect beside_notes_again 0 "5 data sets" "$T" prior -n 5 -o shared $dummy --resume
}
holds only_our_leftovers_go test -e shared/notes.tmp -a ! -e shared/shard_000001.mill.tmp
mkdir official
echo '{}' >official/metadata.json
# shellcheck disable=SC2086
expect official_folder 1 "no manifest.json" "$T" prior -n 5 -o official $dummy --format pt

# Looking.
expect verify 0 "made again with the same bytes" "$T" prior verify two --remake 2
TMPDIR=$PWD/absent expect verify_without_room 1 "TMPDIR names another place" "$T" prior verify two
holds not_damaged test "$(grep -c damaged err)" = 0
printf x | dd of=two/shard_000000.mill bs=1 seek=90000 conv=notrunc 2>/dev/null
expect verify_damage 1 "damaged" "$T" prior verify two
expect verify_unfinished 1 "holds no run" "$T" prior verify strange
expect export 0 "500 data sets" "$T" prior export one --format npy -o npy2
holds export_bytes cmp npy/episode_000300_X.npy npy2/episode_000300_X.npy
expect stats 0 "" "$T" prior stats pt
says stats_count '"data_sets": 400'
expect show 0 "" "$T" prior show one -i 17
says show_rows "rows        64"
expect show_page 0 "drawn into" "$T" prior show one -i 17 -o page.html
holds show_svg grep -q "<svg" page.html
expect show_flags 0 "" "$T" prior show --prior dummy --max-features 3 -i 2 --json
says show_json '"features": 3'
expect show_beside 2 "whose manifest counts" "$T" prior show one -i 1 --seed 3
expect show_beyond 1 "data sets 0 to 499" "$T" prior show one -i 500

# The disk is full.
if mkdir small && mount -t tmpfs -o size=4m none small 2>/dev/null; then
    # shellcheck disable=SC2086
    expect full_disk 1 "No space left" "$T" prior -n 2000 -o small/run $many --nproc 2
    cp err out
    says full_disk_words "data sets are complete; --resume goes on"
    holds full_disk_keeps_whole test -z "$(find small/run -name '*.tmp')"
    mount -o remount,size=400m small
    # shellcheck disable=SC2086
    expect full_disk_resume 0 "2000 data sets" "$T" prior -n 2000 -o small/run $many --resume
    same full_disk_bytes whole small/run
    mount -o remount,ro small
    expect verify_read_only 0 "made again with the same bytes" "$T" prior verify small/run
    umount small
else
    echo "SKIP: no tmpfs can be mounted here, to be filled"
fi
# shellcheck disable=SC2086
TABMILL_FAULT=write:99:fail "$T" prior -n 2000 -o fault $many --nproc 1 >out 2>err
holds fault_status test $? = 1
# shellcheck disable=SC2086
expect fault_resume 0 "2000 data sets" "$T" prior -n 2000 -o fault $many --resume
same fault_bytes whole fault

# What is refused, with the reason.
expect min_above_max 2 "min-features is 9, above max-features 3" "$T" prior -n 1 -o x --min-features 9 --max-features 3
expect ratio_below_1 2 "from 1 up" "$T" prior -n 1 -o x --min-imbalance-ratio 0.5 --max-imbalance-ratio 2
expect classes_above_rows 2 "more than" "$T" prior -n 1 -o x --prior dummy --max-seq 8 --max-classes 10
expect no_features 2 "not in 1" "$T" prior -n 1 -o x --max-features 0
expect no_such_gpu 2 "this machine has" "$T" prior -n 1 -o x --prior dummy --num-gpus 7
expect no_such_recipe 2 "v1-stage1" "$T" prior -n 1 -o x --recipe v3
expect no_such_prior 2 "none of" "$T" prior -n 1 -o x --prior lstm
expect undefined_prior 2 "defines it" "$T" prior -n 1 -o x --prior gmm_clusters_scm
expect unused 2 "does nothing with the prior dummy" "$T" prior -n 1 -o x --prior dummy --fct-types mlp
expect unused_log_seq 2 "--log-seq does nothing without --min-seq" "$T" prior -n 1 -o x --log-seq
expect unused_replay 2 "--replay-small does nothing without --min-seq" "$T" prior -n 1 -o x --replay-small
expect unused_threshold 2 "does nothing without --remove-trivial-datasets" "$T" prior -n 1 -o x --trivial-dataset-threshold 0.1
expect unused_classes 2 "--max-classes does nothing with --regression" "$T" prior -n 1 -o x --recipe v2-reg-stage1 --max-classes 5
expect unused_causes 2 "--num-causes does nothing with --is-causal no" "$T" prior -n 1 -o x --prior mlp_scm --is-causal no --num-causes 3
expect too_wide 1 "data set 8: a layer of 36001 x 72001 weights is too large" "$T" prior show -i 8 --prior mlp_scm --min-features 36000 \
    --max-features 36000 --max-seq 20 --max-classes 2 --is-causal yes --num-layers 2
expect csv_of_shards 2 "--format npy" "$T" prior -n 1 -o x --save-csv
expect no_memory 1 "above --memory-limit" "$T" prior -n 1 -o x --prior dummy --memory-limit 1MB
expect no_folder 2 "out-dir" "$T" prior -n 1
expect no_number 2 "n-datasets" "$T" prior -o x
holds refused_leaves_nothing test ! -e x

# Workers as GPUs: two are pretended.  fake.so is opened, or not, by whoever looks for them.
if command -v gcc >/dev/null; then
    gcc -shared -fPIC -o fake.so "$ROOT/tests/cli/fake_nvml.c"
    export TABMILL_NVML=$PWD/fake.so
    # shellcheck disable=SC2086
    {
    blocks="$dummy --format pt" # of 50
    expect gpu_each 0 "2 workers, one for each GPU asked for; they compute on processor cores, no GPU does" "$T" prior -n 200 -o gpus $blocks
    expect gpu_too_many 2 "this machine has 2 that may be used" "$T" prior -n 20 -o x $dummy --num-gpus 3
    expect nproc_before_gpus 0 "3 workers" "$T" prior -n 200 -o nproc $blocks --num-gpus 2 --nproc 3
    LD_DEBUG=files "$T" prior -n 20 -o opened $dummy --num-gpus 1 -q >out 2>&1
    says gpu_library_is_opened fake.so
    LD_DEBUG=files "$T" prior -n 200 -o cores $blocks --num-gpus 0 -q >out 2>&1
    }
    holds no_gpu_library_is_opened test -e cores/index.json -a "$(grep -c fake.so out)" = 0
    same gpu_bytes gpus cores
    same nproc_bytes gpus nproc
else
    echo "SKIP: gcc is absent"
fi
