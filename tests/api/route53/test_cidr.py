"""Collections of CIDR blocks, and record sets that answer by them."""
import unittest
import uuid

from botocore.exceptions import ClientError
from test_answers import DIG, Answering


class Refused(unittest.TestCase):
    def assert_refused(self, code, operation, **request):
        with self.assertRaises(ClientError) as caught:
            operation(**request)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)


@unittest.skipUnless(DIG, "no dig")
class Blocks(Refused):
    @classmethod
    def setUpClass(cls):
        cls.cloud = Answering().start()
        cls.addClassCleanup(cls.cloud.stop)
        cls.dns = cls.cloud.client("route53")

    def setUp(self):
        made = self.dns.create_cidr_collection(Name="c" + uuid.uuid4().hex[:8], CallerReference=uuid.uuid4().hex)
        self.collection = made["Collection"]["Id"]
        self.assertEqual((made["Collection"]["Arn"], made["Collection"]["Version"]), ("arn:aws:route53:::cidrcollection/" + self.collection, 1))
        self.addCleanup(self.dns.delete_cidr_collection, Id=self.collection)

    def change(self, *changes, **more):
        return self.dns.change_cidr_collection(Id=self.collection, Changes=[
            {"Action": action, "LocationName": location, "CidrList": list(blocks)} for action, location, *blocks in changes], **more)

    def clear(self):
        for block in self.dns.list_cidr_blocks(CollectionId=self.collection)["CidrBlocks"]:
            self.change(("DELETE_IF_EXISTS", block["LocationName"], block["CidrBlock"]))

    def test_collections(self):
        self.addCleanup(self.clear)
        done = self.change(("PUT", "office", "192.0.2.0/24", "2001:db8::/32"), ("PUT", "home", "198.51.100.0/24"))
        self.assertEqual(self.dns.get_change(Id=done["Id"])["ChangeInfo"]["Status"], "INSYNC")
        mine = [c for c in self.dns.list_cidr_collections()["CidrCollections"] if c["Id"] == self.collection]
        self.assertEqual([c["Version"] for c in mine], [2])
        self.assertEqual({x["LocationName"] for x in self.dns.list_cidr_locations(CollectionId=self.collection)["CidrLocations"]}, {"office", "home"})
        pages = self.dns.get_paginator("list_cidr_blocks").paginate(CollectionId=self.collection, PaginationConfig={"PageSize": 1})
        self.assertEqual({(b["LocationName"], b["CidrBlock"]) for p in pages for b in p["CidrBlocks"]},
                         {("office", "192.0.2.0/24"), ("office", "2001:db8::/32"), ("home", "198.51.100.0/24")})
        self.assertEqual([b["CidrBlock"] for b in self.dns.list_cidr_blocks(CollectionId=self.collection, LocationName="home")["CidrBlocks"]], ["198.51.100.0/24"])
        self.assert_refused("CidrCollectionInUseException", self.dns.delete_cidr_collection, Id=self.collection)

    def test_refusals(self):
        self.addCleanup(self.clear)
        self.change(("PUT", "office", "192.0.2.0/24"))
        put = [{"Action": "PUT", "LocationName": "home", "CidrList": ["192.0.2.0/24"]}]
        self.assert_refused("CidrBlockInUseException", self.dns.change_cidr_collection, Id=self.collection, Changes=put)
        put[0]["CidrList"] = ["203.0.113.0/24"]
        self.assert_refused("CidrCollectionVersionMismatchException", self.dns.change_cidr_collection, Id=self.collection, CollectionVersion=1, Changes=put)
        for wrong in ("203.0.113.0/25", "0.0.0.0/0", "203.0.113.1/24", "2001:db8::/49", "nothing"):
            put[0]["CidrList"] = [wrong]
            self.assert_refused("InvalidInput", self.dns.change_cidr_collection, Id=self.collection, Changes=put)
        self.assertEqual([b["LocationName"] for b in self.dns.list_cidr_blocks(CollectionId=self.collection)["CidrBlocks"]], ["office"])
        nobody = str(uuid.uuid4())
        self.assert_refused("NoSuchCidrCollectionException", self.dns.list_cidr_blocks, CollectionId=nobody)
        self.assert_refused("NoSuchCidrLocationException", self.dns.list_cidr_blocks, CollectionId=self.collection, LocationName="away")
        name = [c["Name"] for c in self.dns.list_cidr_collections()["CidrCollections"] if c["Id"] == self.collection][0]
        self.assert_refused("CidrCollectionAlreadyExistsException", self.dns.create_cidr_collection, Name=name, CallerReference="other")

    def test_answers(self):
        self.change(("PUT", "wide", "192.0.0.0/16"), ("PUT", "narrow", "192.0.2.0/24"), ("PUT", "six", "2001:db8::/32"))
        zone = self.dns.create_hosted_zone(Name="blocks.test", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]

        def sets(action, *locations):
            return self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": {
                "Name": "www.blocks.test", "Type": "A", "TTL": 60, "SetIdentifier": location, "ResourceRecords": [{"Value": f"198.51.100.{last}"}],
                "CidrRoutingConfig": {"CollectionId": self.collection, "LocationName": location}}} for location, last in locations]})

        with self.assertRaises(ClientError) as caught:
            sets("CREATE", ("nowhere", 9))
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidInput")
        all_of_them = (("wide", 1), ("narrow", 2), ("six", 3), ("*", 4))
        sets("CREATE", *all_of_them)
        for subnet, last in (("192.0.2.0/24", 2), ("192.0.3.0/24", 1), ("192.0.2.0/20", 1), ("203.0.113.0/24", 4), ("2001:db8:1::/48", 3), ("2001:db9::/48", 4), (None, 4)):
            with self.subTest(subnet=subnet):
                args = ["+subnet=" + subnet] if subnet else []
                status, _, found = self.cloud.dig(*args, "www.blocks.test", "A")
                self.assertEqual((status, [r[4] for r in found["ANSWER"]]), ("NOERROR", [f"198.51.100.{last}"]))
        tested = self.dns.test_dns_answer(HostedZoneId=zone, RecordName="www.blocks.test", RecordType="A", EDNS0ClientSubnetIP="192.0.2.7", EDNS0ClientSubnetMask="24")
        self.assertEqual(tested["RecordData"], ["198.51.100.2"])
        with self.assertRaises(ClientError) as caught:
            self.change(("DELETE_IF_EXISTS", "six", "2001:db8::/32"))
        self.assertEqual(caught.exception.response["Error"]["Code"], "CidrBlockInUseException")
        sets("DELETE", *all_of_them)
        self.clear()


if __name__ == "__main__":
    unittest.main()
