"""Queries of a public zone in a log group: AWS's lines, from what dig asks."""
import json
import re
import time
import unittest
import uuid

from botocore.exceptions import ClientError
from test_answers import DIG, Answering

LINE = re.compile(r"1\.0 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) (\S+) (\S+) (\S+) (UDP|TCP) (\S+) (\S+) (\S+)")


@unittest.skipUnless(DIG, "no dig")
class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Answering().start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.dns = cls.cloud.client("route53")
        cls.logs = cls.cloud.client("logs", region_name="us-east-1")

    def zone(self):
        return self.dns.create_hosted_zone(Name=f"z{uuid.uuid4().hex[:8]}.test", CallerReference=uuid.uuid4().hex)["HostedZone"]

    def group(self):
        called = "/aws/route53/" + uuid.uuid4().hex[:8]
        self.logs.create_log_group(logGroupName=called)
        return called, "arn:aws:logs:us-east-1:000000000000:log-group:" + called

    def allow(self, called):
        self.logs.put_resource_policy(policyName="route53", policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": "route53.amazonaws.com"}, "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"arn:aws:logs:us-east-1:000000000000:log-group:{called}:*"}]}))
        self.addCleanup(self.logs.delete_resource_policy, policyName="route53")

    def refused(self, code, operation, **request):
        with self.assertRaises(ClientError) as caught:
            operation(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def test_lines(self):
        zone, (called, arn) = self.zone(), self.group()
        host, short = "www." + zone["Name"], zone["Id"].split("/")[-1]
        self.allow(called)
        made = self.dns.create_query_logging_config(HostedZoneId=zone["Id"], CloudWatchLogsLogGroupArn=arn)["QueryLoggingConfig"]
        self.assertEqual((made["HostedZoneId"], made["CloudWatchLogsLogGroupArn"]), (short, arn))
        self.refused("QueryLoggingConfigAlreadyExists", self.dns.create_query_logging_config, HostedZoneId=zone["Id"], CloudWatchLogsLogGroupArn=arn)
        self.assertEqual(self.dns.get_query_logging_config(Id=made["Id"])["QueryLoggingConfig"], made)
        self.assertEqual(self.dns.list_query_logging_configs(HostedZoneId=zone["Id"])["QueryLoggingConfigs"], [made])
        self.dns.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": {
            "Name": host, "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}}]})
        self.cloud.dig(host, "A")
        self.cloud.dig("+tcp", host, "AAAA")
        self.cloud.dig("+subnet=198.51.100.0/24", "no." + host, "TXT")
        wanted = {(short, host[:-1], "A", "NOERROR", "UDP", "LOC1", "127.0.0.1", "-"), (short, host[:-1], "AAAA", "NOERROR", "TCP", "LOC1", "127.0.0.1", "-"),
                  (short, "no." + host[:-1], "TXT", "NXDOMAIN", "UDP", "LOC1", "127.0.0.1", "198.51.100.0/24")}
        found, end = set(), time.time() + 60
        while found < wanted and time.time() < end:
            time.sleep(0.2)
            events = self.logs.filter_log_events(logGroupName=called)["events"]
            self.assertLessEqual({e["logStreamName"] for e in events}, {short + "/LOC1"})
            found = {LINE.fullmatch(e["message"]).groups() for e in events}
        self.assertEqual(found, wanted)
        self.dns.delete_query_logging_config(Id=made["Id"])
        self.refused("NoSuchQueryLoggingConfig", self.dns.get_query_logging_config, Id=made["Id"])

    def test_refusals(self):
        zone, (called, arn) = self.zone(), self.group()
        create = self.dns.create_query_logging_config
        self.refused("InsufficientCloudWatchLogsResourcePolicy", create, HostedZoneId=zone["Id"], CloudWatchLogsLogGroupArn=arn)
        self.allow(called + "*")
        self.refused("NoSuchCloudWatchLogsLogGroup", create, HostedZoneId=zone["Id"], CloudWatchLogsLogGroupArn=arn + "-none")
        self.refused("InvalidInput", create, HostedZoneId=zone["Id"], CloudWatchLogsLogGroupArn=arn.replace("us-east-1", "us-west-2"))
        self.refused("NoSuchHostedZone", create, HostedZoneId="Z0123456789", CloudWatchLogsLogGroupArn=arn)
        self.assertEqual(self.dns.list_query_logging_configs(HostedZoneId=zone["Id"])["QueryLoggingConfigs"], [])

    def test_policies(self):
        policies = self.logs.describe_resource_policies
        self.allow("x")
        self.assertEqual([p["policyName"] for p in policies()["resourcePolicies"]], ["route53"])
        self.refused("InvalidParameterException", self.logs.put_resource_policy, policyName="wrong", policyDocument="{}")
        self.refused("ResourceNotFoundException", self.logs.delete_resource_policy, policyName="none")


if __name__ == "__main__":
    unittest.main()
