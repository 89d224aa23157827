"""A name server for containers, and what asks name servers there (answers.c)."""
import os
import subprocess
import tempfile


def build(to):
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["cc", "-O1", "-static", "-D_GNU_SOURCE", "-o", to, here + "/answers.c"], check=True)


def program():
    with tempfile.TemporaryDirectory() as work:
        build(work + "/answers")
        with open(work + "/answers", "rb") as f:
            return f.read()
