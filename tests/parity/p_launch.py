"""PyTorch's ranks under our launcher, and ours under PyTorch's.

A torch script with gloo runs under `tabmill launch` as it is: two ranks, DistributedDataParallel, gradients that are the mean of both,
the port that the launcher holds.  And torchrun starts ranks of ours, which meet without a port.
"""
# NEEDS: torch
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TABMILL = os.environ.get("TABMILL", os.path.join(ROOT, "build/release/tabmill"))
SCRIPT = """
import sys, torch, torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

@record
def main():
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    model = torch.nn.Linear(3, 1)
    ddp = torch.nn.parallel.DistributedDataParallel(model)
    x = torch.full((2, 3), float(rank + 1))
    ddp(x).sum().backward()
    assert torch.equal(model.weight.grad, torch.full((1, 3), 3.0)), model.weight.grad  # (2 * 1 + 2 * 2) / 2
    if "fail" in sys.argv and rank == 1:
        raise ValueError("a bad batch")
    dist.barrier()
    sys.stdout.write(f"rank {rank} of {dist.get_world_size()}\\n")  # in one piece

main()
"""


def verdict(name, wrong):
    print("ok " + name if not wrong else "FAIL %s: %s" % (name, wrong))


def run(*command):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
    return p.returncode, p.stdout, p.stderr


with tempfile.TemporaryDirectory() as folder:
    script = os.path.join(folder, "ddp.py")
    open(script, "w").write(SCRIPT)
    launch = [TABMILL, "launch", "--no-python", "-n", "2", "--", sys.executable, script]
    status, out, err = run(*launch)
    verdict("a torch script under launch", "" if status == 0 and sorted(out.split("\n"))[1:] == ["rank 0 of 2", "rank 1 of 2"] else (status, out, err[-2000:]))
    status, out, err = run(*launch, "fail")
    verdict("its failure, by torch's own words", "" if status == 1 and "rank 1 (process" in err and "ValueError: a bad batch" in err.split("its last words:")[-1] else (status, err[-2000:]))

    table = os.path.join(folder, "t.csv")
    open(table, "w").write("a,y\n" + "".join("%.3f,%s\n" % (i * i % 97 / 7, "pn"[i % 7 > 3]) for i in range(300)))
    ours = [TABMILL, "train", "-q", "--data", table, "--target", "y", "--epochs", "2", "--multi-gpu", "ddp", "--virtual-shards", "2"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    status, out, err = run(*torchrun, *ours, "--save-dir", folder + "/theirs")
    verdict("ranks of ours under torchrun", "" if status == 0 else (status, err[-2000:]))
    status, out, err = run(*ours, "--nproc", "2", "--save-dir", folder + "/own")
    same = status == 0 and open(folder + "/own/latest.mill", "rb").read() == open(folder + "/theirs/latest.mill", "rb").read()
    verdict("give the same bytes as under ours", "" if same else (status, err[-2000:]))
