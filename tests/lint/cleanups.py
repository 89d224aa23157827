"""What cleans up at the end of its block is set before the block can be left: nothing jumps away between declaration and first use."""
import pathlib
import re
import sys

DECLARED = re.compile(r"^(?=.*\bCLEAN_)\s*(?:CLEAN_\w+ )?struct \w+ (?:\*\s*)?(?:CLEAN_\w+ )?(?:\*\s*)?(\w+);")
LEAVES = re.compile(r"\b(return|break|continue|goto)\b")


def faults(path):
    lines = path.read_text().split("\n")
    for at, line in enumerate(lines):
        found = DECLARED.match(line)
        if not found:
            continue
        for later in lines[at + 1:]:
            if re.search(rf"\b{found[1]}\b", later) or later.startswith("}"):
                break
            if LEAVES.search(later):
                yield f"{path}:{at + 1}: {found[1]} is cleaned up where it has not been set"
                break


def main():
    found = [f for path in sorted(pathlib.Path(sys.argv[1], "src").rglob("*.c")) for f in faults(path)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
