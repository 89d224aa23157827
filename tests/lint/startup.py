"""What every process and every thread pays before its first line: thread-local storage is zeroed by the loader, page for page."""
import re
import subprocess
import sys

PAGES = 4


def main():
    headers = subprocess.run(["readelf", "--program-headers", "--wide", sys.argv[1]], capture_output=True, text=True, check=True).stdout
    found = re.search(r"^\s*TLS\s+0x\S+\s+0x\S+\s+0x\S+\s+0x\S+\s+0x([0-9a-f]+)", headers, re.M)
    size = int(found.group(1), 16) if found else 0
    if size > PAGES * 4096:
        symbols = subprocess.run(["readelf", "--symbols", "--wide", sys.argv[1]], capture_output=True, text=True, check=True).stdout
        print(f"{size} bytes of thread-local storage, of which {PAGES * 4096} may be; the program's own:")
        print("\n".join(line for line in symbols.splitlines() if " TLS " in line))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
