"""The bill: how exact it is, and how long it takes."""
import json
import os
import re
import subprocess
import tempfile

from parts.tools import ROOT, median


def bill(bench):
    """cases of the golden set that come out differently, and the time of a bill over a million facts"""
    with open(os.path.join(ROOT, "tests", "golden", "bill.json"), encoding="utf-8") as file:
        golden = json.load(file)
    cases = len(golden["cases"]) + len(golden["reserved"])
    test = os.path.join(ROOT, "build", "tests", "unit", "unit_ce_golden")
    if os.path.exists(test):
        wrong = re.findall(r"costs", subprocess.run([test], capture_output=True, text=True, check=False).stderr)
        bench.add("bill: cases of the golden set that differ", len(wrong), "cases", reach=0, note=f"of {cases}, to the last of ten decimals")
    lying, folding, folded = [], [], []
    for n in range(bench.rounds):
        bench.round(n)
        with tempfile.TemporaryDirectory(prefix="quartet-bench-") as directory:
            text = subprocess.run([bench.program("bill"), "1000000", directory], capture_output=True, text=True, check=True).stdout
        found = re.search(r"lie: ([\d.]+) ms folding: ([\d.]+) ms folded: ([\d.]+) ms sums: same", text)
        for numbers, value in zip((lying, folding, folded), found.groups()):
            numbers.append(float(value))
    bench.add("a month's bill over a million facts, folded", median(folded), "ms", note="a thousand resources of 40 usage types, by the day; as it is a minute later")
    bench.add("the same before they are folded", median(lying), "ms", note="as it never is: what a minute brings is folded in the next",
              bound="reading each fact's record.")
    bench.add("facts folded", 1e9 / median(folding), "/s", bigger=True, note="500 to a transaction")
