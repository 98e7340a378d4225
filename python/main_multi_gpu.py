#!/usr/bin/env python3
"""main_multi_gpu.py: training on many ranks; the options are in train_alias.py.

    torchrun --nproc_per_node=4 main_multi_gpu.py --multi-gpu ddp --data data.npz
    tabmill launch -n 4 main_multi_gpu.py --multi-gpu ddp --data data.npz
    python main_multi_gpu.py --multi-gpu ddp --nproc 4 --data data.npz       starts its ranks itself
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train_alias import main  # noqa: E402

main("main_multi_gpu.py", multi_gpu=True)
