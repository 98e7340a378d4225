#!/bin/bash
# reason_presets.sh - `--serve vllm|sglang|llama-server`: each is started, waited for, asked and stopped.  Programs of these names stand in for them:
# they take the options that the real ones document and no others, say 503 at first as those do while they load, and are our mock server then.
# The real ones have not been run by this; llama-cpp-python is, in `make parity-reason`.
. tests/lib/cli.sh
T=$TABMILL
. "$ROOT/tests/lib/mock.sh"
export TABMILL_NVML=/nonexistent/libnvidia-ml.so.1 STAND_IN=$MOCK HERE=$PWD
: >out
: >err
mkdir bin
# Options with a value, options without, and how the model is named; the rest of the line is the mock's.
cat >bin/stand-in <<'SH'
#!/bin/bash
# stand-in "VALUED..." "FLAGS..." ARGUMENTS...
valued=" $1 " flags=" $2 " model="" host="" port=""
shift 2
echo "$NAME $*" >>"$HERE/started"
echo "$NAME $CUDA_VISIBLE_DEVICES ${VLLM_CACHE_ROOT:-none} ${TRITON_CACHE_DIR:-none}" >>"$HERE/environment"
while [ $# -gt 0 ]; do
    case $valued in *" $1 "*)
        [ $# -ge 2 ] || { echo "error: argument $1: expected one argument"; exit 2; }
        case $1 in --model | --model-path | -m) model=$2 ;; --host) host=$2 ;; --port) port=$2 ;; esac
        case $1 in --served-model-name | --alias) [ "$2" = "$model" ] || { echo "error: served as $2"; exit 2; } ;; esac
        shift 2
        continue ;;
    esac
    case $flags in *" $1 "*) shift; continue ;; esac
    case $1 in -*) echo "error: unrecognized arguments: $1"; exit 2 ;; esac
    [ -z "$model" ] || { echo "error: unrecognized arguments: $1"; exit 2; }
    model=$1
    shift
done
[ -n "$model" ] || { echo "error: no model"; exit 2; }
case $host in
    *.sock) exec "$STAND_IN" --socket "$host" --model "$model" --ready-after 0.3 --log "$HERE/asked" ;;
    127.0.0.1) exec "$STAND_IN" --host "$host" --port "$port" --model "$model" --ready-after 0.3 --log "$HERE/asked" ;;
esac
echo "error: host $host"
exit 2
SH
cat >bin/vllm <<'SH'
#!/bin/bash
[ "$1" = serve ] || { echo "usage: vllm serve MODEL"; exit 2; }
shift
NAME=vllm exec "$(dirname "$0")/stand-in" "--host --port --generation-config --gpu-memory-utilization" "--enable-prefix-caching --enable-chunked-prefill" "$@"
SH
cat >bin/python3 <<'SH'
#!/bin/bash
[ "$1 $2" = "-m sglang.launch_server" ] || { echo "No module named $2"; exit 1; }
shift 2
NAME=sglang exec "$(dirname "$0")/stand-in" "--model-path --served-model-name --host --port --mem-fraction-static --schedule-policy" --enable-metrics "$@"
SH
cat >bin/llama-server <<'SH'
#!/bin/bash
NAME=llama-server exec "$(dirname "$0")/stand-in" "-m --model --alias --host --port --n-gpu-layers --parallel" "--metrics --kv-unified --cont-batching" "$@"
SH
chmod +x bin/*
for i in $(seq 20); do echo "{\"id\":\"r$i\",\"problem\":\"What is $i + 3?\",\"answer\":$((i + 3))}"; done >d.jsonl
run() { # OUT OPTIONS...
    local to=$1
    shift
    PATH=$HERE/bin:$PATH "$T" reason --dataset d.jsonl -o "$to" --model stand-in-7b --cleanup-delay 2 "$@"
}
none_left() {
    for _ in $(seq 100); do pgrep -f "$HERE/asked" >/dev/null || break; sleep 0.05; done
    verdict "$1" "$(pgrep -cf "$HERE/asked")" "$(pgrep -af "$HERE/asked")"
}
for preset in vllm sglang llama-server; do
    rm -f started environment
    expect "$preset" 0 "20 in = " run "$preset.jsonl" --serve "$preset" --num-gpus 2
    holds "$preset: found ready" grep -q "server [01] is ready after" err # the other one may come too late for work
    holds "$preset: two were started" test "$(grep -c "^$preset " started)" = 2
    holds "$preset: none was killed or died" sh -c '! grep -q "ended with status\|SIGKILL" err'
    none_left "$preset: both were stopped"
    cmp -s "$preset.jsonl" vllm.jsonl
    verdict "$preset: same bytes" $?
    case $preset in
        vllm) holds "$preset: caches of their own" test "$(cut -d' ' -f3 environment | grep -v none | sort -u | wc -l)" = 2 ;;
        sglang) holds "$preset: caches of their own" test "$(cut -d' ' -f4 environment | grep -v none | sort -u | wc -l)" = 2 ;;
        *) holds "$preset: by sockets" test "$(grep -c "\.sock" started)" = 2 ;;
    esac
    rm -f started
    expect "$preset: fast" 0 "20 in = " run "$preset-fast.jsonl" --serve "$preset" --num-gpus 1 --optimize-gpu
    case $preset in
        vllm) words="--enable-prefix-caching" ;;
        sglang) words="--schedule-policy lpm" ;;
        *) words="--parallel 8" ;;
    esac
    holds "$preset: fast options" grep -qF -e "$words" started
done
# That a stand-in refuses what it does not know is seen once; its words are told.
expect refuses 1 "unrecognized arguments: --no-such-option" run refuses.jsonl --num-gpus 1 --max-restarts 0 \
    --serve "vllm serve {model} --host 127.0.0.1 --port {port} --no-such-option"
