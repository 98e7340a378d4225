"""The command lines of main.py and main_multi_gpu.py in terms of `tabmill train`.

Nothing is computed here: options are renamed and the process becomes the command.  Under torchrun, tabmill launch, mpirun or srun it is one rank of
several, and `tabmill train` sees that by itself.  What no processor can do (GPU ids, --device cuda) the command refuses by name.
"""
import argparse
import glob
import os
import shutil
import sys

SAME = ["epochs", "batch-size", "lr", "weight-decay", "warmup-epochs", "dropout", "grad-accum-steps", "max-grad-norm", "num-workers",
        "early-stopping-patience", "log-interval", "label-smoothing", "mode", "save-dir", "seed", "arch", "amp", "lr-scale", "target",
        "val-fraction", "test-fraction", "virtual-shards", "nproc", "gpu-ids"]


def find_command():
    here = os.path.dirname(os.path.abspath(__file__))
    for path in (os.environ.get("TABMILL"), shutil.which("tabmill"), os.path.join(here, "..", "build", "release", "tabmill")):
        if path and os.access(path, os.X_OK):
            return path
    sys.exit("tabmill is not installed: `make install`, or name it in TABMILL")


def find_data(folder):
    """train.*, val.* and test.* of the folder, or its only table or array file."""
    found = {}
    for path in sorted(sum((glob.glob(os.path.join(folder, "*" + end)) for end in (".npz", ".csv", ".parquet")), [])):
        found[os.path.splitext(os.path.basename(path))[0]] = path
    if "train" in found:
        names = [("--data", "train"), ("--val-data", "val"), ("--test-data", "test")]
        return [word for flag, name in names if name in found for word in (flag, found[name])]
    if len(found) == 1:
        return ["--data", *found.values()]
    sys.exit(f"{folder}: neither train.npz nor train.csv nor train.parquet, nor one such file alone")


def parser_of(program, multi_gpu):
    p = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0], allow_abbrev=False)
    p.add_argument("--data", help="a .npz, .csv or .parquet")
    p.add_argument("--data-dir", help="a folder with train.npz (val.npz, test.npz), or one file")
    for name in SAME:
        p.add_argument("--" + name)
    p.add_argument("--hidden-dims", nargs="+")
    p.add_argument("--encoder-path")
    p.add_argument("--freeze-encoder", action=argparse.BooleanOptionalAction, default=True)
    p.add_argument("--no-amp", action="store_true")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--force", action="store_true")
    p.add_argument("--device")
    if multi_gpu:
        p.add_argument("--multi-gpu", choices=["ddp", "dp"])
        p.add_argument("--local_rank", "--local-rank", type=int, help="from the environment")
    else:
        p.add_argument("--no-augmentation", action="store_true", help="rows are never augmented")
    return p


def command_line(program, arguments, multi_gpu):
    o = parser_of(program, multi_gpu).parse_args(arguments)
    if not o.data and not o.data_dir:
        sys.exit(f"{program}: --data FILE or --data-dir FOLDER is missing")
    words = ["train", *(["--data", o.data] if o.data else find_data(o.data_dir))]
    values = vars(o)
    values["target"] = o.target or "y"
    values["save_dir"] = o.save_dir or ("checkpoints/multi_gpu" if multi_gpu else "checkpoints")
    if o.no_amp:
        values["amp"] = "off"
    for name in SAME:
        value = values[name.replace("-", "_")]
        if value is not None:
            words += ["--" + name, value]
    if o.hidden_dims:
        words += ["--hidden-dims", ",".join(o.hidden_dims)]
    if o.encoder_path:
        words += ["--encoder-path", o.encoder_path] + (["--freeze-encoder"] if o.freeze_encoder else [])
    if o.device:
        words += ["--device", o.device]
    words += ["--" + flag for flag in ("resume", "force") if values[flag]]
    if multi_gpu and o.multi_gpu:
        words += ["--multi-gpu", o.multi_gpu]
    return words


def main(program, multi_gpu):
    command = find_command()
    os.execv(command, [command, *command_line(program, sys.argv[1:], multi_gpu)])
