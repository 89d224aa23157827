"""What a sanitizer, or a role that ended by a fatal signal, said in a daemon's log: the first complaint, with the lines of the source that it could not name itself
(a role without rights starts no symbolizer)."""
import re
import shutil
import subprocess

SAID = re.compile(r"Sanitizer|runtime error| fatal |^fatal signal")
FRAME = re.compile(r"(?:#\d+ 0x[0-9a-f]+ +\(.*?/quartet\+|quartet\(\+)(0x[0-9a-f]+)\)")
LINES_MAX = 60


def places(program, offsets):
    """function and line of each offset, as well as the tools of this machine tell them"""
    for tool in (["llvm-symbolizer"], ["llvm-symbolizer-14"], ["addr2line"]):
        if shutil.which(tool[0]):
            done = subprocess.run(tool + ["-f", "-e", program], input="\n".join(offsets) + "\n", capture_output=True, text=True)
            found = [line for line in done.stdout.splitlines() if line]
            return list(zip(found[::2], found[1::2]))
    return []


def complaint(log, program):
    lines = log.splitlines()
    first = next((i for i, line in enumerate(lines) if SAID.search(line)), None)
    if first is None:
        return None
    told = [line for line in lines[first:] if "symbolizer" not in line and "failed to fork" not in line][:LINES_MAX]
    offsets = [m[1] for line in told if (m := FRAME.search(line))]
    named = dict(zip(offsets, places(program, offsets)))
    return "\n".join(f"{line} {' '.join(named[m[1]])}" if (m := FRAME.search(line)) and m[1] in named else line for line in told)
