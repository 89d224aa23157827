#!/usr/bin/python3
"""tools/check-layers finds each kind of fault in a tree made for it, and none in a good one."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check-layers"


class CheckLayers(unittest.TestCase):
    def faults(self, files):
        """The tool's exit code and output for a tree of {path: text}."""
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

    def refuses(self, name, text, words):
        code, output = self.faults({name: text})
        self.assertEqual(code, 1, output)
        self.assertEqual(len(output.splitlines()), 1, output)
        self.assertIn(words, output)

    def test_good_tree(self):
        code, output = self.faults({
            "src/base/a.h": "/* A. */\n#pragma once\n",
            "src/store/b.c": '#include "base/a.h"\n#include "near.h"\n#include <stdio.h>\n',
            "src/store/near.h": "/* B. */\n#pragma once\n",
            "src/engine/cell/c.c": '#include "core/sm.h"\n#include "io/loop.h"\n',
            "src/aws/lambda/d.c": '#include "aws/logs/logs.h"\n#include "aws/lambda/private.h"\n#include "gen/lambda.h"\n',
            "src/role/priv.c": '#include "engine/cell/cell.h"\n#include "io/msg.h"\n',
            "tests/unit/e.c": '#include "aws/x.h"\n' + "\n" * 900,
        })
        self.assertEqual((code, output), (0, ""))

    def test_faults(self):
        self.refuses("src/base/a.c", '#include "io/loop.h"\n', "base may not include io")
        self.refuses("src/model/a.c", '# include "wire/wire.h"\n', "model may not include wire")
        self.refuses("src/http/a.c", '#include "core/call.h"\n', "http may not include core")
        self.refuses("src/aws/s3/a.c", '#include "http/http.h"\n', "aws may not include http")
        self.refuses("src/aws/s3/a.c", '#include "wire/wire.h"\n', "aws may not include wire")
        self.refuses("src/aws/s3/a.c", '#include "aws/iam/rows.h"\n', "private to iam")
        self.refuses("src/engine/cell/a.c", '#include "core/call.h"\n', "engine may not include core/call.h")
        self.refuses("src/role/priv.c", '#include "core/call.h"\n', "role/priv may not include core/call.h")
        self.refuses("src/role/shim_log.c", '#include "store/store.h"\n', "role/shim may not include store/store.h")
        self.refuses("src/other/a.c", '#include "base/a.h"\n', "no known layer")
        self.refuses("src/store/a.c", '#include "missing.h"\n', "not in the same folder")
        self.refuses("src/base/a.h", "#pragma once\n", "does not begin")
        self.refuses("src/base/a.h", "/* A. */\n", "no #pragma once")
        self.refuses("src/base/a.c", "\n" * 601, "601 lines")
        self.refuses("tests/unit/a.c", "\n" * 1001, "1001 lines")
        self.refuses("tools/a", "# TO" "DO\n", "unfinished")


if __name__ == "__main__":
    unittest.main()
