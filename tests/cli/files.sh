#!/bin/bash
# files.sh - outputs are never lost, never half there; data goes to stdout and talk to stderr.
. tests/lib/cli.sh
T=$TABMILL

expect fit 0 "seed 0" "$T" fit -i "$PENGUINS" -o m.mill
holds fit_says_nothing_on_stdout test ! -s out
holds metrics_stay test -s m.mill.run/metrics.jsonl
holds manifest_says_finished grep -q '"status": "finished"' m.mill.run/manifest.json
holds checkpoints_go sh -c '! ls m.mill.run/step_*'
expect fit_exists 1 "m.mill: exists; --force overwrites it" "$T" fit -i "$PENGUINS" -o m.mill
cp m.mill first.mill
expect fit_to_a_table 0 "fit.csv: this will be a model; \`tabmill generate\` writes rows" "$T" fit -i "$PENGUINS" -o fit.csv
expect fit_force 0 "*" "$T" fit -i "$PENGUINS" -o m.mill --force
holds same_bytes cmp m.mill first.mill
expect quiet 0 "" "$T" fit -i "$PENGUINS" -o q.mill -q
holds seed_is_not_in_the_way cmp q.mill m.mill
expect one_thread 0 "1 thread," "$T" fit -i "$PENGUINS" -o t1.mill --threads 1
holds threads_same_bytes cmp t1.mill m.mill
expect other_seed 0 "seed 5" "$T" fit -i "$PENGUINS" -o s5.mill --seed 5
holds other_seed_other_bytes sh -c '! cmp s5.mill m.mill'
expect keep 0 "*" "$T" fit -i "$PENGUINS" -o k.mill --keep 3 --checkpoint-every 0
holds keep_keeps_three test "$(ls k.mill.run/step_*.mill | wc -l)" = 3
expect run_dir 0 "*" "$T" fit -i "$PENGUINS" -o r.mill --run-dir elsewhere
holds run_dir_used test -s elsewhere/metrics.jsonl
mkdir theirs && echo '{"theirs": true}' >theirs/manifest.json && cp -r theirs before
expect run_dir_of_others 1 "theirs: its manifest.json is not of a run" "$T" fit -i "$PENGUINS" -o r2.mill --run-dir theirs
holds run_dir_of_others_stays diff -r theirs before
expect run_dir_forced 0 "*" "$T" fit -i "$PENGUINS" -o r2.mill --run-dir theirs --force
expect stdin 0 "*" sh -c "'$T' fit -i - -o i.mill <'$PENGUINS'"
holds stdin_same_model cmp i.mill m.mill
expect pipe 0 "*" sh -c "cat '$PENGUINS' | '$T' fit -i - -o p.mill"
holds pipe_same_model cmp p.mill m.mill
expect stdout 0 "*" sh -c "'$T' fit -i '$PENGUINS' -o - >o.mill"
holds stdout_same_model cmp o.mill m.mill
holds no_passing_folders sh -c '! ls -d tabmill-*'

