"""Mixed instances policies: which types, and how many of them on spot."""
import unittest

from groups import GroupCase


class Mixed(GroupCase):
    def policy(self, *types, **distribution):
        return {"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "tmpl", "Version": "$Latest"},
                                   "Overrides": [{"InstanceType": t} for t in types]}, "InstancesDistribution": distribution}

    def kinds(self, count):
        """(type, is it on spot) of each member."""
        members = [m["InstanceId"] for m in self.settled(count)]
        found = self.ec2.describe_instances(InstanceIds=members)["Reservations"]
        return sorted((i["InstanceType"], i.get("InstanceLifecycle") == "spot") for r in found for i in r["Instances"])

    def test_the_cheapest_pools(self):
        self.template()
        types = ("t3.micro", "t3.nano", "t3.small")
        self.group(DesiredCapacity=3, MixedInstancesPolicy=self.policy(*types, OnDemandBaseCapacity=1, OnDemandPercentageAboveBaseCapacity=0))
        self.assertEqual(self.kinds(3), [("t3.micro", False), ("t3.micro", True), ("t3.nano", True)])
        shown = self.shown()["MixedInstancesPolicy"]["InstancesDistribution"]
        self.assertEqual(shown, {"OnDemandAllocationStrategy": "prioritized", "OnDemandBaseCapacity": 1, "OnDemandPercentageAboveBaseCapacity": 0,
                                 "SpotAllocationStrategy": "lowest-price", "SpotInstancePools": 2})

    def test_other_strategies(self):
        self.template()
        types = ("t3.micro", "t3.nano")
        self.group(DesiredCapacity=2, MixedInstancesPolicy=self.policy(*types, OnDemandBaseCapacity=0, OnDemandPercentageAboveBaseCapacity=0,
                                                                       SpotAllocationStrategy="capacity-optimized"))
        self.assertEqual(self.kinds(2), [("t3.micro", True), ("t3.micro", True)])
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="g", MixedInstancesPolicy=self.policy(
            *types, OnDemandBaseCapacity=3, SpotAllocationStrategy="capacity-optimized", OnDemandAllocationStrategy="lowest-price"), DesiredCapacity=3)
        self.assertEqual(self.kinds(3), [("t3.micro", True), ("t3.micro", True), ("t3.nano", False)])

    def test_refusals(self):
        self.template()

        def refused(message, **distribution):
            self.fails("ValidationError", message, self.group, MixedInstancesPolicy=self.policy("t3.nano", **distribution))
        refused("SpotInstancePools option is only available", SpotAllocationStrategy="capacity-optimized", SpotInstancePools=3)
        refused("SpotInstancePools must be between 1 and 20", SpotInstancePools=21)
        refused("Invalid spot allocation strategy", SpotAllocationStrategy="dearest")
        refused("Invalid on-demand allocation strategy", OnDemandAllocationStrategy="dearest")


if __name__ == "__main__":
    unittest.main()
