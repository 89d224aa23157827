#!/usr/bin/python3
"""The guided demonstration of ./run: one piece of work - read a file of orders from S3, add it up, write a report back - as three functions, in Python,
Node.js and C, each cold and warm, as a container's task, on an instance and in an environment of Elastic Beanstalk, with what AWS would bill for it. Then
samples/photos, an application of functions and of everything that starts them.

It speaks to the cloud that AWS_ENDPOINT_URL names, as any program would, and leaves everything there to look at.
"""
import base64
import datetime
import http.client
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile

import boto3
import botocore.auth
import botocore.awsrequest
import demo_environment
import demo_instance
import demo_task

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "photos"))
import photos  # noqa: E402

ENDPOINT, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]
ROWS, MEMORY_MB, COLD, WARM = 100_000, 1024, 5, 50
GB_SECOND, REQUEST = 0.0000166667, 0.20 / 1_000_000  # us-east-1, x86, first tier
BUCKET, ROLE = "demo-orders", "demo-report"


def client(service):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=REGION)


def say(text):
    print(f"   {text}", flush=True)


def package(*files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, path, mode in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o100000 | mode) << 16
            with open(path, "rb") as f:
                z.writestr(info, f.read())
    return out.getvalue()


def native():
    """The C function, compiled here; its package is what a user would upload: one executable called bootstrap."""
    with tempfile.TemporaryDirectory() as place:
        program = os.path.join(place, "bootstrap")
        subprocess.run(["cc", "-O2", "-o", program, os.path.join(HERE, "report-native", "bootstrap.c"), "-lcrypto"], check=True)
        return package(("bootstrap", program, 0o755))


def functions():
    yield "report-python", "python3.12", "lambda_function.handler", package(
        *((name, os.path.join(HERE, "report-python", name), 0o644) for name in ("lambda_function.py", "orders.py")))
    yield "report-node", "nodejs20.x", "index.handler", package(("index.mjs", os.path.join(HERE, "report-node/index.mjs"), 0o644))
    yield "report-native", "provided.al2023", "bootstrap", native()


class Invoker:
    """Invocations timed from the first byte sent to the last received: signing happens before the clock starts."""

    def __init__(self):
        host, port = ENDPOINT.split("//")[1].rsplit(":", 1)
        self.connection = http.client.HTTPConnection(host, int(port))
        self.credentials = boto3.Session().get_credentials()

    def __call__(self, function, event):
        url = f"{ENDPOINT}/2015-03-31/functions/{function}/invocations"
        request = botocore.awsrequest.AWSRequest("POST", url, data=json.dumps(event), headers={"X-Amz-Log-Type": "Tail"})
        botocore.auth.SigV4Auth(self.credentials, "lambda", REGION).add_auth(request)
        headers = dict(request.prepare().headers)
        begin = time.perf_counter()
        self.connection.request("POST", url[len(ENDPOINT):], body=request.data, headers=headers)
        reply = self.connection.getresponse()
        body = reply.read()
        took = (time.perf_counter() - begin) * 1000
        if reply.status != 200 or reply.getheader("X-Amz-Function-Error"):
            log = base64.b64decode(reply.getheader("X-Amz-Log-Result") or "").decode(errors="replace")
            sys.exit(f"{function} answered {reply.status}: {body.decode(errors='replace')}\n{log}")
        log = base64.b64decode(reply.getheader("X-Amz-Log-Result")).decode()
        return took, json.loads(body), {k: float(v) for k, v in re.findall(r"(Billed Duration|Max Memory Used|Init Duration): ([\d.]+)", log)}


