"""What a stem imports and runs before it knows its function."""
import json
import os


class Counter:
    def __init__(self):
        self.seen = {}

    def add(self, name, *rest, by=1):
        self.seen[name] = self.seen.get(name, 0) + by
        return [n for n in rest if n]


def handler(event, context):
    counter = Counter()
    for i, name in enumerate(os.environ):
        try:
            counter.add(name, i, by=2)
        except (KeyError, ValueError) as e:
            raise RuntimeError(f"{name}: {e!r}") from e
    with open(os.devnull) as nothing:
        text = nothing.read()
    return {"statusCode": 200, "body": json.dumps(event) + text, "id": context.aws_request_id, "left": context.get_remaining_time_in_millis()}
