"""What a machine hears of its VPC's DHCP options."""
import unittest

from ec2 import Ec2Case, end_instances, wait_for
from images import image, no_containers
from inside import launch


@unittest.skipIf(no_containers(), no_containers())
class Inside(Ec2Case):
    def test_servers(self):
        if not image(self.ec2):
            self.skipTest("there is no image: tools/make-image")
        vpc = self.vpc()
        subnet = self.subnet(vpc)
        options = self.ec2.create_dhcp_options(DhcpConfigurations=[
            {"Key": "domain-name", "Values": ["corp.example"]}, {"Key": "domain-name-servers", "Values": ["AmazonProvidedDNS", "10.0.0.9"]},
            {"Key": "ntp-servers", "Values": ["10.0.0.7", "10.0.0.8"]}, {"Key": "netbios-name-servers", "Values": ["10.0.0.6"]},
            {"Key": "netbios-node-type", "Values": ["2"]}])["DhcpOptions"]
        self.ec2.associate_dhcp_options(DhcpOptionsId=options["DhcpOptionsId"], VpcId=vpc)
        self.assertEqual([v["Value"] for c in options["DhcpConfigurations"] if c["Key"] == "ntp-servers" for v in c["Values"]], ["10.0.0.7", "10.0.0.8"])
        instance = launch(self.ec2, subnet, [self.default_group(vpc)["GroupId"]])
        end_instances(self, self.ec2, instance.id)
        wait_for(self, self.ec2, instance.id, "running", 180)
        status, lease, errors = instance.run("cat /run/systemd/netif/leases/* /etc/resolv.conf", 300)
        self.assertEqual(status, 0, errors)
        lines = lease.splitlines()
        for line in ("DNS=10.0.0.2 10.0.0.9", "NTP=10.0.0.7 10.0.0.8", "DOMAINNAME=corp.example"):
            self.assertIn(line, lines)


if __name__ == "__main__":
    unittest.main()