expect sample 0 "" "$T" sample m.mill -n 100 -q
holds sample_rows test "$(wc -l <out)" = 101
says sample_header "species,island,bill_length_mm,bill_depth_mm,flipper_length_mm,body_mass_g,sex,year"
cp out s100.csv
expect sample_stdout 0 "stdout: 100 rows by mixture" "$T" sample m.mill -n 100
expect sample_file 0 "100 rows by mixture, seed 0" "$T" sample m.mill -n 100 -o s.csv --batch-size 7
holds sample_same_in_batches cmp s.csv s100.csv
expect sample_exists 1 "s.csv: exists" "$T" sample m.mill -n 100 -o s.csv
expect sample_force 0 "*" "$T" sample m.mill -n 50 -o s.csv -f
holds sample_forced test "$(wc -l <s.csv)" = 51
expect sample_gz 0 "*" "$T" sample m.mill -n 100 -o s.csv.gz
holds sample_gz_same sh -c 'gzip -dc s.csv.gz | cmp - s100.csv'
expect sample_tsv 0 "*" "$T" sample m.mill -n 100 -o s.tsv
holds sample_tsv_same sh -c "tr '\t' , <s.tsv | cmp - s100.csv"
expect sample_other_ending 0 "s.xlsx: written as CSV" "$T" sample m.mill -n 100 -o s.xlsx
holds sample_other_ending_same cmp s.xlsx s100.csv
expect sample_other_ending_quiet 0 "" "$T" sample m.mill -n 100 -o s.xlsx -f -q
expect sample_npz 0 "*" "$T" sample m.mill -n 100 -o s.npz --batch-size 7
holds sample_npz_is_one test "$(head -c 2 s.npz)" = PK
"$T" evaluate s100.csv s.npz >out 2>err
holds sample_npz_same_rows grep -qE "shapes +1.0000" out
expect fit_npz 0 "100 rows, 8 columns" "$T" fit -i s.npz -o npz.mill
expect generate_npz 0 "*" "$T" generate -i s.npz -o g.npz -n 20
holds generate_npz_is_one test "$(head -c 2 g.npz)" = PK
expect sample_npy_text 1 "written to .npz and CSV only" "$T" sample m.mill -n 100 -o s.npy
expect sample_null 0 "*" "$T" sample m.mill -n 100 -o /dev/null
mkfifo pipe
timeout 60 cat pipe >piped.csv &
expect sample_fifo 0 "*" "$T" sample m.mill -n 100 -o pipe
wait
holds sample_fifo_same cmp piped.csv s100.csv
expect sample_default_rows 0 "" "$T" sample m.mill -q
holds sample_as_many_as_trained test "$(wc -l <out)" = 345
expect sample_where 0 "" "$T" sample m.mill -n 200 -q --where species=Gentoo --where 'year>=2008'
holds sample_where_holds sh -c 'tail -n +2 out | awk -F, "\$1 != \"Gentoo\" || \$8 < 2008 { exit 1 }"'
echo '{"where": ["species=Gentoo", "year>=2008"], "samples": 200}' >where.json
cp out asked.csv
expect sample_where_config 0 "" "$T" sample m.mill -q --config where.json
holds sample_where_config_same cmp out asked.csv
"$T" fit -i "$PENGUINS" -o c.mill -m ctgan -e 20 -q
expect where_by_rejection 0 "% of the drawn rows met the conditions" "$T" sample c.mill -n 50 --where 'body_mass_g>=3500' --where sex=male
holds where_by_rejection_holds sh -c 'test "$(wc -l <out)" = 51 && tail -n +2 out | awk -F, "\$6 < 3500 || \$7 != \"male\" { exit 1 }"'
expect where_never 1 "fewer than 1 in 10,000" "$T" sample c.mill -n 50 -o never.csv --where 'body_mass_g>=1e6'
holds where_never_leaves_nothing test ! -e never.csv
expect no_likelihood 1 "has no likelihood" "$T" score c.mill -i "$PENGUINS" -o ll.csv
expect where_unknown_column 1 "sqecies" "$T" sample m.mill -n 2 --where sqecies=Gentoo
expect where_unknown_value 1 "Gentoo" "$T" sample m.mill -n 2 --where species=Gento
expect broken_pipe 0 "*" bash -c "set -o pipefail; '$T' sample m.mill -n 3000000 -q | head -2 >/dev/null"
holds broken_pipe_is_silent test ! -s err
expect full_disk 1 "No space left" sh -c "'$T' sample m.mill -n 100000 -q >/dev/full"
# Long and short texts: those that stdio writes at once leave nothing for the last flush to fail on.
for words in "evaluate '$PENGUINS' '$PENGUINS' --json -" "inspect m.mill" devices "fit --help" --help "help fit" --version; do
    expect "full_disk ${words%% *}" 1 "stdout: cannot write" sh -c "'$T' $words >/dev/full"
