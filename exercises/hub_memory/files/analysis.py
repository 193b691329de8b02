"""Fills a table in memory, as an analysis does, and writes which job it ran in."""

import os
import time
from pathlib import Path

MIB = 200

table = bytearray()
for _ in range(MIB):
    table += b"\1" * (1 << 20)
    time.sleep(0.02)
result = Path.home() / "hub_memory" / "result.txt"
result.write_text(f"{os.environ.get('SLURM_JOB_ID', '')} {sum(table[:: 1 << 20])}\n")
time.sleep(3)
print(f"analysed {len(table) >> 20} MiB")
