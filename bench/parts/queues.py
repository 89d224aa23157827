"""Queues and topics: how fast they take and give messages that are on the disk, how deep they may be, and to how many a topic tells."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from urllib.parse import quote, urlencode

from cloud import free_port
from parts.tools import BenchCloud, children, median, pss_mib, wait_port
from parts.triggers import json_call

BYTES, CALLERS, DEEP, SMALL = 100, 16, 1000000, 20000
FORM = {"content-type": "application/x-www-form-urlencoded"}
TAKE = "local r=redis.call('XREADGROUP','GROUP','g','c','COUNT',1,'STREAMS','s','>') if r then local i=r[1][2][1][1] redis.call('XACK','s','g',i) redis.call('XDEL','s',i) end return 1"


def synced(directory, seconds=0.5):
    """Small appends a second, one after the other, each on the disk before the next."""
    path = os.path.join(directory, "floor")
    fd, n, end = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 0, time.perf_counter() + seconds
    try:
        while time.perf_counter() < end:
            os.write(fd, b"x" * 200)
            os.fdatasync(fd)
            n += 1
    finally:
        os.close(fd)
        os.remove(path)
    return n / seconds


class Redis:
    """A stream with a group, every command on the disk before its answer; does nothing where Redis is not installed."""

    def __enter__(self):
        self.there = bool(shutil.which("redis-server") and shutil.which("redis-benchmark"))
        if self.there:
            self.dir, self.port = tempfile.mkdtemp(prefix="quartet-bench-"), str(free_port())
            self.process = subprocess.Popen(["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--dir", self.dir],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_port(int(self.port), self.process)
            self.rate(1, "XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
        return self

    def __exit__(self, *_):
        if self.there:
            self.process.kill()
            self.process.wait()
            shutil.rmtree(self.dir, ignore_errors=True)

    def rate(self, count, *command):
        if not self.there:
            return None
        said = subprocess.run(["redis-benchmark", "-p", self.port, "-c", str(CALLERS), "-n", str(count), "--csv", *command], capture_output=True, text=True, check=True).stdout
        return float(said.splitlines()[-1].rsplit(",", 7)[1].strip('"'))


def make(cloud, name="q"):
    json_call(cloud, "sqs", "AmazonSQS.CreateQueue", {"QueueName": name})


def count(cloud, name="q"):
    url = f"http://127.0.0.1:{cloud.port}/000000000000/{name}"
    said = json_call(cloud, "sqs", "AmazonSQS.GetQueueAttributes", {"QueueUrl": url, "AttributeNames": ["All"]})["Attributes"]
    return sum(int(said["ApproximateNumberOfMessages" + x]) for x in ("", "NotVisible", "Delayed"))


def send(bench, cloud, **more):
    return bench.load(cloud.port, "queue-send", name="q", bytes=BYTES, connections=CALLERS, **more)["rate"]


def take(bench, cloud, **more):
    """Messages a second, each received and deleted by a call of its own."""
    return bench.load(cloud.port, "queue-take", name="q", connections=CALLERS, **more)["rate"] / 2


def rates(bench):
    """messages a second that are sent, and received and deleted, durably"""
    sent, taken, in_tens, added, read, floor = [], [], [], [], [], []
    with bench.cloud() as cloud, Redis() as redis:
        make(cloud)
        for n in range(bench.rounds):
            bench.round(n)
            floor.append(synced(cloud.data))
            sent.append(send(bench, cloud))
            in_tens.append(10 * bench.load(cloud.port, "queue-send-ten", name="q", bytes=BYTES, connections=CALLERS)["rate"])
            taken.append(take(bench, cloud))
            if redis.there:
                added.append(redis.rate(int(5000 * bench.seconds), "XADD", "s", "*", "body", "x" * BYTES))
                read.append(redis.rate(int(2500 * bench.seconds), "EVAL", TAKE, "0"))
    what = f"{CALLERS} callers, {BYTES} bytes; one append after the other, each synced: {median(floor):,.0f}/s"
    peer = {"peer": "Redis stream, appendfsync always"} if added else {}
    bench.add("SQS, messages sent a second", median(sent), "/s", bigger=True, **peer, peer_value=median(added) if added else None, note=what)
    bench.add("SQS, messages sent a second, ten a call", median(in_tens), "/s", bigger=True, peer="one a call", peer_value=median(sent))
    bench.add("SQS, messages received and deleted a second", median(taken), "/s", bigger=True, **peer, peer_value=median(read) if read else None,
              note="each by two calls; Redis does both in one script")


def first_receive_ms(cloud):
    begin = time.perf_counter()
    cloud.start()
    json_call(cloud, "sqs", "AmazonSQS.ReceiveMessage", {"QueueUrl": f"http://127.0.0.1:{cloud.port}/000000000000/q"})
    return 1000 * (time.perf_counter() - begin)


def memory_mib(cloud):
    return pss_mib([cloud.process.pid, *children(cloud.process.pid)])


def kept_bytes(cloud):
    return sum(os.stat(os.path.join(top, f)).st_blocks * 512 for top, _, files in os.walk(os.path.join(cloud.data, "queues")) for f in files)


def deep(bench):
    """a queue of a million messages"""
    deep_now = DEEP if bench.rounds > 1 else SMALL
    data = tempfile.mkdtemp(prefix="quartet-bench-")
    os.chmod(data, 0o755)
    cloud = BenchCloud(data=data).start()
    try:
        make(cloud)
        empty_send = send(bench, cloud)
        empty_take = take(bench, cloud)
        cloud.call("sqs", "POST", "/", json.dumps({"QueueUrl": f"http://127.0.0.1:{cloud.port}/000000000000/q"}).encode(),
                   {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.PurgeQueue"})
        cloud.process.terminate()
        cloud.process.wait()
        empty_start = first_receive_ms(cloud)
        memory, disk = memory_mib(cloud), kept_bytes(cloud)
        bench.say(f"deep: {deep_now} messages")
        filled = 10 * bench.load(cloud.port, "queue-send-ten", name="q", bytes=BYTES, connections=CALLERS, count=deep_now // 10)["rate"]
        assert count(cloud) >= deep_now
        full_memory, full_disk = memory_mib(cloud), kept_bytes(cloud)
        full_send, full_take = send(bench, cloud), take(bench, cloud)
        cloud.process.terminate()
        cloud.process.wait()
        full_start = first_receive_ms(cloud)
        assert count(cloud) > deep_now // 2
    finally:
        cloud.stop()
        shutil.rmtree(data, ignore_errors=True)
    name = f"queue of {deep_now:,} messages"
    bench.add(f"{name}, filled at", filled, "/s", bigger=True, note=f"{CALLERS} callers, ten a call, {BYTES} bytes each")
    bench.add(f"{name}, sent a second", full_send, "/s", bigger=True, peer="empty", peer_value=empty_send)
    bench.add(f"{name}, received and deleted a second", full_take, "/s", bigger=True, peer="nearly empty", peer_value=empty_take)
    bench.add(f"{name}, memory a message", (full_memory - memory) * 1048576 / deep_now, "bytes", note=f"all roles {full_memory:.0f} MiB")
    bench.add(f"{name}, disk a message", (full_disk - disk) / deep_now, "bytes", note=f"the body is {BYTES}")
    bench.add(f"{name}, start to first receive", full_start, "ms", peer="empty", peer_value=empty_start)


def fan(bench):
    """copies a second of a topic's publications"""
    with bench.cloud() as cloud:
        policy = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"}]})
        copies = {}
        for queues in (1, 100):
            cloud.call("sns", "POST", "/", urlencode({"Action": "CreateTopic", "Version": "2010-03-31", "Name": f"t{queues}"}).encode(), FORM)
            topic = f"arn:aws:sns:us-east-1:000000000000:t{queues}"
            for n in range(queues):
                json_call(cloud, "sqs", "AmazonSQS.CreateQueue", {"QueueName": f"f{queues}-{n}", "Attributes": {"Policy": policy}})
                cloud.call("sns", "POST", "/", urlencode({"Action": "Subscribe", "Version": "2010-03-31", "TopicArn": topic, "Protocol": "sqs",
                                                          "Endpoint": f"arn:aws:sqs:us-east-1:000000000000:f{queues}-{n}",
                                                          "Attributes.entry.1.key": "RawMessageDelivery", "Attributes.entry.1.value": "true"}).encode(), FORM)
            # the name is a part of a form
            copies[queues] = queues * median([bench.load(cloud.port, "topic-publish", name=quote(topic, safe=""), bytes=BYTES, connections=CALLERS)["rate"] for _ in range(bench.rounds)])
    bench.add("SNS, copies a second, one publication to 100 queues", copies[100], "/s", bigger=True, peer="to one queue", peer_value=copies[1],
              note=f"{copies[100] / 100:,.0f} publications a second, {CALLERS} callers")
