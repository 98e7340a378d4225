# completion.bash - completes `tabmill` (and `genesis`) in bash.  Commands and options are asked of the command itself.
_tabmill() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} program=${COMP_WORDS[0]} words
    local command=${COMP_WORDS[1]} verbs="" call
    call=("$command")
    case $command in
    prior) verbs="show stream verify export stats" ;;
    reason) verbs="status export import watch verify" ;;
    esac
    if [ -n "$verbs" ] && [ "$COMP_CWORD" -gt 2 ] && [[ " $verbs " == *" ${COMP_WORDS[2]} "* ]]; then
        call+=("${COMP_WORDS[2]}")
    fi
    if [ "$COMP_CWORD" = 1 ]; then
        words="$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p') help --version --help"
    elif [ "$before" = -m ] || [ "$before" = --method ]; then
        words="auto mixture ctgan tvae independent"
    elif [ "$before" = --prior ]; then
        words="mix_scm mlp_scm tree_scm graph_scm dummy"
    elif [ "$before" = --recipe ]; then
        words=$(printf '%s ' {v1,v2-clf,v2-reg}-stage{1,2,3})
    elif [ "$before" = --format ] && [ "$command" = prior ]; then
        words="shards pt npy"
    elif [ "$before" = --device ]; then
        words="cpu auto"
    elif [ "$before" = --amp ]; then
        words="off bf16"
    elif [ "${COMP_WORDS[1]}" = bench ] && [ "$COMP_CWORD" = 2 ]; then
        words=scaling
    elif [ "${COMP_WORDS[1]}" = help ]; then
        words=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p')
    elif [[ $word == -* ]]; then
        words=$("$program" "${call[@]}" --help 2>/dev/null |
            sed -n 's/^  \(-., \|    \)--\(\[no-\]\)\{0,1\}\([a-z0-9-]*\).*/--\3/p')
    elif [ -n "$verbs" ] && [ "$COMP_CWORD" = 2 ]; then
        words=$verbs
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _tabmill tabmill genesis
