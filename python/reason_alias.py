"""The command lines of run_distributed.py and its relatives in terms of `tabmill reason`.

Nothing is computed here: options are renamed, and those that `tabmill reason` has by the same name are passed on as they are.  Where neither
--server nor --serve says who answers, one vLLM server is started for each GPU, with the model that the original loads; TABMILL_SERVE and
TABMILL_MODEL say otherwise.  A second run of the same command goes on with the first.  Beside the final JSON file lies the same as CSV.
"""
import argparse
import os
import subprocess
import sys

from train_alias import find_command

MODEL = "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
DATASET = "numina_math"
OUTPUT = "./data/final_data.json"
SAME = ["split", "data-dir", "num-examples", "max-iterations", "seed", "batch-size", "world-size", "master-addr", "master-port", "node-rank",
        "num-nodes", "max-tokens", "cleanup-delay", "start-from", "dataset-info", "model", "serve"]
SWITCHES = ["force-download", "optimize-gpu", "no-warnings", "debug", "low-memory", "list-datasets"]


def parser_of(program):
    p = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0], allow_abbrev=False,
                                epilog="Every other option of `tabmill reason` is passed on.")
    p.add_argument("--dataset", help=f"a key or a file; default: {DATASET}")
    p.add_argument("--dataset-name", help="a file of your own: nothing is fetched by name")
    p.add_argument("--config", help="of a data set: DATA-DIR/KEY-CONFIG.jsonl; or a JSON file with options")
    p.add_argument("--output", "-o", help=f"default: {OUTPUT}")
    p.add_argument("--server", action="append", help="an OpenAI-compatible server that runs; repeats")
    for name in SAME:
        p.add_argument("--" + name)
    for name in SWITCHES:
        p.add_argument("--" + name, action="store_true")
    return p


def dataset_of(program, o):
    """Words for which records."""
    if o.dataset_name and not os.path.exists(o.dataset_name):
        sys.exit(f"{program}: --dataset-name {o.dataset_name}: there is no such file, and nothing is fetched by name; get it and give its path")
    words = ["--dataset", o.dataset_name or o.dataset or DATASET]
    if o.config and os.path.exists(o.config):
        words += ["--config", o.config]
    elif o.config:
        o.split = f"{o.config}-{o.split}" if o.split else o.config
    return words


def servers_of(o):
    """Words for who answers, where the command line does not say it."""
    if o.server:
        return [word for url in o.server for word in ("--server", url)]
    if not o.serve:
        o.serve = os.environ.get("TABMILL_SERVE", "vllm")
    if not o.model and ("TABMILL_MODEL" in os.environ or o.serve == "vllm"):
        o.model = os.environ.get("TABMILL_MODEL", MODEL)
    return []


def command_line(program, arguments):
    o, more = parser_of(program).parse_known_args(arguments)
    output = o.output or OUTPUT
    if o.list_datasets or o.dataset_info:
        words = []
    else:
        words = dataset_of(program, o) + servers_of(o) + ["--output", output]
        if os.path.exists(output + ".run") and not {"--resume", "--force", "-f", "--dry-run"} & set(more):
            words.append("--resume")
    values = vars(o)
    for name in SAME:
        value = values[name.replace("-", "_")]
        if value is not None:
            words += ["--" + name, value]
    words += ["--" + name for name in SWITCHES if values[name.replace("-", "_")]]
    writes = not (o.list_datasets or o.dataset_info or "--dry-run" in more) and o.node_rank in (None, "0")
    return words + more, output if writes else None


def write_csv(command, output):
    """The same records as a table, where the final file is there and this machine wrote it."""
    stem, end = os.path.splitext(output)
    if end == ".csv" or not os.path.exists(output):
        return 0
    return subprocess.call([command, "reason", "export", output + ".run", "-o", stem + ".csv", "--force", "--quiet"])


def main(program):
    command = find_command()
    words, output = command_line(program, sys.argv[1:])
    if output and os.path.dirname(output):
        os.makedirs(os.path.dirname(output), exist_ok=True)
    child = subprocess.Popen([command, "reason", *words])
    while True:
        try:
            status = child.wait()
            break
        except KeyboardInterrupt:
            pass  # the command has it too, and ends by itself
    if status == 0 and output:
        status = write_csv(command, output)
    sys.exit(status if status >= 0 else 128 - status)
