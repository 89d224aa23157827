"""What was used becomes a bill: volumes, addresses and functions, over a kill -9 in between, with Cost Explorer, both command lines and `quartet bill`."""
import base64
import csv
import datetime
import io
import json
import subprocess
import time
import unittest
import zipfile

from botocore.exceptions import ClientError
from cloud import Cloud, program

MINUTE = 1 / 60


def this_month():
    start = datetime.datetime.now(datetime.timezone.utc).date().replace(day=1)
    return {"Start": str(start), "End": str((start + datetime.timedelta(days=32)).replace(day=1))}


def days_of(period):
    return (datetime.date.fromisoformat(period["End"]) - datetime.date.fromisoformat(period["Start"])).days


class Bill(unittest.TestCase):
    def setUp(self):
        self.cloud = Cloud().start()
        self.addCleanup(self.cloud.stop)

    def usage(self, **more):
        more = {"Granularity": "MONTHLY", "Metrics": ["UnblendedCost", "UsageQuantity"], "GroupBy": [{"Type": "DIMENSION", "Key": "USAGE_TYPE"}], **more}
        out = self.cloud.client("ce").get_cost_and_usage(TimePeriod=this_month(), **more)["ResultsByTime"][0]
        return {g["Keys"][0]: (float(g["Metrics"]["UnblendedCost"]["Amount"]), float(g["Metrics"]["UsageQuantity"]["Amount"])) for g in out["Groups"]}

    def kill(self):
        before = self.cloud.kill("api")
        self.cloud.wait_for_role("api", other_than=before)
        self.cloud.wait()

    def bill(self, *arguments):
        return subprocess.run([program(), "bill", "--data", self.cloud.data, *arguments], capture_output=True, text=True, check=False)

    def test_storage_and_addresses(self):
        ec2 = self.cloud.client("ec2")
        self.assertEqual(self.usage(), {})
        self.assertIn("nothing was used", self.bill().stdout)
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=100, VolumeType="gp3", Iops=3500)["VolumeId"]
        address = ec2.allocate_address()["AllocationId"]
        self.cloud.client("ec2", region="eu-west-1").allocate_address()
        self.kill()
        # Everything counts a minute at least, so within the first one the bill is known exactly.
        disk = 100 * MINUTE / 24 / days_of(this_month())
        expected = {"EBS:VolumeUsage.gp3": (disk * 0.08, disk), "EBS:VolumeP-IOPS.gp3": (disk * 5 * 0.005, disk * 5),
                    "PublicIPv4:IdleAddress": (MINUTE * 0.005, MINUTE), "EU-PublicIPv4:IdleAddress": (0, MINUTE)}

        def check(found):
            self.assertEqual(set(found), set(expected))
            for usage, numbers in expected.items():
                for i in range(2):
                    self.assertAlmostEqual(found[usage][i], numbers[i], places=9)
        check(self.usage())
        until = time.monotonic() + 20
        while ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "creating" and time.monotonic() < until:
            time.sleep(0.1)
        ec2.delete_volume(VolumeId=volume)
        ec2.release_address(AllocationId=address)
        self.kill()
        check(self.usage())
        regions = self.cloud.client("ce").get_dimension_values(TimePeriod=this_month(), Dimension="REGION")
        self.assertEqual([v["Value"] for v in regions["DimensionValues"]], ["eu-west-1", "us-east-1"])
        ours = {"Dimensions": {"Key": "REGION", "Values": ["us-east-1"]}}
        vpc = {"Not": {"Dimensions": {"Key": "SERVICE", "Values": ["EC2 - Other"]}}}
        self.assertEqual(set(self.usage(Filter={"And": [ours, vpc]})), {"PublicIPv4:IdleAddress"})
        self.assertEqual(set(self.usage(Filter={"Dimensions": {"Key": "USAGE_TYPE", "Values": ["ebs:"], "MatchOptions": ["CASE_INSENSITIVE", "STARTS_WITH"]}})),
                         {"EBS:VolumeUsage.gp3", "EBS:VolumeP-IOPS.gp3"})
        shown = json.loads(self.bill("--json").stdout)
        self.assertAlmostEqual(shown["usd"], sum(usd for usd, _ in expected.values()), places=8)
        self.assertEqual(shown["unknownPrices"], 1)
        self.assertEqual({line["usageType"]: line["price"] for line in shown["lines"]},
                         {"EBS:VolumeUsage.gp3": 0.08, "EBS:VolumeP-IOPS.gp3": 0.005, "PublicIPv4:IdleAddress": 0.005, "EU-PublicIPv4:IdleAddress": None})
        ce, today = self.cloud.client("ce"), datetime.datetime.now(datetime.timezone.utc).date()
        days = {"Start": str(today - datetime.timedelta(days=1)), "End": str(today + datetime.timedelta(days=1))}
        mine = {"TimePeriod": days, "Granularity": "MONTHLY", "Metrics": ["UsageQuantity"], "Filter": ours, "GroupBy": [{"Type": "DIMENSION", "Key": "RESOURCE_ID"}]}
        found = {g["Keys"][0] for r in ce.get_cost_and_usage_with_resources(**mine)["ResultsByTime"] for g in r["Groups"]}
        self.assertEqual(found, {volume, address})
        for call, more in ((ce.get_cost_and_usage, {}), (ce.get_cost_and_usage_with_resources, {"TimePeriod": {**days, "Start": str(today - datetime.timedelta(days=30))}})):
            with self.assertRaises(ClientError) as refused:
                call(**{**mine, **more})
            self.assertEqual(refused.exception.response["Error"]["Code"], "ValidationException")
        table = self.bill("--project-month").stdout
        for text in ("EC2 - Other", "EU-PublicIPv4:IdleAddress", "no price", "Total of what has a known price", "By the end of the month"):
            self.assertIn(text, table)
        one = self.bill("--region", "eu-west-1").stdout
        self.assertIn("EU-PublicIPv4", one)
        self.assertNotIn("EBS:", one)
        self.sums(volume, address, expected, days)
        self.assertEqual(self.bill("--month", "2026-13").returncode, 2)
        wrong = self.bill("--month", "2020-01")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("ValidationException", wrong.stderr)

    def sums(self, volume, address, expected, days):
        """The same bill by service, resource and day, and as a report."""
        total = sum(usd for usd, _ in expected.values())
        period = ("--from", days["Start"], "--to", days["End"])
        by = {}
        for what in ("service", "resource", "day"):
            out = self.bill("--by", what, "--json", *period)
            self.assertEqual(out.stderr, "")
            by[what] = json.loads(out.stdout)
            self.assertAlmostEqual(sum(line["usd"] for line in by[what]["lines"]), total, places=8)
            self.assertAlmostEqual(by[what]["usd"], total, places=8)
            self.assertEqual((by[what]["by"], by[what]["start"], by[what]["end"]), (what, days["Start"], days["End"]))
            self.assertIn("Total of what has a known price", self.bill("--by", what, *period).stdout)
        self.assertEqual({line["key"] for line in by["service"]["lines"]}, {"EC2 - Other", "Amazon Virtual Private Cloud"})
        self.assertEqual(by["service"]["lines"], sorted(by["service"]["lines"], key=lambda line: -line["usd"]))
        self.assertEqual([line["key"] for line in by["day"]["lines"]][0], days["Start"])
        mine = {(line["key"], line["usageType"]) for line in by["resource"]["lines"]}
        self.assertLessEqual({(volume, "EBS:VolumeUsage.gp3"), (volume, "EBS:VolumeP-IOPS.gp3"), (address, "PublicIPv4:IdleAddress")}, mine)
        for more, key in (((), ""), (("--by", "resource"), volume)):
            out = self.bill("--csv", *more, *period)
            lines = [line for line in csv.DictReader(io.StringIO(out.stdout)) if line["lineItem/UsageAmount"] != "0"]
            self.assertEqual({line["lineItem/UsageType"] for line in lines}, set(expected))
            self.assertEqual({line["product/region"] for line in lines}, {"us-east-1", "eu-west-1"})
            self.assertAlmostEqual(sum(float(line["lineItem/UnblendedCost"] or 0) for line in lines), total, places=8)
            disk = next(line for line in lines if line["lineItem/UsageType"] == "EBS:VolumeUsage.gp3")
            self.assertEqual((disk["lineItem/ProductCode"], disk["lineItem/UnblendedRate"], disk["pricing/unit"], disk["lineItem/ResourceId"],
                              disk["lineItem/UsageAccountId"], disk["lineItem/LineItemDescription"]),
                             ("AmazonEC2", "0.08", "GB-Mo", key, "000000000000", "$0.08 per GB-Mo"))
            unknown = next(line for line in lines if line["product/region"] == "eu-west-1")
            self.assertEqual((unknown["lineItem/UnblendedCost"], unknown["lineItem/UnblendedRate"]), ("", ""))
            self.assertEqual(len({line["identity/LineItemId"] for line in lines}), len(lines))
        for wrong in (("--by", "colour"), ("--by", "tag:"), ("--csv", "--json"), ("--from", "2026-02-30"), ("--from", days["End"], "--to", days["Start"]),
                      ("--by", "day", "--project-month")):
            self.assertEqual(self.bill(*wrong).returncode, 2, wrong)

    def test_tags_and_hours(self):
        """Lines of activated keys, under the tags of their time; the same by the hour."""
        ec2, ce = self.cloud.client("ec2"), self.cloud.client("ce")

        def disk(**tags):
            return ec2.create_volume(AvailabilityZone="us-east-1a", Size=100, VolumeType="gp3", TagSpecifications=[
                {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}])["VolumeId"]

        def activate(key, status="Active"):
            return ce.update_cost_allocation_tags_status(CostAllocationTagsStatus=[{"TagKey": key, "Status": status}])
        with self.assertRaises(ClientError) as refused:
            activate("team")
        self.assertEqual(refused.exception.response["Error"], {"Code": "ValidationException", "Message": "Tag keys not found: team"})
        first = disk(team="red", other="x")
        self.assertEqual([(tag["TagKey"], tag["Status"], tag["Type"]) for tag in ce.list_cost_allocation_tags()["CostAllocationTags"]],
                         [("other", "Inactive", "UserDefined"), ("team", "Inactive", "UserDefined")])
        time.sleep(1.1)
        self.assertEqual(activate("team")["Errors"], [])
        self.assertEqual([tag["TagKey"] for tag in ce.list_cost_allocation_tags(Status="Active")["CostAllocationTags"]], ["team"])
        disk(team="blue")
        disk(other="y")
        self.kill()
        by_team = [{"Type": "TAG", "Key": "team"}]
        gp3 = {"Dimensions": {"Key": "USAGE_TYPE", "Values": ["EBS:VolumeUsage.gp3"]}}
        found = self.usage(GroupBy=by_team, Filter=gp3)
        minute = 100 * MINUTE / 24 / days_of(this_month())
        self.assertEqual(set(found), {"team$", "team$blue", "team$red"})
        self.assertAlmostEqual(found["team$blue"][1], minute, places=9)
        self.assertAlmostEqual(found["team$"][1] + found["team$red"][1], 2 * minute, places=9)  # each second of it once
        self.assertLess(found["team$red"][1], minute)
        self.assertEqual(self.usage(Filter={"Tags": {"Key": "team", "Values": ["BLUE"], "MatchOptions": ["CASE_INSENSITIVE"]}})["EBS:VolumeUsage.gp3"],
                         found["team$blue"])
        self.assertEqual(self.usage(Filter={"Tags": {"Key": "team", "MatchOptions": ["ABSENT"]}})["EBS:VolumeUsage.gp3"], found["team$"])
        self.assertEqual(ce.get_tags(TimePeriod=this_month())["Tags"], ["team"])
        self.assertEqual(ce.get_tags(TimePeriod=this_month(), TagKey="team")["Tags"], ["", "blue", "red"])
        dearest = ce.get_tags(TimePeriod=this_month(), TagKey="team", SortBy=[{"Key": "UnblendedCost", "SortOrder": "DESCENDING"}], MaxResults=1)
        self.assertEqual((dearest["Tags"], dearest["TotalSize"], dearest["NextPageToken"]), ([""], 3, "1"))
        self.assertEqual(ce.get_tags(TimePeriod=this_month(), TagKey="team", SearchString="lu")["Tags"], ["blue"])
        # what a resource has from now on; what it was before stays, by whole seconds
        time.sleep(2.1)
        ec2.create_tags(Resources=[first], Tags=[{"Key": "team", "Value": "green"}])
        later = self.usage(GroupBy=by_team, Filter=gp3)
        self.assertAlmostEqual(later["team$green"][1] + later["team$red"][1] + later["team$"][1], 2 * minute, places=9)
        shown = json.loads(self.bill("--by", "tag:team", "--json").stdout)
        self.assertEqual({(line["key"], line["service"]) for line in shown["lines"]}, {(team, "EC2 - Other") for team in ("", "blue", "red", "green")})
        lines = list(csv.DictReader(io.StringIO(self.bill("--by", "tag:team", "--csv").stdout)))
        self.assertEqual({line["resourceTags/user:team"] for line in lines}, {"", "blue", "red", "green"})
        activate("team", "Inactive")
        disk(team="late")
        self.assertNotIn("team$late", self.usage(GroupBy=by_team))

        now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
        hours = {"Start": f"{now - datetime.timedelta(hours=1):%Y-%m-%dT%H:00:00Z}", "End": f"{now + datetime.timedelta(hours=2):%Y-%m-%dT%H:00:00Z}"}
        out = ce.get_cost_and_usage(TimePeriod=hours, Granularity="HOURLY", Metrics=["UsageQuantity", "NormalizedUsageAmount"], Filter=gp3)["ResultsByTime"]
        self.assertEqual(len(out), 3)
        self.assertEqual(out[0]["TimePeriod"]["Start"], hours["Start"])
        self.assertAlmostEqual(sum(float(r["Total"]["UsageQuantity"]["Amount"]) for r in out), 4 * minute, places=9)
        for wrong in ({"Granularity": "HOURLY", "TimePeriod": this_month()}, {"Granularity": "DAILY", "TimePeriod": hours},
                      {"GroupBy": [{"Type": "COST_CATEGORY", "Key": "x"}]}, {"GroupBy": [{"Type": "DIMENSION", "Key": "AZ"}]},
                      {"Filter": {"CostCategories": {"Key": "x", "Values": ["y"]}}}, {"Filter": {"Tags": {"Key": "team"}}}, {"Metrics": ["Money"]}):
            with self.assertRaises(ClientError) as refused:
                ce.get_cost_and_usage(**{"TimePeriod": this_month(), "Granularity": "DAILY", "Metrics": ["UnblendedCost"], **wrong})
            self.assertEqual(refused.exception.response["Error"]["Code"], "ValidationException", wrong)

    def test_reservation(self):
        """Reserved instances: what is offered, buying, and the fee on the bill. What they cover: tests/sim/bill.c, tests/golden/bill.json."""
        ec2, ce = self.cloud.client("ec2"), self.cloud.client("ce")
        types = [o["InstanceType"] for page in ec2.get_paginator("describe_reserved_instances_offerings").paginate(PaginationConfig={"PageSize": 100})
                 for o in page["ReservedInstancesOfferings"]]
        self.assertGreater(len(types), 200)
        self.assertEqual(len(set(types)), len(types))
        offers = ec2.describe_reserved_instances_offerings(Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}, {"Name": "scope", "Values": ["Region"]}])
        offer = offers["ReservedInstancesOfferings"][0]
        self.assertEqual((offer["Duration"], offer["OfferingType"], offer["RecurringCharges"], offer["ProductDescription"]),
                         (31536000, "No Upfront", [{"Amount": 0.00649, "Frequency": "Hourly"}], "Linux/UNIX"))
        for none in ({"OfferingType": "All Upfront"}, {"InstanceType": "m7g.large"}, {"MinDuration": 90000000}):
            self.assertEqual(ec2.describe_reserved_instances_offerings(**none)["ReservedInstancesOfferings"], [])
        self.assertEqual(self.cloud.client("ec2", region="eu-west-1").describe_reserved_instances_offerings()["ReservedInstancesOfferings"], [])
        bought = ec2.purchase_reserved_instances_offering(ReservedInstancesOfferingId=offer["ReservedInstancesOfferingId"], InstanceCount=2)["ReservedInstancesId"]
        self.kill()
        seen = ec2.describe_reserved_instances(Filters=[{"Name": "state", "Values": ["active"]}])["ReservedInstances"]
        self.assertEqual([(r["ReservedInstancesId"], r["InstanceCount"], r["InstanceType"]) for r in seen], [(bought, 2, "t3.micro")])
        self.assertEqual((seen[0]["End"] - seen[0]["Start"]).days, 365)
        with self.assertRaises(ClientError) as refused:
            ec2.describe_reserved_instances(ReservedInstancesIds=["none"])
        self.assertEqual(refused.exception.response["Error"]["Code"], "InvalidReservedInstancesId")
        ends = datetime.datetime.fromisoformat(this_month()["End"]).replace(tzinfo=datetime.timezone.utc)
        fee = (ends - seen[0]["Start"]).total_seconds() / 3600 * 2 * 0.00649
        by = [{"Type": "DIMENSION", "Key": "RESERVATION_ID"}, {"Type": "DIMENSION", "Key": "RECORD_TYPE"}]
        groups = ce.get_cost_and_usage(TimePeriod=this_month(), Granularity="MONTHLY", Metrics=["UnblendedCost"], GroupBy=by)["ResultsByTime"][0]["Groups"]
        self.assertEqual([g["Keys"] for g in groups], [[bought, "RIFee"]])
        self.assertAlmostEqual(float(groups[0]["Metrics"]["UnblendedCost"]["Amount"]), fee, places=8)
        self.assertIn("HeavyUsage is the month's fee", self.bill().stdout)
        line = next(csv.DictReader(io.StringIO(self.bill("--csv").stdout)))
        self.assertEqual((line["lineItem/LineItemType"], line["lineItem/UsageType"], line["lineItem/UnblendedRate"]), ("RIFee", "HeavyUsage:t3.micro", "0.00649"))

    def test_functions(self):
        iam, functions = self.cloud.client("iam"), self.cloud.client("lambda")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as z:
            z.writestr("m.py", "def h(event, context):\n    return 1\n")
        functions.create_function(FunctionName="f", Runtime="python3.12", Handler="m.h", Role=role, Code={"ZipFile": code.getvalue()}, MemorySize=512,
                                  EphemeralStorage={"Size": 1536})
        functions.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
        billed = 0
        for _ in range(5):
            log = base64.b64decode(functions.invoke(FunctionName="f", LogType="Tail")["LogResult"]).decode()
            billed += int(log.split("Billed Duration: ")[1].split()[0])
        time.sleep(2)  # what is counted is on disk within seconds
        self.kill()
        found = self.usage(Filter={"Dimensions": {"Key": "SERVICE", "Values": ["AWS Lambda"]}})
        self.assertEqual(found["Request"][1], 5)
        self.assertAlmostEqual(found["Lambda-GB-Second"][1], billed * 512 / 1024 / 1000, places=9)
        self.assertAlmostEqual(found["Lambda-Storage-GB-Second"][1], billed / 1000, places=9)  # a GB above the 512 MB that are free
        self.assertAlmostEqual(found["Lambda-Storage-GB-Second"][0], billed / 1000 * 0.0000000309, places=9)
        self.assertEqual((found["Request"][0], found["Lambda-GB-Second"][0]), (0, 0))  # the month has more of both free
        # An orderly end loses nothing of the last second.
        functions.invoke(FunctionName="f")
        self.cloud.process.terminate()
        self.cloud.process.wait(30)
        self.cloud.start()
        self.assertEqual(self.usage()["Request"][1], 6)

    def test_requests_and_snapshots(self):
        """What buckets and log groups are asked for and brought, and what a snapshot really holds."""
        s3, logs, ec2 = self.cloud.client("s3"), self.cloud.client("logs"), self.cloud.client("ec2")
        s3.create_bucket(Bucket="billed")
        for i in range(3):
            s3.put_object(Bucket="billed", Key=f"k{i}", Body=b"x" * 1000)
        s3.list_objects_v2(Bucket="billed")
        for _ in range(2):
            s3.get_object(Bucket="billed", Key="k0")["Body"].read()
        s3.head_object(Bucket="billed", Key="k1")
        with self.assertRaises(ClientError):
            s3.get_object(Bucket="billed", Key="none")
        s3.delete_object(Bucket="billed", Key="k2")
        iam = self.cloud.client("iam")
        iam.create_user(UserName="nobody")
        key = iam.create_access_key(UserName="nobody")["AccessKey"]
        with self.assertRaises(ClientError):
            self.cloud.client("s3", key=key["AccessKeyId"], secret=key["SecretAccessKey"]).get_object(Bucket="billed", Key="k0")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "m" * 974} for _ in range(3)])
        volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"]
        ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
        time.sleep(2)  # what is counted is on disk within seconds
        self.kill()
        found = self.usage()
        self.assertEqual(found["Requests-Tier1"], (5 * 0.000005, 5))
        self.assertEqual(found["Requests-Tier2"], (4 * 0.0000004, 4))
        self.assertAlmostEqual(found["DataProcessing-Bytes"][1], 3000 / 2**30, places=9)
        # an empty volume of 8 GiB: the layer's own tables, and not the whole of it
        month = 24 * days_of(this_month())
        self.assertAlmostEqual(found["EBS:SnapshotUsage"][1], MINUTE / month / 1024, places=9)
        ec2.delete_snapshot(SnapshotId=snapshot)
        ec2.delete_volume(VolumeId=volume)

    def test_permissions(self):
        iam = self.cloud.client("iam")
        iam.create_user(UserName="u")
        key = iam.create_access_key(UserName="u")["AccessKey"]
        mine = self.cloud.client("ce", key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        with self.assertRaises(ClientError) as refused:
            mine.get_cost_and_usage(TimePeriod=this_month(), Granularity="DAILY", Metrics=["UnblendedCost"])
        self.assertEqual(refused.exception.response["Error"]["Code"], "AccessDeniedException")
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ce:GetCostAndUsage", "Resource": "*"}]}))
        out = mine.get_cost_and_usage(TimePeriod=this_month(), Granularity="DAILY", Metrics=["UnblendedCost"])
        self.assertEqual(out["ResultsByTime"][0]["Total"]["UnblendedCost"], {"Amount": "0", "Unit": "USD"})
        self.assertEqual(len(out["ResultsByTime"]), days_of(this_month()))


if __name__ == "__main__":
    unittest.main()
