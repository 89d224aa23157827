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

    def needs(self, *overrides, **distribution):
        made = self.policy(**distribution)
        made["LaunchTemplate"]["Overrides"] = [{"InstanceRequirements": o} if "VCpuCount" in o or not o else o for o in overrides]
        return made

    def test_types_by_what_they_have_to_be(self):
        self.template()
        small = {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 256, "Max": 1100}, "BurstablePerformance": "included", "AllowedInstanceTypes": ["t3.*"]}
        self.group(DesiredCapacity=2, MixedInstancesPolicy=self.needs(small, OnDemandBaseCapacity=1, OnDemandPercentageAboveBaseCapacity=0,
                                                                      SpotAllocationStrategy="price-capacity-optimized"))
        self.assertEqual(self.kinds(2), [("t3.nano", False), ("t3.nano", True)])
        shown = self.shown()["MixedInstancesPolicy"]
        self.assertEqual(shown["LaunchTemplate"]["Overrides"], [{"InstanceRequirements": small}])
        self.assertEqual(shown["InstancesDistribution"]["OnDemandAllocationStrategy"], "lowest-price")
        # others fit from now on
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="g", DesiredCapacity=3, MixedInstancesPolicy=self.needs(
            {**small, "MemoryMiB": {"Min": 1000}, "ExcludedInstanceTypes": [], "AllowedInstanceTypes": ["t3.micro", "t3.medium"]}, OnDemandBaseCapacity=3))
        self.assertEqual(self.kinds(3), [("t3.micro", False), ("t3.nano", False), ("t3.nano", True)])

    def test_needs_that_are_refused(self):
        self.template()
        small = {"VCpuCount": {"Min": 2}, "MemoryMiB": {"Min": 256}}
        for message, overrides, distribution in (
                ("No instance types match", [{**small, "VCpuCount": {"Min": 100000}}], {}),
                ("No instance types match", [{**small, "AllowedInstanceTypes": ["nothing*"]}], {}),
                ("AllowedInstanceTypes and ExcludedInstanceTypes", [{**small, "AllowedInstanceTypes": ["t3.*"], "ExcludedInstanceTypes": ["m5.*"]}], {}),
                ("either InstanceType or InstanceRequirements", [small, {"InstanceType": "t3.nano"}], {}),
                ("strategy prioritized is not valid", [small], {"OnDemandAllocationStrategy": "prioritized"})):
            with self.subTest(message):
                self.fails("ValidationError", message, self.group, MixedInstancesPolicy=self.needs(*overrides, **distribution))

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