def settle(awslambda, name):
    awslambda.get_waiter("function_updated_v2" if "function_updated_v2" in awslambda.waiter_names else "function_updated").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def make_role(iam):
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    access = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/*"}]}
    try:
        role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    except iam.exceptions.EntityAlreadyExistsException:
        role = iam.get_role(RoleName=ROLE)["Role"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="orders", PolicyDocument=json.dumps(access))
    iam.attach_role_policy(RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    return role["Arn"]


def put_function(awslambda, name, runtime, handler, code, role):
    try:
        awslambda.create_function(FunctionName=name, Runtime=runtime, Handler=handler, Role=role, Code={"ZipFile": code}, MemorySize=MEMORY_MB, Timeout=30)
        awslambda.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.05, "MaxAttempts": 400})
    except awslambda.exceptions.ResourceConflictException:
        awslambda.update_function_code(FunctionName=name, ZipFile=code)
        settle(awslambda, name)


def show_servers(servers):
    print(f"\n   {'server':14} {'start':>9} {'first call':>10} {'warm p50':>9} {'warm p99':>9} {'lived':>8} {'its bill':>25}")
    for i in servers:
        p50, p99, usd = percentile(i["warm"], 50), percentile(i["warm"], 99), sum(i["bill"].values())
        print(f"   {i['what']:14} {i['start']:7.1f} s {i['first']:7.0f} ms {p50:6.0f} ms {p99:6.0f} ms {i['ran']:6.0f} s {'$' + format(usd, '.6f'):>25}")
    for i in servers:
        print(f"   {i['kind']}. Its bill: " + ", ".join(f"{usage} ${cost:.6f}" for usage, cost in sorted(i["bill"].items())))
    print("   Start is from the request to the end of the first call. Each bill is for a minute at least, then by the second (`quartet bill`). They are gone.")


def show_photos():
    """Its night is soon, so that the cloud's clock has not far to go."""
    print()
    app = photos.Photos()
    app.deploy(f"{photos.cloud_time() + datetime.timedelta(minutes=2):%H:%M}")
    app.try_it()


def main():
    iam, s3, awslambda = client("iam"), client("s3"), client("lambda")
    who = client("sts").get_caller_identity()["Arn"]
    say(f"as {who}, at {ENDPOINT}")
    role = make_role(iam)
    say(f"role {ROLE}: may read and write {BUCKET}, write logs, and nothing else")
    data = subprocess.run([sys.executable, os.path.join(HERE, "make-data.py"), str(ROWS)], check=True, capture_output=True).stdout
    try:
        s3.create_bucket(Bucket=BUCKET)
    except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
        pass
    s3.put_object(Bucket=BUCKET, Key="orders.csv", Body=data)
    say(f"s3://{BUCKET}/orders.csv: {ROWS:,} orders, {len(data) / 1e6:.1f} MB (samples/make-data.py says by which rule)")
    invoke, rows, reports = Invoker(), [], []
    for name, runtime, handler, code in functions():
        put_function(awslambda, name, runtime, handler, code, role)
        say(f"function {name}: {runtime}, {len(code):,} bytes of code; {COLD} cold starts, {WARM} warm calls")
        event = {"bucket": BUCKET, "key": "orders.csv", "report": f"reports/{name}.json"}
        cold = []
        for i in range(COLD):
            awslambda.update_function_configuration(FunctionName=name, Environment={"Variables": {"ROUND": f"{time.time_ns()}"}})
            settle(awslambda, name)
            cold.append(invoke(name, event))
        warm = [invoke(name, event) for _ in range(WARM)]
        reports.append(json.load(s3.get_object(Bucket=BUCKET, Key=event["report"])["Body"]))
        billed = percentile([facts["Billed Duration"] for _, _, facts in warm], 50)
        rows.append((name, percentile([facts.get("Init Duration", 0) for _, _, facts in cold], 50), percentile([took for took, _, _ in cold], 50),
                     percentile([took for took, _, _ in warm], 50), percentile([took for took, _, _ in warm], 99), billed,
                     max(facts["Max Memory Used"] for _, _, facts in warm), (REQUEST + billed / 1000 * MEMORY_MB / 1024 * GB_SECOND) * 1e6))
    if any(report != reports[0] for report in reports):
        sys.exit("the three functions do not agree on the report")
    servers = []
    for name, part in (("task", demo_task), ("instance", demo_instance), ("environment", demo_environment)):
        measures = part.run(client, say, {**event, "report": f"reports/{name}.json"})
        if measures and json.load(s3.get_object(Bucket=BUCKET, Key=f"reports/{name}.json")["Body"]) != reports[0]:
            sys.exit(f"the {name} does not agree with the functions on the report")
        servers += [measures] if measures else []
    best = reports[0]["top_products"][0]
    say(f"all {len(reports) + len(servers)} wrote the same report: {reports[0]['orders']:,} orders, {reports[0]['revenue_cents'] / 100:,.2f} in all, most of it {best['product']}s")
    print()
    print(f"   {'function':14} {'init':>9} {'cold call':>10} {'warm p50':>9} {'warm p99':>9} {'billed':>8} {'memory':>8} {'a million calls':>16}")
    for name, init, cold, p50, p99, billed, memory, dollars in rows:
        print(f"   {name:14} {init:6.1f} ms {cold:7.1f} ms {p50:6.1f} ms {p99:6.1f} ms {billed:5.0f} ms {memory:5.0f} MB {'$' + format(dollars, '.2f'):>16}")
    if servers:
        show_servers(servers)
    print(f"\n   Each call read {len(data) / 1e6:.1f} MB; functions have {MEMORY_MB} MB. Prices: AWS, us-east-1, x86, without the free tier.")
    show_photos()
    print(f"\n   Look around: aws s3 ls s3://{BUCKET}/reports/ ; aws logs tail /aws/lambda/report-python ; quartet invoke report-node '{json.dumps(event)}'")


if __name__ == "__main__":
    main()
