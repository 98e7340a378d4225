#!/bin/sh
# A model of the penguins and rows of it: the same text from every processor, as every sum is our own (m.mill's digest says so too).
set -e
root=$PWD
cd "$TEST_TMP"
"$TABMILL" fit -i "$root/examples/penguins.csv" -o m.mill --components 8 --seed 4 -q
"$TABMILL" inspect --hash m.mill
"$TABMILL" sample m.mill -n 12 --seed 3 -q
"$TABMILL" sample m.mill -n 5 --where species=Gentoo --where 'body_mass_g>=5500' -q
"$TABMILL" score m.mill -i "$root/examples/penguins.csv" -o - -q | head -4
