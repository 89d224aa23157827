"""Scripts of a bundle that run while it is deployed: .platform/hooks for a version, .platform/confighooks for other settings."""
import os

from beanstalk_system import Failed, run

LOG = "/var/log/eb-hooks.log"


def scripts(root, kind, phase):
    """In the order in which they run. Each may run from then on, whatever its bits were: archives made on other systems have none."""
    place = f"{root}/.platform/{kind}/{phase}"
    names = sorted(os.listdir(place)) if os.path.isdir(place) else []
    found = [f"{place}/{name}" for name in names if os.path.isfile(f"{place}/{name}")]
    for path in found:
        os.chmod(path, os.stat(path).st_mode | 0o111)
    return found


def run_hooks(root, kind, phase, env):
    for path in scripts(root, kind, phase):
        done = run(path, place=LOG, env=env, cwd=root)
        if done.returncode:
            raise Failed(f"Command {os.path.relpath(path, root)} failed with error exit status {done.returncode}. Output: {done.last()}")
