#!/bin/bash
# completion.sh - the shell's completion knows the commands and their options, from the command itself.
. tests/lib/cli.sh
. "$ROOT/tools/completion.bash"

complete_is() { # NAME WANTED WORDS...: completes the last word
    COMP_WORDS=("$TABMILL" "${@:3}")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _tabmill
    echo "${COMPREPLY[*]}" >out
    : >err
    holds "$1" grep -qx -e "$2" out
}

complete_is command "sample score" s
complete_is option "--discriminator-dim --discriminator-lr --discriminator-decay --discriminator-steps" fit --discriminator
complete_is boolean "--log-frequency" fit --log
complete_is method "ctgan" fit -m c
complete_is what_of_bench "scaling" bench s
complete_is alias_command "generate generate-data" gener
complete_is prior_verb "show stream stats" prior s
complete_is prior_option "--index" prior show --ind
complete_is reason_verb "status" reason s
complete_is reason_verb_option "--text-field" reason verify --text
complete_is prior_recipe "v2-reg-stage1 v2-reg-stage2 v2-reg-stage3" prior --recipe v2-reg
touch table.csv
complete_is file "table.csv" fit -i tab
