#!/usr/bin/python3
"""Starts a command in a container of a task, as the container's own user and with its environment, on the terminal that this program has:
ecs_exec.py CONTAINER COMMAND [ARGUMENT...]"""
import json
import os
import sys

RUNTIME = ("/usr/bin/crun", "--root", "/run/ecs/crun")
PLACE = "/var/lib/ecs/tasks"


def words(container, command, term=None):
    """What starts the command, and a descriptor that it has to inherit: the runtime alone would give it no environment."""
    task, _, index = container.rpartition("-")
    with open(f"{PLACE}/{task}/{int(index)}/config.json") as f:
        process = json.load(f)["process"]
    process["args"] = list(command)
    if term:
        process["env"].append(f"TERM={term}")
    fd = os.memfd_create("process", 0)
    os.write(fd, json.dumps(process).encode())
    return [*RUNTIME, "exec", "--process", f"/proc/self/fd/{fd}", container], fd


def main(argv):
    if len(argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        found, _ = words(argv[1], argv[2:], os.environ.get("TERM"))
    except (OSError, ValueError, KeyError) as e:
        print(f"ecs_exec: no container {argv[1]} runs here: {e}", file=sys.stderr)
        return 1
    os.execv(found[0], found)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
