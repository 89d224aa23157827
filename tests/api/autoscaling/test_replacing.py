"""Members that are replaced though they serve: lifetimes, maintenance policies, recommendations for spot instances."""
import os
import subprocess
import unittest

from groups import GroupCase, wait


class Replacing(GroupCase):
    def chaos(self, *words):
        subprocess.run([os.environ["QUARTET"], "chaos", "--data", os.environ["QUARTET_DATA"], "--region", self.region, *words], check=True, capture_output=True)

    def shown_value(self, **given):
        """What the group shows of what the oldest SDK does not know."""
        return self.newer("DescribeAutoScalingGroups", AutoScalingGroupNames__member__1="g")

    def test_what_may_be_asked(self):
        self.template()
        self.group(MaxInstanceLifetime=86400, CapacityRebalance=True)
        shown = self.shown()
        self.assertEqual((shown["MaxInstanceLifetime"], shown["CapacityRebalance"]), (86400, True))
        update = self.scaling.update_auto_scaling_group
        self.fails("ValidationError", "MaxInstanceLifetime", update, AutoScalingGroupName="g", MaxInstanceLifetime=86399)
        self.fails("ValidationError", "MaxInstanceLifetime", update, AutoScalingGroupName="g", MaxInstanceLifetime=31536001)
        update(AutoScalingGroupName="g", MaxInstanceLifetime=0, CapacityRebalance=False)
        shown = self.shown()
        self.assertNotIn("MaxInstanceLifetime", shown)
        self.assertIs(shown["CapacityRebalance"], False)

        def policy(least, most):
            return self.newer("UpdateAutoScalingGroup", AutoScalingGroupName="g", InstanceMaintenancePolicy__MinHealthyPercentage=least,
                              InstanceMaintenancePolicy__MaxHealthyPercentage=most)
        for least, most in ((90, 99), (101, 150), (50, 151), (-1, 100), (90, -1)):
            self.assertEqual(policy(least, most).get("Code"), "ValidationError", (least, most))
        self.assertEqual(self.newer("UpdateAutoScalingGroup", AutoScalingGroupName="g", InstanceMaintenancePolicy__MinHealthyPercentage=90)["Code"],
                         "ValidationError")
        self.assertNotIn("Code", policy(80, 120))
        shown = self.shown_value()
        self.assertEqual((shown["MinHealthyPercentage"], shown["MaxHealthyPercentage"]), ("80", "120"))
        # refreshes take it where they say nothing else
        started = self.newer("StartInstanceRefresh", AutoScalingGroupName="g", Preferences__InstanceWarmup=0)
        self.assertIn("InstanceRefreshId", started)
        shown = self.newer("DescribeInstanceRefreshes", AutoScalingGroupName="g")
        self.assertEqual((shown["MinHealthyPercentage"], shown["MaxHealthyPercentage"]), ("80", "120"))
        self.assertNotIn("Code", policy(-1, -1))
        self.assertNotIn("MinHealthyPercentage", self.shown_value())

    def test_the_unhealthy_stays_until_another_one_serves(self):
        self.template()
        self.group(DesiredCapacity=1)
        (before,) = self.settled(1)
        self.assertNotIn("Code", self.newer("UpdateAutoScalingGroup", AutoScalingGroupName="g", InstanceMaintenancePolicy__MinHealthyPercentage=100,
                                            InstanceMaintenancePolicy__MaxHealthyPercentage=200))
        least = []

        def replaced():
            found = self.members()
            least.append(sum(i["LifecycleState"] == "InService" for i in found))
            return len(found) == 1 and found[0]["LifecycleState"] == "InService" and found[0]["InstanceId"] != before["InstanceId"] and found
        self.scaling.set_instance_health(InstanceId=before["InstanceId"], HealthStatus="Unhealthy")
        wait(self, replaced)
        self.assertGreaterEqual(min(least), 1)
        causes = [a["Cause"] for a in self.activities()]
        self.assertTrue([c for c in causes if "launched in response to an instance needing to be replaced" in c], causes)
        self.assertTrue([c for c in causes if c.endswith("taken out of service in response to a user health-check.")], causes)

    def test_a_recommendation_is_followed(self):
        self.template()
        self.group(DesiredCapacity=1, CapacityRebalance=True, MixedInstancesPolicy={
            "LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "tmpl"}, "Overrides": [{"InstanceType": "t3.nano"}]},
            "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 0}})
        (before,) = self.settled(1)
        serving = []

        def replaced():
            found = self.members()
            serving.append(sum(i["LifecycleState"] == "InService" for i in found))
            return len(found) == 1 and found[0]["LifecycleState"] == "InService" and found[0]["InstanceId"] != before["InstanceId"]
        self.chaos("spot-rebalance", before["InstanceId"])
        wait(self, replaced)
        self.assertGreaterEqual(min(serving), 1)
        self.assertTrue([a for a in self.activities() if "rebalance recommendation" in a["Cause"]])


if __name__ == "__main__":
    unittest.main()
