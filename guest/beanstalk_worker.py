#!/usr/bin/python3
"""The daemon of a worker environment of Elastic Beanstalk: posts what comes to a queue of SQS to the application, and deletes what it has taken with 200 OK.

A unit of its own beside the application's. What cron.yaml asks for is sent to the queue when its time comes, so it is tried again like any other message.
"""
import datetime
import http.client
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.parse

import yaml

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from beanstalk_system import Failed, run, write  # noqa: E402
from ecs_client import Client, Refused, RoleCredentials, log  # noqa: E402

SQSD = "aws:elasticbeanstalk:sqsd"
CONFIG, LOG = "/etc/aws-sqsd.d/default.json", "/var/log/aws-sqsd/default.log"
NAME = "aws-sqsd.service"
LEADS = "/run/aws-sqsd.leads"  # there: this instance of all sends what cron.yaml says
DEFAULTS = {"HttpPath": "/", "MimeType": "application/json", "HttpConnections": "50", "ConnectTimeout": "5", "InactivityTimeout": "299", "VisibilityTimeout": "300",
            "ErrorVisibilityTimeout": "2"}
UNIT = f"""[Unit]
Description=Daemon that posts messages to the application

[Service]
ExecStart=/usr/bin/python3 /usr/lib/quartet/beanstalk_worker.py
Restart=always
RestartSec=1
TimeoutStopSec=20
StandardOutput=append:{LOG}
StandardError=append:{LOG}
"""
TASK = "beanstalk.sqsd."  # of attributes of messages that are periodic tasks
POLL_S, LEAVE_S = 20, 10
MONTHS = dict(zip("jan feb mar apr may jun jul aug sep oct nov dec".split(), range(1, 13)))
DAYS = dict(zip("sun mon tue wed thu fri sat".split(), range(7)))


# ---- when

def times(text, least, most, names):
    """The numbers that one field of a schedule means."""
    def number(word):
        found = names.get(word.lower(), int(word) if word.isdigit() else -1)
        if not least <= found <= most:
            raise ValueError(word)
        return found
    found = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if step and (not step.isdigit() or not int(step)):
            raise ValueError(part)
        if span == "*":
            first, last = least, most
        else:
            first, dash, last = span.partition("-")
            first = number(first)
            last = number(last) if dash else most if step else first
            if last < first:
                raise ValueError(part)
        found.update(range(first, last + 1, int(step or 1)))
    return found


class Schedule:
    """Minutes, in UTC, as cron has them: where both kinds of days are said, one of them is enough."""
    SHORT = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}

    def __init__(self, text):
        fields = self.SHORT.get(text, text).split()
        if len(fields) != 5:
            raise ValueError(text)
        self.minutes, self.hours = times(fields[0], 0, 59, {}), times(fields[1], 0, 23, {})
        self.days, self.months = times(fields[2], 1, 31, {}), times(fields[3], 1, 12, MONTHS)
        self.weekdays = {day % 7 for day in times(fields[4], 0, 7, DAYS)}
        self.any_day, self.any_weekday = fields[2].startswith("*"), fields[4].startswith("*")

    def meets(self, moment):
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        right = day and weekday if self.any_day or self.any_weekday else day or weekday
        return moment.minute in self.minutes and moment.hour in self.hours and moment.month in self.months and right


def tasks(root):
    """[(name, path, Schedule)] of the bundle's cron.yaml."""
    try:
        with open(f"{root}/cron.yaml", encoding="utf-8") as f:
            found = yaml.safe_load(f)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise Failed(f"cron.yaml cannot be read: {' '.join(str(e).split())}") from e
    if not isinstance(found, dict) or found.get("version") != 1 or not isinstance(found.get("cron"), list):
        raise Failed("cron.yaml has no version 1 with a list named cron")
    made = []
    for one in found["cron"]:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) and one[key] for key in ("name", "url", "schedule")):
            raise Failed("an entry of cron.yaml has not all of name, url and schedule")
        if not one["url"].startswith("/") or re.search(r"[\s\x00-\x1f]", one["url"]):
            raise Failed(f"the url of {one['name']} in cron.yaml is no path: {one['url']}")
        try:
            made.append((one["name"], one["url"], Schedule(one["schedule"])))
        except ValueError as e:
            raise Failed(f"the schedule of {one['name']} in cron.yaml is none: {one['schedule']}") from e
    if len({name for name, _, _ in made}) < len(made):
        raise Failed("cron.yaml names a task twice")
    return made


# ---- what the agent does about it

def settings(options):
    """Of the order's options of the daemon."""
    return {**DEFAULTS, **{key: value for key, value in options.items() if value}}


def pause():
    if os.path.exists(f"/run/systemd/system/{NAME}"):
        run("systemctl", "stop", NAME)


def lead(leads):
    """Whether it does may change at any time, as instances come and go."""
    if leads and not os.path.exists(LEADS):
        write(LEADS, "")
    elif not leads and os.path.exists(LEADS):
        os.unlink(LEADS)


def start(queue, region, options):
    """queue absent: this is no worker."""
    place = f"/run/systemd/system/{NAME}"
    if not queue:
        pause()
        if os.path.exists(place):
            os.unlink(place)
        return
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    write(CONFIG, json.dumps({"queue": queue, "region": region, **settings(options)}), 0o600)
    write(place, UNIT)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", NAME)


# ---- the daemon

