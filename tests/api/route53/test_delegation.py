"""Reusable delegation sets, and what is refused: DNSSEC, traffic policies, rules of Resolver."""
import unittest
import uuid

from aws import client
from botocore.exceptions import ClientError


class Delegation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = client("route53")

    def refused(self, code, operation, **request):
        with self.assertRaises(ClientError) as caught:
            operation(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def zone(self, **more):
        made = self.dns.create_hosted_zone(Name=f"d{uuid.uuid4().hex[:8]}.test", CallerReference=uuid.uuid4().hex, **more)
        self.addCleanup(self.dns.delete_hosted_zone, Id=made["HostedZone"]["Id"])
        return made

    def test_zones_share_servers(self):
        reference = uuid.uuid4().hex
        made = self.dns.create_reusable_delegation_set(CallerReference=reference)["DelegationSet"]
        self.addCleanup(self.dns.delete_reusable_delegation_set, Id=made["Id"])
        self.assertRegex(made["Id"], "^/delegationset/N")
        self.refused("DelegationSetAlreadyCreated", self.dns.create_reusable_delegation_set, CallerReference=reference)
        zones = [self.zone(DelegationSetId=made["Id"]) for _ in range(2)]
        for z in zones:
            self.assertEqual(z["DelegationSet"], made)
            sets = self.dns.list_resource_record_sets(HostedZoneId=z["HostedZone"]["Id"])["ResourceRecordSets"]
            self.assertEqual({r["Value"] for s in sets if s["Type"] == "NS" for r in s["ResourceRecords"]}, {n + "." for n in made["NameServers"]})
        self.assertEqual(self.dns.get_reusable_delegation_set(Id=made["Id"].split("/")[-1])["DelegationSet"], made)
        self.assertIn(made, self.dns.list_reusable_delegation_sets()["DelegationSets"])
        listed = self.dns.list_hosted_zones(DelegationSetId=made["Id"])["HostedZones"]
        self.assertEqual({z["Id"] for z in listed}, {z["HostedZone"]["Id"] for z in zones})
        limit = self.dns.get_reusable_delegation_set_limit(DelegationSetId=made["Id"], Type="MAX_ZONES_BY_REUSABLE_DELEGATION_SET")
        self.assertEqual((limit["Limit"]["Value"], limit["Count"]), (100, 2))
        self.refused("DelegationSetInUse", self.dns.delete_reusable_delegation_set, Id=made["Id"])

    def test_servers_of_a_zone(self):
        called = f"d{uuid.uuid4().hex[:8]}.test"
        zone = self.dns.create_hosted_zone(Name=called, CallerReference=uuid.uuid4().hex)
        made = self.dns.create_reusable_delegation_set(CallerReference=uuid.uuid4().hex, HostedZoneId=zone["HostedZone"]["Id"])["DelegationSet"]
        self.addCleanup(self.dns.delete_reusable_delegation_set, Id=made["Id"])
        self.addCleanup(self.dns.delete_hosted_zone, Id=zone["HostedZone"]["Id"])
        self.assertEqual(made["NameServers"], zone["DelegationSet"]["NameServers"])
        self.refused("DelegationSetAlreadyReusable", self.dns.create_reusable_delegation_set, CallerReference=uuid.uuid4().hex, HostedZoneId=zone["HostedZone"]["Id"])
        self.assertEqual(self.dns.get_hosted_zone(Id=zone["HostedZone"]["Id"])["DelegationSet"]["Id"], made["Id"])

    def test_refusals(self):
        self.refused("NoSuchDelegationSet", self.dns.get_reusable_delegation_set, Id="N0123456789")
        self.refused("NoSuchDelegationSet", self.dns.create_hosted_zone, Name="x.test", CallerReference=uuid.uuid4().hex, DelegationSetId="N0123456789")
        self.refused("HostedZoneNotFound", self.dns.create_reusable_delegation_set, CallerReference=uuid.uuid4().hex, HostedZoneId="Z0123456789")

    def test_what_is_not_there(self):
        zone = self.zone()["HostedZone"]["Id"]
        said = self.dns.get_dnssec(HostedZoneId=zone)
        self.assertEqual((said["Status"]["ServeSignature"], said["KeySigningKeys"]), ("NOT_SIGNING", []))
        for operation, request in ((self.dns.enable_hosted_zone_dnssec, {"HostedZoneId": zone}), (self.dns.list_traffic_policies, {}),
                                   (client("route53resolver").list_firewall_rule_groups, {})):
            with self.assertRaises(ClientError) as caught:
                operation(**request)
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 501)


if __name__ == "__main__":
    unittest.main()
