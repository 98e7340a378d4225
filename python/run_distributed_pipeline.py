#!/usr/bin/env python3
"""run_distributed_pipeline.py: records through a language model on every GPU; the options are in reason_alias.py."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from reason_alias import main  # noqa: E402

main("run_distributed_pipeline.py")
