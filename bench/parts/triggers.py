"""What starts functions: messages in queues, uploads, schedules, and their own addresses."""
import datetime
import http.client
import json
import time
from urllib.parse import urlsplit

from parts.functions import PROCESSOR_MB, cloud_of, create, kinds, need_role, package
from parts.tools import Skip, median, percentile

TOOK = "import time\ndef handler(event, context):\n    for r in event['Records']:\n        print('took', time.time() - float(r['body']))\n"
WHEN = "import time\ndef handler(event, context):\n    r = event['Records'][0] if 'Records' in event else None\n    print('took', time.time() - float(r['s3']['object']['key'] if r else event['due']))\n"
STREAM = """exports.handler = awslambda.streamifyResponse(async (event, out) => {
    out.write("first");
    await new Promise(done => setTimeout(done, 50));
    out.end("last");
});
"""


def json_call(cloud, service, target, body):
    return json.loads(cloud.call(service, "POST", "/", json.dumps(body).encode(), {"content-type": "application/x-amz-json-1.0", "x-amz-target": target})[1])


def queues(bench):
    """from a message's being sent to the function's having it"""
    with cloud_of(bench) as cloud:
        need_role(cloud)
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sqs:*", "logs:*"], "Resource": "*"}]}
        from urllib.parse import urlencode
        cloud.call("iam", "POST", "/", urlencode({"Action": "PutRolePolicy", "Version": "2010-05-08", "RoleName": "bench", "PolicyName": "p",
                                                  "PolicyDocument": json.dumps(policy)}).encode(), {"content-type": "application/x-www-form-urlencoded"})
        runtime = create(cloud, "worker", kinds(bench)["python"][0], "f.handler", package("f.py", TOOK), memory=PROCESSOR_MB)
        url = json_call(cloud, "sqs", "AmazonSQS.CreateQueue", {"QueueName": "q"})["QueueUrl"]
        cloud.call("lambda", "POST", "/2015-03-31/event-source-mappings/", json.dumps(
            {"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q", "FunctionName": "worker"}).encode(), {"content-type": "application/json"})
        count = 30 * bench.rounds
        for n in range(count + 5):
            bench.say(f"queues: {n} of {count + 5}")
            json_call(cloud, "sqs", "AmazonSQS.SendMessage", {"QueueUrl": url, "MessageBody": repr(time.time())})
            time.sleep(0.01)
        until, took = time.monotonic() + 20, []
        while len(took) < count + 5 and time.monotonic() < until:
            time.sleep(0.3)
            said = json_call(cloud, "logs", "Logs_20140328.FilterLogEvents", {"logGroupName": "/aws/lambda/worker", "filterPattern": "took", "limit": 10000})
            took = [1000 * float(e["message"].split()[1]) for e in said["events"]]
        took = took[5:]  # the first have started it
        if not took:
            raise RuntimeError("nothing was worked off")
        bench.add(f"message to {runtime}, p50", median(took), "ms", note=f"{len(took)} messages one by one, from before SendMessage to the handler's first line; "
                  f"p99 {percentile(took, 99):.1f} ms", bound="SendMessage has the message on the disk before it is received.")


def took(cloud, name, count, seconds=30):
    """Milliseconds that the function has said, once there are so many."""
    until, found = time.monotonic() + seconds, []
    while len(found) < count and time.monotonic() < until:
        time.sleep(0.3)
        _, said = cloud.call("logs", "POST", "/", json.dumps({"logGroupName": "/aws/lambda/" + name, "filterPattern": "took", "limit": 10000}).encode(),
                             {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.FilterLogEvents"}, check=False)
        found = [1000 * float(e["message"].split()[1]) for e in json.loads(said).get("events", [])]
    if not found:
        raise RuntimeError(f"{name} was not started")
    return found


def role(cloud, name, service, action):
    """A role of that service's that may do this everywhere."""
    from urllib.parse import urlencode
    form = {"content-type": "application/x-www-form-urlencoded"}
    for what in ({"Action": "CreateRole", "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})},
                 {"Action": "PutRolePolicy", "PolicyName": "p", "PolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [
                     {"Effect": "Allow", "Action": action, "Resource": "*"}]})}):
        cloud.call("iam", "POST", "/", urlencode({**what, "Version": "2010-05-08", "RoleName": name}).encode(), form)
    return "arn:aws:iam::000000000000:role/" + name