def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def heads(message, queue, mime):
    """(path or None, headers) of the request that a message becomes."""
    said, attributes = message.get("Attributes") or {}, message.get("MessageAttributes") or {}
    found = {"User-Agent": "aws-sqsd/3.0", "Content-Type": mime, "X-Aws-Sqsd-Msgid": message["MessageId"], "X-Aws-Sqsd-Queue": queue,
             "X-Aws-Sqsd-First-Received-At": utc(int(said.get("ApproximateFirstReceiveTimestamp", "0")) / 1000),
             "X-Aws-Sqsd-Receive-Count": said.get("ApproximateReceiveCount", "1"), "X-Aws-Sqsd-Sender-Id": said.get("SenderId", "")}
    task = {name[len(TASK):]: value.get("StringValue", "") for name, value in attributes.items() if name.startswith(TASK)}
    for name, value in attributes.items():
        text = value.get("StringValue")
        if not name.startswith(TASK) and text is not None and value.get("DataType", "").split(".")[0] in ("String", "Number"):
            found[f"X-Aws-Sqsd-Attr-{name}"] = re.sub(r"[\r\n]+", " ", text)
    if task.get("path"):
        found.update({"X-Aws-Sqsd-Taskname": task.get("task_name", ""), "X-Aws-Sqsd-Scheduled-At": task.get("scheduled_time", ""), "X-Aws-Sqsd-Path": task["path"]})
    return task.get("path"), {name: value.encode("utf-8") for name, value in found.items()}


class Daemon:
    def __init__(self, config, client, jobs, port=80):
        self.config, self.client, self.jobs, self.port = config, client, jobs, port
        self.queue, self.name = config["queue"], urllib.parse.urlsplit(config["queue"]).path.rsplit("/", 1)[-1]
        self.most = int(config["HttpConnections"])
        self.room, self.stopping, self.busy = threading.Condition(), threading.Event(), 0

    def call(self, operation, **arguments):
        return self.client.call("sqs", f"AmazonSQS.{operation}", {"QueueUrl": self.queue, **arguments})

    def post(self, message):
        """The status that the application answers with; None: it does not."""
        path, headers = heads(message, self.name, self.config["MimeType"])
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=int(self.config["ConnectTimeout"]))
        try:
            connection.connect()
            connection.sock.settimeout(int(self.config["InactivityTimeout"]))
            connection.request("POST", path or self.config["HttpPath"], body=message.get("Body", "").encode(), headers={"Host": "localhost", **headers})
            reply = connection.getresponse()
            reply.read()
            return reply.status
        except (OSError, ValueError, http.client.HTTPException) as e:
            log(f"message {message['MessageId']}: {e or type(e).__name__}")
            return None
        finally:
            connection.close()

    def work(self, message):
        try:
            status = self.post(message)
            if status == 200:
                self.call("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])
            else:
                log(f"message {message['MessageId']}: the application answered {status or 'nothing'}")
                self.call("ChangeMessageVisibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=int(self.config["ErrorVisibilityTimeout"]))
        except (OSError, Refused) as e:  # it comes again when it is visible
            log(f"message {message['MessageId']}: {e}")
        finally:
            with self.room:
                self.busy -= 1
                self.room.notify_all()

    def take(self):
        """Once as many as there is room for."""
        with self.room:
            self.room.wait_for(lambda: self.busy < self.most or self.stopping.is_set())
            count = min(10, self.most - self.busy)
        if self.stopping.is_set():
            return
        for message in self.call("ReceiveMessage", MaxNumberOfMessages=count, WaitTimeSeconds=POLL_S, VisibilityTimeout=int(self.config["VisibilityTimeout"]),
                                 AttributeNames=["All"], MessageAttributeNames=["All"]).get("Messages") or []:
            with self.room:
                self.busy += 1
            threading.Thread(target=self.work, args=(message,), daemon=True).start()

    def schedule(self, minute):
        """Sends what is due in this minute: a moment in seconds."""
        moment = datetime.datetime.fromtimestamp(minute, datetime.timezone.utc)
        for name, path, schedule in self.jobs:
            if not schedule.meets(moment):
                continue
            said = {"task_name": name, "path": path, "scheduled_time": utc(minute)}
            self.call("SendMessage", MessageBody="elasticbeanstalk scheduled job",
                      MessageAttributes={TASK + key: {"DataType": "String", "StringValue": value} for key, value in said.items()})
            log(f"task {name} is sent for {path}")

    def tick(self):
        last = int(time.time()) // 60
        while not self.stopping.wait(1):
            now = int(time.time()) // 60
            if now == last:
                continue
            last = now
            if not os.path.exists(LEADS):
                continue
            try:
                self.schedule(now * 60)
            except (OSError, Refused) as e:
                log(f"a periodic task cannot be sent: {e}")

    def stop(self, *_):
        self.stopping.set()

    def serve(self):
        if self.jobs and not self.name.endswith(".fifo"):
            threading.Thread(target=self.tick, daemon=True).start()
        threading.Thread(target=self.listen, daemon=True).start()
        self.stopping.wait()
        with self.room:
            self.room.notify_all()
            self.room.wait_for(lambda: not self.busy, LEAVE_S)

    def listen(self):
        while not self.stopping.is_set():
            try:
                self.take()
            except (OSError, Refused) as e:
                log(f"nothing can be received: {e}")
                self.stopping.wait(2)


def main():
    with open(CONFIG, encoding="utf-8") as f:
        config = json.load(f)
    daemon = Daemon(config, Client(config["region"], RoleCredentials()), tasks("/var/app/current"))
    signal.signal(signal.SIGTERM, daemon.stop)
    daemon.serve()


if __name__ == "__main__":
    main()
