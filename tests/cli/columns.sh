#!/bin/bash
# columns.sh - every type of column through every method and back: its texts, its format, its decimals, its holes.
. tests/lib/cli.sh
T=$TABMILL

# key, running number: identifiers; two datetimes; boolean; prices of 2 decimals; integers with holes; texts with blanks, quotes,
# a comma, "?"; a code with zeros in front.
awk 'BEGIN { srand(7); print "key,n,at,day,member,price,age,word,code"
    split(" lead|trail |?|\"a,b\"|\"q\"\"x\"|\303\274n\303\257|NA", word, "|")
    for (i = 0; i < 300; i++) { k = rand() < .4
        printf "C%05d,%d,2020-%02d-%02dT%02d:%02d,20%02d-%02d-01,%s,%.2f,%s,%s,%s\n", 3 * i + 7, i + 1000,
            1 + 12 * rand(), 1 + 28 * rand(), 24 * rand(), 60 * rand(), 20 * rand(), 1 + 12 * rand(), k ? "Yes" : "No",
            10 + 40 * k + 5 * rand(), rand() < .1 ? "" : int(100 * rand()) - 20, word[1 + int(7 * rand())], rand() < .5 ? "0123" : "0456" } }' >t.csv
cat >look.py <<'END'
import csv, re, sys
real, fake = (list(csv.DictReader(open(f, encoding="utf-8", newline=""))) for f in sys.argv[1:3])
column = lambda t, c: [r[c] for r in t]
for c in ("key", "n"):
    new = column(fake, c)
    assert len(set(new)) == len(new) and not set(new) & set(column(real, c)), c
assert all(re.fullmatch(r"C\d{5}", v) for v in column(fake, "key"))
for c, form in (("at", r"2020-\d\d-\d\dT\d\d:\d\d"), ("day", r"20\d\d-\d\d-\d\d")):
    assert all(re.fullmatch(form, v) for v in column(fake, c)), c
    assert min(column(real, c)) <= min(column(fake, c)) and max(column(fake, c)) <= max(column(real, c)), c
for c in ("member", "code", "word"):
    assert set(column(fake, c)) <= set(column(real, c)) - {"NA"} | {""}, c
assert "" in column(fake, "word") and "" not in column(fake, "member")
assert all(re.fullmatch(r"\d+\.\d\d", v) for v in column(fake, "price"))
ages = column(fake, "age")
assert "" in ages and all(v == "" or re.fullmatch(r"-?\d+", v) for v in ages)
assert min(int(v) for v in ages if v) >= -20 and max(int(v) for v in ages if v) < 80
END
for run in "mixture" "independent" "ctgan -e 2" "tvae -e 2"; do
    # shellcheck disable=SC2086
    expect "${run% -e*}" 0 "" "$T" generate -i t.csv -o s.csv -f -n 2000 -q -m $run
    python3 look.py t.csv s.csv >out 2>&1
    verdict "${run% -e*}_columns" $? "$(tail -1 out)"
done

# The types file: what inspect writes gives the same types again, also when it is handed to fit.
"$T" inspect t.csv >types.json 2>err
expect types_again 0 "*" "$T" inspect t.csv --types types.json
holds types_round_trip cmp out types.json
"$T" fit -i t.csv -o m.mill -q
"$T" fit -i t.csv -o types.mill --types types.json -q
holds types_same_model test "$("$T" inspect --hash m.mill)" = "$("$T" inspect --hash types.mill)"

# Other clothes of the same table: CRLF and a byte order mark, other delimiters, compressed, from a pipe.
same() { # NAME FILE [OPTION...]
    "$T" fit -i "$2" -o again.mill -f -q "${@:3}" >out 2>err
    holds "same_$1" test "$("$T" inspect --hash m.mill)" = "$("$T" inspect --hash again.mill)"
}
{ printf '\357\273\277'; sed 's/$/\r/' t.csv; } >crlf.csv && same crlf crlf.csv
python3 -c "
import csv, sys
for d, name in ((';', 'semicolon'), ('\t', 'tab'), ('|', 'pipe')):
    csv.writer(open(name + '.csv', 'w', newline=''), delimiter=d).writerows(csv.reader(open('t.csv', newline='')))"
for name in semicolon tab pipe; do same $name $name.csv; done
same delimiter semicolon.csv --delimiter ';'
gzip -k t.csv && same gz t.csv.gz
"$T" inspect t.csv -q >/dev/null # zstd's tool may be absent: our own writer makes the file
"$T" sample m.mill -n 500 -o s.csv.zst -q
"$T" sample m.mill -n 500 -o s2.csv -q
"$T" fit -i s.csv.zst -o z.mill -q && "$T" fit -i s2.csv -o z2.mill -q
holds same_zst test "$("$T" inspect --hash z.mill)" = "$("$T" inspect --hash z2.mill)"

# --na: other words, and none of the usual ones; a "?" is a value unless it is named.
printf 'x,w\n%s\n' "$(for i in $(seq 60); do echo "$((i % 7)),?"; echo "?,NA"; done)" >na.csv
"$T" inspect na.csv >out 2>err
holds na_question_is_a_value python3 -c "
import json; x, w = json.load(open('out'))['columns']; assert x['type'] == 'category' and x['missing'] == 0 and w['missing'] == 60"
"$T" inspect na.csv --na '?' >out 2>err
holds na_named python3 -c "
import json; x, w = json.load(open('out'))['columns']; assert x['type'] == 'integer' and x['missing'] == 60 and w['missing'] == 60 and w['values'] == 1"

# Tables at the edge, by every method.
printf 'a,b\n1,x\n' >one.csv
printf 'a,b,c\n%s\n' "$(for _ in $(seq 30); do echo 5,,k; done)" >const.csv
for f in one:1,x const:5,,k; do
    for run in "mixture" "independent" "ctgan -e 1" "tvae -e 1"; do
        # shellcheck disable=SC2086
        expect "edge_${f%%:*}_${run% -e*}" 0 "" "$T" generate -i "${f%%:*}.csv" -o - -n 3 -q -m $run
        holds "edge_${f%%:*}_${run% -e*}_rows" test "$(tail -n +2 out | sort -u)" = "${f#*:}"
    done
done
