"""The lines of a container's output on their way to CloudWatch Logs."""
import queue
import re
import threading
import time

from ecs_client import Client, Refused, log

EVENT_S = 5  # so long the last event of several lines waits for more
EVENT_MOST = 256 * 1024 - 26
# What strftime(3) writes for these, as expressions.
TIMES = {"a": "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "A": "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)",
         "b": "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
         "B": "(?:January|February|March|April|May|June|July|August|September|October|November|December)", "d": "(?:0[1-9]|[12][0-9]|3[01])", "f": "[0-9]{6}",
         "H": "(?:[01][0-9]|2[0-3])", "I": "(?:0[0-9]|1[0-2])", "j": "[0-3][0-9]{2}", "L": r"\.[0-9]{3}", "m": "(?:0[1-9]|1[0-2])", "M": "[0-5][0-9]", "p": "[AP]M",
         "S": "[0-5][0-9]", "w": "[0-6]", "y": "[0-9]{2}", "Y": "[0-9]{4}", "z": "[+-][0-9]{4}", "Z": "[A-Z]{1,4}T"}


def begins(options):
    """What the first line of an event looks like; None: every line is one. What is no conversion of a format is an expression already."""
    if options.get("awslogs-multiline-pattern"):
        return re.compile(options["awslogs-multiline-pattern"])
    words = re.split(r"%(.)", options.get("awslogs-datetime-format") or "")
    return re.compile("".join(TIMES.get(w, "%" + w) if i % 2 else w for i, w in enumerate(words))) if any(words) else None


class Journal:
    """In batches, the oldest given up when they come faster than they go."""

    MOST = 10000

    def __init__(self, client, group, stream, first):
        self.client, self.group, self.stream, self.first = client, group, stream, first
        self.lines, self.over = queue.Queue(self.MOST), threading.Event()
        self.event, self.event_ms, self.lock = [], 0, threading.Lock()  # of several lines, as far as it has come
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def line(self, at_ms, text):
        if not self.first:
            self._put(at_ms, text)
            return
        with self.lock:
            if self.event and (self.first.search(text) or sum(map(len, self.event)) + len(text) > EVENT_MOST):
                self._flush()
            if not self.event:
                self.event_ms = at_ms
            self.event.append(text + "\n")

    def _flush(self):
        if self.event:
            self._put(self.event_ms, "".join(self.event))
        self.event = []

    def _put(self, at_ms, text):
        while True:
            try:
                self.lines.put_nowait((at_ms, text))
                return
            except queue.Full:
                try:
                    self.lines.get_nowait()
                except queue.Empty:
                    pass

    def close(self):
        """What there is has been sent, or cannot be."""
        with self.lock:
            self._flush()
        self.over.set()
        self.thread.join(30)

    def _run(self):
        while not self.over.is_set() or not self.lines.empty():
            with self.lock:
                if self.event and time.time() * 1000 - self.event_ms > EVENT_S * 1000:
                    self._flush()
            batch, size = [], 0
            try:
                batch.append(self.lines.get(timeout=0.2))
            except queue.Empty:
                continue
            while len(batch) < 1000 and size < 512 * 1024:
                try:
                    batch.append(self.lines.get_nowait())
                    size += len(batch[-1][1])
                except queue.Empty:
                    break
            batch.sort(key=lambda line: line[0])
            events = [{"timestamp": at, "message": text or " "} for at, text in batch]
            for _ in range(5):
                try:
                    self.client.call("logs", "Logs_20140328.PutLogEvents", {"logGroupName": self.group, "logStreamName": self.stream, "logEvents": events})
                    break
                except Refused as e:
                    log(f"logs of {self.stream}: {e}")
                    break
                except OSError:
                    time.sleep(1)


def stream_of(definition, task_id):
    """(group, stream) that a container's definition wants; None: it wants another driver."""
    configuration = definition.get("logConfiguration") or {}
    options = configuration.get("options") or {}
    if configuration.get("logDriver") != "awslogs":
        return None
    prefix = options.get("awslogs-stream-prefix")
    return options["awslogs-group"], f"{prefix}/{definition['name']}/{task_id}" if prefix else f"{task_id}-{definition['name']}"


def open_journal(client, definition, task_id):
    found = stream_of(definition, task_id)
    if not found:
        return None
    group, stream = found
    options = definition["logConfiguration"]["options"]
    there = Client(options.get("awslogs-region") or client.region, client.credentials)
    if options.get("awslogs-create-group") == "true":
        try:
            there.call("logs", "Logs_20140328.CreateLogGroup", {"logGroupName": group})
        except Refused as e:
            if e.code != "ResourceAlreadyExistsException":
                raise
    try:
        there.call("logs", "Logs_20140328.CreateLogStream", {"logGroupName": group, "logStreamName": stream})
    except Refused as e:
        if e.code != "ResourceAlreadyExistsException":
            raise
    return Journal(there, group, stream, begins(options))
