"""Savings plans: offered by the user's own price file, bought, applied to what runs, on the bill, given back. The clock moves."""
import contextlib
import csv
import datetime
import http.client
import io
import json
import pathlib
import subprocess
import tempfile
import time
import unittest
import zipfile

import aws
import botocore.auth
import botocore.awsrequest
import botocore.credentials
from botocore.exceptions import ClientError
from cloud import Cloud, program

RATES = {"us-east-1": {"Lambda-GB-Second": 0.5, "BoxUsage:m5.large": 0.07}}
PRICES = {"free_tiers": False, "us-east-1": {"Lambda-GB-Second": 1.0},
          "savings_plans": [{"type": "Compute", "years": 1, "payment": "No Upfront", "rates": RATES},
                            {"type": "Compute", "years": 3, "payment": "Partial Upfront", "rates": RATES},
                            {"type": "EC2Instance", "years": 1, "payment": "All Upfront", "rates": {"us-east-1": {"BoxUsage:m5.large": 0.06, "BoxUsage:c5.large": 0.05}}}]}


def text(when):
    return when.strftime("%Y-%m-%d")


class Plans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        place = pathlib.Path(folder.name)
        place.chmod(0o755)
        (place / "prices.json").write_text(json.dumps(PRICES))
        (place / "quartet.conf").write_text(f"[bill]\nprices = {place}/prices.json\n")
        cls.cloud = Cloud(options=["--config", str(place / "quartet.conf")])

        def end():
            said = cls.cloud.log_text()
            cls.cloud.stop()
            assert "Sanitizer" not in said and "runtime error" not in said, said[-6000:]
        cls.addClassCleanup(end)
        cls.cloud.start()
        cls.plans, cls.ce = cls.client("savingsplans"), cls.client("ce")

    @classmethod
    def client(cls, service, **more):
        return aws.client(service, endpoint=cls.cloud.endpoint, **more)

    def now(self):
        said = subprocess.run([program(), "clock"], check=True, capture_output=True, text=True, env=self.cloud.environment())
        return datetime.datetime.fromisoformat(said.stdout.split()[0].replace("Z", "+00:00"))

    def forward(self, much):
        subprocess.run([program(), "clock", "forward", much], check=True, capture_output=True, env=self.cloud.environment())

    def give_back(self, plan):
        """ReturnSavingsPlan, which older SDKs do not know: the error's code, or the plan's id."""
        request = botocore.awsrequest.AWSRequest("POST", self.cloud.endpoint + "/ReturnSavingsPlan", data=json.dumps({"savingsPlanId": plan}),
                                                 headers={"Content-Type": "application/json"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials("test", "test"), "savingsplans", "us-east-1").add_auth(request)
        with contextlib.closing(http.client.HTTPConnection(self.cloud.endpoint.split("//")[1], timeout=60)) as c:
            prepared = request.prepare()
            c.request("POST", "/ReturnSavingsPlan", body=prepared.body, headers=dict(prepared.headers))
            reply = c.getresponse()
            body = json.loads(reply.read())
            return body["savingsPlanId"] if reply.status == 200 else reply.getheader("x-amzn-ErrorType").split(":")[0]

    def refused(self, code, call, **arguments):
        with self.assertRaises(ClientError) as refused:
            call(**arguments)
        self.assertEqual(refused.exception.response["Error"]["Code"], code)
        return refused.exception.response["Error"]["Message"]

    def offering(self, kind, payment):
        found = self.plans.describe_savings_plans_offerings(planTypes=[kind], paymentOptions=[payment])["searchResults"]
        return found[0]["offeringId"]

    def plan(self, plan):
        return self.plans.describe_savings_plans(savingsPlanIds=[plan])["savingsPlans"][0]

    def test_offerings(self):
        found = self.plans.describe_savings_plans_offerings()["searchResults"]
        self.assertEqual([(o["planType"], o["paymentOption"], o["durationSeconds"], o["usageType"]) for o in found],
                         [("Compute", "No Upfront", 31536000, "ComputeSP:1yrNoUpfront"), ("Compute", "Partial Upfront", 94608000, "ComputeSP:3yrPartialUpfront"),
                          ("EC2Instance", "All Upfront", 31536000, "EC2SP:m5.1yrAllUpfront"), ("EC2Instance", "All Upfront", 31536000, "EC2SP:c5.1yrAllUpfront")])
        self.assertEqual((found[0]["productTypes"], found[2]["productTypes"]), (["EC2", "Fargate", "Lambda"], ["EC2"]))
        self.assertEqual(found[2]["properties"], [{"name": "region", "value": "us-east-1"}, {"name": "instanceFamily", "value": "m5"}])
        pages = self.plans.describe_savings_plans_offerings(maxResults=3)
        self.assertEqual(self.plans.describe_savings_plans_offerings(maxResults=3, nextToken=pages["nextToken"])["searchResults"], found[3:])
        for wanted, n in (({"filters": [{"name": "instanceFamily", "values": ["c5"]}]}, 1), ({"productType": "Lambda"}, 2), ({"durations": [94608000]}, 1),
                          ({"planTypes": ["SageMaker"]}, 0), ({"currencies": ["EUR"]}, 0)):
            self.assertEqual(len(self.plans.describe_savings_plans_offerings(**wanted)["searchResults"]), n, wanted)
        rates = self.plans.describe_savings_plans_offering_rates(savingsPlanTypes=["Compute"], serviceCodes=["AWSLambda"])["searchResults"]
        self.assertEqual([(r["rate"], r["unit"], r["usageType"], r["productType"]) for r in rates], [("0.5", "Lambda-GB-Second", "Lambda-GB-Second", "Lambda")] * 2)
        rates = self.plans.describe_savings_plans_offering_rates(filters=[{"name": "instanceType", "values": ["c5.large"]}])["searchResults"]
        self.assertEqual([(r["rate"], r["savingsPlanOffering"]["planType"], r["serviceCode"]) for r in rates], [("0.05", "EC2Instance", "AmazonEC2")])

    def test_buying(self):
        offer = self.offering("Compute", "Partial Upfront")
        create = self.plans.create_savings_plan
        self.refused("ResourceNotFoundException", create, savingsPlanOfferingId="0-0", commitment="1")
        for wrong in ({"commitment": "0.0001"}, {"commitment": "x"}, {"commitment": "1.000001"}, {"commitment": "1000001"}, {"upfrontPaymentAmount": "1"},
                      {"upfrontPaymentAmount": "26280"}, {"upfrontPaymentAmount": "20000.5"}, {"purchaseTime": self.now() - datetime.timedelta(hours=1)},
                      {"tags": {"aws:x": "1"}}):
            self.refused("ValidationException", create, **{"savingsPlanOfferingId": offer, "commitment": "1", **wrong})
        self.refused("ValidationException", create, savingsPlanOfferingId=self.offering("Compute", "No Upfront"), commitment="1", upfrontPaymentAmount="20000")
        later = (self.now() + datetime.timedelta(hours=5)).replace(microsecond=0)
        asked = {"savingsPlanOfferingId": offer, "commitment": "0.001", "purchaseTime": later, "clientToken": "buying", "tags": {"team": "red"}}
        plan = create(**asked)["savingsPlanId"]
        self.assertEqual(create(**asked)["savingsPlanId"], plan)
        self.refused("ValidationException", create, **{**asked, "commitment": "2"})
        seen = self.plan(plan)
        self.assertEqual((seen["state"], seen["commitment"], seen["upfrontPaymentAmount"], seen["recurringPaymentAmount"], seen["savingsPlanType"]),
                         ("queued", "0.001", "13.14", "0.0005", "Compute"))
        self.assertEqual((seen["start"], seen["tags"], seen["termDurationInSeconds"]), (later.strftime("%Y-%m-%dT%H:%M:%S.000Z"), {"team": "red"}, 94608000))
        arn = seen["savingsPlanArn"]
        self.plans.tag_resource(resourceArn=arn, tags={"cost": "1"})
        self.plans.untag_resource(resourceArn=arn, tagKeys=["team"])
        self.assertEqual(self.plans.list_tags_for_resource(resourceArn=arn)["tags"], {"cost": "1"})
        self.assertEqual(self.give_back(plan), "ValidationException")
        another = create(**{**asked, "clientToken": "another"})["savingsPlanId"]
        self.plans.delete_queued_savings_plan(savingsPlanId=another)
        self.assertEqual(self.plan(another)["state"], "queued-deleted")
        self.refused("ValidationException", self.plans.delete_queued_savings_plan, savingsPlanId=another)
        self.refused("ResourceNotFoundException", self.plans.delete_queued_savings_plan, savingsPlanId="none")
        self.forward("6h")
        self.assertEqual(self.plan(plan)["state"], "active")
        self.assertIn(plan, [p["savingsPlanId"] for p in self.plans.describe_savings_plans(states=["active"], filters=[{"name": "term", "values": ["94608000"]}])["savingsPlans"]])
        self.assertEqual(self.plans.describe_savings_plans(savingsPlanIds=[plan], filters=[{"name": "commitment", "values": ["0.002"]}])["savingsPlans"], [])
        self.assertEqual(self.give_back(plan), plan)
        self.assertEqual(self.plan(plan)["state"], "returned")
        rates = self.plans.describe_savings_plan_rates(savingsPlanId=plan, filters=[{"name": "productType", "values": ["EC2"]}])["searchResults"]
        self.assertEqual([(r["rate"], r["usageType"]) for r in rates], [("0.07", "BoxUsage:m5.large")])

    def run_function(self):
        """Some GB-seconds, on the day that it is now."""
        iam, functions = self.client("iam"), self.client("lambda")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as z:
            z.writestr("m.py", "import time\ndef h(event, context):\n    time.sleep(0.2)\n")
        functions.create_function(FunctionName="f", Runtime="python3.12", Handler="m.h", Role=role, Code={"ZipFile": code.getvalue()}, MemorySize=512)
        functions.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
        for _ in range(3):
            functions.invoke(FunctionName="f")

    def lines(self, days, **more):
        out = self.ce.get_cost_and_usage(**{"TimePeriod": days, "Granularity": "MONTHLY", "Metrics": ["UnblendedCost", "AmortizedCost", "UsageQuantity"],
                                            "GroupBy": [{"Type": "DIMENSION", "Key": "RECORD_TYPE"}, {"Type": "DIMENSION", "Key": "USAGE_TYPE"}], **more})
        return {tuple(g["Keys"]): [float(g["Metrics"][m]["Amount"]) for m in ("UnblendedCost", "AmortizedCost", "UsageQuantity")]
                for r in out["ResultsByTime"] for g in r["Groups"] if g["Keys"][1] in ("Lambda-GB-Second", "Request", "ComputeSP:1yrNoUpfront")}

    def test_bill(self):
        """What runs is covered, the fee is due, and all views of it agree."""
        self.forward("24h")
        start = self.now()
        if start.minute >= 55:  # a fee is due by the hour, and all views of it are to be of the same one
            self.forward("6m")
        plan = self.plans.create_savings_plan(savingsPlanOfferingId=self.offering("Compute", "No Upfront"), commitment="100")["savingsPlanId"]
        arn = self.plan(plan)["savingsPlanArn"]
        self.run_function()
        ours = {"Dimensions": {"Key": "SAVINGS_PLAN_ARN", "Values": [arn]}}
        days = {"Start": text(start), "End": text(start + datetime.timedelta(days=2))}
        until = time.monotonic() + 60
        covered = ("SavingsPlanCoveredUsage", "Lambda-GB-Second")
        while (asked := self.lines(days).get(("Usage", "Request"), [0, 0, 0])[2]) < 3:  # what is counted is written once a second
            self.assertLess(time.monotonic(), until, asked)
            time.sleep(0.2)
        seen = self.lines(days, Filter=ours)
        cost, effective, amount = seen[covered]
        self.assertAlmostEqual(cost, amount * 1.0, places=9)
        self.assertAlmostEqual(effective, amount * 0.5, places=9)
        self.assertEqual(seen["SavingsPlanNegation", "Lambda-GB-Second"], [-cost, 0, 0])
        fee = seen["SavingsPlanRecurringFee", "ComputeSP:1yrNoUpfront"]
        self.assertAlmostEqual(fee[0], fee[2] * 100, places=6)  # hours that have begun
        self.assertGreater(fee[2], 0)
        self.assertAlmostEqual(fee[1] + effective, fee[0], places=6)
        by = [{"Type": "DIMENSION", "Key": "PURCHASE_TYPE"}]
        self.assertEqual([g["Keys"] for g in self.ce.get_cost_and_usage(TimePeriod=days, Granularity="MONTHLY", Metrics=["UnblendedCost"], GroupBy=by,
                                                                        Filter=ours)["ResultsByTime"][-1]["Groups"]], [["Savings Plans"]])
        use = self.ce.get_savings_plans_utilization(TimePeriod=days, Granularity="DAILY", Filter=ours)
        self.assertEqual(len(use["SavingsPlansUtilizationsByTime"]), 2)
        total = use["Total"]["Utilization"]
        self.assertAlmostEqual(float(total["UsedCommitment"]), effective, places=9)
        self.assertAlmostEqual(float(total["TotalCommitment"]), fee[0], places=6)
        self.assertAlmostEqual(float(total["UtilizationPercentage"]), effective / fee[0] * 100, places=6)
        self.assertAlmostEqual(float(use["Total"]["Savings"]["NetSavings"]), cost - fee[0], places=6)
        detail = self.ce.get_savings_plans_utilization_details(TimePeriod=days, Filter=ours)["SavingsPlansUtilizationDetails"]
        self.assertEqual([(d["SavingsPlanArn"], d["Attributes"]["HourlyCommitment"], d["Attributes"]["PaymentOption"]) for d in detail], [(arn, "100", "No Upfront")])
        cover = self.ce.get_savings_plans_coverage(TimePeriod=days, GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}])["SavingsPlansCoverages"]
        cover = [g["Coverage"] for g in cover if g["Attributes"] == {"SERVICE": "AWS Lambda"}]
        self.assertEqual([c["CoveragePercentage"] for c in cover], ["100"])
        for wrong in ({"Filter": {"Tags": {"Key": "a", "Values": ["b"]}}}, {"Granularity": "HOURLY"}, {"Filter": {"Dimensions": {"Key": "OPERATION", "Values": ["b"]}}}):
            self.refused("ValidationException", self.ce.get_savings_plans_utilization, **{"TimePeriod": days, **wrong})
        self.refused("DataUnavailableException", self.ce.get_savings_plans_utilization, TimePeriod=days,
                     Filter={"Dimensions": {"Key": "SAVINGS_PLAN_ARN", "Values": ["arn:none"]}})
        self.look_at_budgets(effective / fee[0] * 100)
        # The command line's three views.
        bill = [program(), "bill", "--from", days["Start"], "--to", days["End"]]
        run = lambda *more: subprocess.run([*bill, *more], check=True, capture_output=True, text=True, env=self.cloud.environment()).stdout
        self.assertRegex(run(), r"ComputeSP:1yrNoUpfront .* a fee")
        self.assertIn("ComputeSP:1yrNoUpfront", [line["usageType"] for line in json.loads(run("--json"))["lines"]])
        rows = [r for r in csv.DictReader(io.StringIO(run("--csv"))) if r["savingsPlan/SavingsPlanARN"] == arn]
        kinds = {r["lineItem/LineItemType"] for r in rows}
        self.assertEqual(kinds, {"SavingsPlanCoveredUsage", "SavingsPlanNegation", "SavingsPlanRecurringFee"})
        paid = sum(float(r["savingsPlan/SavingsPlanEffectiveCost"] or 0) for r in rows)
        self.assertAlmostEqual(paid, effective, places=9)
        self.assertAlmostEqual(sum(float(r["savingsPlan/RecurringCommitmentForBillingPeriod"] or 0) for r in rows), fee[0], places=6)
        # Given back, it has never been: what ran is on demand.
        self.assertEqual(self.give_back(plan), plan)
        self.assertEqual(self.lines(days, Filter=ours), {})
        self.assertAlmostEqual(self.lines(days)["Usage", "Lambda-GB-Second"][0], amount, places=9)
        self.refused("DataUnavailableException", self.ce.get_savings_plans_utilization, TimePeriod=days, Filter=ours)

    def look_at_budgets(self, utilization):
        budgets = self.client("budgets")
        for kind, wanted in (("SAVINGS_PLANS_UTILIZATION", utilization), ("SAVINGS_PLANS_COVERAGE", 100), ("RI_UTILIZATION", 0)):
            budgets.create_budget(AccountId="000000000000", Budget={"BudgetName": kind, "BudgetType": kind, "TimeUnit": "DAILY"})
            seen = budgets.describe_budget(AccountId="000000000000", BudgetName=kind)["Budget"]
            self.assertEqual(seen["BudgetLimit"], {"Amount": "100", "Unit": "PERCENTAGE"})
            self.assertAlmostEqual(float(seen["CalculatedSpend"]["ActualSpend"]["Amount"]), wanted, places=6, msg=kind)
            self.assertNotIn("ForecastedSpend", seen["CalculatedSpend"])
        self.refused("InvalidParameterException", budgets.create_budget, AccountId="000000000000", Budget={
            "BudgetName": "x", "BudgetType": "RI_COVERAGE", "TimeUnit": "DAILY", "BudgetLimit": {"Amount": "80", "Unit": "PERCENTAGE"}})
        self.refused("InvalidParameterException", budgets.create_notification, AccountId="000000000000", BudgetName="RI_UTILIZATION", Notification={
            "NotificationType": "FORECASTED", "ComparisonOperator": "LESS_THAN", "Threshold": 80},
            Subscribers=[{"SubscriptionType": "SNS", "Address": "arn:aws:sns:us-east-1:000000000000:t"}])

    def test_end(self):
        """A year later it is retired, and nothing is due any more."""
        plan = self.plans.create_savings_plan(savingsPlanOfferingId=self.offering("EC2Instance", "All Upfront"), commitment="1")["savingsPlanId"]
        seen = self.plan(plan)
        self.assertEqual((seen["state"], seen["upfrontPaymentAmount"], seen["recurringPaymentAmount"], seen["region"], seen["ec2InstanceFamily"]),
                         ("active", "8760", "0", "us-east-1", "m5"))
        self.forward("366d")
        self.assertEqual(self.plan(plan)["state"], "retired")
        self.assertEqual(self.give_back(plan), "ValidationException")
        today = self.now()
        days = {"Start": text(today), "End": text(today + datetime.timedelta(days=1))}
        self.refused("DataUnavailableException", self.ce.get_savings_plans_utilization, TimePeriod=days,
                     Filter={"Dimensions": {"Key": "SAVINGS_PLAN_ARN", "Values": [seen["savingsPlanArn"]]}})


class Bare(unittest.TestCase):
    def test_without_rates(self):
        """A cloud whose price file has no rates offers nothing, and says how to change that."""
        plans = aws.client("savingsplans")
        self.assertEqual(plans.describe_savings_plans_offerings()["searchResults"], [])
        with self.assertRaises(ClientError) as refused:
            plans.create_savings_plan(savingsPlanOfferingId="0-0", commitment="1")
        self.assertEqual(refused.exception.response["Error"]["Code"], "ResourceNotFoundException")
        self.assertIn('"savings_plans" in the price file', refused.exception.response["Error"]["Message"])
