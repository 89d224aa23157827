"""Event windows: their hours, what they are for, and what is refused. tests/sim/ec2_events.c has that they are kept."""
import unittest

from ec2 import Ec2Case, end_instances, halting_image, names
from aws import client


class WindowCase(Ec2Case):
    RANGES = [{"StartWeekDay": "monday", "StartHour": 2, "EndWeekDay": "monday", "EndHour": 8}]

    def make(self, **more):
        made = self.ec2.create_instance_event_window(**(more or {"TimeRanges": self.RANGES}))["InstanceEventWindow"]
        self.assertEqual(made["State"], "creating")
        self.addCleanup(self.ec2.delete_instance_event_window, InstanceEventWindowId=made["InstanceEventWindowId"], ForceDelete=True)
        return made

    def look(self, window):
        return self.ec2.describe_instance_event_windows(InstanceEventWindowIds=[window])["InstanceEventWindows"][0]

    def found(self, **filters):
        return names(self.ec2.describe_instance_event_windows(Filters=[{"Name": k, "Values": [v]} for k, v in filters.items()])["InstanceEventWindows"], "InstanceEventWindowId")


class Windows(WindowCase):
    def test_a_life(self):
        made = self.ec2.create_instance_event_window(Name="nights", TimeRanges=self.RANGES, TagSpecifications=[
            {"ResourceType": "instance-event-window", "Tags": [{"Key": "k", "Value": "v"}]}])["InstanceEventWindow"]
        window = made["InstanceEventWindowId"]
        self.assertRegex(window, "^iew-[0-9a-f]{17}$")
        shown = self.look(window)
        self.assertEqual((shown["Name"], shown["State"], shown["TimeRanges"], shown["Tags"]), ("nights", "active", self.RANGES, [{"Key": "k", "Value": "v"}]))
        other = self.make(CronExpression="* 0-4,20-23 * * 1,5")["InstanceEventWindowId"]
        tags = [{"Key": "team", "Value": "blue"}]
        given = self.ec2.associate_instance_event_window(InstanceEventWindowId=window, AssociationTarget={"InstanceTags": tags})["InstanceEventWindow"]
        self.assertEqual(given["AssociationTarget"]["Tags"], tags)
        self.fails("InvalidParameterValue", self.ec2.associate_instance_event_window, "already associated", InstanceEventWindowId=other, AssociationTarget={"InstanceTags": tags})
        for name, value, others in (("event-window-name", "nig*", "days"), ("instance-tag", "team=blue", "team=red"), ("instance-tag-key", "team", "t"),
                                    ("instance-tag-value", "blue", "red"), ("tag:k", "v", "w")):
            self.assertEqual(self.found(**{name: value}), [window], name)
            self.assertEqual(self.found(**{name: others}), [], name)
        self.assertEqual(self.found(**{"dedicated-host-id": "*"}), [])
        changed = self.ec2.modify_instance_event_window(InstanceEventWindowId=window, Name="mornings", CronExpression="* 4-8 * * MON-FRI")["InstanceEventWindow"]
        self.assertEqual((changed["Name"], changed["CronExpression"], changed.get("TimeRanges", [])), ("mornings", "* 4-8 * * MON-FRI", []))
        self.assertEqual(self.look(window)["AssociationTarget"]["Tags"], tags)
        self.fails("DependencyViolation", self.ec2.delete_instance_event_window, InstanceEventWindowId=window)
        self.ec2.disassociate_instance_event_window(InstanceEventWindowId=window, AssociationTarget={"InstanceTags": tags})
        self.assertNotIn("AssociationTarget", self.look(window))
        gone = self.ec2.delete_instance_event_window(InstanceEventWindowId=window)["InstanceEventWindowState"]
        self.assertEqual(gone, {"InstanceEventWindowId": window, "State": "deleting"})
        self.fails("InvalidInstanceEventWindowID.NotFound", self.look, window=window)
        self.assertEqual(self.found(), [other])

    def test_refusals(self):
        create = self.ec2.create_instance_event_window
        short = [{"StartWeekDay": "monday", "StartHour": 2, "EndWeekDay": "monday", "EndHour": 3}]
        self.fails("InvalidParameterValue", create, "at least 2 hours", TimeRanges=short)
        self.fails("InvalidParameterValue", create, "at least 4 hours", TimeRanges=[{**short[0], "EndHour": 5}])
        self.fails("InvalidParameterValue", create, "cron", CronExpression="0 0-4 * * *")
        self.fails("InvalidParameterCombination", create, TimeRanges=self.RANGES, CronExpression="* 0-4 * * *")
        self.fails("InvalidParameterCombination", create)
        window = self.make()["InstanceEventWindowId"]
        associate = self.ec2.associate_instance_event_window
        self.fails("MissingParameter", associate, InstanceEventWindowId=window, AssociationTarget={})
        self.fails("UnsupportedOperation", associate, status=None, InstanceEventWindowId=window, AssociationTarget={"DedicatedHostIds": ["h-00000000000000000"]})
        self.fails("InvalidInstanceID.NotFound", associate, InstanceEventWindowId=window, AssociationTarget={"InstanceIds": ["i-00000000000000000"]})
        self.fails("InvalidInstanceEventWindowID.NotFound", associate, InstanceEventWindowId="iew-00000000000000000", AssociationTarget={"InstanceIds": ["i-00000000000000000"]})
        self.fails("InvalidParameterValue", self.ec2.disassociate_instance_event_window, InstanceEventWindowId=window, AssociationTarget={"InstanceIds": ["i-00000000000000000"]})
        self.assertNotIn("AssociationTarget", self.look(window))


class Instances(WindowCase):
    def setUp(self):
        self.region, self.ec2 = "us-east-1", client("ec2")

    def test_an_instance(self):
        i = self.ec2.run_instances(ImageId=halting_image(self), InstanceType="t2.nano", MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, i)
        window = self.make()["InstanceEventWindowId"]
        self.ec2.associate_instance_event_window(InstanceEventWindowId=window, AssociationTarget={"InstanceIds": [i]})
        self.assertEqual(self.look(window)["AssociationTarget"]["InstanceIds"], [i])
        self.assertEqual(self.found(**{"instance-id": i}), [window])
        self.fails("InvalidParameterCombination", self.ec2.associate_instance_event_window, InstanceEventWindowId=window,
                   AssociationTarget={"InstanceTags": [{"Key": "a", "Value": "b"}]})


if __name__ == "__main__":
    unittest.main()
