"""The logs of an instance of an environment of Elastic Beanstalk on their way to CloudWatch, where its options wish for that: each file to a group of its name, in a stream
of the instance. The environment makes the groups; how far each file has been sent is kept, so that nothing comes twice or is missed when the agent starts anew."""
import json
import os
import threading
import time

from beanstalk_system import write
from ecs_client import Refused, log

# as the environment makes groups for them (beside.c)
FILES = ("/var/log/eb-engine.log", "/var/log/eb-hooks.log", "/var/log/nginx/access.log", "/var/log/nginx/error.log", "/var/log/web.stdout.log")
STATE = "/var/lib/elasticbeanstalk/streams.json"
WISH = ("aws:elasticbeanstalk:cloudwatch:logs", "StreamLogs")
BATCH_LINES, BATCH_BYTES, LINE_BYTES = 1000, 512 << 10, 250 << 10
PAUSE_S = 1


def lines_of(data):
    """The whole lines at its beginning, and how many bytes those are. A line that is longer than an event may be comes in pieces."""
    found, at = [], 0
    while at < len(data) and len(found) < BATCH_LINES:
        end = data.find(b"\n", at, at + LINE_BYTES)
        if end < 0 and len(data) - at < LINE_BYTES:
            break
        stop = at + LINE_BYTES if end < 0 else end
        found.append(data[at:stop].decode("utf-8", "replace"))
        at = stop + (end >= 0)
    return found, at


class Streams:
    def __init__(self, client, instance, files=FILES, state=STATE):
        self.client, self.instance, self.files, self.state, self.environment = client, instance, files, state, None
        try:
            with open(state, encoding="utf-8") as f:
                self.sent = json.load(f)
        except (OSError, ValueError):
            self.sent = {}
        self.thread = None

    def wish(self, order):
        """What an order says of it."""
        wished = any((o["Namespace"], o["Name"]) == WISH and o.get("Value") == "true" for o in order.get("Options", []))
        self.environment = order.get("EnvironmentName") if wished else None
        if self.environment and not self.thread:
            self.thread = threading.Thread(target=self.run, daemon=True)
            self.thread.start()

    def run(self):
        while True:
            environment = self.environment
            for path in self.files if environment else ():
                try:
                    while self.send(environment, path):
                        pass
                except Refused as e:
                    if e.code != "ResourceNotFoundException":  # the group is not there yet
                        log(f"log of {path}: {e}")
                except OSError as e:
                    log(f"log of {path}: {e}")
            time.sleep(PAUSE_S)

    def send(self, environment, path):
        """One batch of what is new. False: there is nothing more."""
        try:
            about = os.stat(path)
        except FileNotFoundError:
            return False
        at = self.sent.get(path, {})
        offset = at.get("offset", 0) if at.get("file") == about.st_ino and at.get("offset", 0) <= about.st_size else 0
        with open(path, "rb") as f:
            f.seek(offset)
            found, length = lines_of(f.read(BATCH_BYTES))
        if not found:
            return False
        now = int(time.time() * 1000)
        self.put(f"/aws/elasticbeanstalk/{environment}{path}", [{"timestamp": now, "message": text or " "} for text in found])
        self.sent[path] = {"file": about.st_ino, "offset": offset + length}
        write(self.state, json.dumps(self.sent), 0o600)
        return True

    def put(self, group, events):
        words = {"logGroupName": group, "logStreamName": self.instance}
        for again in (True, False):
            try:
                self.client.call("logs", "Logs_20140328.PutLogEvents", {**words, "logEvents": events})
                return
            except Refused as e:
                if e.code != "ResourceNotFoundException" or not again:
                    raise
            self.client.call("logs", "Logs_20140328.CreateLogStream", words)
