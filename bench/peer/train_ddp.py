"""The peer of bench/train.py: the same network, batch and optimizer with PyTorch's DistributedDataParallel over gloo, one thread a rank.

    torchrun --nproc-per-node 2 train_ddp.py DATA.npz STEPS off|bf16        prints the median milliseconds of a step on rank 0
"""
import statistics
import sys
import time

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

torch.set_num_threads(1)
data, steps, amp = np.load(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "bf16"
dist.init_process_group("gloo")
rank, world, batch = dist.get_rank(), dist.get_world_size(), 512
x, y = torch.from_numpy(data["x"][rank::world]), torch.from_numpy(data["y"][rank::world])
net = nn.Sequential(nn.Linear(512, 1448), nn.ReLU(), nn.Linear(1448, 1448), nn.ReLU(), nn.Linear(1448, 1448), nn.ReLU(), nn.Linear(1448, 10))
net = nn.parallel.DistributedDataParallel(net)
adam, loss_of = torch.optim.AdamW(net.parameters(), lr=1e-3), nn.CrossEntropyLoss(label_smoothing=0.1)
took = []
for i in range(steps + 3):
    rows = torch.randint(len(x), (batch,))
    start = time.monotonic()
    adam.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=amp):
        loss = loss_of(net(x[rows]), y[rows])
    loss.backward()
    adam.step()
    took.append(time.monotonic() - start)
if rank == 0:
    print("%.1f" % (statistics.median(took[3:]) * 1e3))
dist.destroy_process_group()
