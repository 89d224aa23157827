"""What a failed test says: first its assertion, then where it was, and at the end what the daemons' logs said meanwhile; never more than fits on a page.

Continuous integration shows the last lines of an output alone. So frames of clients and of unittest are left out, and brief() is what the runner says once more
beside its sums.
"""
import os
import re
import traceback

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MESSAGE_MAX, LINE_MAX, BRIEF_MAX = 1200, 300, 220
FRAMES_MAX, LOG_LINES_MAX = 8, 15
TELLS = re.compile(r"\b\w*(Error|Exception)\b|\berror:|Sanitizer|\[  ERROR|[Aa]ssert|not ok|TIMEOUT| fatal ")
GRAVE = re.compile(r" (warn|error|fatal) |Sanitizer|runtime error|^Traceback")


def cut(text, most):
    """Its begin and its end: an assertion begins with what was wrong and often ends with what the test says of it."""
    return text if len(text) <= most else f"{text[:most * 2 // 3]} [...] {text[-most // 3:]}"


def assertion(error):
    return f"{type(error).__name__}: {cut(str(error), MESSAGE_MAX)}"


def frames(error):
    """Where the tests were, the innermost place last."""
    found = [f for f in traceback.extract_tb(error.__traceback__) if os.path.abspath(f.filename).startswith(TESTS + os.sep)]
    return [f"  {os.path.relpath(f.filename, TESTS)}:{f.lineno} in {f.name}: {cut(f.line or '', LINE_MAX)}" for f in found[-FRAMES_MAX:]]


def log_lines(text):
    """The last ones, and grave ones first of all: what is told at length may be from other tests' time, so few lines are enough."""
    lines = [line for line in text.splitlines() if line.strip()]
    grave = [i for i, line in enumerate(lines) if GRAVE.search(line)][-LOG_LINES_MAX * 2 // 3:]
    rest = [i for i in range(len(lines)) if i not in set(grave)]
    kept = sorted(grave + rest[max(0, len(rest) - (LOG_LINES_MAX - len(grave))):])
    return [f"  {cut(lines[i], LINE_MAX)}" for i in kept]


def text(error, logs):
    """logs: (what it is of, its text) of each cloud that the test could have met."""
    told = [assertion(error), *frames(error)]
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        told += [f"which came of {assertion(before)}", *frames(before)]
    for whose, said in logs:
        lines = log_lines(said)
        told += [f"the log of {whose}:", *lines] if lines else [f"the log of {whose} says nothing of that time"]
    return "\n".join(told)


def brief(why):
    """One line of all that: what went wrong."""
    lines = [line.strip() for line in why.splitlines() if line.strip()]
    return cut(next((line for line in lines if TELLS.search(line)), lines[-1] if lines else "it said nothing"), BRIEF_MAX)
