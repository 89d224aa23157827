"""Worker environments of Elastic Beanstalk: queues of their own, and a daemon that posts to the application what comes there."""
import json
import time
import unittest
import urllib.parse

from aws import ENDPOINT, TestCase, client
from beanstalk import PATIENCE_S, Tool, option, why_no_platform
from images import image

REGION = "af-south-1"
TIER = {"Name": "Worker", "Type": "SQS/HTTP"}
# Sends what it gets to the queue that it is told of, under the first word of the message; refuses what is to be refused.
APP = """import json, os, sys
sys.path.insert(0, "/usr/lib/quartet")
from ecs_client import Client, RoleCredentials
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    if environ["REQUEST_METHOD"] == "POST":
        heads = {name: value for name, value in environ.items() if name.startswith("HTTP_X_AWS_SQSD") or name in ("HTTP_USER_AGENT", "CONTENT_TYPE")}
        Client(os.environ["PLACE"], RoleCredentials()).call("sqs", "AmazonSQS.SendMessage", {"QueueUrl": os.environ["TELL"], "MessageBody": json.dumps([environ["PATH_INFO"], body, heads])})
    start_response("500 No" if body.startswith("no") else "200 OK", [])
    return [b"x"]
"""


class Workers(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tool = Tool(lambda service: client(service, region=REGION), ENDPOINT)
        cls.eb, cls.sqs = cls.tool.eb, client("sqs", region=REGION)
        client("iam").attach_role_policy(RoleName="aws-elasticbeanstalk-ec2-role", PolicyArn="arn:aws:iam::aws:policy/AWSElasticBeanstalkWorkerTier")
        cls.tool.version("v1", {"application.py": APP, "cron.yaml": "version: 1\ncron:\n - {name: daily, url: /daily, schedule: '0 0 1 1 *'}\n"})

    def until(self, condition):
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        return self.fail("it does not come to be")

    def told(self, url, wanted):
        """What the application says that it got, until that is there."""
        found = []
        def enough():
            for message in self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
            return wanted(found)
        self.until(enough)
        return found

    def depth(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return [int(n) for n in self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()]

    @unittest.skipIf(why_no_platform(), why_no_platform())
    def test_life(self):
        tool, sqs = self.tool, self.sqs
        if not image(tool.ec2):
            raise unittest.SkipTest("there is no machine image")
        tell = sqs.create_queue(QueueName="told")["QueueUrl"]
        self.addCleanup(sqs.delete_queue, QueueUrl=tell)
        # as an instance names it: by its path alone
        properties = {"TELL": "http://sqs" + urllib.parse.urlsplit(tell).path, "PLACE": REGION}
        made = tool.create("work-env", "v1", *(option("elasticbeanstalk:application:environment", k, v) for k, v in properties.items()),
                           option("elasticbeanstalk:sqsd", "HttpPath", "/jobs"), option("elasticbeanstalk:sqsd", "MaxRetries", "2"),
                           option("elasticbeanstalk:sqsd", "ErrorVisibilityTimeout", "0"), option("elasticbeanstalk:sqsd", "MimeType", "text/plain"), Tier=TIER)
        self.addCleanup(tool.drop, "work-env")
        self.assertEqual(made["Tier"], {"Name": "Worker", "Type": "SQS/HTTP", "Version": "1.0"})
        self.assertNotIn("CNAME", made)
        said = tool.wait(made)
        self.assertEqual(said[-1], "Successfully launched environment: work-env")
        self.assertFalse([m for m in said if m.startswith(("Application available at", "Created EIP"))])
        queues = {q["Name"]: q["URL"] for q in self.eb.describe_environment_resources(EnvironmentName="work-env")["EnvironmentResources"]["Queues"]}
        queue, dead = queues["WorkerQueue"], queues["WorkerDeadLetterQueue"]
        self.assertRegex(queue, rf"/awseb-{made['EnvironmentId']}-stack-AWSEBWorkerQueue-[A-Z0-9]{{12}}$")
        for url in (queue, dead):
            self.assertIn(f"Created SQS queue named: {url}", said)
        self.assertEqual(tool.environment("work-env")["EndpointURL"], queue)
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        self.assertEqual((attributes["VisibilityTimeout"], attributes["MessageRetentionPeriod"], json.loads(attributes["RedrivePolicy"])["maxReceiveCount"]), ("300", "345600", 2))
        # what is taken is gone; what is not comes again, and goes where it can be looked at
        sent = sqs.send_message(QueueUrl=queue, MessageBody="yes", MessageAttributes={"Colour": {"DataType": "String", "StringValue": "red"}})["MessageId"]
        (path, body, heads), = self.told(tell, len)
        self.assertEqual((path, body, heads["CONTENT_TYPE"], heads["HTTP_X_AWS_SQSD_MSGID"], heads["HTTP_X_AWS_SQSD_ATTR_COLOUR"], heads["HTTP_X_AWS_SQSD_RECEIVE_COUNT"]),
                         ("/jobs", "yes", "text/plain", sent, "red", "1"))
        self.assertEqual(heads["HTTP_X_AWS_SQSD_QUEUE"], queue.rsplit("/", 1)[1])
        self.assertRegex(heads["HTTP_USER_AGENT"], "^aws-sqsd/")
        self.until(lambda: self.depth(queue) == [0, 0])
        sqs.send_message(QueueUrl=queue, MessageBody="no")
        counts = [heads["HTTP_X_AWS_SQSD_RECEIVE_COUNT"] for _, _, heads in self.told(tell, lambda found: len(found) == 2)]
        self.assertEqual(counts, ["1", "2"])
        self.until(lambda: self.depth(dead) == [1, 0])
        self.assertEqual(self.depth(queue), [0, 0])
        # what a periodic task becomes
        task = {"path": "/daily", "task_name": "daily", "scheduled_time": "2026-01-01T00:00:00Z"}
        sqs.send_message(QueueUrl=queue, MessageBody="elasticbeanstalk scheduled job",
                         MessageAttributes={f"beanstalk.sqsd.{name}": {"DataType": "String", "StringValue": value} for name, value in task.items()})
        (path, _, heads), = self.told(tell, len)
        self.assertEqual((path, heads["HTTP_X_AWS_SQSD_TASKNAME"], heads["HTTP_X_AWS_SQSD_SCHEDULED_AT"]), ("/daily", "daily", "2026-01-01T00:00:00Z"))
        # other settings reach the daemon; a schedule that is none is no deployment
        tool.wait(self.eb.update_environment(EnvironmentName="work-env", OptionSettings=[option("elasticbeanstalk:sqsd", "HttpPath", "/others")]))
        sqs.send_message(QueueUrl=queue, MessageBody="yes")
        self.assertEqual(self.told(tell, len)[0][0], "/others")
        tool.version("bad", {"application.py": APP, "cron.yaml": "version: 1\ncron:\n - {name: a, url: /a, schedule: often}\n"})
        said = tool.wait(self.eb.update_environment(EnvironmentName="work-env", VersionLabel="bad"))
        self.assertEqual(said[-1], "Failed to deploy application.")
        self.assertTrue(any("the schedule of a in cron.yaml is none: often" in m for m in said), said)
        sqs.send_message(QueueUrl=queue, MessageBody="yes")
        self.told(tell, len)
        for message, more in (("Changing MaxRetries", {"OptionSettings": [option("elasticbeanstalk:sqsd", "MaxRetries", "3")]}),
                              ("less than VisibilityTimeout", {"OptionSettings": [option("elasticbeanstalk:sqsd", "VisibilityTimeout", "299")]}),
                              ("Changing the tier", {"Tier": {"Name": "WebServer", "Type": "Standard"}})):
            self.assertAwsError("InvalidParameterValue", self.eb.update_environment, EnvironmentName="work-env", status=400, message=message, **more)
        said = tool.wait(self.eb.terminate_environment(EnvironmentName="work-env"))
        for url in (queue, dead):
            self.assertIn(f"Deleted SQS queue named: {url}", said)
        self.assertEqual([url for url in sqs.list_queues().get("QueueUrls", []) if "awseb-" in url], [])

    def test_bad_input(self):
        for code, message, options, more in (
                ("InvalidParameterCombination", "no CNAME", [], {"Tier": TIER, "CNAMEPrefix": "somewhere"}),
                ("InvalidParameterValue", "less than VisibilityTimeout", [option("elasticbeanstalk:sqsd", "InactivityTimeout", "300")], {"Tier": TIER}),
                ("InvalidParameterValue", "not the URL of a queue", [option("elasticbeanstalk:sqsd", "WorkerQueueURL", "http://there")], {"Tier": TIER}),
                ("ConfigurationValidationException", "A path begins", [option("elasticbeanstalk:sqsd", "HttpPath", "x")], {"Tier": TIER}),
                ("ConfigurationValidationException", "Value is not", [option("elasticbeanstalk:sqsd", "MaxRetries", "0")], {"Tier": TIER}),
                ("ConfigurationValidationException", "It is for worker environments.", [option("elasticbeanstalk:sqsd", "HttpPath", "/x")], {}),
                ("InvalidParameterValue", "not supported", [], {"Tier": {"Name": "Worker", "Type": "Standard"}})):
            self.assertAwsError(code, self.tool.create, "some-env", "v1", *options, status=400, message=message, **more)
        self.assertIsNone(self.tool.environment("some-env"))


if __name__ == "__main__":
    unittest.main()
