#!/bin/bash
# reason.sh - answers in records against the right ones.
. tests/lib/cli.sh
T=$TABMILL

cat >a.jsonl <<'END'
{"id":"p","answer":"1/2","solution":"so \\boxed{\\frac12}"}
{"id":"q","answer":"7","solution":"\\boxed{8}"}
{"id":"r","answer":"50\\%","solution":"\\boxed{50}"}
{"id":"s","answer":"3","solution":"it is 3"}
{"id":"t","answer":"proof","solution":"\\boxed{1}"}
{"id":"u","solution":"\\boxed{1}"}
{"id":"v","answer":1}
not json
{"id":"w","answer":4,"solution":"\\boxed{2^2}"}
END
cat >want <<'END'
records                                                     9
equal                                                       2
different                                                   1
unsupported: not understood, or too close to call           1
no answer: nothing in a box                                 1
no gold: absent, or a proof                                 2
unreadable: no record, or no text                           2
END
expect counts 0 'answers are taken from "solution"' "$T" reason verify a.jsonl
holds counts_are_right cmp out want
expect verdicts 0 "" "$T" reason verify a.jsonl -o v.jsonl -q
holds counts_beside_a_file cmp out want
cat >want <<'END'
{"record":0,"id":"p","verdict":"equal","gold":"1/2","given":"\\frac12"}
{"record":1,"id":"q","verdict":"different","gold":"7","given":"8"}
{"record":2,"id":"r","verdict":"unsupported","gold":"50\\%","given":"50"}
{"record":3,"id":"s","verdict":"no_answer","gold":"3"}
{"record":4,"id":"t","verdict":"no_gold","gold":"proof"}
{"record":5,"id":"u","verdict":"no_gold"}
{"record":6,"id":"v","verdict":"unreadable","gold":"1","why":"there is no field \"solution\""}
{"record":7,"verdict":"unreadable","why":"a.jsonl:8: '[' or '{' expected near 'not'"}
{"record":8,"id":"w","verdict":"equal","gold":"4","given":"2^2"}
END
holds verdicts_are_right cmp v.jsonl want
expect stdout_instead 0 "*" "$T" reason verify a.jsonl -o -
holds verdicts_on_stdout cmp out want
expect no_overwriting 1 "--force" "$T" reason verify a.jsonl -o v.jsonl
expect not_over_the_records 1 "a.jsonl: is what is read" "$T" reason verify a.jsonl -o a.jsonl -f
expect run_not_over_the_records 1 "a.jsonl: is what is read" "$T" reason --dataset a.jsonl -o a.jsonl -f --server http://127.0.0.1:1
expect key_that_is_near 1 "gsm8: no such file; did you mean the key gsm8k?" "$T" reason --dataset gsm8 -o o.jsonl --server http://127.0.0.1:1
expect forced 0 "*" "$T" reason verify a.jsonl -o v.jsonl -f

printf 'n,right,text\n1,2,"\\boxed{2}"\n2,2,"\\boxed{3}"\n' >a.csv
expect other_fields 0 "" "$T" reason verify a.csv --answer-field right --text-field text --id-field n -o - -q
holds other_fields_are_read grep -q '"id":"2","verdict":"different"' out
expect no_text 1 "--text-field NAME" "$T" reason verify a.csv
expect no_file 1 "there-is-none.jsonl" "$T" reason verify there-is-none.jsonl
expect unknown_action 2 "improve" "$T" reason improve a.csv
expect file_missing 2 "FILE is missing" "$T" reason verify
