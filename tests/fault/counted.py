"""What test_counts.py counts: functions that tell what they were given, an endpoint that fails, and a ledger of what was sent, what was
worked off and what died."""
import collections
import http.server
import json
import socket
import threading
import time

# Of each thing in an event: (where it was sent, what it says, its message, its group). The functions and the test read events by it.
PARTS = '''
import json, urllib.parse
def key_of(record):
    return urllib.parse.unquote_plus(record["s3"]["object"]["key"]).split("/", 1)[1]
def parts(event):
    if "counted" in event:
        return [("invoke", event["counted"], None, None)]
    if "detail-type" in event:
        return [("rule", event["detail"]["n"], None, None)]
    found = []
    for r in event["Records"]:
        source = r.get("eventSource") or r["EventSource"]
        if source == "aws:sqs":
            found.append((r["eventSourceARN"].split(":")[-1], r["body"], r["messageId"], r["attributes"].get("MessageGroupId")))
        elif source == "aws:sns":
            found.append(("topic", r["Sns"]["Message"], None, None))
        else:
            found.append(("thumbs", key_of(r), None, None))
    return found
'''
# Tells the queue "seen" what it has worked off. In a batch of a group nothing is worked off behind what failed.
CODE = PARTS + '''
import os, time, boto3
sqs = boto3.client("sqs")
def handler(event, context):
    done, failed, blocked = [], [], set()
    for where, what, message, group in parts(event):
        if "crash" in what:
            os._exit(1)
        if "slow" in what:
            time.sleep(60)
        if "poison" in what or group in blocked:
            failed.append(message)
            blocked |= {group} - {None}
        else:
            done.append([where, what, message, time.monotonic_ns()])
            if where == "loop":
                sqs.send_message(QueueUrl=os.environ["LOOP"], MessageBody=what + "+")
    if done:
        sqs.send_message(QueueUrl=os.environ["SEEN"], MessageBody=json.dumps(done))
    if "Records" in event and "eventSource" in event["Records"][0] and event["Records"][0]["eventSource"] == "aws:sqs":
        return {"batchItemFailures": [{"itemIdentifier": m} for m in failed]}
    if failed:
        raise ValueError("poison")
'''
_parsed = {}
exec(PARTS, _parsed)  # pylint: disable=exec-used
parts, key_of = _parsed["parts"], _parsed["key_of"]


def is_bad(what):
    return any(word in what for word in ("poison", "crash", "slow"))


class Ledger:
    """By where it was sent: what somebody tried to send, what was acknowledged, what was worked off (with when, and of which message), what
    lies among the dead."""

    def __init__(self):
        self.lock = threading.Lock()
        self.tried, self.sent, self.dead = (collections.defaultdict(set) for _ in range(3))
        self.twice = collections.defaultdict(set)  # what may be two messages, as its deduplication may have ended
        self.done = collections.defaultdict(lambda: collections.defaultdict(list))

    def note(self, book, *pairs):
        with self.lock:
            for where, what in pairs:
                book[where].add(what)

    def work_off(self, where, what, message, when):
        with self.lock:
            self.done[where][what].append((when, message))

    def open(self):
        """What was acknowledged and is neither worked off nor dead, by where it was sent."""
        with self.lock:
            found = {where: what - set(self.done[where]) - self.dead[where] for where, what in self.sent.items()}
        return {where: what for where, what in found.items() if what}

    def total(self):
        with self.lock:
            return sum(len(s) for s in self.sent.values())

    def count(self):
        with self.lock:
            return {where: f"{len(what)} sent, {len(self.done[where])} worked off, {len(self.dead[where])} dead" for where, what in sorted(self.sent.items())}


class Endpoint:
    """Notes the messages that it takes. It may refuse them, hang up, or be gone."""
    MODES = ("takes", "fails", "hangs up", "gone")

    def __init__(self, ledger):
        self.ledger, self.tokens, self.mode, self.server, self.port = ledger, [], "takes", None, 0
        self.open()

    def open(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if said["Type"] == "SubscriptionConfirmation":
                    outer.tokens.append(said["Token"])
                elif outer.mode == "takes":
                    outer.ledger.work_off("endpoint", said["Message"], None, time.monotonic_ns())
                elif outer.mode == "hangs up":
                    self.close_connection = True
                    return
                self.send_response(200 if outer.mode == "takes" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def become(self, mode):
        if (mode == "gone") != (self.server is None):
            if mode == "gone":
                self.close()
            else:
                try:
                    self.open()
                except OSError:
                    return  # somebody has its port now, so it stays gone
        self.mode = mode

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.socket.shutdown(socket.SHUT_RDWR)
            self.server.server_close()
        self.server = None


class Drain(threading.Thread):
    """Takes messages out of a queue; take(message) is told of each before it is deleted. What was deleted must not come again."""

    def __init__(self, sqs, url, take):
        super().__init__(daemon=True)
        self.sqs, self.url, self.take = sqs, url, take
        self.on, self.deleted, self.again, self.failed = True, {}, [], None

    def run(self):
        while self.on:
            try:
                self.turn()
            except Exception as e:  # the cloud is being killed meanwhile
                if not hasattr(e, "response") and not type(e).__module__.startswith("botocore"):
                    self.failed = e
                    raise
                time.sleep(0.05)

    def turn(self):
        began = time.monotonic()
        got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1, AttributeNames=["All"]).get("Messages", [])
        for m in got:
            if self.deleted.get(m["MessageId"], began) < began:
                self.again.append(m["MessageId"])
            self.take(m)
        if got:
            said = self.sqs.delete_message_batch(QueueUrl=self.url, Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)])
            now = time.monotonic()
            self.deleted.update((got[int(e["Id"])]["MessageId"], now) for e in said.get("Successful", []))
