"""Budgets follow the bill: what a period has cost, and what it will have cost by its end. The clock moves."""
import datetime
import json
import subprocess
import time
import unittest

from botocore.exceptions import ClientError
from cloud import program
from moving import moving_cloud

ACCOUNT = "000000000000"


class Budgets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud, client = moving_cloud(cls)
        cls.client = staticmethod(client)
        cls.budgets = cls.client("budgets")

    def forward(self, hours):
        subprocess.run([program(), "clock", "forward", f"{hours}h"], check=True, capture_output=True, env=self.cloud.environment())

    def create(self, name, **more):
        more = {"BudgetLimit": {"Amount": "10", "Unit": "USD"}, "TimeUnit": "MONTHLY", "BudgetType": "COST", **more}
        self.budgets.create_budget(AccountId=ACCOUNT, Budget={"BudgetName": name, **more})
        self.addCleanup(self.budgets.delete_budget, AccountId=ACCOUNT, BudgetName=name)

    def describe(self, name):
        return self.budgets.describe_budget(AccountId=ACCOUNT, BudgetName=name)["Budget"]

    def refused(self, code, call, **arguments):
        with self.assertRaises(ClientError) as refused:
            call(AccountId=ACCOUNT, **arguments)
        self.assertEqual(refused.exception.response["Error"]["Code"], code)
        return refused.exception.response["Error"]["Message"]

    def test_life(self):
        self.create("life")
        seen = self.describe("life")
        self.assertEqual((seen["BudgetLimit"], seen["BudgetType"], seen["TimeUnit"]), ({"Amount": "10", "Unit": "USD"}, "COST", "MONTHLY"))
        self.assertEqual(seen["TimePeriod"]["Start"].astimezone(datetime.timezone.utc).day, 1)
        self.assertEqual(seen["TimePeriod"]["End"].astimezone(datetime.timezone.utc).year, 2087)
        self.assertEqual((seen["CostTypes"]["IncludeTax"], seen["CostTypes"]["UseBlended"]), (True, False))
        self.assertEqual(self.refused("DuplicateRecordException", self.budgets.create_budget, Budget={
            "BudgetName": "life", "BudgetLimit": {"Amount": "1", "Unit": "USD"}, "TimeUnit": "DAILY", "BudgetType": "COST"}),
            "Error creating budget: life - the budget already exists.")
        self.budgets.update_budget(AccountId=ACCOUNT, NewBudget={"BudgetName": "life", "BudgetLimit": {"Amount": "2.5", "Unit": "USD"}, "TimeUnit": "QUARTERLY",
                                                                 "BudgetType": "COST"})
        self.assertEqual((self.describe("life")["BudgetLimit"]["Amount"], self.describe("life")["TimeUnit"]), ("2.5", "QUARTERLY"))
        self.create("another")
        names = [b["BudgetName"] for page in self.budgets.get_paginator("describe_budgets").paginate(AccountId=ACCOUNT, PaginationConfig={"PageSize": 1})
                 for b in page["Budgets"]]
        self.assertEqual([name for name in names if name in ("life", "another")], ["another", "life"])
        self.assertEqual(self.budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName="life")["Notifications"], [])

    def test_refusals(self):
        new = {"BudgetName": "wrong", "BudgetLimit": {"Amount": "10", "Unit": "USD"}, "TimeUnit": "MONTHLY", "BudgetType": "COST"}
        mail = [{"Notification": {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 80},
                 "Subscribers": [{"SubscriptionType": "EMAIL", "Address": "a@example.com"}]}]
        self.assertIn("EMAIL", self.refused("InvalidParameterException", self.budgets.create_budget, Budget=new, NotificationsWithSubscribers=mail))
        mail[0]["Subscribers"] = [{"SubscriptionType": "SNS", "Address": "topic"}]
        self.refused("InvalidParameterException", self.budgets.create_budget, Budget=new, NotificationsWithSubscribers=mail)
        for wrong in ({"BudgetType": "RI_COVERAGE"}, {"BudgetLimit": {"Amount": "0", "Unit": "USD"}}, {"BudgetLimit": {"Amount": "1", "Unit": "EUR"}},
                      {"CostFilters": {"Colour": ["red"]}}, {"CostFilters": {"TagKeyValue": ["team"]}}, {"BudgetType": "USAGE"},
                      {"CostTypes": {"UseBlended": True, "UseAmortized": True}}, {"TimePeriod": {"Start": 2000000000, "End": 1900000000}}):
            self.refused("InvalidParameterException", self.budgets.create_budget, Budget={**new, **wrong})
        with self.assertRaises(ClientError) as refused:
            self.budgets.create_budget(AccountId="111122223333", Budget=new)
        self.assertEqual(refused.exception.response["Error"]["Code"], "AccessDeniedException")
        for call in (self.budgets.describe_budget, self.budgets.delete_budget):
            self.refused("NotFoundException", call, BudgetName="wrong")
        self.refused("NotFoundException", self.budgets.update_budget, NewBudget=new)

    def test_notifications(self):
        """A topic that lets budgets publish is told once when the threshold is passed."""
        sns, sqs = self.client("sns"), self.client("sqs")
        url = sqs.create_queue(QueueName="told")["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = sns.create_topic(Name="spent")["TopicArn"]

        def allow(who, action, resource):
            return json.dumps({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Principal": {"Service": f"{who}.amazonaws.com"}, "Action": action, "Resource": resource}]})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=allow("budgets", "sns:Publish", topic))
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": allow("sns", "sqs:SendMessage", queue)})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
        to = [{"SubscriptionType": "SNS", "Address": topic}]
        over = {"NotificationType": "ACTUAL", "ComparisonOperator": "GREATER_THAN", "Threshold": 50.0, "ThresholdType": "PERCENTAGE"}
        never = {**over, "Threshold": 1000.0, "ThresholdType": "ABSOLUTE_VALUE"}
        self.create("told", BudgetType="USAGE", BudgetLimit={"Amount": "4", "Unit": "Hrs"}, CostFilters={"Region": ["us-west-2"], "UsageType": ["USW2-PublicIPv4:IdleAddress"]},
                    TimeUnit="ANNUALLY")
        about = {"AccountId": ACCOUNT, "BudgetName": "told"}
        for notification in (over, never):
            self.budgets.create_notification(**about, Notification=notification, Subscribers=to)
        with self.assertRaises(ClientError) as refused:
            self.budgets.create_notification(**about, Notification=over, Subscribers=to)
        self.assertEqual(refused.exception.response["Error"]["Code"], "DuplicateRecordException")
        self.assertEqual(self.budgets.describe_subscribers_for_notification(**about, Notification=over)["Subscribers"], to)
        far = self.client("ec2", region="us-west-2")
        address = far.allocate_address()["AllocationId"]
        self.forward(3)

        def state():
            return {n["Threshold"]: n["NotificationState"] for n in self.budgets.describe_notifications_for_budget(**about)["Notifications"]}
        until = time.monotonic() + 60
        while state()[50.0] != "ALARM" and time.monotonic() < until:
            time.sleep(0.2)
        far.release_address(AllocationId=address)
        self.assertEqual(state(), {50.0: "ALARM", 1000.0: "OK"})
        # The state is written when the topic has answered, and the queue has the message then.
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
        told = json.loads(messages[0]["Body"])
        self.assertIn("told", told["Subject"])
        self.assertIn("Alert Threshold: > 2 Hrs", told["Message"])
        self.assertEqual(len(messages), 1)
        self.budgets.delete_notification(**about, Notification=over)
        self.assertEqual(list(state()), [1000.0])
        self.assertIn("told", [b["BudgetName"] for b in self.budgets.describe_budget_notifications_for_account(AccountId=ACCOUNT)["BudgetNotificationsForAccount"]]
                      if hasattr(self.budgets, "describe_budget_notifications_for_account") else ["told"])

    def test_spend(self):
        """An address that nobody uses costs 0.005 USD an hour."""
        ec2 = self.client("ec2")
        address = ec2.allocate_address(TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": [{"Key": "team", "Value": "red"}]}])["AllocationId"]
        self.addCleanup(ec2.release_address, AllocationId=address)
        self.client("ce").update_cost_allocation_tags_status(CostAllocationTagsStatus=[{"TagKey": "team", "Status": "Active"}])
        self.create("all")
        self.create("elsewhere", CostFilters={"Region": ["eu-west-1"]})
        self.create("red", CostFilters={"TagKeyValue": ["user:team$red"], "Service": ["Amazon Virtual Private Cloud"]}, TimeUnit="ANNUALLY")
        self.create("blue", CostFilters={"TagKeyValue": ["user:team$blue", "user:team$green"]})
        self.create("hours", BudgetType="USAGE", BudgetLimit={"Amount": "10", "Unit": "Hrs"}, CostFilters={"UsageType": ["PublicIPv4:IdleAddress"]}, TimeUnit="DAILY")

        def spend(name, which="ActualSpend"):
            return float(self.describe(name)["CalculatedSpend"][which]["Amount"])
        # To the middle of a month and of a day, so that each period holds all of it.
        seen = self.describe("hours")["TimePeriod"]["Start"].astimezone(datetime.timezone.utc)
        now = self.describe("hours")["LastUpdatedTime"].astimezone(datetime.timezone.utc)  # by the cloud's clock
        self.assertEqual((seen.hour, seen.minute), (0, 0))
        start = now.replace(day=1, hour=0, minute=0, second=0) + datetime.timedelta(days=32)
        until = start.replace(day=10, hour=12)
        ec2.release_address(AllocationId=ec2.allocate_address()["AllocationId"])  # a minute of another one
        before = spend("red")
        self.forward(int((until - now).total_seconds() // 3600))
        at = until - now
        month = (9 * 24 + 12) * 0.005
        self.assertAlmostEqual(spend("all"), month, delta=0.011)
        self.assertEqual((spend("elsewhere"), spend("blue")), (0, 0))
        if start.year == now.year:
            self.assertAlmostEqual(spend("red") - before, at.total_seconds() / 3600 * 0.005, delta=0.011)
        self.assertAlmostEqual(spend("hours"), 12, delta=2.1)
        self.assertAlmostEqual(spend("hours", "ForecastedSpend"), 24, places=2)
        days = ((start.replace(day=28) + datetime.timedelta(days=5)).replace(day=1) - start.replace(day=1)).days
        self.assertAlmostEqual(spend("all", "ForecastedSpend"), days * 24 * 0.005, delta=0.011)


if __name__ == "__main__":
    unittest.main()
