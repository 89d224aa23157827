"""What docs/METRICS.md says: (namespace, name) -> (unit, combinations of dimensions) of what is measured, and what is absent."""
import os
import re


class Page:
    def __init__(self):
        self.measured, self.absent = {}, set()


def documented(root):
    page, space, kind = Page(), None, None
    with open(os.path.join(root, "docs", "METRICS.md"), encoding="utf-8") as f:
        for line in f:
            if line.startswith("## "):
                space = line[3:].strip()
            if not line.startswith("|") or line.startswith("|---"):
                continue
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if cells[0] in ("measured", "not here"):
                kind = cells[0]
                continue
            for name in re.findall(r"`([^`]+)`", cells[0]):
                assert (space, name) not in page.measured and (space, name) not in page.absent, (space, name)
                if kind == "measured":
                    _, unit, by, source = cells
                    assert source, name
                    page.measured[space, name] = unit, {() if b.strip() == "all" else tuple(sorted(w.strip() for w in b.split(","))) for b in by.split(";")}
                else:
                    assert cells[1], name
                    page.absent.add((space, name))
    return page