done
expect not_a_model 1 "penguins.csv" "$T" sample "$PENGUINS" -n 2
expect no_model 1 "none.mill" "$T" sample none.mill -n 2
expect model_is_a_run 1 "m.mill.run/: is the run folder of a fit; its model is m.mill" "$T" sample m.mill.run/ -n 2
expect model_is_a_folder 1 "$PWD: is a folder, and a file is wanted" "$T" score "$PWD" -i "$PENGUINS"
"$T" train --data "$PENGUINS" --target species --save-dir trained -e 1 -q
expect model_is_a_trained_one 1 'trained: is a run of `tabmill train`, which `tabmill predict` takes' "$T" sample trained -n 2
expect inspect_a_trained_one 1 'trained: is a run of `tabmill train`' "$T" inspect trained
expect model_is_a_checkpoint 1 "trained/best.mill: is a checkpoint of mlp, not the model of a fit" "$T" sample trained/best.mill -n 2
expect table_is_a_model 1 "m.mill: is a .mill file, not a table" "$T" fit -i m.mill -o n.mill
head -c 3000 m.mill >cut.mill
expect cut_model 1 "cut.mill" "$T" sample cut.mill -n 2
cp m.mill flip.mill
printf '\377' | dd of=flip.mill bs=1 seek=20000 conv=notrunc 2>/dev/null
expect flipped_model 1 "flip.mill" "$T" sample flip.mill -n 2

# A name that is no UTF-8 is a name.
raw=$(printf 'r\351.csv') model=$(printf 'm\351.mill')
cp "$PENGUINS" "$raw"
expect raw_fit 0 "" "$T" fit -i "$raw" -o "$model" -q
holds raw_fit_manifest_is_whole grep -q '"version"' "$model.run/manifest.json"
expect raw_train 0 "" "$T" train --data "$raw" --target species --save-dir raw -e 1 -q
holds raw_train_manifest_is_whole grep -q '"version"' raw/manifest.json
expect raw_evaluate 0 "*" "$T" evaluate "$raw" "$raw" --model "$model" --json raw.json -o raw.html
holds raw_evaluate_shows_it python3 -c "
import json
r = json.load(open('raw.json'))
assert r['run']['real']['path'] == r['input']['path'] == 'r\ufffd.csv' and r['run']['model']['path'] == 'm\ufffd.mill', r['run']
assert 'r\ufffd.csv' in open('raw.html').read()"

# --force is for results, never for what is read; whatever its name.
cp "$PENGUINS" mine.csv && cp m.mill mine.mill && cp mine.csv kept.csv
ln -s mine.csv other.csv
expect fit_over_its_table 1 "mine.csv: is what is read" "$T" fit -i mine.csv -o mine.csv --force
expect generate_over_its_table 1 "other.csv: is what is read" "$T" generate -i mine.csv -o other.csv -f
expect sample_over_its_model 1 "mine.mill: is what is read" "$T" sample mine.mill -o mine.mill -f
expect score_over_its_rows 1 "mine.csv: is what is read" "$T" score mine.mill -i mine.csv -o mine.csv -f
expect score_over_its_model 1 "mine.mill: is what is read" "$T" score mine.mill -i mine.csv -o mine.mill -f
expect report_over_a_table 1 "mine.csv: is what is read" "$T" evaluate "$PENGUINS" mine.csv -o mine.csv -f
expect json_over_a_table 1 "other.csv: is what is read" "$T" evaluate mine.csv "$PENGUINS" --json other.csv -f
expect two_reports_of_one_name 2 "name one file" "$T" evaluate mine.csv "$PENGUINS" --json r -o r
holds what_is_read_stays sh -c 'cmp mine.csv kept.csv && cmp mine.mill m.mill'

expect no_folder 1 "none" "$T" fit -i "$PENGUINS" -o none/m.mill
expect is_a_folder 1 "is a folder" "$T" fit -i "$PENGUINS" -o elsewhere
if [ "$(id -u)" = 0 ]; then echo "SKIP: root may write in any folder"; else
    mkdir closed && chmod a-w closed
    expect closed_folder 1 "cannot write in closed" "$T" fit -i "$PENGUINS" -o closed/m.mill
