#!/usr/bin/env python3
"""generate_data.py: data sets by `tabmill generate-data`, whose options are the same; nothing is computed here."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from train_alias import find_command  # noqa: E402

command = find_command()
os.execv(command, [command, "generate-data", *sys.argv[1:]])
