"""Several network interfaces of one instance: at its launch, while it is stopped, while it runs."""
import time
import unittest

import images
from ec2 import Ec2Case


class Launch(Ec2Case):
    """What a launch with interfaces is refused for, before there is an image of that name."""
    def setUp(self):
        super().setUp()
        self.image = images.image(self.ec2)
        if not self.image:
            self.skipTest("there is no image: tools/make-image")
        self.subnets = sorted(self.ec2.describe_subnets()["Subnets"], key=lambda s: s["AvailabilityZone"])
        self.here, self.there = self.subnets[0]["SubnetId"], self.subnets[1]["SubnetId"]

    def run_with(self, *interfaces, **more):
        more = {"MinCount": 1, "MaxCount": 1, "ImageId": self.image, "InstanceType": "t3.micro", **more}
        return self.ec2.run_instances(NetworkInterfaces=list(interfaces), **more)["Instances"][0]

    def interface(self, subnet=None, **more):
        return self.ec2.create_network_interface(SubnetId=subnet or self.here, **more)["NetworkInterface"]["NetworkInterfaceId"]

    def attachment(self, interface):
        return self.ec2.describe_network_interfaces(NetworkInterfaceIds=[interface])["NetworkInterfaces"][0].get("Attachment")

    def wait_for(self, what, seconds=60):
        for _ in range(seconds * 4):
            value = what()
            if value:
                return value
            time.sleep(0.25)
        return self.fail("it does not come")

    def state(self, instance):
        return self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["State"]["Name"]

    def test_refusals(self):
        one, two = {"DeviceIndex": 0, "SubnetId": self.here}, {"DeviceIndex": 1, "SubnetId": self.here}
        eni = self.interface()
        for interfaces, more, code in [
                ([one], {"SubnetId": self.here}, "InvalidParameterCombination"),
                ([one], {"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidParameterCombination"),
                ([two], {}, "InvalidParameterValue"),
                ([one, one], {}, "InvalidParameterValue"),
                ([{"SubnetId": self.here}], {}, "MissingParameter"),
                ([one, {**two, "SubnetId": self.there}], {}, "InvalidParameterCombination"),
                ([{**one, "AssociatePublicIpAddress": True}, two], {}, "InvalidParameterCombination"),
                ([one, two, {**two, "DeviceIndex": 2}], {}, "AttachmentLimitExceeded"),
                ([{**one, "SecondaryPrivateIpAddressCount": 2}], {}, "PrivateIpAddressLimitExceeded"),
                ([{"DeviceIndex": 0, "NetworkInterfaceId": "eni-0123456789abcdef0"}], {}, "InvalidNetworkInterfaceID.NotFound"),
                ([{"DeviceIndex": 0, "NetworkInterfaceId": eni, "SubnetId": self.here}], {}, "InvalidParameterCombination"),
                ([{"DeviceIndex": 0, "NetworkInterfaceId": eni, "DeleteOnTermination": True}], {}, "InvalidParameterCombination"),
                ([{"DeviceIndex": 0, "NetworkInterfaceId": eni}], {"MaxCount": 2}, "InvalidParameterCombination"),
                ([{"DeviceIndex": i, "NetworkInterfaceId": eni} for i in (0, 1)], {}, "InvalidNetworkInterface.InUse"),
                ([{**one, "Ipv6AddressCount": 1}], {}, "InvalidParameterValue"),
                ([{**one, "Ipv6PrefixCount": 1}], {}, "UnsupportedOperation")]:
            with self.subTest(code=code, interfaces=interfaces, **more):
                self.assertAwsError(code, self.run_with, *interfaces, **more)
        self.assertEqual(len(self.ec2.describe_network_interfaces()["NetworkInterfaces"]), 1)
        self.assertEqual(self.ec2.describe_instances()["Reservations"], [])

    def test_two_interfaces_and_a_third(self):
        group = self.group(self.subnets[0]["VpcId"])
        own = self.interface(PrivateIpAddresses=[{"Primary": True, "PrivateIpAddress": "172.31.0.77"}])
        made = self.run_with({"DeviceIndex": 1, "NetworkInterfaceId": own},
                             {"DeviceIndex": 0, "SubnetId": self.here, "Groups": [group], "Description": "front", "DeleteOnTermination": False,
                              "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "172.31.0.70"}, {"PrivateIpAddress": "172.31.0.71"}]},
                             InstanceType="t3.medium")
        instance = made["InstanceId"]
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[instance])
        first, second = made["NetworkInterfaces"]
        self.assertEqual([p["PrivateIpAddress"] for p in first["PrivateIpAddresses"]], ["172.31.0.70", "172.31.0.71"])
        self.assertEqual((first["Description"], first["Groups"][0]["GroupId"], first["Attachment"]["DeleteOnTermination"]), ("front", group, False))
        self.assertEqual((second["NetworkInterfaceId"], second["PrivateIpAddress"], second["Attachment"]["DeviceIndex"]), (own, "172.31.0.77", 1))
        self.assertNotIn("PublicIpAddress", made)
        third, far = self.interface(), self.interface(self.there)
        self.wait_for(lambda: self.state(instance) == "running")
        attach = lambda **more: self.ec2.attach_network_interface(**{"InstanceId": instance, "NetworkInterfaceId": third, "DeviceIndex": 2, **more})  # noqa: E731
        self.assertAwsError("InvalidParameterValue", attach, DeviceIndex=1, message="already has an interface attached at device index '1'")
        self.assertAwsError("InvalidParameterValue", attach, DeviceIndex=7)
        self.assertAwsError("InvalidParameterValue", attach, NetworkInterfaceId=far, message="not in the same availability zone")
        self.assertAwsError("InvalidNetworkInterface.InUse", attach, NetworkInterfaceId=own)
        # it runs, and is given one more
        attachment = attach()["AttachmentId"]
        self.wait_for(lambda: self.attachment(third)["Status"] == "attached")
        self.assertEqual(self.attachment(third)["AttachmentId"], attachment)
        self.assertAwsError("AttachmentLimitExceeded", attach, NetworkInterfaceId=self.interface(), DeviceIndex=3)
        self.assertAwsError("OperationNotPermitted", self.ec2.detach_network_interface, AttachmentId=first["Attachment"]["AttachmentId"])
        self.assertAwsError("InvalidAttachmentID.NotFound", self.ec2.detach_network_interface, AttachmentId="eni-attach-0123456789abcdef0")
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=third, Attachment={"AttachmentId": attachment, "DeleteOnTermination": True})
        # stopped: at once
        self.ec2.stop_instances(InstanceIds=[instance], Force=True)
        self.wait_for(lambda: self.state(instance) == "stopped", 90)
        self.ec2.detach_network_interface(AttachmentId=second["Attachment"]["AttachmentId"])
        self.assertIsNone(self.attachment(own))
        again = self.ec2.attach_network_interface(InstanceId=instance, NetworkInterfaceId=own, DeviceIndex=1)["AttachmentId"]
        self.assertEqual(self.attachment(own)["Status"], "attached")
        self.ec2.detach_network_interface(AttachmentId=again)
        self.ec2.terminate_instances(InstanceIds=[instance])
        self.wait_for(lambda: self.state(instance) == "terminated")
        left = {i["NetworkInterfaceId"] for i in self.ec2.describe_network_interfaces()["NetworkInterfaces"]}
        self.assertNotIn(third, left)
        self.assertLessEqual({own, first["NetworkInterfaceId"]}, left)


if __name__ == "__main__":
    unittest.main()
