#!/bin/sh
# launch_multi_gpu.sh - without options it asks (tabmill launch); else:
#   launch_multi_gpu.sh [--mode ddp|dp|single] [--gpus N] [--batch-size B] [--epochs E] [--lr LR] [-y] --data FILE [more options of train]
# It prints the command that it is about to run and asks y/N.  Without --lr the rate is .001, scaled linearly by the number of batches of a step.
set -eu
here=$(dirname "$0")
tabmill=${TABMILL:-$(command -v tabmill || echo "$here/../build/release/tabmill")}
[ $# -gt 0 ] || exec "$tabmill" launch
mode=ddp gpus=auto lr='' yes=''
for word in "$@"; do # our own words are taken out, the others stay in their order
    shift
    case ${want-} in
    mode) mode=$word want='' ;;
    gpus) gpus=$word want='' ;;
    lr) lr=$word want='' ;;
    *) case $word in
        --mode) want=mode ;;
        --gpus | --num-gpus) want=gpus ;;
        --lr) want=lr ;;
        --mode=*) mode=${word#*=} ;;
        --gpus=*) gpus=${word#*=} ;;
        --lr=*) lr=${word#*=} ;;
        -y | --yes) yes=y ;;
        *) set -- "$@" "$word" ;;
        esac ;;
    esac
done
[ -z "${want-}" ] || { echo "launch_multi_gpu.sh: --$want without a value" >&2; exit 2; }
case $mode in
ddp | dp) set -- "$@" --multi-gpu "$mode" --nproc "$gpus" ;;
single) ;;
*) echo "launch_multi_gpu.sh: --mode $mode: ddp, dp or single" >&2; exit 2 ;;
esac
if [ -n "$lr" ]; then set -- "$@" --lr "$lr"; elif [ "$mode" != single ]; then set -- "$@" --lr-scale linear; fi
program=main_multi_gpu.py
[ "$mode" != single ] || program=main.py
echo "$program $*"
if [ -z "$yes" ]; then
    printf 'Run it? [y/N] '
    read -r yes || yes=n
fi
case $yes in
y | Y | yes) TABMILL=$tabmill exec python3 "$here/$program" "$@" ;;
*) echo "not run" ;;
esac
