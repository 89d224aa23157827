"""Counts add up: what was acknowledged to queues, topics, buses, buckets and functions is worked off or lies among the dead, whatever is
poison, throttled, gone or killed meanwhile, and however far the clock jumps. What is sent, what fails and who dies when is drawn from a seed
that a failure says; QUARTET_SEED takes it again, as far as threads allow, and QUARTET_COUNTS_MINUTES lets it run for longer."""
import json
import os
import random
import subprocess
import sys
import threading
import time
import unittest
import uuid

from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import sanitizers  # noqa: E402
from cloud import Cloud, program  # noqa: E402
from counted import CODE, Drain, Endpoint, Ledger, is_bad, key_of, parts  # noqa: E402
from functions import Functions  # noqa: E402
from tasked import words  # noqa: E402

SANITIZED = "sanitized" in program()
SECONDS = 60 * float(os.environ.get("QUARTET_COUNTS_MINUTES", 0.3 if SANITIZED else 1))
OPEN_MAX = 150 if SANITIZED else 400  # who sends waits while so much is open
SETTLE_S = 300
KEPT = {"MessageRetentionPeriod": "1209600"}  # the clock jumps over days when this runs for hours
DEDUPLICATED_S = 300
ACCOUNT = "000000000000"
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["logs:*", "sqs:*"], "Resource": "*"}]}
ANYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": [s + ".amazonaws.com" for s in ("sns", "s3", "events")]},
                                                   "Action": "sqs:SendMessage", "Resource": "*"}]}
BROKEN = (BotoCoreError, ClientError)
GROUPS = 4


def arn_of(name):
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