def events(bench):
    """from an upload, and from a schedule's time, to the function's first line"""
    with cloud_of(bench) as cloud:
        need_role(cloud)
        from urllib.parse import urlencode
        cloud.call("iam", "POST", "/", urlencode({"Action": "PutRolePolicy", "Version": "2010-05-08", "RoleName": "bench", "PolicyName": "p", "PolicyDocument": json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]})}).encode(), {"content-type": "application/x-www-form-urlencoded"})
        arn = "arn:aws:lambda:us-east-1:000000000000:function:"
        for name in ("uploaded", "scheduled"):
            runtime = create(cloud, name, kinds(bench)["python"][0], "f.handler", package("f.py", WHEN), memory=PROCESSOR_MB)
        cloud.call("lambda", "POST", "/2015-03-31/functions/uploaded/policy", json.dumps(
            {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}).encode())
        cloud.call("s3", "PUT", "/uploads")
        cloud.call("s3", "PUT", "/uploads?notification=", f"<NotificationConfiguration><CloudFunctionConfiguration><CloudFunction>{arn}uploaded</CloudFunction>"
                   "<Event>s3:ObjectCreated:*</Event></CloudFunctionConfiguration></NotificationConfiguration>".encode())
        count = 30 * bench.rounds
        for n in range(count + 5):
            bench.say(f"events: {n} of {count + 5}")
            cloud.call("s3", "PUT", f"/uploads/{time.time():.6f}", b"x")
            time.sleep(0.01)
        uploads = took(cloud, "uploaded", count + 5)[5:]  # the first have started it
        may = role(cloud, "scheduler", "scheduler.amazonaws.com", "lambda:InvokeFunction")
        first, count = int(time.time()) + 3, 5 * bench.rounds
        for n in range(count + 1):
            at = datetime.datetime.fromtimestamp(first + n, datetime.timezone.utc)
            cloud.call("scheduler", "POST", f"/schedules/s{n}", json.dumps(
                {"ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})", "FlexibleTimeWindow": {"Mode": "OFF"},
                 "Target": {"Arn": arn + "scheduled", "RoleArn": may, "Input": json.dumps({"due": first + n})}}).encode(), {"content-type": "application/json"})
        schedules = took(cloud, "scheduled", count + 1, count + 40)[1:]
        bench.add(f"upload to {runtime}, p50", median(uploads), "ms", note=f"{len(uploads)} objects one by one, from before PutObject to the handler's first line; p99 {percentile(uploads, 99):.1f} ms",
                  bound="The object, then the event, are on the disk before the function is called.")
        bench.add(f"schedule to {runtime}, p50", median(schedules), "ms", note=f"{len(schedules)} schedules, from their second to the handler's first line; most {max(schedules):.1f} ms")


def address(cloud, name, mode):
    made = json.loads(cloud.call("lambda", "POST", f"/2021-10-31/functions/{name}/url", json.dumps({"AuthType": "NONE", "InvokeMode": mode}).encode())[1])
    for statement, action, more in (("url", "lambda:InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}), ("run", "lambda:InvokeFunction", {"InvokedViaFunctionUrl": True})):
        cloud.call("lambda", "POST", f"/2015-03-31/functions/{name}/policy", json.dumps({"StatementId": statement, "Action": action, "Principal": "*", **more}).encode())
    return urlsplit(made["FunctionUrl"]).hostname


def urls(bench):
    """requests to functions' own addresses, and the first byte of a stream"""
    with cloud_of(bench) as cloud:
        need_role(cloud)
        for kind in ("native", "node"):
            runtimes, handler, code = kinds(bench)[kind]
            runtime = create(cloud, f"url-{kind}", runtimes, handler, code, memory=PROCESSOR_MB)
            host = address(cloud, f"url-{kind}", "BUFFERED")
            bench.load(cloud.port, "plain", name=host, count=200, connections=16)
            one = [bench.load(cloud.port, "plain", name=host, connections=1, seconds=bench.seconds / 2)["p50_us"] / 1000 for _ in range(bench.rounds)]
            many = [bench.load(cloud.port, "plain", name=host, connections=16)["rate"] for _ in range(bench.rounds)]
            bench.add(f"function URL, {runtime}, p50", median(one), "ms", note="one caller")
            bench.add(f"function URL, {runtime}, rate", median(many), "/s", bigger=True, note=f"16 callers, {PROCESSOR_MB} MB")
        try:
            create(cloud, "stream", kinds(bench)["node"][0], "f.handler", package("f.js", STREAM), memory=PROCESSOR_MB)
        except Skip:
            return
        host, first, last = address(cloud, "stream", "RESPONSE_STREAM"), [], []
        for n in range(20 * bench.rounds + 3):
            connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=10)
            connection.connect()
            began = time.perf_counter()
            connection.request("GET", "/", headers={"Host": host})
            reply = connection.getresponse()
            reply.read(1)
            first.append(1000 * (time.perf_counter() - began))
            reply.read()
            last.append(1000 * (time.perf_counter() - began))
            connection.close()
        bench.add("stream by function URL, node, first byte, p50", median(first[3:]), "ms", peer="its last, which the function sends 50 ms later", peer_value=median(last[3:]))
