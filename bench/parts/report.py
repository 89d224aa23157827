"""The table, on the terminal and as bench/RESULTS.md."""
import datetime
import os
import subprocess

from parts.tools import ROOT, machine, page_fault_us


def number(value, unit):
    if value is None:
        return ""
    if unit == "/s":
        return f"{value:,.0f}/s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:,.3g} {unit}"


def cells(row):
    reach = ("" if row.reach is None else ">= " if row.bigger else "<= ") + number(row.reach, row.unit)
    peer = f"{row.peer}: {number(row.peer_value, row.unit)}" if row.peer_value else row.peer or ""
    ratio = f"{row.ratio:.2f}" if row.ratio else ""
    return [row.what, number(row.value, row.unit), reach, "short" if row.short else "yes" if row.reach is not None else "", peer, ratio, row.note]


HEADS = ["what", "figure", "reach", "there", "peer in the same run", "ratio", "note"]


def table(rows):
    lines = [HEADS[:6], *(cells(r)[:6] for r in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    lines.insert(1, ["-" * w for w in widths])
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)).rstrip() for line in lines)


def shortfalls(rows):
    return [f"{row.what}: {row.bound}" for row in rows if row.short and row.bound]


def write(bench, path):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    before = bench.load_before
    out = ["# Figures", "",
           f"{datetime.date.today()}, {machine()}; `bench/run` at {commit or 'no commit'}; "
           f"load average before it {before:.1f}.", "",
           "Medians over rounds in which Quartet and its peer take turns. The ratio is figure / peer: above 1 is better for rates, below 1 for",
           "times. Load generator and server share the machine's processors.", "",
           f"A page fault takes {page_fault_us():.1f} us on this machine (0.1 to 0.5 us is usual); starting a process or a sandbox takes hundreds of them.", "",
           *(["**Other programs were busy on the machine during this run**, so rates, times and what falls short are not those of a quiet one.", ""]
             if before > 0.7 else []),
           "| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    out += ["| " + " | ".join(c.replace("|", "\\|") for c in cells(row)) + " |" for row in bench.rows]
    short = [row for row in bench.rows if row.short]
    if short:
        out += ["", "## What bounds the figures that fall short", ""]
        out += [f"- **{row.what}**: {row.bound or 'not known yet.'}" for row in short]
    if bench.skipped:
        out += ["", "## Not measured", ""] + [f"- {name}: {why}" for name, why in bench.skipped]
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")
    print(f"written: {path}")
