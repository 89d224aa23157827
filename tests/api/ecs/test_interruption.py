"""Interruptions of tasks on FARGATE_SPOT: by `quartet retire TASK`, and by a task on demand that wants their place. A cloud of its
own, because its memory is all taken."""
import http.client
import json
import os
import subprocess
import time
import unittest
import urllib.parse

from aws import client
from cloud import Cloud, program
from tasks import TaskCase, own_cloud

# says that it was told, and takes its time
LINGER = "trap 'echo told; sleep 2; exit 0' TERM; while true; do sleep 0.1; done"
STAY = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
SPOT, FARGATE = [[{"capacityProvider": p, "weight": 1}] for p in ("FARGATE_SPOT", "FARGATE")]


class Interruption(TaskCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = own_cloud(cls, Cloud())
        super().setUpClass()
        cls.ecs.put_cluster_capacity_providers(cluster=cls.cluster, capacityProviders=["FARGATE", "FARGATE_SPOT"], defaultCapacityProviderStrategy=SPOT)

    def spot(self, definition, strategy=SPOT, **more):
        return self.run_tasks(definition, capacityProviderStrategy=strategy, **more)[0]["taskArn"]

    def retire(self, *words):
        env = {**os.environ, "QUARTET_DATA": self.cloud.data, "AWS_ENDPOINT_URL": self.cloud.endpoint, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return subprocess.run([program(), "retire", "--data", self.cloud.data, *words], capture_output=True, text=True, env=env, timeout=120)

    def test_by_hand(self):
        """SIGTERM at once, the definition's time until the end, and the words of AWS."""
        logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/t", "awslogs-region": self.region, "awslogs-stream-prefix": "s"}}
        definition = self.register({"command": LINGER, "stopTimeout": 60, "logConfiguration": logs})
        arn, other = self.spot(definition), self.spot(definition, FARGATE)
        self.until(arn, "RUNNING")
        done = self.retire(arn)
        self.assertEqual((done.returncode, done.stdout), (0, "interrupted\n"), done.stderr)
        task = self.task(arn)
        self.assertEqual((task["desiredStatus"], task["stopCode"], task["stoppedReason"]), ("STOPPED", "SpotInterruption", "Your Spot Task was interrupted."))
        task = self.until(arn, "STOPPED")
        self.assertEqual((task["stopCode"], task["containers"][0]["exitCode"], task["capacityProviderName"]), ("SpotInterruption", 0, "FARGATE_SPOT"))
        stream = "s/c/" + arn.rsplit("/", 1)[1]
        self.wait(lambda: [e["message"] for e in self.logs.get_log_events(logGroupName="/t", logStreamName=stream)["events"]] == ["told"])
        again = self.retire(arn)
        self.assertEqual(again.returncode, 1)
        self.assertIn("has ended, or ends already", again.stderr)
        self.assertIn("not one of FARGATE_SPOT", self.retire(other).stderr)
        self.assertIn("was not found", self.retire("0" * 32).stderr)
        self.assertEqual(self.retire("--in", "5m", other).returncode, 2)
        self.assertEqual(self.task(other)["desiredStatus"], "RUNNING")

    def test_permission(self):
        iam, name = client("iam"), "interrupt-" + self.word
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        arn = self.spot(self.register(STAY))

        def ask():
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(self.cloud.endpoint).netloc, timeout=60)
            connection.request("POST", "/_quartet/retire/" + urllib.parse.quote(arn, safe=""),
                               headers={"X-Quartet-Key": f"{key['AccessKeyId']}:{key['SecretAccessKey']}", "X-Quartet-Region": self.region})
            reply = connection.getresponse()
            said = reply.read().decode()
            connection.close()
            return reply.status, said
        status, why = ask()
        self.assertEqual(status, 403)
        self.assertIn("quartet:InterruptTask on resource: " + arn, why)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "quartet:InterruptTask", "Resource": arn}]}))
        self.assertEqual(ask(), (200, "interrupted\n"))

    def test_services(self):
        """A service starts another task in the place of an interrupted one, and does not count that as a failure."""
        network = {"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}}
        self.ecs.create_service(cluster=self.cluster, serviceName="s", taskDefinition=self.register(STAY), desiredCount=1, capacityProviderStrategy=SPOT,
                                networkConfiguration=network)
        self.addCleanup(lambda: self.ecs.delete_service(cluster=self.cluster, service="s", force=True))
        listed = lambda: self.ecs.list_tasks(cluster=self.cluster, serviceName="s")["taskArns"]
        (first,) = self.wait(listed)
        self.until(first, "RUNNING")
        self.assertEqual(self.retire(first).returncode, 0)
        (second,) = self.wait(lambda: [t for t in listed() if t != first])
        self.until(second, "RUNNING")
        self.assertEqual(self.task(first)["stopCode"], "SpotInterruption")
        self.assertEqual(self.ecs.describe_services(cluster=self.cluster, services=["s"])["services"][0]["deployments"][0]["failedTasks"], 0)

    def test_place(self):
        """A task on demand takes the place of the oldest on spot, and waits until that has gone; one on spot takes none."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (1 << 20)
        size = max(s for s in (4096, 8192, 16384, 30720) if s <= memory * 2 // 5)
        big = {"cpu": "4096" if size >= 8192 else "2048", "memory": str(size)}
        quick, slow = self.register(STAY, **big), self.register({"command": LINGER, "stopTimeout": 60}, **big)
        spots = [self.spot(slow)]
        self.until(spots[0], "RUNNING")
        while not self.failures(quick, SPOT, spots):
            pass
        for arn in spots:
            self.until(arn, "RUNNING")
        self.assertTrue(all(self.task(t)["desiredStatus"] == "RUNNING" for t in spots))
        demand = self.spot(quick, FARGATE)
        self.assertEqual(self.task(spots[0])["stopCode"], "SpotInterruption")
        running = self.until(demand, "RUNNING")
        gone = self.task(spots[0])
        self.assertEqual(gone["lastStatus"], "STOPPED")
        self.assertGreaterEqual(running["startedAt"], gone["executionStoppedAt"])
        others = [self.task(t) for t in spots[1:]]
        self.assertEqual([(t["desiredStatus"], t["stopCode"], t["stoppedReason"]) for t in others if t.get("stopCode") == "SpotInterruption"], [])
        # what is on demand is not taken for others on demand
        for _ in spots[1:]:
            self.spot(quick, FARGATE)
        self.assertEqual(self.failures(quick, FARGATE, []), [{"arn": self.ecs.describe_clusters(clusters=[self.cluster])["clusters"][0]["clusterArn"],
                                                              "reason": "Capacity is unavailable at this time. Please try again later or in a different availability zone"}])

    def failures(self, definition, strategy, started):
        network = {"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}}
        reply = self.ecs.run_task(cluster=self.cluster, taskDefinition=definition, capacityProviderStrategy=strategy, networkConfiguration=network)
        for t in reply["tasks"]:
            started.append(t["taskArn"])
            self.addCleanup(self.end, t["taskArn"])
        return reply["failures"]


if __name__ == "__main__":
    unittest.main()