fi

expect generate 0 "seed 0" "$T" generate -i "$PENGUINS" -o g.csv -n 100
holds generate_is_fit_and_sample cmp g.csv s100.csv
holds generate_leaves_no_model test ! -e g.csv.run/model.mill
expect generate_batches 0 "*" "$T" generate -i "$PENGUINS" -o g2.csv -n 100 --batch-size 9
holds generate_bytes_ignore_the_batch cmp g.csv g2.csv
ln -s "$T" genesis
expect genesis 0 "*" ./genesis generate -i "$PENGUINS" -o g3.csv -n 100
holds genesis_same cmp g.csv g3.csv
expect generate_stdout 0 "" "$T" generate -i "$PENGUINS" -o - -n 100 -q
holds generate_stdout_same cmp out g.csv
expect generate_exists 1 "g.csv: exists" "$T" generate -i "$PENGUINS" -o g.csv -n 100

expect inspect_model 0 "" "$T" inspect m.mill
says inspect_names_method "a model of mixture, fitted on 344 rows"
says inspect_lists_columns "bill_length_mm"
expect inspect_hash 0 "" "$T" inspect --hash m.mill
holds hash_is_32_digits grep -qE '^[0-9a-f]{32}$' out
expect inspect_checkpoint 0 "" "$T" inspect "$(ls k.mill.run/step_*.mill | tail -1)"
says inspect_checkpoint_words "a checkpoint of mixture"
expect inspect_model_as_a_table 1 "m.mill: --drop is of tables, and this is a model" "$T" inspect m.mill --drop year
expect inspect_hash_of_a_table 1 "--hash is of models" "$T" inspect --hash "$PENGUINS"
expect inspect_table 0 "344 rows, 8 columns" "$T" inspect "$PENGUINS"
cp out types.json
holds types_is_json python3 -m json.tool types.json
sed -i '/"name": "year"/,/type/ s/integer/category/' types.json
expect types 0 "*" "$T" fit -i "$PENGUINS" -o ty.mill --types types.json
"$T" inspect ty.mill >out 2>err
holds types_obeyed grep -q 'year *category' out
expect discrete 0 "*" "$T" fit -i "$PENGUINS" -o di.mill -d year -d body_mass_g
"$T" inspect di.mill >out 2>err
holds discrete_obeyed grep -q 'body_mass_g *category' out
expect drop 0 "7 columns" "$T" fit -i "$PENGUINS" -o dr.mill --drop year
expect columns 0 "2 columns" "$T" fit -i "$PENGUINS" -o co.mill --columns species,year
expect columns_unknown 1 "colour" "$T" fit -i "$PENGUINS" -o cx.mill --columns species,colour

expect score 0 "mean log-likelihood" "$T" score m.mill -i "$PENGUINS" -o sc.csv
holds score_rows test "$(wc -l <sc.csv)" = 345
holds score_header grep -qx log_likelihood sc.csv
expect score_npy 0 "*" "$T" score m.mill -i "$PENGUINS" -o sc.npy
holds score_npy_is_one grep -q NUMPY sc.npy

expect estimate 0 "" "$T" estimate -i "$PENGUINS" -m mixture
says estimate_fit "fit peak"
says estimate_sampling "sampling peak"
expect estimate_assumed 0 "half of the columns are numbers with 10 components" "$T" estimate --n-rows 1e6 --n-columns 50
says estimate_assumed_rows "1000000 rows, 50 columns"
expect memory_limit 1 "over the limit of 1.0 MiB" "$T" fit -i "$PENGUINS" -o ml.mill --memory-limit 1MiB
holds memory_limit_starts_nothing test ! -e ml.mill
expect memory_enough 0 "*" "$T" fit -i "$PENGUINS" -o ml.mill --memory-limit 1GiB
