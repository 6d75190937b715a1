# SPDX-License-Identifier: BSD-3-Clause
"""A text file as a C++ string literal: to_literal.py INPUT OUTPUT"""
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
# Compilers take at most 64 KB at a time.
parts = [text[i:i + 8000] for i in range(0, len(text), 8000)]
with open(sys.argv[2], "w", encoding="utf-8") as file:
    file.write("\n".join(f'R"~~~({part})~~~"' for part in parts) + "\n")
