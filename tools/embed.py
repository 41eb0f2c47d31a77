#!/usr/bin/env python3
"""Turns a file into a C header with its bytes: embed.py INPUT OUTPUT NAME."""
import sys

data = open(sys.argv[1], "rb").read()
with open(sys.argv[2], "w") as out:
    out.write(f"static const unsigned char {sys.argv[3]}[] = {{\n")
    for i in range(0, len(data), 20):
        out.write("\t" + ",".join(str(b) for b in data[i:i + 20]) + ",\n")
    out.write(f"}};\nstatic const unsigned long {sys.argv[3]}_bytes = {len(data)};\n")
