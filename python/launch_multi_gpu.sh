#!/bin/sh
# launch_multi_gpu.sh - without options it asks (tabmill launch); else:
#   launch_multi_gpu.sh [--mode ddp|dp|single] [--gpus N] [--batch-size B] [--epochs E] [--lr LR] [-y] --data FILE [more options of train]
# It prints the command that it is about to run and asks y/N.  Without --lr and --lr-scale the rate is .001, scaled linearly by the number of
# batches of a step.  --multi-gpu and --nproc are other names of --mode and --gpus.
set -eu
here=$(dirname "$0")
tabmill=${TABMILL:-$(command -v tabmill || echo "$here/../build/release/tabmill")}
[ $# -gt 0 ] || exec "$tabmill" launch
mode=ddp gpus='' lr='' scale='' yes='' want=''
for word in "$@"; do # our own words are taken out, the others stay in their order
    shift
    case $want in
    mode) mode=$word want='' ;;
    gpus) gpus=$word want='' ;;
    lr) lr=$word want='' ;;
    scale) scale=$word want='' ;;
    *) case $word in
        --mode | --multi-gpu) want=mode ;;
        --gpus | --num-gpus | --nproc) want=gpus ;;
        --lr) want=lr ;;
        --lr-scale) want=scale ;;
        --mode=* | --multi-gpu=*) mode=${word#*=} ;;
        --gpus=* | --num-gpus=* | --nproc=*) gpus=${word#*=} ;;
        --lr=*) lr=${word#*=} ;;
        --lr-scale=*) scale=${word#*=} ;;
        -y | --yes) yes=y ;;
        *) set -- "$@" "$word" ;;
        esac ;;
    esac
done
wrong() { echo "launch_multi_gpu.sh: $1" >&2; exit 2; }
[ -z "$want" ] || wrong "$word without a value"
case $mode in
ddp | dp)
    set -- "$@" --multi-gpu "$mode" --nproc "${gpus:-auto}"
    [ -n "$lr$scale" ] || scale=linear ;;
single) [ -z "$gpus" ] || wrong "--gpus $gpus does nothing with --mode single" ;;
*) wrong "--mode $mode: ddp, dp or single" ;;
esac
[ -z "$lr" ] || set -- "$@" --lr "$lr"
[ -z "$scale" ] || set -- "$@" --lr-scale "$scale"
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
