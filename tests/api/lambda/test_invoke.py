"""Invocations: results, errors, logs, time, memory, events, streams."""
import datetime
import json
import threading
import time
import unittest
import uuid

from aws import client
from lambdacase import ACCOUNT, TRUST, LambdaCase, package

PYTHON = """
import logging, os, sys, time
logging.getLogger().setLevel("INFO")

def lambda_handler(event, context):
    kind = event.get("kind")
    if kind == "error":
        return event["missing"]
    if kind == "exit":
        os._exit(3)
    if kind == "clean":
        sys.exit(0)
    if kind == "sleep":
        time.sleep(event["s"])
    if kind == "hog":
        hog = []
        while True:
            hog.append(bytearray(8 << 20))
    if kind == "set":
        return {1}
    if kind == "log":
        print("printed")
        logging.info("logged %d", 5)
    if kind == "tmp":
        with open("/tmp/count", "a") as f:
            f.write("x")
        return os.path.getsize("/tmp/count")
    if kind == "big":
        return "x" * event["n"]
    if kind == "context":
        return {"id": context.aws_request_id, "name": context.function_name, "memory": context.memory_limit_in_mb, "arn": context.invoked_function_arn,
                "left": context.get_remaining_time_in_millis(), "client": context.client_context.custom if context.client_context else None,
                "stream": context.log_stream_name}
    if kind == "env":
        return dict(os.environ)
    return {"pid": os.getpid(), "event": event}
"""


