#!/bin/bash
# hostile.sh - bad tables get one clear line with file, line and column, status 1, and leave nothing behind.
. tests/lib/cli.sh
T=$TABMILL

refuse() { # NAME WORDS: bad.csv must be refused by fit
    rm -rf m.mill m.mill.run
    expect "$1" 1 "$2" "$T" fit -i bad.csv -o m.mill -q "${@:3}"
    holds "$1_one_line" test "$(wc -l <err)" = 1
    holds "$1_no_model" test ! -e m.mill
}

: >bad.csv;                                     refuse empty "bad.csv: the file is empty"
printf '\n\n' >bad.csv;                          refuse no_columns "bad.csv: the table has no columns"
printf 'a,b\n' >bad.csv;                        refuse no_rows "bad.csv: the table has no rows"
printf 'a,b\n1,2\n3\n' >bad.csv;                refuse ragged "bad.csv:3: 1 field, but the table has 2 columns"
printf 'a,b\n1,2\n3,4,5\n' >bad.csv;            refuse ragged_long "bad.csv:3"
printf 'a,b\n1,"x\n2,y\n' >bad.csv;             refuse unterminated 'bad.csv:2: column "b": the quote is not closed'
printf 'a,b\n1,2\n3,x\0y\n' >bad.csv;           refuse nul "bad.csv:3"
printf 'a,b\n1,x\n3,\377\n' >bad.csv;           refuse utf8 "bad.csv:3"
printf 'a,a\n1,2\n3,4\n' >bad.csv;              refuse duplicate_header "\"a\""
printf 'a,b\n1,2\n3,"12,5"\n' >bad.csv;          refuse decimal_comma 'bad.csv:3: column "b": "12,5" is not a number'
printf 'a,b\r1,2\r3,4\r' >bad.csv;                refuse cr_alone "bad.csv: its lines end with CR alone"
printf 'a,b\n1,2\n' | iconv -t UTF-16 >bad.csv;   refuse utf16 "bad.csv: this is UTF-16"
printf 'a,b\n1,2\n' | iconv -t UTF-16LE >bad.csv; refuse utf16_unmarked "bad.csv:1: a NUL byte in the names: no text in UTF-8"
rm bad.csv;                                     refuse absent "bad.csv"
mkdir bad.csv;                                  refuse folder "bad.csv"
rmdir bad.csv
printf 'a,b\n1,2\n' | gzip | head -c 20 >bad.csv; refuse cut_gzip "bad.csv"

# What looks odd and is still a table.
for i in $(seq 60); do echo "$i,const,,$((i % 2))"; done | sed '1i n,one,none,bit' >odd.csv
expect odd_columns 0 "*" "$T" fit -i odd.csv -o odd.mill
expect odd_sample 0 "" "$T" sample odd.mill -n 30 -q
holds odd_constant_stays sh -c 'tail -n +2 out | awk -F, "\$2 != \"const\" { exit 1 }"'
holds odd_missing_stays sh -c 'tail -n +2 out | awk -F, "\$3 != \"\" { exit 1 }"'
printf 'x\n1\n2\n3\n' >one.csv
expect one_column 0 "independent" "$T" fit -i one.csv -o one.mill
printf 'x,k\n1,a\n1e999,b\n' >huge.csv
expect beyond_a_double 0 'huge.csv:3: column "x" is read as category: "1e999" is too large' "$T" inspect huge.csv
# 300,000 values of one column: a category that is announced, and drawn from.
awk 'BEGIN { print "name,n"; for (i = 0; i < 600000; i++) printf "v%d,%d\n", i * 7 % 300000, i % 7 }' >many.csv
expect many_values 0 'column "name" has 300000 different values in 600000 rows' "$T" fit -i many.csv -o many.mill -m mixture --components 3 --iterations 2
expect many_values_sample 0 "" "$T" sample many.mill -n 1000 -q
holds many_values_of_the_table sh -c 'tail -n +2 out | grep -vqE "^v[0-9]{1,6},[0-6]$" && exit 1; test "$(tail -n +2 out | cut -d, -f1 | sort -u | wc -l)" -gt 900'
expect many_values_too_wide 1 "over the limit" "$T" fit -i many.csv -o wide.mill -m ctgan -e 1 --memory-limit 500MB

# What sniffing finds can be overruled.
printf '1;2\n3;4\n5;6\n' >plain.csv
for o in "--no-header:3 rows, 2 columns" "--header:2 rows, 2 columns" "--delimiter ,:2 rows, 1 column"; do
    # shellcheck disable=SC2086
    expect "overruled by ${o%%:*}" 0 "${o#*:}" "$T" inspect plain.csv ${o%%:*}
done
expect named_by_number 0 "*" "$T" inspect plain.csv --no-header
says number_names '"name": "c1"'
