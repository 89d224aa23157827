"""Groups: what is there becomes what is wanted, and says why."""
import os
import re
import subprocess
import unittest

from groups import GroupCase, wait


class Groups(GroupCase):
    def test_a_group_grows_and_shrinks(self):
        template = self.template()
        self.group(MinSize=1, MaxSize=3, DesiredCapacity=2, zones=2,
                   Tags=[{"Key": "team", "Value": "red", "PropagateAtLaunch": True}, {"Key": "only", "Value": "here", "PropagateAtLaunch": False}])
        members = self.settled(2)
        self.assertEqual({i["AvailabilityZone"] for i in members}, set(self.zones[:2]))
        for i in members:
            self.assertEqual(i["LaunchTemplate"], {"LaunchTemplateId": template, "LaunchTemplateName": "tmpl", "Version": "1"})
            self.assertEqual((i["HealthStatus"], i["InstanceType"], i["ProtectedFromScaleIn"]), ("Healthy", "t3.nano", False))
        real = self.ec2.describe_instances(InstanceIds=sorted(self.ids()))["Reservations"]
        for r in real:
            tags = {t["Key"]: t["Value"] for t in r["Instances"][0]["Tags"]}
            self.assertEqual((tags["aws:autoscaling:groupName"], tags["team"], tags["quartet:driver"]), ("g", "red", "container"))
            self.assertNotIn("only", tags)
        first = self.activities()
        self.assertEqual(len(first), 2)
        for a in first:
            self.assertEqual((a["StatusCode"], a["Progress"]), ("Successful", 100))
            self.assertRegex(a["Description"], r"^Launching a new EC2 instance: i-[0-9a-f]{17}$")
            self.assertRegex(a["Cause"], r"^At \S+Z a user request created an AutoScalingGroup changing the desired capacity from 0 to 2\.  "
                             r"At \S+Z an instance was started in response to a difference between desired and actual capacity, "
                             r"increasing the capacity from 0 to 2\.$")
            self.assertRegex(a["Details"], r'^\{"Subnet ID":"subnet-[0-9a-f]+","Availability Zone":"\S+"\}$')
        self.assertEqual(self.running(), self.ids())

        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.settled(1)
        gone = wait(self, lambda: [a for a in self.activities() if a["Description"].startswith("Terminating") and a["StatusCode"] == "Successful"])[0]
        self.assertRegex(gone["Cause"], r"^At \S+Z a user request explicitly set group desired capacity changing the desired capacity from 2 to 1\.  "
                         r"At \S+Z an instance was taken out of service in response to a difference between desired and actual capacity, "
                         r"shrinking the capacity from 2 to 1\.  At \S+Z instance i-\S+ was selected for termination\.$")
        self.assertEqual(self.running(), self.ids())

        self.fails("ResourceInUse", "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
                   self.scaling.delete_auto_scaling_group, AutoScalingGroupName="g")
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
        wait(self, lambda: not self.shown() and not self.running())
        old = self.scaling.describe_scaling_activities(AutoScalingGroupName="g", IncludeDeletedGroups=True)["Activities"]
        self.assertTrue(old and all(a["AutoScalingGroupState"] == "Deleted" for a in old))

    def test_who_dies_is_replaced(self):
        self.template()
        self.group(MinSize=2, MaxSize=2)
        one, other = sorted(i["InstanceId"] for i in self.settled(2))
        self.ec2.terminate_instances(InstanceIds=[one])
        wait(self, lambda: one not in self.ids() and len(self.members(state="InService")) == 2)
        said = [a for a in self.activities() if one in a["Description"] and a["Description"].startswith("Terminating")][0]
        self.assertRegex(said["Cause"], r"^At \S+Z an instance was taken out of service in response to an EC2 health check indicating it has been "
                         r"terminated or stopped\.$")
        self.assertTrue([a for a in self.activities() if re.search("launched in response to an unhealthy instance needing to be replaced", a["Cause"])])

        self.scaling.set_instance_health(InstanceId=other, HealthStatus="Unhealthy")
        wait(self, lambda: other not in self.ids() and len(self.members(state="InService")) == 2)
        said = [a for a in self.activities() if other in a["Description"] and a["Description"].startswith("Terminating")][0]
        self.assertIn("in response to a user health-check.", said["Cause"])

        third = self.members()[0]["InstanceId"]
        self.fails("ValidationError", None, self.scaling.terminate_instance_in_auto_scaling_group, InstanceId=third, ShouldDecrementDesiredCapacity=True)
        done = self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=third, ShouldDecrementDesiredCapacity=False)["Activity"]
        self.assertRegex(done["Cause"], rf"^At \S+Z instance {third} was taken out of service in response to a user request\.$")
        wait(self, lambda: third not in self.ids() and len(self.members(state="InService")) == 2)
        wait(self, lambda: self.running() == self.ids())

    def test_in_and_out_by_hand(self):
        self.template()
        self.group(MinSize=0, MaxSize=3, DesiredCapacity=1, NewInstancesProtectedFromScaleIn=True)
        member = self.settled(1)[0]["InstanceId"]
        # protected: it stays though nobody wants it
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        self.assertEqual(self.ids(), {member})
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.scaling.set_instance_protection(AutoScalingGroupName="g", InstanceIds=[member], ProtectedFromScaleIn=False)

        moved = self.scaling.enter_standby(AutoScalingGroupName="g", InstanceIds=[member], ShouldDecrementDesiredCapacity=True)["Activities"]
        self.assertRegex(moved[0]["Cause"], rf"^At \S+Z instance {member} was moved to standby in response to a user request, shrinking the capacity from 1 to 0\.$")
        self.assertEqual(self.members()[0]["LifecycleState"], "Standby")
        self.assertEqual(self.shown()["DesiredCapacity"], 0)
        self.scaling.exit_standby(AutoScalingGroupName="g", InstanceIds=[member])
        self.settled(1)

        self.scaling.detach_instances(AutoScalingGroupName="g", InstanceIds=[member], ShouldDecrementDesiredCapacity=True)
        wait(self, lambda: not self.members())
        tags = self.ec2.describe_instances(InstanceIds=[member])["Reservations"][0]["Instances"][0]["Tags"]
        self.assertNotIn("aws:autoscaling:groupName", [t["Key"] for t in tags])
        self.fails("ValidationError", f"Instance Id not found - No managed instance found for instance ID {member}",
                   self.scaling.set_instance_health, InstanceId=member, HealthStatus="Unhealthy")

        self.scaling.attach_instances(AutoScalingGroupName="g", InstanceIds=[member])
        self.assertEqual(self.settled(1)[0]["InstanceId"], member)
        self.assertEqual(self.shown()["DesiredCapacity"], 1)
        found = self.scaling.describe_auto_scaling_instances(InstanceIds=[member])["AutoScalingInstances"][0]
        self.assertEqual((found["AutoScalingGroupName"], found["HealthStatus"]), ("g", "HEALTHY"))

    def test_suspended_processes(self):
        self.template()
        self.group(MaxSize=2)
        self.scaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch", "ReplaceUnhealthy"])
        self.assertEqual([p["ProcessName"] for p in self.shown()["SuspendedProcesses"]], ["Launch", "ReplaceUnhealthy"])
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        self.assertEqual(self.members(), [])
        self.scaling.resume_processes(AutoScalingGroupName="g")
        member = self.settled(1)[0]["InstanceId"]
        self.scaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["ReplaceUnhealthy"])
        self.scaling.set_instance_health(InstanceId=member, HealthStatus="Unhealthy")
        self.assertEqual([(i["InstanceId"], i["HealthStatus"]) for i in self.members()], [(member, "Unhealthy")])
        self.scaling.resume_processes(AutoScalingGroupName="g", ScalingProcesses=["ReplaceUnhealthy"])
        wait(self, lambda: member not in self.ids() and len(self.members(state="InService")) == 1)

    def target_state(self, member):
        """What the instance finds of it in its metadata."""
        ask = "curl -sf -m 5 http://169.254.169.254/latest/meta-data/autoscaling/target-lifecycle-state"
        return subprocess.run([os.environ["QUARTET"], "exec", member, "sh", "-c", ask], env={**os.environ, "AWS_REGION": self.region},
                              capture_output=True, timeout=60, check=False).stdout

    def test_lifecycle_hooks(self):
        self.template()
        hooks = [{"LifecycleHookName": w, "LifecycleTransition": f"autoscaling:EC2_INSTANCE_{w.upper()}", "HeartbeatTimeout": 3600}
                 for w in ("launching", "terminating")]
        self.group(MinSize=0, MaxSize=2, DesiredCapacity=1, LifecycleHookSpecificationList=hooks)
        member = wait(self, lambda: self.members(state="Pending:Wait"))[0]["InstanceId"]
        self.scaling.record_lifecycle_action_heartbeat(AutoScalingGroupName="g", LifecycleHookName="launching", InstanceId=member)
        wait(self, lambda: self.target_state(member) == b"InService")
        self.scaling.complete_lifecycle_action(AutoScalingGroupName="g", LifecycleHookName="launching", InstanceId=member, LifecycleActionResult="CONTINUE")
        self.settled(1)
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        wait(self, lambda: self.members(state="Terminating:Wait"))
        self.assertEqual(self.target_state(member), b"Terminated")
        self.assertEqual(self.running(), {member})
        self.scaling.complete_lifecycle_action(AutoScalingGroupName="g", LifecycleHookName="terminating", InstanceId=member, LifecycleActionResult="ABANDON")
        wait(self, lambda: not self.members())
        # a launch that is abandoned ends
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        member = wait(self, lambda: self.members(state="Pending:Wait"))[0]["InstanceId"]
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        self.scaling.delete_lifecycle_hook(AutoScalingGroupName="g", LifecycleHookName="terminating")
        wait(self, lambda: not self.members() and not self.running())

    def test_launches_that_fail_say_why(self):
        self.template()
        self.group(MaxSize=1)
        self.ec2.delete_launch_template(LaunchTemplateName="tmpl")
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        failed = wait(self, lambda: [a for a in self.activities() if a["StatusCode"] == "Failed"])[0]
        self.assertRegex(failed["StatusMessage"], r"^The specified launch template, with template ID lt-\S+, does not exist\. Launching EC2 instance failed\.$")
        self.assertEqual(failed["Description"], "Launching a new EC2 instance.  Status Reason: " + failed["StatusMessage"])

    def test_launch_configurations(self):
        self.scaling.create_launch_configuration(LaunchConfigurationName="k", ImageId=self.image(), InstanceType="t3.nano")
        self.fails("AlreadyExists", "Launch Configuration by this name already exists - A launch configuration already exists with the name k",
                   self.scaling.create_launch_configuration, LaunchConfigurationName="k", ImageId=self.image(), InstanceType="t3.nano")
        self.group(LaunchConfigurationName="k", Tags=[{"Key": "quartet:driver", "Value": "container", "PropagateAtLaunch": True}], DesiredCapacity=1)
        self.assertEqual(self.settled(1)[0]["LaunchConfigurationName"], "k")
        self.fails("ResourceInUse", "Cannot delete launch configuration k because it is attached to AutoScalingGroup g",
                   self.scaling.delete_launch_configuration, LaunchConfigurationName="k")

    def test_refusals(self):
        self.template()
        create = self.scaling.create_auto_scaling_group
        base = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 1, "LaunchTemplate": {"LaunchTemplateName": "tmpl"},
                "AvailabilityZones": self.zones[:1]}

        def refused(message, code="ValidationError", **more):
            given = {k: v for k, v in {**base, **more}.items() if v is not None}
            self.fails(code, message, create, **given)
        refused("Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.", LaunchTemplate=None)
        refused("At least one Availability Zone or VPC Subnet is required.", AvailabilityZones=None)
        refused("Max bound, 1, must be greater than or equal to min bound, 2", MinSize=2)
        refused("Desired capacity:5 must be between the specified min size:0 and max size:1", DesiredCapacity=5)
        refused("The subnet ID 'subnet-0123' does not exist", VPCZoneIdentifier="subnet-0123", AvailabilityZones=None)
        refused("You must use a valid fully-formed launch template. The specified launch template, with template name none, does not exist.",
                LaunchTemplate={"LaunchTemplateName": "none"})
        refused("Launch configuration name not found - Launch configuration k not found", LaunchTemplate=None, LaunchConfigurationName="k")
        create(**base)
        refused("AutoScalingGroup by this name already exists - A group with the name g already exists", code="AlreadyExists")
        self.fails("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup 'h' not found",
                   self.scaling.update_auto_scaling_group, AutoScalingGroupName="h", MaxSize=3)
        self.fails("ValidationError", "New SetDesiredCapacity value 2 is above max value 1 for the AutoScalingGroup.",
                   self.scaling.set_desired_capacity, AutoScalingGroupName="g", DesiredCapacity=2)
        self.assertEqual(self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["h"])["AutoScalingGroups"], [])


if __name__ == "__main__":
    unittest.main()