class Invoke(LambdaCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.name = cls.make(cls(), PYTHON, Timeout=2, Environment={"Variables": {"MINE": "yes"}})

    def test_result(self):
        reply = self.call(self.name, {"a": [1, "ü"]})
        self.assertEqual((reply["StatusCode"], reply["ExecutedVersion"]), (200, "$LATEST"))
        self.assertEqual(reply["Payload"].get("event"), {"a": [1, "ü"]}, reply["Payload"])

    def test_environments_are_reused(self):
        pids = {self.result(self.name)["pid"] for _ in range(5)}
        self.assertEqual(len(pids), 1)

    def test_context(self):
        reply = self.call(self.name, {"kind": "context"}, ClientContext="eyJjdXN0b20iOnsiYSI6IjEifX0=")
        got = reply["Payload"]
        self.assertEqual(got["id"], reply["ResponseMetadata"]["RequestId"])
        self.assertEqual((got["name"], got["memory"], got["client"]), (self.name, "128", {"a": "1"}))
        self.assertTrue(1000 < got["left"] <= 2000, got["left"])
        self.assertRegex(got["stream"], r"^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$")

    def test_environment_variables(self):
        env = self.result(self.name, {"kind": "env"})
        self.assertEqual(env["MINE"], "yes")
        self.assertEqual(env["AWS_LAMBDA_FUNCTION_NAME"], self.name)
        self.assertEqual(env["_HANDLER"], "lambda_function.lambda_handler")
        self.assertEqual(env["LAMBDA_TASK_ROOT"], "/var/task")
        self.assertTrue(env["AWS_ACCESS_KEY_ID"].startswith("ASIA"))
        self.assertNotIn("HOME", env)
        self.assertNotIn("QUARTET_STEM_FD", env)
        theirs = client("sts", key=env["AWS_ACCESS_KEY_ID"], secret=env["AWS_SECRET_ACCESS_KEY"], token=env["AWS_SESSION_TOKEN"])
        self.assertTrue(theirs.get_caller_identity()["Arn"].endswith(f":assumed-role/{self.role_name}/{self.name}"))

    def test_function_error(self):
        reply = self.call(self.name, {"kind": "error"}, LogType="Tail")
        self.assertEqual((reply["StatusCode"], reply["FunctionError"]), (200, "Unhandled"))
        self.assertEqual(list(reply["Payload"]), ["errorMessage", "errorType", "requestId", "stackTrace"])
        self.assertEqual((reply["Payload"]["errorType"], reply["Payload"]["errorMessage"]), ("KeyError", "'missing'"))
        self.assertIn('File "/var/task/lambda_function.py", line 8, in lambda_handler', reply["Payload"]["stackTrace"][0])
        self.assertIn("[ERROR] KeyError: 'missing'\nTraceback (most recent call last):\n", reply["Log"])

    def test_result_that_is_not_json(self):
        reply = self.call(self.name, {"kind": "set"})
        self.assertEqual(reply["Payload"]["errorType"], "Runtime.MarshalError", reply["Payload"])

    def test_tail(self):
        reply = self.call(self.name, {"kind": "log"}, LogType="Tail")
        request = reply["ResponseMetadata"]["RequestId"]
        self.assertRegex(reply["Log"], rf"START RequestId: {request} Version: \$LATEST\n")
        self.assertIn("printed\n", reply["Log"])
        self.assertRegex(reply["Log"], rf"\[INFO\]\t[-0-9T:.]+Z\t{request}\tlogged 5\n")
        self.assertRegex(reply["Log"], rf"END RequestId: {request}\nREPORT RequestId: {request}\tDuration: [0-9.]+ ms\tBilled Duration: \d+ ms\t"
                                       r"Memory Size: 128 MB\tMax Memory Used: \d+ MB\t")

    def test_exit_is_told_and_tmp_stays(self):
        before = self.result(self.name, {"kind": "tmp"})
        reply = self.call(self.name, {"kind": "exit"}, LogType="Tail")
        self.assertEqual(reply["FunctionError"], "Unhandled")
        self.assertEqual(reply["Payload"]["errorType"], "Runtime.ExitError")
        self.assertTrue(reply["Payload"]["errorMessage"].endswith("Error: Runtime exited with error: exit status 3"))
        self.assertIn("Status: error\tError Type: Runtime.ExitError", reply["Log"])
        self.assertEqual(self.result(self.name, {"kind": "tmp"}), before + 1)
        reply = self.call(self.name, {"kind": "clean"})
        self.assertTrue(reply["Payload"]["errorMessage"].endswith("Runtime exited without providing a reason"))

    def test_timeout(self):
        started = time.monotonic()
        reply = self.call(self.name, {"kind": "sleep", "s": 30}, LogType="Tail")
        self.assertLess(time.monotonic() - started, 25)
        request = reply["ResponseMetadata"]["RequestId"]
        self.assertEqual(reply["Payload"], {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {request} Error: Task timed out after 2.00 seconds"})
        self.assertIn(f"{request} Task timed out after 2.00 seconds", reply["Log"])
        self.assertIn("Status: timeout", reply["Log"])

    def test_memory(self):
        name = self.make(PYTHON, Timeout=30, MemorySize=128)
        reply = self.call(name, {"kind": "hog"}, LogType="Tail")
        self.assertTrue(reply["Payload"]["errorMessage"].endswith("Runtime exited with error: signal: killed"), reply["Payload"])
        self.assertIn("Max Memory Used: 128 MB", reply["Log"])
        self.assertEqual(self.result(name, {"x": 1})["event"], {"x": 1})

    def test_payload_limits(self):
        error = self.assertAwsError("RequestTooLargeException", self.aws.invoke, FunctionName=self.name, Payload=b'"' + b"x" * 6291456 + b'"', status=413)
        self.assertIn("6291458 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)", error["Error"]["Message"])
        self.assertAwsError("RequestTooLargeException", self.aws.invoke, FunctionName=self.name, InvocationType="Event",
                            Payload=b'"' + b"x" * 1048576 + b'"', status=413, message="Event invocation type (limit 1048576 bytes)")
        # megabytes of JSON take longer than the other tests' two seconds in a small function on a busy machine
        name = self.make(PYTHON, Timeout=30, MemorySize=1769)
        pid = self.result(name)["pid"]
        self.assertEqual(len(self.result(name, {"kind": "big", "n": 6291000})), 6291000)
        reply = self.call(name, {"kind": "big", "n": 6291600})
        self.assertEqual(reply["Payload"]["errorType"], "Function.ResponseSizeTooLarge", reply["Payload"])
        self.assertEqual(self.result(name)["pid"], pid, "the environment lives on")
        self.assertAwsError("InvalidRequestContentException", self.aws.invoke, FunctionName=self.name, Payload=b"{no", status=400,
                            message="Could not parse request body into json")

    def test_dry_run(self):
        self.assertEqual(self.aws.invoke(FunctionName=self.name, InvocationType="DryRun")["StatusCode"], 204)

    def test_scale_out(self):
        name = self.make(PYTHON, Timeout=20)
        pids, errors = [], []

        def one():
            try:
                reply = client("lambda", read_timeout=60).invoke(FunctionName=name, Payload=json.dumps({"kind": "sleep", "s": 3}))
                pids.append(json.loads(reply["Payload"].read()))
            except Exception as e:
                errors.append(e)
        threads = [threading.Thread(target=one) for _ in range(8)]
        started = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual((len(pids), errors), (8, []))
        self.assertLess(time.monotonic() - started, 20, "twenty-four seconds of sleep ran at once")

    def test_reserved_concurrency_limits(self):
        name = self.make(PYTHON, Timeout=20)
        self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)

        def sleep():
            lambda_ = client("lambda", read_timeout=60)
            for _ in range(200):
                try:
                    return lambda_.invoke(FunctionName=name, Payload='{"kind": "sleep", "s": 5}')
                except lambda_.exceptions.TooManyRequestsException:  # the other call was in
                    time.sleep(0.1)
        sleeper = threading.Thread(target=sleep)
        sleeper.start()
        with self.assertRaises(self.aws.exceptions.TooManyRequestsException) as e:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                self.aws.invoke(FunctionName=name, Payload='{"kind": "event"}')
        self.assertEqual(e.exception.response["ResponseMetadata"]["HTTPStatusCode"], 429)
        self.assertEqual(e.exception.response["Reason"], "ReservedFunctionConcurrentInvocationLimitExceeded")
        sleeper.join()
        self.assertIn("event", self.result(name))

    def test_logs_reach_cloudwatch(self):
        mark = uuid.uuid4().hex
        name = self.make(f"def lambda_handler(e, c):\n    print('{mark}')\n")
        self.call(name)
        kinds = [m.split(" ")[0].strip() for m in self.logged(name)]
        self.assertEqual(kinds, ["INIT_START", "START", mark, "END", "REPORT"])

    def test_what_is_one_event(self):
        """Printed text is an event a line, a logger's message is one whatever lines it has, and a very long one is cut."""
        name = self.make("""
import logging, os
def lambda_handler(e, c):
    print('one\\ntwo')
    logging.warning('three\\nfour \\u00fc')
    os.write(1, b'f\\xa5\\x5aive\\n\\xa5')
    os.write(1, b'\\x5a\\x00\\x03')
    os.write(1, bytes([0, 0, 0, 9]) + bytes(8) + b'six\\nse')
    os.write(1, b'veneight')
    print('x' * 300000)
    raise ValueError('nine\\nten')
""")
        self.call(name)
        found = self.logged(name)
        at = next(i for i, m in enumerate(found) if m.startswith("START")) + 1
        self.assertEqual(found[at:at + 2], ["one\n", "two\n"])
        self.assertRegex(found[at + 2], r"^\[WARNING\]\t[^\t]+Z\t[-0-9a-f]{36}\tthree\nfour \u00fc\n$")
        self.assertTrue(found[at + 3].endswith("ive\n"), found[at + 3])
        self.assertEqual(found[at + 4], "six\nseven")
        self.assertEqual([len(m) for m in found[at + 5:at + 7]], [262144 - 26, 5 + 300000 + 1 - (262144 - 26)])
        self.assertTrue(found[at + 5].startswith("eightxxx"))
        self.assertRegex(found[at + 7], r"^\[ERROR\] ValueError: nine\nten\nTraceback \(most recent call last\):\n\u00a0\u00a0File ")
        self.assertTrue(found[at + 8].startswith("END"), found[at + 8])


class Events(LambdaCase):
    CODE = """
import boto3, json
s3 = boto3.client("s3")
def lambda_handler(event, context):
    if event.get("fail"):
        raise ValueError("no")
    if "responsePayload" in event:
        s3.put_object(Bucket=event["requestPayload"]["bucket"], Key="destination", Body=json.dumps(event))
    else:
        s3.put_object(Bucket=event["bucket"], Key="direct", Body=context.aws_request_id)
    return {"ok": True}
"""

    def wait_for(self, bucket, key):
        for _ in range(100):
            try:
                return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
            except self.s3.exceptions.NoSuchKey:
                time.sleep(0.1)
        self.fail(f"no {key} after ten seconds")

    def test_event_and_destination(self):
        bucket = "events-" + uuid.uuid4().hex[:10]
        self.s3.create_bucket(Bucket=bucket)
        writer = self.make(self.CODE, Timeout=30, MemorySize=512)
        reply = self.aws.invoke(FunctionName=writer, InvocationType="Event", Payload=json.dumps({"bucket": bucket}))
        self.assertEqual(reply["StatusCode"], 202)
        self.assertEqual(self.wait_for(bucket, "direct"), reply["ResponseMetadata"]["RequestId"])
        other = self.make("def lambda_handler(e, c):\n    raise ValueError('never')\n")
        arn = self.aws.get_function_configuration(FunctionName=writer)["FunctionArn"]
        self.aws.put_function_event_invoke_config(FunctionName=other, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": arn}})
        self.aws.invoke(FunctionName=other, InvocationType="Event", Payload=json.dumps({"bucket": bucket}))
        record = json.loads(self.wait_for(bucket, "destination"))
        self.assertEqual(record["requestContext"]["condition"], "RetriesExhausted")
        self.assertEqual(record["responseContext"]["functionError"], "Unhandled")
        self.assertEqual(record["responsePayload"]["errorMessage"], "never")
        for key in ("direct", "destination"):
            self.s3.delete_object(Bucket=bucket, Key=key)
        self.s3.delete_bucket(Bucket=bucket)

    def queue(self, **attributes):
        sqs = client("sqs")
        name = "events-" + uuid.uuid4().hex[:10] + attributes.pop("suffix", "")
        url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=url)

        def take(seconds=20):
            return sqs.receive_message(QueueUrl=url, WaitTimeSeconds=seconds, MessageAttributeNames=["All"]).get("Messages", [])
        return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}", take

    def test_results_in_queues(self):
        code = """def lambda_handler(event, context):
    if event.get("fail"):
        raise ValueError(event["fail"])
    return {"got": event}
"""
        (good, taken_good), (bad, taken_bad), (letters, taken_letters) = self.queue(), self.queue(), self.queue()
        name = self.make(code, DeadLetterConfig={"TargetArn": letters})
        self.assertEqual(self.aws.get_function_configuration(FunctionName=name)["DeadLetterConfig"], {"TargetArn": letters})
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0,
                                                  DestinationConfig={"OnSuccess": {"Destination": good}, "OnFailure": {"Destination": bad}})

        def event(payload):
            return self.aws.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(payload))["ResponseMetadata"]["RequestId"]
        request = event({"n": 1})
        (told,) = taken_good()
        told = json.loads(told["Body"])
        self.assertEqual((told["requestContext"]["requestId"], told["requestContext"]["condition"], told["responsePayload"]), (request, "Success", {"got": {"n": 1}}))
        why = "\u00e9" * 600
        request = event({"fail": why})
        (told,), (letter,) = taken_bad(), taken_letters()
        self.assertEqual(json.loads(told["Body"])["requestContext"]["condition"], "RetriesExhausted")
        self.assertEqual(json.loads(letter["Body"]), {"fail": why})
        self.assertEqual({k: (v["DataType"], v["StringValue"]) for k, v in letter["MessageAttributes"].items()},
                         {"RequestID": ("String", request), "ErrorCode": ("Number", "200"), "ErrorMessage": ("String", why[:512])})
        # neither tries nor retries: what no environment may run goes straight there
        self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        request = event({"n": 2})
        (letter,), (told,) = taken_letters(), taken_bad()
        self.assertEqual((letter["Body"], list(letter["MessageAttributes"]["RequestID"].values())[0]), ('{"n": 2}', request))
        self.assertNotIn("responseContext", json.loads(told["Body"]))
        self.aws.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ""})
        self.settle(name)
        self.assertNotIn("DeadLetterConfig", self.aws.get_function_configuration(FunctionName=name))
        self.assertEqual((taken_good(0), taken_bad(0), taken_letters(0)), ([], [], []))

    def test_results_in_topics_and_buses(self):
        sns, events, sqs = client("sns"), client("events"), client("sqs")
        word = "results-" + uuid.uuid4().hex[:10]
        topic = sns.create_topic(Name=word)["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        bus = events.create_event_bus(Name=word)["EventBusArn"]
        self.addCleanup(events.delete_event_bus, Name=word)
        (from_topic, taken_topic), (from_bus, taken_bus) = self.queue(), self.queue()
        for queue, origin in ((from_topic, topic), (from_bus, bus)):
            policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue}]}
            sqs.set_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"], Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=from_topic)
        events.put_rule(Name="all", EventBusName=word, EventPattern=json.dumps({"source": ["lambda"]}))
        self.addCleanup(events.delete_rule, Name="all", EventBusName=word)
        events.put_targets(Rule="all", EventBusName=word, Targets=[{"Id": "q", "Arn": from_bus}])
        self.addCleanup(events.remove_targets, Rule="all", EventBusName=word, Ids=["q"])
        name = self.make("def lambda_handler(event, context):\n    return event['n']\n", DeadLetterConfig={"TargetArn": topic})
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0,
                                                  DestinationConfig={"OnSuccess": {"Destination": topic}, "OnFailure": {"Destination": bus}})
        self.aws.invoke(FunctionName=name, InvocationType="Event", Payload='{"n": 7}')
        (told,) = taken_topic()
        self.assertEqual(json.loads(json.loads(told["Body"])["Message"])["responsePayload"], 7)
        self.aws.invoke(FunctionName=name, InvocationType="Event", Payload='{"m": 7}')
        (letter,), (told,) = taken_topic(), taken_bus()
        letter, told = json.loads(letter["Body"]), json.loads(told["Body"])
        self.assertEqual((letter["Message"], letter["MessageAttributes"]["ErrorMessage"]["Value"]), ('{"m": 7}', "'n'"))
        self.assertEqual((told["detail-type"], told["resources"][0], told["detail"]["requestContext"]["condition"]),
                         ("Lambda Function Invocation Result - Failure", bus, "RetriesExhausted"))
        self.assertEqual(told["resources"][1], told["detail"]["requestContext"]["functionArn"])

    def test_failures_in_buckets(self):
        bucket = "failures-" + uuid.uuid4().hex[:10]
        self.s3.create_bucket(Bucket=bucket)
        name = self.make("def lambda_handler(event, context):\n    raise ValueError('no')\n")
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::" + bucket}})
        self.assertAwsError("InvalidParameterValueException", self.aws.put_function_event_invoke_config, FunctionName=name,
                            DestinationConfig={"OnSuccess": {"Destination": "arn:aws:s3:::" + bucket}}, message="failures alone")
        self.aws.invoke(FunctionName=name, InvocationType="Event", Payload='{"n": 9}')
        for _ in range(300):
            found = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
            if found:
                break
            time.sleep(0.1)
        (key,) = (o["Key"] for o in found)
        self.assertRegex(key, rf"^aws/lambda/async/{name}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3T\d\d\.\d\d\.\d\d-[0-9a-f-]{{36}}$")
        got = self.s3.get_object(Bucket=bucket, Key=key)
        record = json.loads(got["Body"].read())
        self.assertEqual((got["ContentType"], record["requestPayload"], record["responsePayload"]["errorMessage"]), ("application/json", {"n": 9}, "no"))
        self.s3.delete_object(Bucket=bucket, Key=key)
        self.s3.delete_bucket(Bucket=bucket)

    def test_circle_of_destinations(self):
        """Two functions that are each other's destination: the first one comes round sixteen times, and no more."""
        code = "def lambda_handler(event, context):\n    return len(str(event))\n"
        one, other = self.make(code), self.make(code)
        seen, taken = self.queue()
        arns = [self.aws.get_function_configuration(FunctionName=n)["FunctionArn"] for n in (one, other)]
        for function, to in ((one, arns[1]), (other, arns[0])):
            self.aws.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0,
                                                      DestinationConfig={"OnSuccess": {"Destination": to}, "OnFailure": {"Destination": seen}})
        self.aws.invoke(FunctionName=one, InvocationType="Event", Payload="{}")
        (told,) = taken(20) or taken(20) or taken(20)
        told = json.loads(told["Body"])["requestContext"]
        self.assertEqual((told["functionArn"], told["condition"], told["approximateInvokeCount"]), (arns[0] + ":$LATEST", "RetriesExhausted", 0))
        self.assertEqual(self.metric("Invocations", one, lambda n: n >= 16), 16)
        self.assertEqual(self.metric("RecursiveInvocationsDropped", one, lambda n: n >= 1), 1)

    def test_circle_over_a_topic(self):
        sns = client("sns")
        topic = sns.create_topic(Name="circle-" + uuid.uuid4().hex[:10])["TopicArn"]
        self.addCleanup(sns.delete_topic, TopicArn=topic)
        name = self.make("import boto3, os\nsns = boto3.client('sns')\ndef lambda_handler(event, context):\n    sns.publish(TopicArn=os.environ['TOPIC'], Message='round')\n",
                         Environment={"Variables": {"TOPIC": topic}}, Timeout=30, MemorySize=512)
        arn = self.aws.get_function_configuration(FunctionName=name)["FunctionArn"]
        self.aws.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic)
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn)
        seen, taken = self.queue()
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": seen}})
        self.aws.invoke(FunctionName=name, InvocationType="Event", Payload="{}")
        (told,) = taken(20) or taken(20) or taken(20)
        self.assertEqual(json.loads(told["Body"])["requestContext"]["condition"], "RetriesExhausted")
        self.assertEqual(self.metric("Invocations", name, lambda n: n >= 16), 16)

    def test_invoke_async(self):
        bucket = "events-" + uuid.uuid4().hex[:10]
        self.s3.create_bucket(Bucket=bucket)
        name = self.make(self.CODE, Timeout=30, MemorySize=512)
        self.assertEqual(self.aws.invoke_async(FunctionName=name, InvokeArgs=json.dumps({"bucket": bucket}))["Status"], 202)
        self.assertTrue(self.wait_for(bucket, "direct"))
        self.assertAwsError("InvalidRequestContentException", self.aws.invoke_async, FunctionName=name, InvokeArgs="{", status=400)
        self.assertAwsError("ResourceNotFoundException", self.aws.invoke_async, FunctionName="none-" + name, InvokeArgs="{}", status=404)
        self.assertAwsError("RequestTooLargeException", self.aws.invoke_async, FunctionName=name, InvokeArgs=json.dumps("a" * (1 << 20)), status=413)
        self.s3.delete_object(Bucket=bucket, Key="direct")
        self.s3.delete_bucket(Bucket=bucket)

    def test_letters_that_cannot_be_sent(self):
        role = "lambda-mute-" + uuid.uuid4().hex[:8]
        arn = self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        self.addCleanup(self.iam.delete_role, RoleName=role)
        letters, taken = self.queue()
        name = self.make("def lambda_handler(event, context):\n    raise ValueError('no')\n")
        self.aws.update_function_configuration(FunctionName=name, Role=arn, DeadLetterConfig={"TargetArn": letters})
        self.settle(name)
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        self.aws.invoke(FunctionName=name, InvocationType="Event", Payload="{}")
        metrics, now = client("cloudwatch"), datetime.datetime.now(datetime.timezone.utc)
        hour = datetime.timedelta(hours=1)
        for _ in range(300):
            found = metrics.get_metric_statistics(Namespace="AWS/Lambda", MetricName="DeadLetterErrors", Dimensions=[{"Name": "FunctionName", "Value": name}],
                                                  StartTime=now - hour, EndTime=now + hour, Period=7200, Statistics=["Sum"])["Datapoints"]
            if found:
                break
            time.sleep(0.1)
        self.assertEqual([p["Sum"] for p in found], [1.0])
        self.assertEqual(taken(0), [])

    def test_queues_that_cannot_be(self):
        name = self.make(self.CODE, wait=False)
        fifo, _ = self.queue(suffix=".fifo", FifoQueue="true")
        for arn, message in ((fifo, "standard"), ("arn:aws:sqs:us-east-1:000000000000:", "is invalid"), ("arn:aws:kinesis:us-east-1:000000000000:t", "not supported")):
            self.assertAwsError("InvalidParameterValueException", self.aws.put_function_event_invoke_config, FunctionName=name,
                                DestinationConfig={"OnFailure": {"Destination": arn}}, message=message)
            self.assertAwsError("InvalidParameterValueException", self.aws.update_function_configuration, FunctionName=name,
                                DeadLetterConfig={"TargetArn": arn}, message=message)

    def test_configuration(self):
        name = self.make(self.CODE, wait=False)
        self.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60)
        got = self.aws.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        self.assertEqual((got["MaximumRetryAttempts"], got["MaximumEventAgeInSeconds"]), (0, 60))
        self.assertEqual(len(self.aws.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]), 1)
        self.assertAwsError("InvalidParameterValueException", self.aws.put_function_event_invoke_config, FunctionName=name,
                            DestinationConfig={"OnSuccess": {"Destination": "arn:aws:kinesis:us-east-1:000000000000:t"}}, message="not supported")
        arn = self.aws.get_function_configuration(FunctionName=name)["FunctionArn"]
        for to, message in ((arn, "can't specify the function as a destination for itself"),
                            (arn.replace(":function:", ":layer:"), "is invalid")):
            self.assertAwsError("InvalidParameterValueException", self.aws.put_function_event_invoke_config, FunctionName=name,
                                DestinationConfig={"OnFailure": {"Destination": to}}, message=message)
        self.assertEqual(self.aws.get_function_event_invoke_config(FunctionName=name)["MaximumRetryAttempts"], 0, "refusals change nothing")
        self.aws.delete_function_event_invoke_config(FunctionName=name)
        self.assertAwsError("ResourceNotFoundException", self.aws.get_function_event_invoke_config, FunctionName=name)


if __name__ == "__main__":
    unittest.main()
