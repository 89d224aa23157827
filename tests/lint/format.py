#!/usr/bin/python3
"""Every C file of src/ and tests/ is as clang-format 14 with .clang-format writes it. Other versions differ in details, so this one alone counts.

    format.py ROOT     exit status 0: all are; 1: some are not, and are named; 77: clang-format 14 is not installed
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

PIECE = 40  # files a process


def program():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and re.search(r"version 14\.", subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout):
            return path
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    tool = program()
    if not tool:
        print("skipped: clang-format 14 is not installed (Debian 12: apt-get install clang-format)")
        return 77
    files = sorted(path.relative_to(root) for place in ("src", "tests") for path in (root / place).rglob("*.[ch]"))
    if not files:
        print(f"there is no C file below {root}")
        return 1
    pieces = [files[i:i + PIECE] for i in range(0, len(files), PIECE)]
    wrong, faults = set(), ""
    while pieces:
        batch, pieces = pieces[:os.cpu_count()], pieces[os.cpu_count():]
        for run in [subprocess.Popen([tool, "--dry-run", "-Werror", "--style=file", *map(str, piece)], cwd=root, stderr=subprocess.PIPE, text=True)
                    for piece in batch]:
            output = run.communicate()[1]
            named = set(re.findall(r"^([^:\n]+\.[ch]):\d+", output, re.MULTILINE))
            wrong |= named
            if run.returncode and not named:
                faults += output
    for name in sorted(wrong):
        print(f"{name}: not as clang-format writes it; run: clang-format -i {name}")
    print(faults, end="")
    return 1 if wrong or faults else 0


if __name__ == "__main__":
    sys.exit(main())
