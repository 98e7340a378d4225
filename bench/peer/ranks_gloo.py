"""ranks_gloo.py [first] - the same all-reduces by torch.distributed with gloo, under torchrun; with `first` only one small one."""
import os
import sys
import time

import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo")
if sys.argv[1:] == ["first"]:
    dist.all_reduce(torch.zeros(1000))
    if dist.get_rank() == 0:
        print(time.monotonic(), flush=True)
    dist.destroy_process_group()
    os._exit(0)
for name, n in (("4 B", 1), ("16 KB", 4096), ("1 MB", 262144), ("25 MB", 6553600)):
    x = torch.zeros(n)
    times = []
    end = time.perf_counter() + 3
    stop = 0
    while not stop:
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(x)
        both = torch.tensor([time.perf_counter() - start, float(time.perf_counter() > end)], dtype=torch.float64)
        dist.all_reduce(both, dist.ReduceOp.MAX)
        times.append(float(both[0]))
        stop = float(both[1])
    times = sorted(times[3:] or times)
    if dist.get_rank() == 0:
        print("gloo all-reduce %-10s %10.1f us  least %10.1f us  of %d" % (name, times[len(times) // 2] * 1e6, times[0] * 1e6, len(times)), flush=True)
dist.destroy_process_group()
