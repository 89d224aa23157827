"""Provisioned concurrency: environments that are there before the first call, whom they serve, their limits, and who scales them."""
import datetime
import json
import os
import threading
import time
import unittest

import raw
from aws import client
from lambdacase import LambdaCase

CODE = """import os, time, uuid
ME = uuid.uuid4().hex
def lambda_handler(e, c):
    time.sleep(e.get('sleep', 0) if e else 0)
    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], ME, os.environ['AWS_LAMBDA_FUNCTION_VERSION']]
"""
AHEAD = "provisioned-concurrency"


class Provisioned(LambdaCase):
    def published(self, *aliases, code=CODE, **settings):
        """A function with a version 1, and aliases of that."""
        name = self.make(code, Timeout=30, **settings)
        self.aws.publish_version(FunctionName=name)
        self.aws.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1})
        for alias in aliases:
            self.aws.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
        return name

    def put(self, name, qualifier, count):
        return self.aws.put_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count)

    def wait(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until, "it did not come about")
            time.sleep(0.1)
        return found

    def status(self, name, qualifier):
        said = self.aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
        return said["Status"], said["RequestedProvisionedConcurrentExecutions"], said["AllocatedProvisionedConcurrentExecutions"]

    def ready(self, name, qualifier, count):
        self.wait(lambda: self.status(name, qualifier) == ("READY", count, count))

    def counted(self, name, metric):
        now = datetime.datetime.now(datetime.timezone.utc)
        found = client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=metric, Dimensions=[{"Name": "FunctionName", "Value": name}, {"Name": "Resource", "Value": f"{name}:live"}],
            StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(hours=1), Period=7200, Statistics=["Sum"])["Datapoints"]
        return sum(p["Sum"] for p in found)

    def billed(self):
        """Usage types of today that have an amount."""
        today = datetime.datetime.now(datetime.timezone.utc).date()
        found = client("ce").get_cost_and_usage(TimePeriod={"Start": str(today - datetime.timedelta(days=1)), "End": str(today + datetime.timedelta(days=1))},
                                                Granularity="DAILY", Metrics=["UsageQuantity"], GroupBy=[{"Type": "DIMENSION", "Key": "USAGE_TYPE"}])
        return {g["Keys"][0] for r in found["ResultsByTime"] for g in r["Groups"] if float(g["Metrics"]["UsageQuantity"]["Amount"]) > 0}

    def at_once(self, name, qualifier, count):
        """What so many calls say that run side by side."""
        said = []

        def one():
            said.append(self.result(name, {"sleep": 3}, Qualifier=qualifier))
        threads = [threading.Thread(target=one) for _ in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return said

    def test_they_are_there_before_the_first_call(self):
        name = self.published("live")
        said = self.put(name, "live", 2)
        self.assertEqual(said["ResponseMetadata"]["HTTPStatusCode"], 202)
        self.assertEqual((said["Status"], said["RequestedProvisionedConcurrentExecutions"], said["AllocatedProvisionedConcurrentExecutions"]),
                         ("IN_PROGRESS", 2, 0))
        self.assertRegex(said["LastModified"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$")
        self.ready(name, "live", 2)
        reply = self.call(name, Qualifier="live", LogType="Tail")
        self.assertEqual(reply["Payload"][0], AHEAD)
        self.assertNotIn("Init Duration", reply["Log"])
        # calls by another name have others
        self.assertEqual(self.result(name, Qualifier="1")[0], "on-demand")
        # two at once have one each, and more spill over
        said = self.at_once(name, "live", 4)
        kept = {me for kind, me, _ in said if kind == AHEAD}
        self.assertEqual(len(kept), 2, said)
        self.assertEqual(len({me for _, me, _ in said}), 4)
        listed = self.aws.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
        self.assertEqual([(c["FunctionArn"].rsplit(":", 1)[1], c["Status"]) for c in listed], [("live", "READY")])
        self.wait(lambda: self.counted(name, "ProvisionedConcurrencyInvocations") == 3)
        self.wait(lambda: self.counted(name, "ProvisionedConcurrencySpilloverInvocations") == 2)
        self.wait(lambda: {"Lambda-Provisioned-GB-Second", "Lambda-Provisioned-Concurrency"} <= self.billed())
        self.put(name, "live", 1)
        self.ready(name, "live", 1)
        self.assertEqual(sum(kind == AHEAD for kind, _, _ in self.at_once(name, "live", 3)), 1)
        self.aws.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        self.assertAwsError("ProvisionedConcurrencyConfigNotFoundException", self.aws.get_provisioned_concurrency_config, status=404,
                            FunctionName=name, Qualifier="live")
        self.wait(lambda: self.result(name, Qualifier="live")[0] == "on-demand")

    def test_who_dies_is_made_anew(self):
        name = self.published("live", code=CODE.replace("    return", "    if e.get('die'): os._exit(1)\n    return"))
        self.put(name, "live", 1)
        self.ready(name, "live", 1)
        before = self.result(name, Qualifier="live")
        self.assertEqual(self.call(name, {"die": 1}, Qualifier="live")["FunctionError"], "Unhandled")
        after = self.wait(lambda: (said := self.result(name, Qualifier="live"))[0] == AHEAD and said)
        self.assertNotEqual(after[1], before[1])

    def test_an_alias_that_moves(self):
        name = self.published("live")
        self.put(name, "live", 1)
        self.ready(name, "live", 1)
        self.aws.update_function_configuration(FunctionName=name, Environment={"Variables": {"COLOR": "blue"}})
        self.settle(name)
        self.aws.publish_version(FunctionName=name)
        self.aws.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="2", WaiterConfig={"Delay": 1})
        self.aws.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
        self.ready(name, "live", 1)
        self.assertEqual(self.result(name, Qualifier="live")[::2], [AHEAD, "2"])
        self.assertEqual(self.result(name, Qualifier="1")[0], "on-demand")
        # weights share them out
        self.put(name, "live", 2)
        self.aws.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}})
        self.ready(name, "live", 2)
        seen = set()
        self.wait(lambda: seen.add(tuple(self.result(name, Qualifier="live")[::2])) or {(AHEAD, "1"), (AHEAD, "2")} <= seen)
        self.assertAwsError("InvalidParameterValueException", self.put, name=name, qualifier="live", count=1,
                            message="Alias with weights can not be used with Provisioned Concurrency")

    def test_one_that_does_not_start(self):
        name = self.published("live", code="raise RuntimeError('no')\n")
        self.put(name, "live", 1)
        said = self.wait(lambda: (found := self.aws.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live"))["Status"] == "FAILED" and found)
        self.assertEqual((said["StatusReason"], said["AllocatedProvisionedConcurrentExecutions"]), ("FUNCTION_ERROR_INIT_FAILURE", 0))

    def test_limits(self):
        name = self.published("live", "other")

        def refused(code, message, qualifier, count, **more):
            self.assertAwsError(code, self.put, name=name, qualifier=qualifier, count=count, message=message, **more)
        unpublished = "cannot be applied to unpublished function versions"
        refused("InvalidParameterValueException", unpublished, "$LATEST", 1)
        refused("ResourceNotFoundException", "Function not found", "nobody", 1, status=404)
        self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=3)
        refused("InvalidParameterValueException", "should not be greater than the reservedConcurrentExecution", "live", 4)
        self.put(name, "live", 2)
        refused("ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias", "1", 1, status=409)
        refused("ResourceConflictException", "Version is pointed by a Provisioned Concurrency alias", "other", 1, status=409)
        self.assertAwsError("InvalidParameterValueException", self.aws.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=1,
                            message="should not be lower than function's total provisioned concurrency [2]")
        self.aws.delete_function_concurrency(FunctionName=name)
        refused("InvalidParameterValueException", "below its minimum value", "live", 901)
        self.aws.delete_alias(FunctionName=name, Name="live")
        self.assertEqual(self.aws.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"], [])
        self.put(name, "1", 1)
        refused("ResourceConflictException", "already Provisioned version", "other", 1, status=409)
        self.ready(name, "1", 1)
        self.assertEqual(self.result(name, Qualifier="1")[0], AHEAD)
        self.assertEqual(self.result(name, Qualifier="other")[0], "on-demand")

    def test_they_count_within_a_reservation(self):
        """Two kept of three reserved leave one for calls by other names."""
        name = self.published("live")
        self.aws.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=3)
        self.put(name, "live", 2)
        self.ready(name, "live", 2)
        over = threading.Event()

        def busy():
            while not over.is_set():
                try:
                    self.result(name, {"sleep": 2}, Qualifier="1")
                except self.aws.exceptions.TooManyRequestsException:
                    pass  # the other one was there first
        slow = threading.Thread(target=busy)
        slow.start()
        try:
            def throttled():
                try:
                    self.result(name, Qualifier="1")
                except self.aws.exceptions.TooManyRequestsException as e:
                    return e.response
            self.wait(throttled)
            self.assertEqual(self.result(name, Qualifier="live")[0], AHEAD)
        finally:
            over.set()
            slow.join()

    # --- Application Auto Scaling

    def scale(self, operation, **body):
        """The oldest boto3 does not know the dimension."""
        port = int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2])
        signer = raw.Signer(port, "application-autoscaling", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], self.aws.meta.region_name)
        reply = raw.ask(port, signer.request("POST", "/", json.dumps(body).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "AnyScaleFrontendService." + operation}))
        said = json.loads(reply.body or b"{}")
        self.assertEqual(reply.status, 200, said)
        return said

    def test_it_is_scaled(self):
        name = self.published("live")
        about = {"ServiceNamespace": "lambda", "ResourceId": f"function:{name}:live", "ScalableDimension": "lambda:function:ProvisionedConcurrency"}
        self.scale("RegisterScalableTarget", **about, MinCapacity=1, MaxCapacity=3)
        self.wait(lambda: self.aws.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"])
        self.ready(name, "live", 1)
        put = self.scale("PutScalingPolicy", **about, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.7, "PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}})
        self.assertIn(f"resource/lambda/function:{name}:live:policyName/p", put["PolicyARN"])
        cloudwatch = client("cloudwatch")
        names = [a["AlarmName"] for a in put["Alarms"]]
        self.assertEqual(sorted(n.rsplit("-", 6)[1] for n in names), ["AlarmHigh", "AlarmLow"])
        alarms = self.wait(lambda: len(found := cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]) == 2 and found)
        for a in alarms:
            self.assertEqual((a["Namespace"], a["MetricName"]), ("AWS/Lambda", "ProvisionedConcurrencyUtilization"))
            self.assertEqual({d["Name"]: d["Value"] for d in a["Dimensions"]}, {"FunctionName": name, "Resource": f"{name}:live"})
        self.scale("RegisterScalableTarget", **about, MinCapacity=2)
        self.ready(name, "live", 2)

        def activity():
            found = self.scale("DescribeScalingActivities", ServiceNamespace="lambda", ResourceId=about["ResourceId"])["ScalingActivities"]
            return found[0]["StatusCode"] == "Successful" and found[0]
        done = self.wait(activity)
        self.assertEqual((done["Description"], done["Cause"]), ("Setting provisioned concurrency to 2.", "minimum capacity was set to 2"))
        self.scale("DeregisterScalableTarget", **about)
        self.wait(lambda: not cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"])


if __name__ == "__main__":
    unittest.main()
