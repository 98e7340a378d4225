#!/bin/bash
# usage.sh - what is wrong with a command line is said in one line, with status 2.
. tests/lib/cli.sh
T=$TABMILL

expect no_command 2 "usage: tabmill" "$T"
expect unknown_command 2 "did you mean sample?" "$T" sampel
expect unknown_command_not_near 2 "nope: no such command; see" "$T" nope
expect unknown_command_far 2 "no such command" "$T" xyzzy
expect version 0 "" "$T" --version
says version_words "tabmill 0."
expect help 0 "" "$T" --help
says help_lists_fit "fit a synthesizer"
for c in fit sample generate evaluate score estimate inspect devices; do
    expect "help_$c" 0 "" "$T" $c --help
    says "help_${c}_usage" "usage: tabmill $c"
    expect "help_of_$c" 0 "" "$T" help $c
done
"$T" fit -h >out 2>err
says default_from_the_row "latent (ctgan tvae; default 128)"
"$T" generate -h >out 2>err
says generate_renames_the_training_batch "--train-batch-size N"

expect unknown_option 2 "did you mean --epochs?" "$T" fit --epoch 3
expect unknown_option_far 2 "--xyzzyx: no such option" "$T" fit --xyzzyx
expect unknown_letter 2 "-Z: no such option" "$T" fit -Z
expect value_missing 2 "-i: its value is missing" "$T" fit -i
expect not_a_number 2 "\"many\" is not a whole number" "$T" fit --epochs many
expect out_of_range 2 "0 is not in 1 .. 1e+09" "$T" fit --epochs 0
expect bad_size 2 "is not a size" "$T" fit --memory-limit big
expect no_memory 2 '--memory-limit: "0" is not a size' "$T" estimate --memory-limit 0
expect bad_widths 2 "is not a list of widths" "$T" fit --generator-dim 256,,
expect zero_width 2 "--generator-dim: \"0\" is not a list of widths" "$T" fit --generator-dim 0
expect vast_number 2 "1e30 is not in 0 .. 1e+15" "$T" sample x.mill -n 1e30
expect vast_digits 2 "99999999999999999999 is not in 0 .." "$T" sample x.mill --seed 99999999999999999999
expect fraction 2 "\"1.5\" is not a whole number" "$T" sample x.mill -n 1.5
expect no_such_verb 2 "nope: no option, and not one of show, stream, verify" "$T" prior nope
expect no_such_verb_of_reason 2 "nope: no option, and not one of verify" "$T" reason nope
expect ranks_that_are_not 2 "--ranks 7: numbers from 0 to 1" "$T" launch -n 2 --ranks 7 -t true
expect ranks_that_are_no_numbers 2 "--ranks 0,: numbers from" "$T" launch -n 2 --ranks 0, -t true
expect folder_is_a_file 1 "penguins.csv: is a file, not a folder" "$T" prior -n 1 -o "$PENGUINS"
expect folder_below_a_file 1 "penguins.csv: is a file, not a folder" "$T" prior -n 1 -o "$PENGUINS/x"
expect bound_is_no_number 2 "METRIC=VALUE is wanted, a number" "$T" evaluate "$PENGUINS" "$PENGUINS" --fail-under shapes=high
expect twice 2 "given twice" "$T" fit --epochs 3 --epochs 4
expect flag_with_value 2 "neither yes nor no" "$T" fit --resume=perhaps
expect input_missing 2 "-i TABLE is missing" "$T" fit -o m.mill
expect output_missing 2 "-o MODEL is missing" "$T" fit -i x.csv
expect model_missing 2 "MODEL.mill is missing" "$T" sample
expect argument_too_many 2 "one argument too many" "$T" sample a b
expect estimate_needs_a_table 2 "--n-rows and --n-columns" "$T" estimate -m mixture
expect estimate_of_no_table 1 "none.csv: cannot open" "$T" estimate -i none.csv
expect score_needs_rows 2 "-i TABLE is missing" "$T" score m.mill
expect method_unknown 2 "did you mean mixture?" "$T" fit -i x.csv -o m.mill -m mixtur
expect method_copula 2 "no Gaussian copula yet" "$T" generate -i x.csv -o s.csv -m gaussian_copula
expect nproc_word 2 "auto, or 1 to" "$T" fit -i x.csv -o m.mill --nproc many
expect two_on_stdin 2 "can be stdin" "$T" train --data - --val-data - --target y
expect strategy 2 "there is data_parallel" "$T" fit -i x.csv -o m.mill --strategy pipeline
expect privacy 2 "no training with differential privacy" "$T" generate -i x.csv -o s.csv --privacy
expect epsilon 2 "no training with differential privacy" "$T" generate -i x.csv -o s.csv --epsilon 1.0
expect device_cuda 2 "no CUDA back end" "$T" fit -i x.csv -o m.mill --device cuda
expect device_cuda_1 2 "no CUDA back end" "$T" generate -i x.csv -o s.csv --device cuda:1
expect device_unknown 2 "neither cpu, auto nor cuda" "$T" fit -i x.csv -o m.mill --device tpu
expect option_of_another_method 2 "does nothing with the method mixture" "$T" fit -i x.csv -o m.mill -m mixture -e 3
expect option_of_another_method_by_auto 2 "does nothing with the method mixture" "$T" fit -i "$PENGUINS" -o m.mill -e 3
expect amp_unknown 2 "neither off nor bf16" "$T" fit -i x.csv -o m.mill --amp fp8
expect delimiter_long 2 '--delimiter: "ab" is not one character' "$T" fit -i x.csv -o m.mill --delimiter ab
expect delimiter_quote 2 "is not one character that can stand between" "$T" inspect x.csv --delimiter '"'
# Options that do not go together are told before anything is read, whatever they are called.
together() { # NAME WORDS COMMAND OPTION...: fit, generate and estimate alike
    local name=$1 words=$2
    shift 2
    expect "${name}_fit" 2 "$words" "$T" fit -i x.csv -o m.mill "$@"
    expect "${name}_generate" 2 "$words" "$T" generate -i x.csv -o s.csv "${@/--batch-size/--train-batch-size}"
    expect "${name}_estimate" 2 "$words" "$T" estimate -i "$PENGUINS" "$@"
}
together odd_batch "a batch of 7 rows: ctgan needs an even number" -m ctgan --batch-size 7
together pac "a batch of 70 rows is not a multiple of --pac 20" -m ctgan --batch-size 70 --pac 20
together packs_of_shards "a batch of 640 can" -m ctgan --virtual-shards 64
expect where_sample 2 '--where "species": a condition is COLUMN=VALUE' "$T" sample none.mill --where species
expect where_generate 2 '--where "species": a condition is COLUMN=VALUE' "$T" generate -i x.csv -o s.csv --where species
expect where_before_training 1 'there is no column "spezies"' "$T" generate -i "$PENGUINS" -o s.csv -m ctgan --where spezies=Gentoo
holds where_before_training_starts_nothing sh -c '! grep -q epoch err && test ! -e s.csv.run'
expect odd_shards 2 "3 virtual shards: a power of two" "$T" fit -i x.csv -o m.mill -m tvae --virtual-shards 3
expect shards_for_ranks 2 "not enough for 4 ranks" "$T" fit -i x.csv -o m.mill -m tvae --virtual-shards 2 --nproc 4
expect batch_for_ranks 2 "a batch of 6 or 8 can" "$T" fit -i x.csv -o m.mill -m tvae --batch-size 7 --nproc 2
expect odd_shards_of_train 2 "3 virtual shards: a power of two" "$T" train --data x.csv --target y --virtual-shards 3
expect train_shards_for_ranks 2 "not enough for 4 ranks" "$T" train --data x.csv --target y --multi-gpu ddp --virtual-shards 2 --nproc 4

