#!/usr/bin/env python3
"""main.py: training in one process; the options are in train_alias.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train_alias import main  # noqa: E402

main("main.py", multi_gpu=False)
