#!/usr/bin/python3
"""An application of functions alone, and everything that can start one. A picture that is uploaded gets a thumbnail, and what is made is told to a topic;
a queue behind it is worked off in batches, a print of each picture; a gallery streams at its own address; at night a report is written. What fails lies
where somebody will look: in a queue of failures, and with the dead letters.

    photos.py deploy [--night HH:MM]   make it, or bring it up to date; the report is written at that hour, UTC (default: 02:00)
    photos.py try                      upload some pictures and see what becomes of them, by day and, with the cloud's clock moved, by night
    photos.py delete                   everything of it goes

It speaks to the cloud that AWS_ENDPOINT_URL names: eval "$(quartet env)". Functions are in the folders beside this file; `layer` is what one of them is given: a module and an extension.
"""
import argparse
import datetime
import http.client
import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import zipfile

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.exceptions

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "layer", "python"))
import pictures  # noqa: E402

FUNCTIONS = {"thumbnail": "python3.12", "prints": "python3.12", "nightly": "python3.12", "gallery": "nodejs20.x"}
WAIT_SECONDS = 60
TIMEOUT_SECONDS = 10  # of a batch, and until its failures come again
THERE_ALREADY = ("AlreadyExists", "EntityAlreadyExists", "BucketAlreadyOwnedByYou", "ConflictException", "ResourceConflictException")
GONE = ("NoSuchBucket", "NoSuchEntity", "NotFound", "ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


def client(service):
    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ.get("AWS_REGION", "us-east-1"))


def unless(codes, call, **what):
    """What the call answers; None where it fails with one of these codes."""
    try:
        return call(**what)
    except botocore.exceptions.ClientError as e:
        if e.response["Error"]["Code"].split(":")[0] not in codes:
            raise
        return None


def say(text):
    print(f"   {text}", flush=True)


def wait_for(what, question, pause_s=0.005, limit_s=WAIT_SECONDS):
    """The first answer that is not None, and how many milliseconds it took."""
    begin = time.monotonic()
    while time.monotonic() < begin + limit_s:
        answer = question()
        if answer is not None:
            return answer, (time.monotonic() - begin) * 1000
        time.sleep(pause_s)
    sys.exit(f"photos: {what} did not happen within {limit_s} s; the functions' logs may say why: quartet logs /aws/lambda/photos-thumbnail")


