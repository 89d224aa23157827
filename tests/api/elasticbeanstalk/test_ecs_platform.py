"""The platform ECS of Elastic Beanstalk: Dockerrun.aws.json of version 2 as a task of the environment's own cluster. Nothing is fetched from outside."""
import json
import time
import unittest

from aws import ENDPOINT, client
from beanstalk import PROFILE, SERVE, Tool, make_base, option, why_no_platform
from busybox import why_not
from images import image
from test_platforms import PROPERTIES, PlatformCase

REGION = "eu-south-2"
BASE = f"000000000000.dkr.ecr.{REGION}.amazonaws.com/shop/base:1"
WELL, BADLY = "Environment update completed successfully.", "Failed to deploy application."
SHELL = ["/bin/sh", "-c"]
# it waits for the other one, and says what that and the bundle have said
FETCH = "trap 'exit 0' TERM; until wget -qO /tmp/said http://shelf:9000/; do sleep 0.1; done; cat /given/words.txt /tmp/said > /tmp/index.html; echo served | tee /logs/web.log; httpd -f -p 8080 -h /tmp & wait"


def bundle(words, **more):
    web = {"name": "web", "image": BASE, "essential": True, "memory": 64, "portMappings": [{"hostPort": 80, "containerPort": 8080}], "links": ["store:shelf"],
           "entryPoint": SHELL, "command": [FETCH],
           "mountPoints": [{"sourceVolume": "given", "containerPath": "/given", "readOnly": True}, {"sourceVolume": "awseb-logs-web", "containerPath": "/logs"}]}
    store = {"name": "store", "image": BASE, "essential": True, "memory": 64, "environment": [{"name": "WORD", "value": "stored"}, {"name": "PORT", "value": "9000"}],
             "entryPoint": SHELL, "command": [SERVE]}
    said = {"AWSEBDockerrunVersion": 2, "containerDefinitions": [{**web, **more.pop("web", {})}, store], "volumes": [{"name": "given", "host": {"sourcePath": "/var/app/current/given"}}]}
    return {"Dockerrun.aws.json": json.dumps({**said, **more}), "given/words.txt": words}


@unittest.skipIf(why_no_platform("ecs") or why_not(), why_no_platform("ecs") or why_not())
class EcsPlatform(PlatformCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb, cls.ecs = cls.tool.eb, client("ecs", region=REGION)
        if not image(cls.tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        make_base(cls.tool.make, ENDPOINT)
        client("iam").attach_role_policy(RoleName=PROFILE, PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkMulticontainerDocker")

    def deploy(self, label, end, files):
        self.tool.version(label, files)
        return self.update("ecs-env", end, VersionLabel=label)

    def until(self, what, wanted):
        until = time.monotonic() + 90
        while (said := what()) != wanted and time.monotonic() < until:
            time.sleep(0.1)
        self.assertEqual(said, wanted)

    def served(self, text):
        self.until(lambda: self.tool.get(self.cname), text)

    def tasks(self):
        found = self.ecs.list_tasks(cluster=self.cluster)["taskArns"]
        return self.ecs.describe_tasks(cluster=self.cluster, tasks=found)["tasks"] if found else []

    def test_life(self):
        tool = self.tool
        tool.version("one", bundle("one "))
        self.cname, told = self.make("ecs-env", "one", option(PROPERTIES, "COLOUR", "red"), stack="ECS")
        self.served("one stored red root\n")
        self.cluster, = [a for a in self.ecs.list_clusters()["clusterArns"] if "/awseb-ecs-env-" in a]
        family = self.cluster.split("/")[1]
        self.assertIn(f"Created ECS cluster named: {family}", told)
        self.assertIn(f"Starting new ECS task with {family}:1.", told)
        task, = self.tasks()
        self.assertIn(f"ECS task: {task['taskArn']} is RUNNING.", told)
        self.assertEqual((task["lastStatus"], task["taskDefinitionArn"].split("/")[1]), ("RUNNING", f"{family}:1"))
        made = tool.environment("ecs-env")
        self.assertRegex(made["SolutionStackName"], r"^64bit Amazon Linux 2023 v[0-9.]+ running ECS$")
        self.assertEqual(made["PlatformArn"].split("/")[1], "ECS running on 64bit Amazon Linux 2023")
        with self.subTest("another version, other properties: other tasks"):
            self.deploy("two", WELL, bundle("two "))
            self.served("two stored red root\n")
            self.update("ecs-env", "Successfully deployed new configuration to environment.", OptionSettings=[option(PROPERTIES, "COLOUR", "blue")])
            self.served("two stored blue root\n")
        with self.subTest("one that has ended is started again"):
            before, = self.tasks()
            self.ecs.stop_task(cluster=self.cluster, task=before["taskArn"])
            self.until(lambda: [t["lastStatus"] for t in self.tasks() if t["taskArn"] != before["taskArn"]], ["RUNNING"])
            self.served("two stored blue root\n")
        running, = self.tasks()
        with self.subTest("what cannot run leaves the task that runs"):
            for label, files, why in (
                    ("absent", bundle("x ", web={"image": BASE.replace("base", "absent")}), "CannotPullContainerError"),
                    ("wrong", bundle("x ", web={"memory": 2}), "ECS task definition cannot be registered"),
                    ("keys", bundle("x ", family="x"), "has keys that are not supported: family"),
                    ("version", {"Dockerrun.aws.json": '{"AWSEBDockerrunVersion": "1"}'}, "unsupported version")):
                told = self.deploy(label, BADLY, files)
                self.assertTrue([m for m in told if why in m], told)
            self.assertEqual([t["taskArn"] for t in self.tasks()], [running["taskArn"]])
        with self.subTest("one that quits gives way to the one of before"):
            told = self.deploy("quits", BADLY, bundle("x ", web={"command": ["exit 4"]}))
            self.assertTrue([m for m in told if "Essential container in task exited" in m and "web: exit code 4" in m], told)
            told = self.deploy("links", BADLY, bundle("x ", web={"links": ["nobody"]}))
            self.assertTrue([m for m in told if "No such container: nobody" in m], told)
            self.served("two stored blue root\n")
        self.tool.wait(self.eb.terminate_environment(EnvironmentName="ecs-env"))
        self.assertEqual([c["status"] for c in self.ecs.describe_clusters(clusters=[self.cluster])["clusters"] if c["status"] != "INACTIVE"], [])
        self.assertEqual(self.ecs.list_task_definitions(familyPrefix=family)["taskDefinitionArns"], [])


if __name__ == "__main__":
    unittest.main()
