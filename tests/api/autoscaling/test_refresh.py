"""Instance refreshes and warm pools: members are replaced, come back, or wait ahead of need."""
import unittest

from aws import client
from groups import GroupCase, wait


class Refreshes(GroupCase):
    def versions(self, count=2, **more):
        """A group of so many at version 1 of a template that has two."""
        self.template()
        self.ec2.create_launch_template_version(LaunchTemplateName="tmpl", SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.micro"})
        self.group(MinSize=0, DesiredCapacity=count, LaunchTemplate={"LaunchTemplateName": "tmpl", "Version": "1"}, **more)
        return self.settled(count)

    def start(self, version="2", **preferences):
        desired = {"LaunchTemplate": {"LaunchTemplateName": "tmpl", "Version": version}} if version else None
        return self.scaling.start_instance_refresh(AutoScalingGroupName="g", Preferences={"InstanceWarmup": 0, **preferences},
                                                   **({"DesiredConfiguration": desired} if desired else {}))["InstanceRefreshId"]

    def refresh(self, called):
        (found,) = self.scaling.describe_instance_refreshes(AutoScalingGroupName="g", InstanceRefreshIds=[called])["InstanceRefreshes"]
        return found

    def until(self, called, *status):
        def as_wanted():
            found = self.refresh(called)
            return found["Status"] in status and found
        return wait(self, as_wanted)

    def used(self):
        return sorted(m["LaunchTemplate"]["Version"] for m in self.members(state="InService"))

    def test_members_are_replaced(self):
        before = {m["InstanceId"] for m in self.versions()}
        called = self.start(MinHealthyPercentage=50)
        self.fails("InstanceRefreshInProgress", "An Instance Refresh is already in progress", self.scaling.start_instance_refresh, AutoScalingGroupName="g")
        found = self.until(called, "Successful")
        self.assertEqual((found["PercentageComplete"], found["InstancesToUpdate"], found["AutoScalingGroupName"]), (100, 0, "g"))
        self.assertFalse(before & {m["InstanceId"] for m in self.settled(2)})
        self.assertEqual(self.used(), ["2", "2"])
        self.assertEqual(self.shown()["LaunchTemplate"]["Version"], "2")
        causes = "".join(a["Cause"] for a in self.activities())
        self.assertIn("an instance was taken out of service in response to an instance refresh.", causes)
        kept = {m["InstanceId"] for m in self.members()}
        self.until(self.start(SkipMatching=True), "Successful")
        self.assertEqual(self.ids(), kept)
        self.fails("ActiveInstanceRefreshNotFound", "No in progress or pending Instance Refresh found for Auto Scaling group g",
                   self.scaling.cancel_instance_refresh, AutoScalingGroupName="g")
        self.assertEqual(len(self.scaling.describe_instance_refreshes(AutoScalingGroupName="g")["InstanceRefreshes"]), 2)

    def test_checkpoints_and_the_way_back(self):
        self.versions()
        called = self.start(MinHealthyPercentage=50, CheckpointPercentages=[50, 100], CheckpointDelay=3600)
        wait(self, lambda: self.refresh(called)["PercentageComplete"] == 50 and self.used() == ["1", "2"])
        self.assertIn("checkpoint", self.refresh(called)["StatusReason"])
        self.assertEqual(self.newer("RollbackInstanceRefresh", AutoScalingGroupName="g")["InstanceRefreshId"], called)
        self.until(called, "RollbackSuccessful")
        found = self.newer("DescribeInstanceRefreshes", AutoScalingGroupName="g")
        self.assertEqual((found["PercentageCompleteOnRollback"], found["RollbackReason"]), ("50", "Rollback initiated by user"))
        self.assertEqual(self.used(), ["1", "1"])
        self.assertEqual(self.shown()["LaunchTemplate"]["Version"], "1")

    def test_others_are_launched_first(self):
        self.versions(1)
        called = self.start(MinHealthyPercentage=100)
        seen = set()

        def over():
            serving = self.members(state="InService")
            seen.add(len(serving))
            return self.refresh(called)["Status"] == "Successful"
        wait(self, over)
        self.assertLessEqual(seen, {0, 1})  # at a hundred percent one goes, then one comes
        seen.clear()
        called = self.newer("StartInstanceRefresh", AutoScalingGroupName="g", Preferences__MinHealthyPercentage=100, Preferences__MaxHealthyPercentage=200,
                            Preferences__InstanceWarmup=0, DesiredConfiguration__LaunchTemplate__LaunchTemplateName="tmpl",
                            DesiredConfiguration__LaunchTemplate__Version="1")["InstanceRefreshId"]
        wait(self, over)
        self.assertNotIn(0, seen)
        self.assertEqual(self.used(), ["1"])

    def test_an_alarm_turns_it_back(self):
        self.versions()
        cloudwatch = client("cloudwatch", region=self.region)
        cloudwatch.put_metric_alarm(AlarmName="bad", Namespace="mine", MetricName="m", Statistic="Average", Period=60, EvaluationPeriods=1,
                                    Threshold=1, ComparisonOperator="GreaterThanThreshold")
        called = self.newer("StartInstanceRefresh", AutoScalingGroupName="g", Preferences__MinHealthyPercentage=50, Preferences__AutoRollback="true",
                            Preferences__InstanceWarmup=0, Preferences__AlarmSpecification__Alarms__member__1="bad", Preferences__BakeTime=3600,
                            DesiredConfiguration__LaunchTemplate__LaunchTemplateName="tmpl",
                            DesiredConfiguration__LaunchTemplate__Version="2")["InstanceRefreshId"]
        wait(self, lambda: self.newer("DescribeInstanceRefreshes", AutoScalingGroupName="g")["Status"] == "Baking")
        self.assertEqual(self.used(), ["2", "2"])
        cloudwatch.set_alarm_state(AlarmName="bad", StateValue="ALARM", StateReason="a test")
        self.until(called, "RollbackSuccessful")
        self.assertEqual(self.used(), ["1", "1"])
        self.assertIn("The CloudWatch alarm bad is in the ALARM state.",
                      self.newer("DescribeInstanceRefreshes", AutoScalingGroupName="g")["RollbackReason"])
        cloudwatch.delete_alarms(AlarmNames=["bad"])

    def test_cancelled(self):
        self.versions()
        called = self.start(MinHealthyPercentage=50, CheckpointPercentages=[50], CheckpointDelay=3600)
        wait(self, lambda: self.refresh(called)["PercentageComplete"] == 50 and len(self.used()) == 2)
        self.scaling.cancel_instance_refresh(AutoScalingGroupName="g")
        self.assertEqual(self.until(called, "Cancelled")["StatusReason"], "Cancelled by user")
        self.assertEqual(self.used(), ["1", "2"])
        self.assertEqual(self.shown()["LaunchTemplate"]["Version"], "1")

    def test_refusals(self):
        self.template()
        self.group()
        start = self.scaling.start_instance_refresh
        for message, given in (("AutoRollback cannot be set to true when the DesiredConfiguration", {}),
                               ("launch template version $Latest or $Default", {"DesiredConfiguration__LaunchTemplate__LaunchTemplateName": "tmpl",
                                                                                "DesiredConfiguration__LaunchTemplate__Version": "1"})):
            said = self.newer("StartInstanceRefresh", AutoScalingGroupName="g", Preferences__AutoRollback="true", **given)
            self.assertEqual(said["Code"], "ValidationError")
            self.assertIn(message, said["Message"])
        self.fails("ValidationError", "ascending order", start, AutoScalingGroupName="g", Preferences={"CheckpointPercentages": [50, 20]})
        self.fails("ValidationError", "You must use a valid fully-formed launch template", start, AutoScalingGroupName="g",
                   DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateName": "nobody", "Version": "1"}})
        self.fails("ValidationError", "not found", start, AutoScalingGroupName="nobody")


class Pools(GroupCase):
    def pool(self):
        return self.scaling.describe_warm_pool(AutoScalingGroupName="g")

    def warmed(self, count, state):
        def as_wanted():
            found = self.pool()["Instances"]
            return len(found) == count and all(i["LifecycleState"] == state for i in found) and (found or [None])
        return [i["InstanceId"] for i in wait(self, as_wanted) if i]

    def test_members_wait_ahead_of_need(self):
        self.template()
        self.group(MaxSize=2)
        self.scaling.put_warm_pool(AutoScalingGroupName="g", InstanceReusePolicy={"ReuseOnScaleIn": True})
        waiting = self.warmed(2, "Warmed:Stopped")
        self.assertEqual(self.pool()["WarmPoolConfiguration"], {"MinSize": 0, "PoolState": "Stopped", "InstanceReusePolicy": {"ReuseOnScaleIn": True}})
        self.assertEqual((self.shown()["WarmPoolSize"], self.shown()["Instances"]), (2, []))
        self.assertEqual({i["State"]["Name"] for r in self.ec2.describe_instances(InstanceIds=waiting)["Reservations"] for i in r["Instances"]}, {"stopped"})
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        (one,) = self.settled(1)
        self.assertIn(one["InstanceId"], waiting)
        self.assertTrue(any(a["Description"].startswith("Launching a new EC2 instance from warm pool: ") for a in self.activities()))
        self.warmed(1, "Warmed:Stopped")
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        self.assertEqual(set(self.warmed(2, "Warmed:Stopped")), set(waiting))  # it has come back
        self.scaling.delete_warm_pool(AutoScalingGroupName="g", ForceDelete=True)
        wait(self, lambda: not self.pool()["Instances"] and "WarmPoolConfiguration" not in self.pool())
        self.fails("ValidationError", "No warm pool found", self.scaling.delete_warm_pool, AutoScalingGroupName="g")

    def test_a_running_pool_of_a_least_size(self):
        self.template()
        self.group(MaxSize=4)
        self.scaling.put_warm_pool(AutoScalingGroupName="g", MinSize=1, MaxGroupPreparedCapacity=1, PoolState="Running")
        self.warmed(1, "Warmed:Running")
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.settled(1)
        self.warmed(1, "Warmed:Running")
        put = self.scaling.put_warm_pool
        self.fails("ValidationError", "Hibernated is not supported", put, AutoScalingGroupName="g", PoolState="Hibernated")
        self.fails("ValidationError", "Member must satisfy enum value set", put, AutoScalingGroupName="g", PoolState="Cold")
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName="mixed", MinSize=0, MaxSize=1, VPCZoneIdentifier=self.subnets[self.zones[0]],
            MixedInstancesPolicy={"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "tmpl"}}})
        self.fails("ValidationError", "You can't add a warm pool to an Auto Scaling group that has a mixed instances policy", put, AutoScalingGroupName="mixed")


if __name__ == "__main__":
    unittest.main()
