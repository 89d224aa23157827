"""What tests of ECS's services share: a server that drains its clients, services that are made, watched and taken away."""
import concurrent.futures
import json
import threading
import time
import urllib.error
import urllib.request
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from tasks import TaskCase

# It answers for a while after it was told to end, as a server that drains its clients does.
SERVE = ("mkdir -p /w; echo {} > /w/index.html; httpd -f -p 80 -h /w & S=$!; "
         "trap 'sleep 2; kill $S; exit 0' TERM; touch /tmp/up; wait $S")
CHECK = {"command": ["CMD-SHELL", "test -f /tmp/up"], "interval": 5, "timeout": 4, "retries": 2}


def name():
    return "s" + uuid.uuid4().hex[:12]


class ServiceCase(TaskCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.group = cls.ec2.create_security_group(GroupName="web-" + cls.word, Description="d", VpcId=cls.vpc)["GroupId"]
        cls.ec2.authorize_security_group_ingress(GroupId=cls.group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")

    def server(self, text, check=True, **more):
        return self.register({"command": SERVE.format(text), **({"healthCheck": CHECK} if check else {}), **more})

    def network(self, public=True):
        return {"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]], "securityGroups": [self.group],
                                        "assignPublicIp": "ENABLED" if public else "DISABLED"}}

    def create(self, definition, count, called=None, public=True, **more):
        called = called or name()
        configuration = {"minimumHealthyPercent": 100, "maximumPercent": 200, **more.pop("configuration", {})}
        made = self.ecs.create_service(cluster=self.cluster, serviceName=called, taskDefinition=definition, desiredCount=count,
                                       launchType=more.pop("launchType", "FARGATE"), networkConfiguration=self.network(public),
                                       deploymentConfiguration=configuration, **more)["service"]
        self.addCleanup(self.delete, called)
        return made

    def newer(self, operation, **values):
        """Calls what the SDK at hand does not know, or knows less of: the answer, or (code, message)."""
        request = botocore.awsrequest.AWSRequest("POST", self.ecs.meta.endpoint_url + "/", data=json.dumps(values), headers={
            "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "ecs", self.region).add_auth(request)
        try:
            with urllib.request.urlopen(urllib.request.Request(request.url, request.body, dict(request.headers)), timeout=30) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as e:
            said = json.load(e)
            return said["__type"].rsplit("#")[-1], said.get("message", "")

    def delete(self, called):
        if self.service(called)["status"] == "ACTIVE":
            self.ecs.delete_service(cluster=self.cluster, service=called, force=True)

    def update(self, called, **changes):
        return self.ecs.update_service(cluster=self.cluster, service=called, **changes)["service"]

    def service(self, called, **more):
        (found,) = self.ecs.describe_services(cluster=self.cluster, services=[called], **more)["services"]
        return found

    def messages(self, called):
        return [e["message"] for e in self.service(called)["events"]]

    def stable(self, called):
        """The service, when it has one deployment with all its tasks. A task without a health check has 40 s to settle, by the cloud's clock."""
        def look():
            s = self.service(called)
            if self.moves:
                time.sleep(0.5)
                self.cloud.forward("3s")
            return len(s["deployments"]) == 1 and s["runningCount"] == s["desiredCount"] and s["deployments"][0]["rolloutState"] == "COMPLETED" and s
        return self.wait(look, 240)

    def tasks_of(self, called, status="RUNNING"):
        found = self.ecs.list_tasks(cluster=self.cluster, serviceName=called, desiredStatus=status)["taskArns"]
        return self.ecs.describe_tasks(cluster=self.cluster, tasks=found, include=["TAGS"])["tasks"] if found else []

    def public_address(self, task):
        return self.interface(task["taskArn"])["Association"]["PublicIp"]

    def assertRefused(self, message, call, *args, code="InvalidParameterException", **kwargs):
        self.assertAwsError(code, call, *args, status=400, message=message, **kwargs)


class Load:
    """Clients that keep asking whoever the service says serves, and count what is not answered."""

    def __init__(self, addresses):
        self.addresses, self.answers, self.failed, self.on = addresses, [], [], True
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask) for _ in range(2)]
        for t in self.threads:
            t.start()

    def ask(self):
        turn = 0
        while self.on:
            found = self.addresses()
            turn += 1
            if not found:
                self.failed.append("nobody serves")
                time.sleep(0.05)
                continue
            address = found[turn % len(found)]
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=30) as reply:
                    self.answers.append(reply.read().decode().strip())
            except OSError as e:
                self.failed.append(f"{address}: {e}")
            time.sleep(0.02)

    def end(self):
        self.on = False
        for t in self.threads:
            t.join()


def side_by_side(test, *scenarios):
    """Runs parts of a test at the same time, since each of them is mostly waiting."""
    with concurrent.futures.ThreadPoolExecutor(len(scenarios)) as pool:
        under_way = [(f.__name__, pool.submit(f)) for f in scenarios]
    for called, future in under_way:
        with test.subTest(called):
            future.result()
