"""Environments of Elastic Beanstalk when roles are killed while they are made, changed and ended: nothing is made twice, and nothing is left."""
import threading
import time
import unittest
import urllib.request

from beanstalk import APP, AWAY, PATIENCE_S, Tool, option, why_no_platform
from cloud import Cloud
from images import image

PROCESS, COMMAND = "elasticbeanstalk:environment:process:default", "elasticbeanstalk:command"
ROLLING = [option(PROCESS, "HealthCheckInterval", "5"), option(PROCESS, "HealthCheckTimeout", "2"), option(PROCESS, "DeregistrationDelay", "2"),
           option("autoscaling:asg", "MinSize", "2"), option(COMMAND, "DeploymentPolicy", "Rolling"), option(COMMAND, "BatchSizeType", "Fixed"), option(COMMAND, "BatchSize", "1")]
NOTHING = {"groups": [], "addresses": [], "templates": [], "scaling": [], "instances": []}


@unittest.skipIf(why_no_platform(), why_no_platform())
class KilledEnvironments(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud()
        self.addCleanup(self.cloud.stop)
        self.cloud.start()
        self.tool = Tool(self.cloud.client, self.cloud.endpoint)
        if not image(self.tool.ec2):
            self.skipTest("there is no machine image")
        self.tool.version("v1", {"application.py": APP % "one"})
        self.tool.version("v2", {"application.py": APP % "two"})

    def wait(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                found = condition()
                if found:
                    return found
            except AWAY:
                pass
            time.sleep(0.05)
        return self.fail(f"it does not come to be:\n{self.cloud.log_text()[-2000:]}")

    def kill(self, role):
        self.cloud.kill(role)
        if role == "main":
            self.cloud.process.wait()
            self.wait(self.cloud.start)
            self.tool.renew()

    def heard(self, reply, count):
        """So many events of it have come, or it is over."""
        request = reply["ResponseMetadata"]["RequestId"]
        self.wait(lambda: len(self.tool.events(request)) >= count)

    def one_of_each(self):
        return {kind: len(names) for kind, names in self.tool.left().items()} == dict.fromkeys(NOTHING, 1)

    def test_killed_in_between(self):
        tool = self.tool
        made = tool.create("some-env", "v1")
        for count, role in ((2, "api"), (4, "api"), (5, "priv"), (6, "main")):
            self.heard(made, count)
            self.kill(role)
        self.assertIn("Successfully launched environment: some-env", tool.wait(made)[-1])
        self.wait(self.one_of_each)
        cname = tool.environment("some-env")["CNAME"]
        self.wait(lambda: tool.get(cname) == "one - /")
        changed = tool.eb.update_environment(EnvironmentName="some-env", VersionLabel="v2")
        self.kill("api")
        self.assertEqual(tool.wait(changed)[-1], "Environment update completed successfully.")
        self.wait(lambda: tool.get(cname) == "two - /")
        ended = tool.eb.terminate_environment(EnvironmentName="some-env")
        for count, role in ((1, "api"), (2, "priv"), (3, "api")):
            self.heard(ended, count)
            self.kill(role)
        said = tool.wait(ended)
        self.assertEqual(said[-1], "terminateEnvironment completed successfully.")
        self.assertEqual(len(said), len(set(said)), said)
        self.wait(lambda: tool.left() == NOTHING)

    def address(self):
        """A public one of the load balancer: what comes there needs no api."""
        found = self.tool.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB app/awseb-*"]}])["NetworkInterfaces"]
        return next(i["Association"]["PublicIp"] for i in found if "Association" in i)

    def send(self, address, failed, over):
        while not over.is_set():
            try:
                with urllib.request.urlopen(f"http://{address}/", timeout=10) as reply:
                    reply.read()
            except OSError as e:
                failed.append(str(e))
            time.sleep(0.02)

    def test_rolling(self):
        """Batches go on where api left them, and the load balancer serves without it."""
        tool, elb = self.tool, self.cloud.client("elbv2")
        made = tool.create("wide-env", "v1", *ROLLING, balanced=True)
        for count in (3, 5, 7, 13):
            self.heard(made, count)
            self.kill("api")
        self.assertIn("Successfully launched environment: wide-env", tool.wait(made)[-1])
        failed, over = [], threading.Event()
        sender = threading.Thread(target=self.send, args=(self.wait(self.address), failed, over), daemon=True)
        sender.start()
        changed = tool.eb.update_environment(EnvironmentName="wide-env", VersionLabel="v2")
        for count in (3, 5, 8, 12):
            self.heard(changed, count)
            self.kill("api")
        said = tool.wait(changed)
        over.set()
        sender.join()
        batches = [line for line in said if line.startswith("Batch ")]
        self.assertEqual((said[-1], len(batches)), ("Environment update completed successfully.", 12), said)
        self.assertEqual(len(batches), len(set(batches)))
        self.assertEqual(failed, [])
        cname = tool.environment("wide-env")["CNAME"]
        self.wait(lambda: {tool.get(cname) for _ in range(8)} == {"two - /"})
        ended = tool.eb.terminate_environment(EnvironmentName="wide-env")
        for count in (3, 5):
            self.heard(ended, count)
            self.kill("api")
        self.assertEqual(tool.wait(ended)[-1], "terminateEnvironment completed successfully.")
        self.wait(lambda: tool.left() == NOTHING)
        self.assertEqual((elb.describe_load_balancers()["LoadBalancers"], elb.describe_target_groups()["TargetGroups"]), ([], []))


if __name__ == "__main__":
    unittest.main()