# Both spellings of a name, = or a space, a number like 1e2.
expect underscores 0 "*" "$T" fit -i "$PENGUINS" -o u.mill --trim_rare=1 --checkpoint_every 1e2
expect devices 0 "" "$T" devices
says devices_names_levels "v3       AVX2, FMA: usable"
says devices_says_gpu "gpu"
for option in --threads=2 -q --config=c.json; do
    expect "devices_refuses $option" 2 "no such option" "$T" devices $option
done
expect device_auto 0 "auto: the CPU" "$T" fit -i "$PENGUINS" -o a.mill --device auto

# A configuration file reads any option; the command line goes before it.
printf '{"trim_rare": 2, "seed": 7, "discrete": ["year"], "bins": 20}' >c.json
expect config 0 "seed 8" "$T" fit -i "$PENGUINS" -o c.mill --config c.json --seed 8
holds config_bins grep -q '"bins": 20' c.mill.run/manifest.json
holds config_trim grep -q '"trim-rare": 2' c.mill.run/manifest.json
holds config_discrete grep -q '"year"' c.mill.run/manifest.json
echo '{"bims": 20}' >bad.json
expect config_unknown 2 "did you mean --bins?" "$T" fit -i "$PENGUINS" -o d.mill --config bad.json
echo '{"bins": ' >bad.json
expect config_not_json 2 "bad.json:" "$T" fit -i "$PENGUINS" -o d.mill --config bad.json
echo '{"bins": "x"}' >bad.json
expect config_bad_value 2 "is not a whole number" "$T" fit -i "$PENGUINS" -o d.mill --config bad.json
echo '{"trim-rare": 1, "trim_rare": 2}' >bad.json
expect config_given_twice 2 'bad.json: "trim_rare": given twice' "$T" fit -i "$PENGUINS" -o d.mill --config bad.json
echo '{"config": "none.json"}' >bad.json
expect config_of_config 2 'bad.json: "config": a file of options names no other' "$T" fit -i "$PENGUINS" -o d.mill --config bad.json
expect config_absent 2 "none.json" "$T" fit -i "$PENGUINS" -o d.mill --config none.json
