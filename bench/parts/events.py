"""Events: how fast they are held against rules."""
import subprocess

from parts.tools import median


def rules(bench):
    """rule matching per second over 1,000 rules"""
    with_index, without = [], []
    for n in range(bench.rounds):
        bench.round(n)
        for found, words in ((with_index, []), (without, ["all"])):
            said = subprocess.run([bench.program("event_rules"), *words], capture_output=True, text=True, check=True).stdout.split()
            found.append((float(said[0]), float(said[2])))
    bench.add("rule matching per second over 1,000 rules", median([r for _, r in with_index]), "/s", bigger=True,
              peer="each pattern asked", peer_value=median([r for _, r in without]), note=f"{median([e for e, _ in with_index]):,.0f} events a second, parsed and matched by one thread")