class World:
    """All that takes part, in one cloud: standard and FIFO queues with functions behind them, topics that lead to queues, a function and an
    endpoint, a bus, a bucket, and a function that is invoked."""

    def __init__(self, cloud, ledger):
        self.cloud, self.ledger, self.urls, self.drains = cloud, ledger, {}, []
        for service in ("sqs", "sns", "s3", "events", "lambda"):
            setattr(self, "functions" if service == "lambda" else service, cloud.client(service, max_pool_connections=40, read_timeout=60))
        for name in ("seen", "dead", "dead.fifo", "fan", "endpoint-dead", "topic-dead", "rule-dead", "invoke-dead", "ruled", "uploads"):
            self.queue(name)
        redrive = lambda to, most: {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn_of(to), "maxReceiveCount": most})}
        self.queue("work", VisibilityTimeout="10", **redrive("dead", 5))
        self.queue("line.fifo", VisibilityTimeout="10", **redrive("dead.fifo", 3))
        self.queue("loop", VisibilityTimeout="10", **redrive("dead", 5))
        made = Functions(cloud, ALLOWED)
        settings = {"Timeout": 4, "MemorySize": 256, "Environment": {"Variables": {"SEEN": self.urls["seen"], "LOOP": self.urls["loop"]}}}
        self.names = ["worker", "told", "invoked"]
        for name in self.names:
            made.make(name, CODE, **settings, **({} if name == "worker" else {"DeadLetterConfig": {"TargetArn": arn_of("invoke-dead")}}))
        self.function = lambda name: f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
        for service in ("sns", "s3", "events"):
            self.functions.add_permission(FunctionName="told", StatementId=service, Action="lambda:InvokeFunction", Principal=service + ".amazonaws.com")
        for queue, size in (("work", 10), ("line.fifo", 5), ("loop", 5)):
            self.functions.create_event_source_mapping(EventSourceArn=arn_of(queue), FunctionName="worker", BatchSize=size,
                                                       FunctionResponseTypes=["ReportBatchItemFailures"])
        self.subscribe()
        self.events.put_rule(Name="to-queue", EventPattern=json.dumps({"source": ["counts"], "detail": {"to": ["queue", "both"]}}))
        self.events.put_targets(Rule="to-queue", Targets=[{"Id": "1", "Arn": arn_of("ruled"), "InputPath": "$.detail.n"}])
        self.events.put_rule(Name="to-function", EventPattern=json.dumps({"source": ["counts"], "detail": {"to": [{"anything-but": "queue"}]}}))
        self.events.put_targets(Rule="to-function", Targets=[{"Id": "1", "Arn": self.function("told"), "DeadLetterConfig": {"Arn": arn_of("rule-dead")}}])
        self.s3.create_bucket(Bucket="counts")
        filtered = lambda prefix: {"Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}
        self.s3.put_bucket_notification_configuration(Bucket="counts", NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn_of("uploads"), **filtered("uploads/")}],
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": self.function("told"), **filtered("thumbs/")}]})
        self.listen()

    def queue(self, name, **attributes):
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.urls[name] = self.sqs.create_queue(QueueName=name, Attributes={**KEPT, **fifo, "Policy": json.dumps(ANYBODY), **attributes})["QueueUrl"]

    def subscribe(self):
        buried = lambda to: {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn_of(to)})}
        self.topic = self.sns.create_topic(Name="topic")["TopicArn"]
        self.line = self.sns.create_topic(Name="line.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
        told = lambda protocol, to, **attributes: self.sns.subscribe(TopicArn=self.topic, Protocol=protocol, Endpoint=to, Attributes=attributes)
        told("sqs", arn_of("fan"), RawMessageDelivery="true", FilterPolicy='{"kind": ["a", "b"]}')
        told("lambda", self.function("told"), FilterPolicy='{"kind": ["b", "c"]}', **buried("topic-dead"))
        self.endpoint = Endpoint(self.ledger)
        policy = {"healthyRetryPolicy": {"numRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 2}}
        told("http", f"http://127.0.0.1:{self.endpoint.port}/", DeliveryPolicy=json.dumps(policy), **buried("endpoint-dead"))
        until = time.monotonic() + 60
        while not self.endpoint.tokens:
            assert time.monotonic() < until, "the endpoint is not asked"
            time.sleep(0.02)
        self.sns.confirm_subscription(TopicArn=self.topic, Token=self.endpoint.tokens[0])
        self.sns.subscribe(TopicArn=self.line, Protocol="sqs", Endpoint=arn_of("line.fifo"), Attributes={"RawMessageDelivery": "true"})

    # who reads what became of it

    def listen(self):
        now = time.monotonic_ns
        done = lambda where, what, m: self.ledger.work_off(where, what, m["MessageId"], now())
        dead = lambda where, what: self.ledger.note(self.ledger.dead, (where, what))

        def seen(m):
            for where, what, message, when in json.loads(m["Body"]):
                self.ledger.work_off(where, what, message, when)

        def died_of_invocation(m):
            for where, what, _, _ in parts(json.loads(m["Body"])):
                dead(where, what)

        def uploaded(m):
            for r in json.loads(m["Body"]).get("Records", []):
                done("uploads", key_of(r), m)
        of = lambda m: m["Attributes"]["DeadLetterQueueSourceArn"].split(":")[-1]
        readers = {"seen": seen, "invoke-dead": died_of_invocation, "topic-dead": died_of_invocation, "uploads": uploaded,
                   "rule-dead": died_of_invocation,  # holds events as they were
                   "fan": lambda m: done("fan", m["Body"], m), "ruled": lambda m: done("ruled", json.loads(m["Body"]), m),
                   "endpoint-dead": lambda m: dead("endpoint", json.loads(m["Body"])["Message"]),
                   "dead": lambda m: dead(of(m), m["Body"]), "dead.fifo": lambda m: dead(of(m), m["Body"])}
        self.drains = [Drain(self.sqs, self.urls[name], take) for name, take in readers.items()]
        for d in self.drains:
            d.start()

    def close(self):
        self.endpoint.close()
        for d in self.drains:
            d.on = False
        for d in self.drains:
            d.join()


class Sender(threading.Thread):
    """Sends one thing after the other, and notes what was acknowledged."""

    def __init__(self, world, name, seed, jumps):
        super().__init__(daemon=True)
        self.world, self.ledger, self.called, self.rand, self.jumps, self.on, self.failed = world, world.ledger, name, random.Random(seed), jumps, True, None
        self.number = 0

    def what(self, bad=("poison",), often=0.08):
        word = self.rand.choice(bad) if self.rand.random() < often else "good"
        self.number += 1
        return f"{self.called}:{self.number:06}:{word}"

    def send(self, pairs, call):
        """call() acknowledges all pairs of where and what, or breaks."""
        self.ledger.note(self.ledger.tried, *pairs)
        call()
        self.ledger.note(self.ledger.sent, *pairs)

    def run(self):
        steps = {"work": self.work, "line": self.line, "topic": self.topic, "events": self.events, "objects": self.objects, "invoke": self.invoke}
        step = steps[self.called.split("-")[0]]
        while self.on:
            try:
                if sum(len(w) for w in self.ledger.open().values()) > OPEN_MAX:
                    time.sleep(0.2)
                    continue
                step()
                time.sleep(self.rand.random() * 0.1)
            except BROKEN:
                time.sleep(0.05)
            except BaseException as e:
                self.failed = e
                raise

    def work(self):
        queue, draw = self.world.urls["work"], self.rand.random()
        bad = ("poison",) * 6 + ("crash", "slow")
        if draw < 0.01 and not self.ledger.open().get("loop"):
            what = self.what(often=0)
            self.send([("loop", what)], lambda: self.world.sqs.send_message(QueueUrl=self.world.urls["loop"], MessageBody=what))
        elif draw < 0.5:
            what = self.what(bad)
            self.send([("work", what)], lambda: self.world.sqs.send_message(QueueUrl=queue, MessageBody=what))
        elif draw < 0.53:
            self.oversized(queue)
        else:
            self.batch(queue, bad)

    def batch(self, queue, bad):
        """Some of a batch may be refused; the others count."""
        whats = [self.what(bad, 0.04) for _ in range(self.rand.randint(2, 10))]
        wrong = self.rand.randrange(len(whats)) if self.rand.random() < 0.2 else None
        entries = [{"Id": str(n), "MessageBody": w, **({"DelaySeconds": 901} if n == wrong else {"DelaySeconds": self.rand.choice((0, 0, 0, 3))})}
                   for n, w in enumerate(whats)]
        self.ledger.note(self.ledger.tried, *(("work", w) for n, w in enumerate(whats) if n != wrong))
        said = self.world.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        assert {e["Id"] for e in said.get("Failed", [])} == ({str(wrong)} - {"None"}), said
        self.ledger.note(self.ledger.sent, *(("work", whats[int(e["Id"])]) for e in said["Successful"]))

    def oversized(self, queue):
        """Nothing of it may come."""
        large = self.rand.random() < 0.5
        entries = [{"Id": str(n), "MessageBody": "never" + "x" * (400000 if large else 1)} for n in range(3 if large else 11)]
        try:
            self.world.sqs.send_message_batch(QueueUrl=queue, Entries=entries)
        except ClientError as e:
            code = e.response["Error"]["Code"]
            if e.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                assert ("BatchRequestTooLong" if large else "TooManyEntriesInBatchRequest") in code, e
            raise

    def line(self):
        """A group's next one is sent when the one before is acknowledged; even groups by the topic."""
        group = int(self.called.split("-")[1])
        what = f"{group}:{self.number:06}:{'poison' if self.rand.random() < 0.03 else 'good'}"
        self.number += 1
        self.ledger.note(self.ledger.tried, ("line.fifo", what))
        before, tries = self.jumps(), 0
        while True:
            try:
                named = {"MessageGroupId": str(group), "MessageDeduplicationId": what}
                if group % 2:
                    self.world.sqs.send_message(QueueUrl=self.world.urls["line.fifo"], MessageBody=what, **named)
                else:
                    self.world.sns.publish(TopicArn=self.world.line, Message=what, **named)
                break
            except BROKEN:
                tries += 1
                time.sleep(0.05)
        if self.jumps() != before:
            self.ledger.note(self.ledger.twice, ("line.fifo", what))
        self.ledger.note(self.ledger.sent, ("line.fifo", what))

    def topic(self):
        kind, what = self.rand.choice("abc"), self.what()
        pairs = [("endpoint", what)] + [("fan", what)] * (kind in "ab") + [("topic", what)] * (kind in "bc")
        self.send(pairs, lambda: self.world.sns.publish(TopicArn=self.world.topic, Message=what, MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}}))

    def events(self):
        entries, pairs = [], []
        for _ in range(self.rand.randint(1, 4)):
            to, what = self.rand.choice(("queue", "both", "function")), self.what()
            entries.append({"Source": "counts", "DetailType": "t", "Detail": json.dumps({"n": what, "to": to})})
            pairs.append([("ruled", what)] * (to != "function") + [("rule", what)] * (to != "queue"))
        self.ledger.note(self.ledger.tried, *sum(pairs, []))
        said = self.world.events.put_events(Entries=entries)
        for e, mine in zip(said["Entries"], pairs):
            if "EventId" in e:
                self.ledger.note(self.ledger.sent, *mine)

    def objects(self):
        where, what = self.rand.choice(("uploads", "thumbs")), self.what()
        self.send([(where, what)], lambda: self.world.s3.put_object(Bucket="counts", Key=f"{where}/{what}", Body=b"x"))

    def invoke(self):
        what = self.what(("poison", "poison", "crash"))
        self.send([("invoke", what)], lambda: self.world.functions.invoke(FunctionName="invoked", InvocationType="Event", Payload=json.dumps({"counted": what})))


class Counts(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("QUARTET_SEED", random.randrange(1 << 30)))
        self.rand, self.jumps = random.Random(self.seed), [0, 0]
        self.history = []

    def forward(self, seconds):
        self.jumps[seconds >= DEDUPLICATED_S] += 1
        subprocess.run([program(), "clock", "forward", f"{seconds}s"], capture_output=True, timeout=60, env=self.cloud.environment(), check=False)
        self.jumps[seconds >= DEDUPLICATED_S] += 1

    # what goes wrong

    def net(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if words(f"/proc/{pid}/comm").strip() == "quartet-net" and self.cloud.data in words(f"/proc/{pid}/cmdline"):
                return int(pid)
        return None

    def kill(self):
        victims = self.rand.choice((["api"], ["api"], ["api"], ["priv"], ["main"], ["net"], ["api", "priv"], ["api", "net"]))
        self.history.append("kill " + " ".join(victims))
        pids = {v: self.net() if v == "net" else self.cloud.process.pid if v == "main" else self.cloud.role_pid(v) for v in victims}
        for pid in pids.values():
            if pid:
                os.kill(pid, 9)
        if "main" in victims:
            self.cloud.process.wait()
            self.cloud.log.close()
            self.cloud.start()
            return
        for victim, pid in pids.items():
            if victim != "net":
                self.cloud.wait_for_role(victim, other_than=pid, seconds=60)
        self.cloud.wait(60)

    def jump(self):
        seconds = self.rand.choice((7, 20, 61, 61, 200, 700, 3700))
        self.history.append(f"jump {seconds}")
        self.forward(seconds)

    def throttle(self):
        name = self.rand.choice(self.world.names)
        most = self.rand.choice((0, 1, None))
        self.history.append(f"{name} may run {most}")
        if most is None:
            self.world.functions.delete_function_concurrency(FunctionName=name)
        else:
            self.world.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=most)

    def break_endpoint(self):
        mode = self.rand.choice(Endpoint.MODES)
        self.history.append(f"the endpoint {mode}")
        self.world.endpoint.become(mode)

    def update(self):
        name = self.rand.choice(self.world.names)
        self.history.append(f"update {name}")
        self.world.functions.update_function_configuration(FunctionName=name, Description=uuid.uuid4().hex)

    def chaos(self):
        self.history.append(f"{time.monotonic() - self.began:.1f} s:")
        try:
            self.rand.choice((self.kill, self.kill, self.jump, self.jump, self.throttle, self.throttle, self.break_endpoint, self.update))()
        except BROKEN as e:
            self.history.append(str(e))

    # how it ends

    def settled(self):
        """The whole of it works again, and time passes until nothing is open."""
        self.world.endpoint.become("takes")
        for name in self.world.names:
            self.world.functions.delete_function_concurrency(FunctionName=name)
        until = time.monotonic() + SETTLE_S
        while self.ledger.open() or self.loops():
            if time.monotonic() > until:
                state = {name: self.world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for name, url in self.world.urls.items()}
                left = {name: [a[f"ApproximateNumberOfMessages{x}"] for x in ("", "NotVisible", "Delayed")] for name, a in state.items()}
                self.fail(f"open: { {k: sorted(v)[:10] for k, v in self.ledger.open().items()} }, loops {self.loops()}, in queues {left}")
            time.sleep(2)
            self.forward(130)

    def loops(self):
        """Chains of a function that sends on what it gets, and that have not been cut."""
        with self.ledger.lock:
            ended = {what.rstrip("+") for what in self.ledger.dead["loop"]}
            return {what for what in self.ledger.sent["loop"]} - ended

    def add_up(self):
        self.assertEqual(self.ledger.open(), {})
        for where, tried in self.ledger.tried.items():
            done, dead, sent = self.ledger.done[where], self.ledger.dead[where], self.ledger.sent[where]
            came = {what.rstrip("+") for what in set(done) | dead}
            self.assertEqual(came - tried, set(), f"{where}: nobody has sent these there")
            if where not in ("fan", "ruled", "uploads", "endpoint"):  # no function looks at what is there
                bad = {what for what in sent if is_bad(what)}
                self.assertEqual({what for what in done if is_bad(what)}, set(), where)
                self.assertEqual(bad - dead, set(), where)
            if where in ("work", "fan"):  # one message each
                self.assertEqual({what: came for what, came in done.items() if len({m for _, m in came}) > 1}, {}, where)
        for d in self.world.drains:
            self.assertIsNone(d.failed)
            self.assertEqual(d.again, [], f"{d.url}: deleted, and came again")
        for chain in {what.rstrip("+") for what in self.ledger.sent["loop"]}:
            self.assertLessEqual(max(len(what) - len(chain) for what in self.ledger.dead["loop"] | set(self.ledger.done["loop"]) if what.rstrip("+") == chain), 16, chain)
        self.in_order()

    def in_order(self):
        done = self.ledger.done["line.fifo"]
        for what, came in done.items():
            if what not in self.ledger.twice["line.fifo"]:
                self.assertEqual(len({m for _, m in came}), 1, f"{what} was taken more than once")
        for group in range(GROUPS):
            first = sorted((min(when for when, _ in came), what) for what, came in done.items() if what.startswith(f"{group}:"))
            self.assertEqual([what for _, what in first], sorted(what for _, what in first), f"group {group}")

    def test_counts_add_up(self):
        try:
            with Cloud() as self.cloud:
                self.go()
            self.assertEqual(self.cloud.leftovers(), [])
        except BaseException:
            print(f"QUARTET_SEED={self.seed} QUARTET_COUNTS_MINUTES={SECONDS / 60:g}; {'; '.join(self.history[-60:])}", file=sys.stderr)
            raise

    def go(self):
        self.ledger = Ledger()
        self.world = World(self.cloud, self.ledger)
        self.addCleanup(self.world.close)
        names = ["work-0", "work-1", "topic-0", "events-0", "objects-0", "invoke-0"] + [f"line-{g}" for g in range(GROUPS)]
        senders = [Sender(self.world, name, f"{self.seed} {name}", lambda: self.jumps[1]) for name in names]
        self.began = time.monotonic()
        for s in senders:
            s.start()
        try:
            while time.monotonic() < self.began + SECONDS:
                heard, until = self.ledger.total(), time.monotonic() + 60
                time.sleep(self.rand.uniform(0.3, 3))
                while self.ledger.total() < heard + 5 and sum(len(w) for w in self.ledger.open().values()) < OPEN_MAX:
                    self.assertLess(time.monotonic(), until, "nothing is taken any more")
                    time.sleep(0.05)
                self.chaos()
        finally:
            for s in senders:
                s.on = False
            for s in senders:
                s.join(120)
        self.assertEqual([s.failed for s in senders if s.failed or s.is_alive()], [])
        self.settled()
        self.world.close()
        print(self.ledger.count(), file=sys.stderr)
        self.add_up()
        self.assertIsNone(sanitizers.complaint(self.cloud.log_text(), program()))


if __name__ == "__main__":
    unittest.main()
