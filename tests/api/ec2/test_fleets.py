"""CreateFleet: one call that launches over several types, zones and prices, and says what it could not get; or keeps a target."""
import datetime
import time
import unittest
import uuid

from ec2 import Ec2Case
from images import image, no_containers
from moving import moving_cloud


class FleetCase(Ec2Case):
    def setUp(self):
        super().setUp()
        ami = image(self.ec2)
        if not ami:
            self.skipTest("there is no image: tools/make-image")
        self.name = "fleet-" + uuid.uuid4().hex[:8]
        self.template = self.ec2.create_launch_template(LaunchTemplateName=self.name, LaunchTemplateData={
            "ImageId": ami, "InstanceType": "t2.nano", "TagSpecifications": [
                {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}, {"Key": "of", "Value": "template"}]}]})["LaunchTemplate"]
        self.addCleanup(self.end)

    def end(self):
        found = self.instances()
        if found:
            self.ec2.terminate_instances(InstanceIds=[i["InstanceId"] for i in found])

    def instances(self, fleet="*"):
        found = self.ec2.describe_instances(Filters=[{"Name": "tag:aws:ec2:fleet-id", "Values": [fleet]}, {
            "Name": "instance-state-name", "Values": ["pending", "running", "shutting-down"]}])["Reservations"]
        return [i for r in found for i in r["Instances"]]

    def request(self, target, *overrides, type="instant", version="$Latest", **more):
        config = {"LaunchTemplateSpecification": {"LaunchTemplateName": self.name, "Version": version}, "Overrides": list(overrides)}
        if version is None:
            del config["LaunchTemplateSpecification"]["Version"]
        target = target if isinstance(target, dict) else {"TotalTargetCapacity": target, "DefaultTargetCapacityType": "on-demand"}
        return {"LaunchTemplateConfigs": [config], "TargetCapacitySpecification": target, "Type": type, **more}

    def create(self, *args, **more):
        return self.ec2.create_fleet(**self.request(*args, **more))

    def fleet(self, fleet):
        return self.ec2.describe_fleets(FleetIds=[fleet])["Fleets"][0]

    def until(self, what, seconds=120):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end, self.instances())
            time.sleep(0.2)


