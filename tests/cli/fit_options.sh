#!/bin/bash
# fit_options.sh - every option of `tabmill fit` that belongs to a method makes another model; those that say how it is computed do not.
. tests/lib/cli.sh
T=$TABMILL
: >out
hash_of() { # METHOD OPTION...: the digest of the tensors of a short fit
    local m=$1
    shift
    "$T" fit -i "$PENGUINS" -o o.mill -f -q -m "$m" --probe-every 0 "$@" 2>err && "$T" inspect --hash o.mill
}
acts() { # METHOD "ITS OPTIONS" OPTION...: each of them, in turn, against none of them
    local m=$1 short=$2 plain now o
    shift 2
    # shellcheck disable=SC2086
    plain=$(hash_of "$m" $short)
    for o in "$@"; do
        # shellcheck disable=SC2086
        now=$(hash_of "$m" $short $o)
        verdict "$m $o" $?
        holds "$m $o acts" test "$now" != "$plain"
    done
    for o in "--threads 1" "--keep 4" "--checkpoint-every 0" "--run-dir elsewhere" "--memory-limit 1GiB" "--device cpu"; do
        # shellcheck disable=SC2086
        holds "$m $o changes nothing" test "$(hash_of "$m" $short $o)" = "$plain"
    done
}
acts ctgan "-e 2" "--batch-size 100" "--embedding-dim 64" "--generator-dim 64,64" "--discriminator-dim 64,64" "--generator-lr 1e-3" \
    "--discriminator-lr 1e-3" "--generator-decay .1" "--discriminator-decay .1" "--discriminator-steps 2" "--discriminator-steps 5" \
    "--no-log-frequency" "--pac 5" "--pac 1" "--trim-rare 60" "--virtual-shards 2" "--seed 1" "-d year"
acts tvae "-e 2" "--batch-size 100" "--embedding-dim 64" "--compress-dims 64" "--decompress-dims 64,32" "--lr 1e-2" "--l2scale .1" \
    "--loss-factor 1" "--virtual-shards 2" "--trim-rare 60" "--seed 1"
acts mixture "--components 4 --iterations 5" "--bins 10" "--trim-rare 60" "--seed 1" "--columns species,year" "--drop year" "--na NA,2007"
holds "components are as many" test "$(hash_of mixture --components 7 --iterations 3)" != "$(hash_of mixture --components 8 --iterations 3)"
holds "iterations are as many" sh -c "'$T' fit -i '$PENGUINS' -o i.mill -q -m mixture --components 3 --iterations 4 && test \$(wc -l <i.mill.run/metrics.jsonl) = 4"

probed() { "$T" fit -i "$PENGUINS" -o o.mill -f -q -m ctgan -e 2 --batch-size 100 "$@" 2>err && "$T" inspect --hash o.mill; }
holds "ctgan --holdout-fraction acts" test "$(probed --holdout-fraction .2)" != "$(probed)"
# What would do nothing is refused.
expect "holdout for no probe" 2 "--holdout-fraction is for probes: --probe-every is 0" \
    "$T" fit -i "$PENGUINS" -o no.mill --holdout-fraction .2 --probe-every 0
expect "keep in a folder that goes" 2 "--keep with the output on stdout needs --run-dir" "$T" fit -i "$PENGUINS" -o - --keep 5
expect "keep in a folder that stays" 0 "*" "$T" fit -i "$PENGUINS" -o - --keep 5 --run-dir stays -m mixture --components 3 --iterations 3 \
    --checkpoint-every 0
holds "keep keeps" compgen -G 'stays/step_*.mill'

# Several turns of the discriminator: the same bytes for any threads, and after a kill.
turns=("$T" fit -i "$PENGUINS" -m ctgan -e 6 --batch-size 100 --discriminator-steps 3 --checkpoint-every 0 -q)
"${turns[@]}" -o whole.mill
for n in 1 2 7; do
    "${turns[@]}" -o "t$n.mill" --threads $n
    holds "turns on $n threads" cmp whole.mill "t$n.mill"
done
(TABMILL_FAULT=rename:6:kill "${turns[@]}" -o torn.mill) 2>/dev/null
holds "turns killed" test ! -e torn.mill
expect "turns resumed" 0 "" "${turns[@]}" -o torn.mill --resume
holds "turns resumed to the same bytes" cmp whole.mill torn.mill

# The upstream command line's spellings.
printf '{"generator_lr": 0.001, "discriminator_decay": 0, "embedding_dim": 32, "generator_dim": [64, 32], "batch_size": 100, "epochs": 1}' >c.json
expect "from a file" 0 "" "$T" fit -i "$PENGUINS" -o c.mill -m ctgan -q --config c.json
expect "with underscores" 0 "" "$T" fit -i "$PENGUINS" -o u.mill -m ctgan -q --generator_lr 0.001 --discriminator_decay 0 --embedding_dim 32 \
    --generator_dim 64,32 --batch_size 100 -e 1
holds "are the same" cmp c.mill u.mill