def package(folder):
    """The folder as a package; what may be executed there may be in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for place, folders, files in os.walk(folder):
            folders[:] = [f for f in folders if f != "__pycache__"]
            for name in files:
                path = os.path.join(place, name)
                info = zipfile.ZipInfo(os.path.relpath(path, folder))
                info.external_attr = (0o100000 | (0o755 if os.access(path, os.X_OK) else 0o644)) << 16
                with open(path, "rb") as f:
                    z.writestr(info, f.read())
    return out.getvalue()


class Photos:
    def __init__(self):
        self.iam, self.s3, self.sqs, self.sns, self.awslambda, self.scheduler = map(client, ("iam", "s3", "sqs", "sns", "lambda", "scheduler"))
        self.region, self.account = self.s3.meta.region_name, client("sts").get_caller_identity()["Account"]
        self.bucket = f"photos-{self.account}"

    def arn(self, service, name):
        return f"arn:aws:{service}:{self.region}:{self.account}:{name}"

    def url(self, queue):
        return self.sqs.get_queue_url(QueueName=f"photos-{queue}")["QueueUrl"]

    # --- deploy

    def deploy(self, night):
        role = self.make_role("photos", "lambda.amazonaws.com", [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{self.bucket}/*"},
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{self.bucket}"},
            {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage"], "Resource": self.arn("sqs", "photos-*")},
            {"Effect": "Allow", "Action": "sns:Publish", "Resource": self.arn("sns", "photos-new")}])
        self.iam.attach_role_policy(RoleName="photos", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
        unless(THERE_ALREADY, self.s3.create_bucket, Bucket=self.bucket)
        self.make_queues()
        layer = self.awslambda.publish_layer_version(LayerName="photos", Content={"ZipFile": package(os.path.join(HERE, "layer"))})["LayerVersionArn"]
        for name, runtime in FUNCTIONS.items():
            self.put_function(name, runtime, role, [layer] if name == "thumbnail" else [], package(os.path.join(HERE, name)))
        self.start_by_uploads()
        self.start_by_messages()
        self.start_by_the_clock(night)
        say(f"photos: bucket {self.bucket}, {len(FUNCTIONS)} functions, a layer, three queues, a topic, a report at {night} UTC")
        say(f"photos: the gallery is at {self.gallery()}")

    def make_role(self, name, service, statements):
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
        unless(THERE_ALREADY, self.iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="access", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return self.iam.get_role(RoleName=name)["Role"]["Arn"]

    def make_queues(self):
        """Prints that failed twice go to the dead letters; the topic may send prints."""
        for name in ("dead", "failed"):
            self.make_queue(name, {})
        from_topic = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": self.arn("sqs", "photos-prints"),
                      "Condition": {"ArnEquals": {"aws:SourceArn": self.arn("sns", "photos-new")}}}
        self.make_queue("prints", {
            "VisibilityTimeout": str(TIMEOUT_SECONDS), "Policy": json.dumps({"Version": "2012-10-17", "Statement": [from_topic]}),
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": self.arn("sqs", "photos-dead"), "maxReceiveCount": 2})})
        topic = self.sns.create_topic(Name="photos-new")["TopicArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.arn("sqs", "photos-prints"), Attributes={"RawMessageDelivery": "true"})

    def make_queue(self, name, attributes):
        """A queue's name is not free again until a minute after it was deleted."""
        wait_for(f"the queue photos-{name}", lambda: unless(("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"), self.sqs.create_queue,
                                                            QueueName=f"photos-{name}", Attributes=attributes), pause_s=0.5, limit_s=70)

    def put_function(self, what, runtime, role, layers, code):
        """The prints' initialisation takes a while: versions of that function are restored from what it has become."""
        name, snap_start = f"photos-{what}", {"ApplyOn": "PublishedVersions" if what == "prints" and restorable() else "None"}
        settings = {"FunctionName": name, "SnapStart": snap_start, "Runtime": runtime, "Role": role, "Handler": f"{'index' if runtime.startswith('nodejs') else 'lambda_function'}.handler",
                    "Layers": layers, "MemorySize": 512, "Timeout": TIMEOUT_SECONDS, "Environment": {"Variables": {"BUCKET": self.bucket}}}
        if unless(THERE_ALREADY, self.awslambda.create_function, Code={"ZipFile": code}, **settings):
            self.awslambda.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
            return
        for update, what in ((self.awslambda.update_function_code, {"FunctionName": name, "ZipFile": code}), (self.awslambda.update_function_configuration, settings)):
            update(**what)
            self.awslambda.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})

    def start_by_uploads(self):
        """Each new picture calls the function, once; what it returns is told to the topic, what it raises to the queue of failures."""
        function = self.arn("lambda", "function:photos-thumbnail")
        unless(THERE_ALREADY, self.awslambda.add_permission, FunctionName=function, StatementId="uploads", Action="lambda:InvokeFunction",
               Principal="s3.amazonaws.com", SourceArn=f"arn:aws:s3:::{self.bucket}", SourceAccount=self.account)
        self.awslambda.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0, DestinationConfig={
            "OnSuccess": {"Destination": self.arn("sns", "photos-new")}, "OnFailure": {"Destination": self.arn("sqs", "photos-failed")}})
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [
            {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "originals/"}]}}}]})

    def start_by_messages(self):
        """The queue calls the published version; it names the messages that failed."""
        version = self.awslambda.publish_version(FunctionName="photos-prints")["Version"]
        self.awslambda.get_waiter("function_active_v2").wait(FunctionName=f"photos-prints:{version}", WaiterConfig={"Delay": 0.05, "MaxAttempts": 2400})
        if not unless(THERE_ALREADY, self.awslambda.create_alias, FunctionName="photos-prints", Name="live", FunctionVersion=version):
            self.awslambda.update_alias(FunctionName="photos-prints", Name="live", FunctionVersion=version)
        unless(THERE_ALREADY, self.awslambda.create_event_source_mapping, EventSourceArn=self.arn("sqs", "photos-prints"), FunctionName="photos-prints:live", BatchSize=10,
               FunctionResponseTypes=["ReportBatchItemFailures"])

    def start_by_the_clock(self, night):
        role = self.make_role("photos-night", "scheduler.amazonaws.com", [
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": self.arn("lambda", "function:photos-nightly")}])
        hour, minute = map(int, night.split(":"))
        schedule = {"Name": "photos-nightly", "ScheduleExpression": f"cron({minute} {hour} * * ? *)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": {
            "Arn": self.arn("lambda", "function:photos-nightly"), "RoleArn": role, "Input": json.dumps({"at": "<aws.scheduler.scheduled-time>"})}}
        if not unless(THERE_ALREADY, self.scheduler.create_schedule, **schedule):
            self.scheduler.update_schedule(**schedule)

    def gallery(self):
        """The address of the gallery, which everybody may see; it is made at the first question."""
        function = "photos-gallery"
        there = unless(GONE, self.awslambda.get_function_url_config, FunctionName=function)
        if there:
            return there["FunctionUrl"]
        self.awslambda.add_permission(FunctionName=function, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
        self.ask_lambda(f"/2015-03-31/functions/{function}/policy", {"StatementId": "run", "Action": "lambda:InvokeFunction", "Principal": "*", "InvokedViaFunctionUrl": True})
        return self.ask_lambda(f"/2021-10-31/functions/{function}/url", {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"})["FunctionUrl"]

    def ask_lambda(self, path, what):
        """As the SDK would, where it is too old to know all the members: Debian 12's is of 2022."""
        endpoint = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
        request = botocore.awsrequest.AWSRequest("POST", endpoint.geturl() + path, data=json.dumps(what))
        botocore.auth.SigV4Auth(boto3.Session().get_credentials(), "lambda", self.region).add_auth(request)
        connection = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=WAIT_SECONDS)
        connection.request("POST", path, request.data, dict(request.prepare().headers))
        reply = connection.getresponse()
        answer = json.load(reply)
        if reply.status >= 300:
            sys.exit(f"photos: {path}: {answer}")
        return answer

    # --- try

    def take(self, queue):
        """A message of the queue, which is taken off it; None: there is none yet."""
        for message in self.sqs.receive_message(QueueUrl=self.url(queue)).get("Messages", []):
            self.sqs.delete_message(QueueUrl=self.url(queue), ReceiptHandle=message["ReceiptHandle"])
            return json.loads(message["Body"])
        return None

    def object(self, key, after=None):
        """The object, unless it is none or older than that."""
        try:
            found = self.s3.get_object(Bucket=self.bucket, Key=key)
        except self.s3.exceptions.NoSuchKey:
            return None
        return found["Body"].read() if not after or found["LastModified"] >= after else None

    def try_it(self):
        for queue in ("dead", "failed"):
            while self.take(queue):
                pass
        for name, size in (("sunset.png", (320, 240)), ("forest.png", (240, 320))):
            self.upload(name, draw(*size))
            small, thumbnail = wait_for(f"the thumbnail of {name}", lambda key=f"thumbnails/{name}": self.object(key))
            _, printed = wait_for(f"the print of {name}", lambda key=f"prints/{name}.json": self.object(key))
            say(f"{name}: uploaded; a thumbnail of {len(small):,} bytes {thumbnail:.0f} ms later, and a print {thumbnail + printed:.0f} ms later")
        self.upload("stamp.png", draw(60, 40))
        wait_for("the thumbnail of stamp.png", lambda: self.object("thumbnails/stamp.png"))
        wait_for("the dead letter of stamp.png", self.dead_or_later, pause_s=0.5)
        say("stamp.png: too small for a print; tried twice, it is with the dead letters (the cloud's clock went over the time between)")
        self.upload("broken.png", b"not a picture at all")
        record, failed = wait_for("the failure of broken.png", lambda: self.take("failed"))
        say(f"broken.png: \"{record['responsePayload']['errorMessage']}\" is in the queue of failures {failed:.0f} ms later")
        self.look_at_gallery()
        self.wait_for_night()
        self.say_restored()

    def dead_or_later(self):
        """The dead letter; while there is none, the cloud's clock goes on to when its message is tried again."""
        letter = self.take("dead")
        if not letter:
            quartet("clock", "forward", f"{TIMEOUT_SECONDS}s")
        return letter

    def upload(self, name, body):
        for key in (f"thumbnails/{name}", f"prints/{name}.json"):
            self.s3.delete_object(Bucket=self.bucket, Key=key)
        self.s3.put_object(Bucket=self.bucket, Key=f"originals/{name}", Body=body, ContentType="image/png")

    def look_at_gallery(self):
        endpoint, host = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]), urllib.parse.urlsplit(self.gallery()).netloc
        connection, begin = http.client.HTTPConnection(endpoint.hostname, endpoint.port, timeout=WAIT_SECONDS), time.monotonic()
        connection.request("GET", "/", headers={"Host": host})
        reply = connection.getresponse()
        page, first = reply.read(1), (time.monotonic() - begin) * 1000
        page += reply.read()
        if reply.status != 200 or not page.count(b"<img"):
            sys.exit(f"photos: the gallery answered {reply.status}: {page.decode(errors='replace')}")
        say(f"gallery: {page.count(b'<img')} pictures in {len(page):,} bytes; the first one after {first:.0f} ms, the last one after {(time.monotonic() - begin) * 1000:.0f} ms")

    def wait_for_night(self):
        minute, hour = map(int, re.search(r"cron\((\d+) (\d+)", self.scheduler.get_schedule(Name="photos-nightly")["ScheduleExpression"]).groups())
        now = cloud_time()
        night = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        night += datetime.timedelta(days=1) if night <= now else datetime.timedelta()
        move = int((night - now).total_seconds()) + 1
        quartet("clock", "forward", f"{move}s")
        report, _ = wait_for("the nightly report", lambda: self.object(f"reports/{night:%Y-%m-%d}.json", night))
        say(f"night: the cloud's clock went {move} s forward to {night:%H:%M}; the report says {report.decode()}")

    def say_restored(self):
        """What the log says of the last environment that was restored."""
        events = unless(GONE, client("logs").filter_log_events, logGroupName="/aws/lambda/photos-prints", filterPattern="RESTORE_REPORT")
        took = [m[1] for e in (events or {}).get("events", []) if (m := re.search(r"Restore Duration: ([\d.]+) ms", e["message"]))]
        if took:
            say(f"prints: the version that prints was initialised when it was published; its process was restored in {took[-1]} ms")

    # --- delete

    def delete(self):
        unless(GONE, self.scheduler.delete_schedule, Name="photos-nightly")
        for mapping in self.awslambda.list_event_source_mappings(EventSourceArn=self.arn("sqs", "photos-prints"))["EventSourceMappings"]:
            self.awslambda.delete_event_source_mapping(UUID=mapping["UUID"])
        for name in FUNCTIONS:
            unless(GONE, self.awslambda.delete_function, FunctionName=f"photos-{name}")
        for layer in self.awslambda.list_layer_versions(LayerName="photos")["LayerVersions"]:
            self.awslambda.delete_layer_version(LayerName="photos", VersionNumber=layer["Version"])
        self.sns.delete_topic(TopicArn=self.arn("sns", "photos-new"))
        for queue in self.sqs.list_queues(QueueNamePrefix="photos-").get("QueueUrls", []):
            self.sqs.delete_queue(QueueUrl=queue)
        unless(GONE, self.empty_bucket)
        for role, managed in (("photos", ["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]), ("photos-night", [])):
            for policy in managed:
                unless(GONE, self.iam.detach_role_policy, RoleName=role, PolicyArn=policy)
            unless(GONE, self.iam.delete_role_policy, RoleName=role, PolicyName="access")
            unless(GONE, self.iam.delete_role, RoleName=role)
        say("photos: gone, but for the functions' logs")

    def empty_bucket(self):
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket):
            for entry in page.get("Contents", []):
                self.s3.delete_object(Bucket=self.bucket, Key=entry["Key"])
        self.s3.delete_bucket(Bucket=self.bucket)


def draw(width, height):
    return pictures.write((width, height, [bytes(v for x in range(width) for v in (x * 255 // width, y * 255 // height, (x * y) % 256)) for y in range(height)]))


def quartet(*words):
    program = os.environ.get("QUARTET") or shutil.which("quartet") or os.path.join(os.path.dirname(os.path.dirname(HERE)), "build", "quartet")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"photos: quartet {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def cloud_time():
    return datetime.datetime.strptime(re.search(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", quartet("clock"))[0].replace("T", " "), "%Y-%m-%d %H:%M:%S").replace(
        tzinfo=datetime.timezone.utc)


def restorable():
    """Can this machine keep a process and restore it?"""
    return re.search(r"snapshots .SnapStart.  *taken and restored", quartet("doctor")) is not None


def hour(text):
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise argparse.ArgumentTypeError(f"{text} is no time like 02:00")
    return text


def main():
    parser = argparse.ArgumentParser(prog="photos.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("deploy", "try", "delete"))
    parser.add_argument("--night", type=hour, default="02:00", metavar="HH:MM", help="when the report is written")
    options = parser.parse_args()
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit('photos: which cloud? eval "$(quartet env)"')
    photos = Photos()
    try:
        if options.what == "deploy":
            photos.deploy(options.night)
        elif options.what == "try":
            photos.try_it()
        else:
            photos.delete()
    except botocore.exceptions.ClientError as e:
        sys.exit("photos: it is not there; try: photos.py deploy" if e.response["Error"]["Code"] in GONE else f"photos: {e}")


if __name__ == "__main__":
    main()
