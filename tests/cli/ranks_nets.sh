#!/bin/bash
# ranks_nets.sh - ctgan and tvae on ranks: the same model for any number of them, also after a stop.
. tests/lib/cli.sh
T=$TABMILL
: >out

for m in ctgan tvae; do
    fit() { # OUTPUT ARGUMENT...
        local out=$1
        shift
        "$T" fit -i "$PENGUINS" -o "$out" -m $m -e 6 --batch-size 80 --virtual-shards 4 --threads 1 "$@"
    }
    expect ${m}_one 0 "1 thread" fit $m.1
    for n in 2 4; do
        expect ${m}_$n 0 "$n ranks of 1 thread" fit $m.$n --nproc $n
        holds ${m}_${n}_same_bytes cmp $m.1 $m.$n
    done
    expect ${m}_launched 0 "2 ranks" "$T" launch -n 2 -- "$T" fit -i "$PENGUINS" -o $m.l -m $m -e 6 --batch-size 80 --virtual-shards 4
    holds ${m}_launched_same_bytes cmp $m.1 $m.l

    # A rank is killed in the middle; another number of ranks goes on to the same bytes.
    (TABMILL_FAULT=rename:6:kill fit $m.k --nproc 2 --checkpoint-every 0 -q) 2>err
    holds ${m}_died test ! -e $m.k
    expect ${m}_resumed 0 "going on from step" fit $m.k --nproc 4 --resume
    holds ${m}_resumed_same_bytes cmp $m.1 $m.k
    expect ${m}_finished 0 "there is nothing to do" fit $m.k --nproc 2 --resume
    holds ${m}_finished_same_bytes cmp $m.1 $m.k
    # Early stop loads the best state on every rank.
    fit $m.b1 --early-stop 1 --probe-every 1 -q && fit $m.b2 --early-stop 1 --probe-every 1 -q --nproc 2
    holds ${m}_early_stop_same_bytes cmp $m.b1 $m.b2
done

# Without --virtual-shards there are as many as ranks: printed, recorded, and a part of the configuration.
expect as_many_as_ranks 0 "2 ranks make 2 virtual shards" "$T" fit -i "$PENGUINS" -o two.mill -m ctgan -e 2 --nproc 2 --keep 2
holds recorded grep -q '"virtual-shards": 2' two.mill.run/manifest.json
rm two.mill
expect other_world 1 "virtual-shards was 2, is 5" "$T" fit -i "$PENGUINS" -o two.mill -m ctgan -e 2 --nproc 5 --resume
expect same_shards 0 "*" "$T" fit -i "$PENGUINS" -o two.mill -m ctgan -e 2 --virtual-shards 2 --resume

expect uneven_batch 2 "a batch of 480 or 520 can" "$T" fit -i "$PENGUINS" -o x.mill -m ctgan --nproc 4
expect uneven_train_batch 2 "a batch of 498 or 501 can" "$T" generate -i "$PENGUINS" -o x.csv -m tvae --nproc 3
expect three_ranks 2 "1, 2, 4, 8" "$T" fit -i "$PENGUINS" -o x.mill -m ctgan --batch-size 480 --nproc 3 --virtual-shards 4
expect few_shards 2 "not enough for 4 ranks" "$T" fit -i "$PENGUINS" -o x.mill -m tvae --nproc 4 --virtual-shards 2
expect odd_shards 2 "a power of two" "$T" fit -i "$PENGUINS" -o x.mill -m tvae --virtual-shards 3
expect not_of_mixture 2 "does nothing with the method mixture" "$T" fit -i "$PENGUINS" -o x.mill -m mixture --virtual-shards 2
holds nothing_written test ! -e x.mill

expect generate_on_all_cores 0 "*" "$T" generate -i "$PENGUINS" -o g.csv -n 50 -m ctgan -e 2 --multi-gpu --probe-every 0
holds generate_rows test "$(wc -l <g.csv)" = 51