@unittest.skipIf(no_containers(), no_containers())
class Fleets(FleetCase):
    def test_a_life(self):
        wanted = self.request(2, {"InstanceType": "t3.micro", "Priority": 2.0}, {"InstanceType": "t2.nano", "Priority": 1.0},
                              OnDemandOptions={"AllocationStrategy": "prioritized"}, ClientToken=uuid.uuid4().hex, TagSpecifications=[
                                  {"ResourceType": "fleet", "Tags": [{"Key": "a", "Value": "b"}]}, {"ResourceType": "instance", "Tags": [{"Key": "c", "Value": "d"}]}])
        made = self.ec2.create_fleet(**wanted)
        fleet = made["FleetId"]
        self.assertEqual(made["Errors"], [])
        part = made["Instances"][0]
        self.assertEqual((len(made["Instances"]), part["Lifecycle"], part["InstanceType"], len(part["InstanceIds"])), (1, "on-demand", "t2.nano", 2))
        self.assertEqual(part["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"], {"LaunchTemplateId": self.template["LaunchTemplateId"], "Version": "1"})
        self.assertEqual(part["LaunchTemplateAndOverrides"]["Overrides"]["Priority"], 1.0)
        self.assertEqual(self.ec2.create_fleet(**wanted)["FleetId"], fleet)
        found = self.instances(fleet)
        self.assertEqual(sorted(i["InstanceId"] for i in found), sorted(part["InstanceIds"]))
        tags = {t["Key"]: t["Value"] for t in found[0]["Tags"]}
        self.assertEqual((tags["of"], tags["c"], tags["aws:ec2:fleet-id"]), ("template", "d", fleet))
        seen = self.fleet(fleet)
        self.assertEqual((seen["FleetState"], seen["ActivityStatus"], seen["Type"], seen["FulfilledCapacity"], seen["Tags"]),
                         ("active", "fulfilled", "instant", 2.0, [{"Key": "a", "Value": "b"}]))
        self.assertEqual(seen["Instances"][0]["InstanceIds"], part["InstanceIds"])
        self.assertEqual(seen["TargetCapacitySpecification"]["OnDemandTargetCapacity"], 2)
        self.assertEqual(self.ec2.describe_fleets()["Fleets"], [])
        look = lambda state: self.ec2.describe_fleets(FleetIds=[fleet], Filters=[{"Name": "fleet-state", "Values": [state]}])["Fleets"]  # noqa: E731
        self.assertEqual((len(look("active")), look("failed")), (1, []))
        kept = self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=False)
        self.assertEqual((kept["SuccessfulFleetDeletions"], kept["UnsuccessfulFleetDeletions"][0]["Error"]["Code"]), ([], "unexpectedError"))
        self.ec2.modify_instance_attribute(InstanceId=part["InstanceIds"][0], DisableApiTermination={"Value": True})
        kept = self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["UnsuccessfulFleetDeletions"][0]
        self.assertIn(part["InstanceIds"][0], kept["Error"]["Message"])
        self.assertEqual(self.fleet(fleet)["FleetState"], "active")
        self.ec2.modify_instance_attribute(InstanceId=part["InstanceIds"][0], DisableApiTermination={"Value": False})
        gone = self.ec2.delete_fleets(FleetIds=[fleet, "fleet-0123456789abcdef0", "fleet-x"], TerminateInstances=True)
        self.assertEqual(gone["SuccessfulFleetDeletions"], [{"FleetId": fleet, "CurrentFleetState": "deleted_terminating", "PreviousFleetState": "active"}])
        self.assertEqual([(e["FleetId"], e["Error"]["Code"]) for e in gone["UnsuccessfulFleetDeletions"]],
                         [("fleet-0123456789abcdef0", "fleetIdDoesNotExist"), ("fleet-x", "fleetIdMalformed")])
        self.assertEqual(self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["UnsuccessfulFleetDeletions"][0]["Error"]["Code"],
                         "fleetNotInDeletableState")
        end = time.monotonic() + 120
        while self.fleet(fleet)["FleetState"] != "deleted":
            self.assertLess(time.monotonic(), end)
            time.sleep(0.2)
        self.assertEqual(self.instances(fleet), [])

    def test_what_a_pool_cannot_give_comes_of_the_next(self):
        made = self.create(2, {"InstanceType": "g4dn.xlarge", "Priority": 0.0}, {"InstanceType": "t2.nano", "Priority": 1.0, "WeightedCapacity": 2.0},
                           {"InstanceType": "t3.nano", "Priority": 2.0}, OnDemandOptions={"AllocationStrategy": "prioritized"})
        self.assertEqual([(e["ErrorCode"], e["Lifecycle"], e["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"]) for e in made["Errors"]],
                         [("InsufficientInstanceCapacity", "on-demand", "g4dn.xlarge")])
        self.assertEqual([(i["InstanceType"], len(i["InstanceIds"])) for i in made["Instances"]], [("t2.nano", 1)])
        self.assertEqual(self.fleet(made["FleetId"])["FulfilledOnDemandCapacity"], 2.0)
        none = self.create(1, {"InstanceType": "g4dn.xlarge"})
        self.assertEqual((none["Instances"], none["Errors"][0]["ErrorCode"]), ([], "InsufficientInstanceCapacity"))
        seen = self.fleet(none["FleetId"])
        self.assertEqual((seen["ActivityStatus"], seen["FulfilledCapacity"], seen["Errors"][0]["ErrorCode"]), ("error", 0.0, "InsufficientInstanceCapacity"))
        self.assertEqual(self.ec2.delete_fleets(FleetIds=[none["FleetId"]], TerminateInstances=True)["SuccessfulFleetDeletions"][0]["CurrentFleetState"], "deleted")

    def test_spot_beside_on_demand_over_zones(self):
        subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]}
        zones = sorted(subnets)[:2]
        made = self.create({"TotalTargetCapacity": 3, "OnDemandTargetCapacity": 1, "DefaultTargetCapacityType": "spot"},
                           *({"InstanceType": kind, "SubnetId": subnets[z]} for kind in ("t3.micro", "t2.nano") for z in zones),
                           SpotOptions={"AllocationStrategy": "lowest-price", "InstancePoolsToUseCount": 2})
        self.assertEqual(made["Errors"], [])
        self.assertEqual(sorted((i["Lifecycle"], i["InstanceType"], len(i["InstanceIds"])) for i in made["Instances"]),
                         [("on-demand", "t2.nano", 1), ("spot", "t2.nano", 1), ("spot", "t2.nano", 1)])
        found = {i["InstanceId"]: i for i in self.instances(made["FleetId"])}
        spot = [found[i] for part in made["Instances"] if part["Lifecycle"] == "spot" for i in part["InstanceIds"]]
        self.assertEqual(sorted(i["Placement"]["AvailabilityZone"] for i in spot), zones)
        self.assertEqual({i["InstanceLifecycle"] for i in spot}, {"spot"})
        wide = self.create({"TotalTargetCapacity": 2, "DefaultTargetCapacityType": "spot"}, {"InstanceType": "t3.nano"}, {"InstanceType": "t2.nano"},
                           SpotOptions={"AllocationStrategy": "diversified"})
        self.assertEqual(sorted(i["InstanceType"] for i in wide["Instances"]), ["t2.nano", "t3.nano"])
        dear = self.create({"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}, {"InstanceType": "t2.nano", "MaxPrice": "0.0001"})
        self.assertEqual((dear["Instances"], dear["Errors"][0]["ErrorCode"]), ([], "SpotMaxPriceTooLow"))

    def test_refusals(self):
        for code, wanted in (
                ("InvalidParameterValue", self.request(1, type="eternal")),
                ("InvalidParameterValue", self.request(0, type="request")),
                ("InvalidParameterValue", self.request(1, type="maintain", ValidUntil=datetime.datetime(2020, 1, 1))),
                ("InvalidParameterCombination", self.request(1, type="request", ReplaceUnhealthyInstances=True)),
                ("InvalidParameterValue", self.request(1, OnDemandOptions={"AllocationStrategy": "dearest"})),
                ("UnsupportedOperation", self.request(1, OnDemandOptions={"MinTargetCapacity": 1})),
                ("MissingParameter", self.request(1, version=None)),
                ("InvalidParameterValue", self.request(0)),
                ("InvalidParameterValue", self.request(1, {"InstanceType": "t2.nano", "WeightedCapacity": 0.0})),
                ("InvalidParameterCombination", self.request({"TotalTargetCapacity": 1, "OnDemandTargetCapacity": 1, "SpotTargetCapacity": 1})),
                ("InvalidParameterCombination", self.request(1, ReplaceUnhealthyInstances=True)),
                ("InvalidLaunchTemplateId.VersionNotFound", self.request(1, version="7")),
                ("DryRunOperation", self.request(1, DryRun=True))):
            with self.subTest(code, wanted=wanted):
                self.assertAwsError(code, self.ec2.create_fleet, **wanted)
        self.assertEqual(self.instances(), [])
        self.assertAwsError("InvalidFleetId.NotFound", self.ec2.describe_fleets, FleetIds=["fleet-0123456789abcdef0"])
        self.assertAwsError("InvalidFleetId.Malformed", self.ec2.describe_fleets, FleetIds=["fleet-x"])
        self.assertAwsError("InvalidParameterValue", self.ec2.describe_fleets, Filters=[{"Name": "colour", "Values": ["red"]}])

    def test_launches_are_the_callers(self):
        user = self.user({"Effect": "Allow", "Action": ["ec2:CreateFleet", "ec2:CreateTags"], "Resource": "*"})
        made = user.create_fleet(**self.request(1))
        self.assertEqual((made["Instances"], made["Errors"][0]["ErrorCode"]), ([], "UnauthorizedOperation"))


@unittest.skipIf(no_containers(), no_containers())
class Kept(FleetCase):
    def end(self):
        """Fleets first: they would replace their instances."""
        found = [f["FleetId"] for f in self.ec2.describe_fleets()["Fleets"] if not f["FleetState"].startswith("deleted")]
        if found:
            self.ec2.delete_fleets(FleetIds=found, TerminateInstances=True)
        super().end()

    def of(self, fleet, **more):
        return {i["InstanceId"] for i in self.ec2.describe_fleet_instances(FleetId=fleet, **more)["ActiveInstances"]}

    def fulfilled(self, fleet, n):
        self.until(lambda: self.fleet(fleet)["ActivityStatus"] == "fulfilled" and self.fleet(fleet)["FulfilledCapacity"] == n and len(self.instances(fleet)) >= n)

    def events(self, fleet, **more):
        found = self.ec2.describe_fleet_history(FleetId=fleet, StartTime=datetime.datetime(2020, 1, 1), **more)
        return [(e["EventType"], e["EventInformation"]["EventSubType"]) for e in found["HistoryRecords"]]

    def test_maintain(self):
        made = self.create(2, {"InstanceType": "t2.nano"}, {"InstanceType": "t3.nano"}, type="maintain", OnDemandOptions={"AllocationStrategy": "lowestPrice"})
        fleet = made["FleetId"]
        self.assertEqual((made.get("Instances", []), made.get("Errors", [])), ([], []))
        self.fulfilled(fleet, 2)
        shown = self.fleet(fleet)
        self.assertEqual((shown["FleetState"], shown["Type"], shown["OnDemandOptions"]["AllocationStrategy"], shown["ExcessCapacityTerminationPolicy"]),
                         ("active", "maintain", "lowestPrice", "termination"))
        self.assertEqual([f["FleetId"] for f in self.ec2.describe_fleets()["Fleets"]], [fleet])
        first = self.of(fleet)
        self.assertEqual((len(first), self.of(fleet, Filters=[{"Name": "instance-type", "Values": ["m5.large"]}])), (2, set()))
        gone = sorted(first)[0]
        self.ec2.terminate_instances(InstanceIds=[gone])
        self.until(lambda: len(self.of(fleet)) == 2 and gone not in self.of(fleet))
        self.assertIn(sorted(first)[1], self.of(fleet))
        self.assertIs(self.ec2.modify_fleet(FleetId=fleet, TargetCapacitySpecification={"TotalTargetCapacity": 3})["Return"], True)
        self.fulfilled(fleet, 3)
        self.ec2.modify_fleet(FleetId=fleet, TargetCapacitySpecification={"TotalTargetCapacity": 1}, ExcessCapacityTerminationPolicy="no-termination")
        self.assertEqual(len(self.of(fleet)), 3)
        self.ec2.modify_fleet(FleetId=fleet, TargetCapacitySpecification={"TotalTargetCapacity": 1}, ExcessCapacityTerminationPolicy="termination")
        self.fulfilled(fleet, 1)
        self.until(lambda: len(self.instances(fleet)) == 1 or [i["State"]["Name"] for i in self.instances(fleet)].count("shutting-down") == len(self.instances(fleet)) - 1)
        seen = self.events(fleet)
        self.assertEqual(seen[:2], [("fleet-change", "submitted"), ("fleet-change", "active")])
        self.assertEqual([seen.count(e) for e in (("instance-change", "launched"), ("instance-change", "terminated"), ("fleet-change", "modify_succeeded"))], [4, 3, 3])
        self.assertEqual(self.events(fleet, EventType="service-error"), [])
        self.assertEqual(len(self.events(fleet, MaxResults=2)), 2)
        last = self.of(fleet)
        gone = self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=False)["SuccessfulFleetDeletions"][0]
        self.assertEqual((gone["CurrentFleetState"], gone["PreviousFleetState"]), ("deleted_running", "active"))
        self.assertEqual({i["InstanceId"] for i in self.instances(fleet) if i["State"]["Name"] != "shutting-down"}, last)
        self.fails("FleetNotInModifiableState", self.ec2.modify_fleet, FleetId=fleet, TargetCapacitySpecification={"TotalTargetCapacity": 3})
        self.ec2.terminate_instances(InstanceIds=list(last))
        self.until(lambda: self.fleet(fleet)["FleetState"] == "deleted")
        self.assertEqual(self.instances(fleet), [])

    def test_other_templates_and_the_end_of_all(self):
        fleet = self.create(1, {"InstanceType": "t2.nano"}, type="maintain")["FleetId"]
        self.fulfilled(fleet, 1)
        other = self.request(1, {"InstanceType": "t3.nano"})["LaunchTemplateConfigs"]
        self.ec2.modify_fleet(FleetId=fleet, LaunchTemplateConfigs=other, TargetCapacitySpecification={"TotalTargetCapacity": 2})
        self.fulfilled(fleet, 2)
        self.assertEqual(sorted(i["InstanceType"] for i in self.instances(fleet)), ["t2.nano", "t3.nano"])
        self.assertEqual([o["InstanceType"] for c in self.fleet(fleet)["LaunchTemplateConfigs"] for o in c["Overrides"]], ["t3.nano"])
        gone = self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["SuccessfulFleetDeletions"][0]
        self.assertEqual(gone["CurrentFleetState"], "deleted_terminating")
        self.until(lambda: self.fleet(fleet)["FleetState"] == "deleted")
        self.assertEqual((self.instances(fleet), self.of(fleet)), ([], set()))

    def test_request_launches_once(self):
        fleet = self.create({"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "spot"}, {"InstanceType": "t2.nano"}, type="request")["FleetId"]
        self.fulfilled(fleet, 1)
        one, = self.instances(fleet)
        self.assertEqual(one["InstanceLifecycle"], "spot")
        self.assertEqual(self.ec2.describe_fleet_instances(FleetId=fleet)["ActiveInstances"][0]["SpotInstanceRequestId"], one["SpotInstanceRequestId"])
        self.fails("FleetNotInModifiableState", self.ec2.modify_fleet, FleetId=fleet, TargetCapacitySpecification={"TotalTargetCapacity": 3})
        self.ec2.terminate_instances(InstanceIds=[one["InstanceId"]])
        self.until(lambda: self.fleet(fleet)["FulfilledCapacity"] == 0 and not self.instances(fleet))
        self.assertEqual((self.events(fleet).count(("instance-change", "launched")), self.fleet(fleet)["FleetState"]), (1, "active"))

    def test_what_cannot_be_had(self):
        fleet = self.create(1, {"InstanceType": "g4dn.xlarge"}, type="maintain")["FleetId"]
        self.until(lambda: self.fleet(fleet)["ActivityStatus"] == "error")
        self.assertEqual(self.events(fleet, EventType="service-error"), [("service-error", "launchSpecTemporarilyBlacklisted")])
        gone = self.ec2.delete_fleets(FleetIds=[fleet], TerminateInstances=True)["SuccessfulFleetDeletions"][0]
        self.assertEqual(gone["CurrentFleetState"], "deleted")
        for call in (self.ec2.describe_fleet_instances, lambda **more: self.ec2.describe_fleet_history(StartTime=datetime.datetime(2020, 1, 1), **more)):
            instant = self.create(1, {"InstanceType": "g4dn.xlarge"})["FleetId"]
            self.fails("Unsupported", call, FleetId=instant)
            self.fails("InvalidFleetId.NotFound", call, FleetId="fleet-0123456789abcdef0")
        user = self.user({"Effect": "Allow", "Action": ["ec2:CreateFleet", "ec2:CreateTags"], "Resource": "*"})
        self.assertAwsError("UnauthorizedOperation", user.create_fleet, status=403, **self.request(1, type="maintain"))

    def test_its_time(self):
        cloud, of_it = moving_cloud(self)
        self.addCleanup(setattr, self, "ec2", self.ec2)
        self.ec2 = of_it("ec2", region=self.region)
        ami = image(self.ec2)
        self.ec2.create_launch_template(LaunchTemplateName=self.name, LaunchTemplateData={"ImageId": ami, "InstanceType": "t2.nano", "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}]})
        day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.timezone.utc)
        later = self.create(1, type="maintain", ValidFrom=now + 2 * day, ValidUntil=now + 3 * day)["FleetId"]
        short = self.create(1, type="maintain", ValidUntil=now + day, TerminateInstancesWithExpiration=True)["FleetId"]
        self.fulfilled(short, 1)
        cloud.forward("25h")
        self.until(lambda: ("fleet-change", "expired") in self.events(short))
        self.until(lambda: not self.instances(short))
        self.assertEqual((self.fleet(later)["FleetState"], self.fleet(later)["ActivityStatus"], self.of(later)), ("submitted", "pending_fulfillment", set()))
        self.fails("FleetNotInModifiableState", self.ec2.modify_fleet, FleetId=short, TargetCapacitySpecification={"TotalTargetCapacity": 3})
        cloud.forward("24h")
        self.fulfilled(later, 1)
        cloud.forward("24h")
        self.until(lambda: ("fleet-change", "expired") in self.events(later))
        self.assertEqual((len(self.of(later)), self.fleet(later)["FulfilledCapacity"]), (1, 1.0))
