"""Route 53 as clients see it: hosted zones, batches of changes, listings, tags, limits, permissions."""
import json
import unittest
import uuid

from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run


def name(under="example.com"):
    return f"t{uuid.uuid4().hex[:16]}.{under}"


class ZoneCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns = client("route53")

    def zone(self, called=None, **more):
        made = self.dns.create_hosted_zone(Name=called or name(), CallerReference=uuid.uuid4().hex, **more)
        self.addCleanup(self.drop, made["HostedZone"]["Id"])
        return made

    def drop(self, zone):
        try:
            found = self.sets(zone)
        except self.dns.exceptions.NoSuchHostedZone:
            return
        apex = self.dns.get_hosted_zone(Id=zone)["HostedZone"]["Name"]
        rest = [s for s in found if not (s["Name"] == apex and s["Type"] in ("NS", "SOA"))]
        rest.sort(key=lambda s: "AliasTarget" not in s)
        for some in (rest[i:i + 100] for i in range(0, len(rest), 100)):
            self.change(zone, *[("DELETE", s) for s in some])
        self.dns.delete_hosted_zone(Id=zone)

    def sets(self, zone):
        return [s for page in self.dns.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone) for s in page["ResourceRecordSets"]]

    def change(self, zone, *changes):
        return self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={
            "Changes": [{"Action": action, "ResourceRecordSet": s} for action, s in changes]})["ChangeInfo"]

    @staticmethod
    def set(called, kind, *values, ttl=60, **more):
        return {"Name": called, "Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": v} for v in values], **more}

    @staticmethod
    def alias(called, kind, zone, target, evaluate=False, **more):
        return {"Name": called, "Type": kind, "AliasTarget": {"HostedZoneId": zone, "DNSName": target, "EvaluateTargetHealth": evaluate}, **more}

    def assertBatch(self, zone, message, *changes):
        before = self.sets(zone)
        error = self.assertAwsError("InvalidChangeBatch", self.change, zone, *changes, status=400)
        self.assertEqual(error["Error"]["Message"], message)
        self.assertEqual(self.sets(zone), before)


class Zones(ZoneCase):
    def test_public(self):
        called, reference = name(), uuid.uuid4().hex
        made = self.zone(called.upper(), HostedZoneConfig={"Comment": "c"})
        zone = made["HostedZone"]
        self.assertEqual(made["ResponseMetadata"]["HTTPStatusCode"], 201)
        self.assertEqual(made["Location"].split("/")[-1], zone["Id"].split("/")[-1])
        self.assertRegex(zone["Id"], "^/hostedzone/Z[A-Z0-9]+$")
        self.assertEqual((zone["Name"], zone["Config"], zone["ResourceRecordSetCount"]), (called + ".", {"Comment": "c", "PrivateZone": False}, 2))
        servers = made["DelegationSet"]["NameServers"]
        self.assertEqual(len(servers), 4)
        short = zone["Id"].split("/")[-1]
        for form in (zone["Id"], short):
            got = self.dns.get_hosted_zone(Id=form)
            self.assertEqual((got["HostedZone"], got["DelegationSet"]["NameServers"]), (zone, servers))
        ns, soa = self.sets(short)
        self.assertEqual((ns["Type"], ns["TTL"], [r["Value"] for r in ns["ResourceRecords"]]), ("NS", 172800, [s + "." for s in servers]))
        self.assertEqual((soa["Type"], soa["TTL"], soa["ResourceRecords"][0]["Value"]),
                         ("SOA", 900, servers[0] + ". awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"))
        self.assertEqual(self.dns.update_hosted_zone_comment(Id=short, Comment="d")["HostedZone"]["Config"]["Comment"], "d")
        self.assertEqual(made["ChangeInfo"]["Status"], "PENDING")
        self.dns.get_waiter("resource_record_sets_changed").wait(Id=made["ChangeInfo"]["Id"], WaiterConfig={"Delay": 1})
        # the same name again is another zone; the same reference is refused
        other = self.dns.create_hosted_zone(Name=called, CallerReference=reference)["HostedZone"]["Id"]
        self.addCleanup(self.drop, other)
        self.assertNotEqual(other, zone["Id"])
        self.assertAwsError("HostedZoneAlreadyExists", self.dns.create_hosted_zone, Name=name(), CallerReference=reference, status=409)
        self.dns.delete_hosted_zone(Id=other)
        self.assertAwsError("NoSuchHostedZone", self.dns.get_hosted_zone, Id=other, status=404, message="No hosted zone found with ID: " + other.split("/")[-1])

    def test_refused(self):
        for bad in ("a..b", ".", "x" * 64 + ".com", "a b.com", "a\\9.com"):
            self.assertAwsError("InvalidDomainName", self.dns.create_hosted_zone, Name=bad, CallerReference="r", status=400)
        self.assertAwsError("NoSuchDelegationSet", self.dns.create_hosted_zone, Name=name(), CallerReference="r", DelegationSetId="N1", status=400)
        for operation in (self.dns.get_hosted_zone, self.dns.delete_hosted_zone):
            self.assertAwsError("NoSuchHostedZone", operation, Id="Z0", status=404)
        self.assertAwsError("NoSuchChange", self.dns.get_change, Id="C0", status=404)
        self.assertAwsError("InvalidInput", self.dns.list_hosted_zones, MaxItems="no", status=400)
        self.assertAwsError("NotImplemented", self.dns.list_traffic_policies, status=501)
        self.assertAwsError("NotImplemented", self.dns.enable_hosted_zone_dnssec, HostedZoneId="Z0", status=501)

    def test_private(self):
        ec2 = client("ec2")
        vpcs = [ec2.create_vpc(CidrBlock="10.78.0.0/24")["Vpc"]["VpcId"] for _ in range(2)]
        for vpc in vpcs:
            self.addCleanup(ec2.delete_vpc, VpcId=vpc)
        one, two = ({"VPCRegion": REGION, "VPCId": v} for v in vpcs)
        called = name("internal")
        made = self.zone(called, VPC=one)
        zone = made["HostedZone"]["Id"]
        self.assertTrue(made["HostedZone"]["Config"]["PrivateZone"])
        self.assertEqual(made["VPC"], one)
        self.assertNotIn("DelegationSet", made)
        self.assertEqual(self.dns.get_hosted_zone(Id=zone)["VPCs"], [one])
        self.assertAwsError("ConflictingDomainExists", self.dns.create_hosted_zone, Name=called, CallerReference="x", VPC=one)
        self.assertAwsError("InvalidVPCId", self.dns.create_hosted_zone, Name=called, CallerReference="x", VPC={"VPCRegion": REGION, "VPCId": "vpc-0"})
        self.assertAwsError("InvalidVPCId", self.dns.create_hosted_zone, Name=called, CallerReference="x", VPC={**one, "VPCRegion": "eu-west-1"})
        self.assertAwsError("LastVPCAssociation", self.dns.disassociate_vpc_from_hosted_zone, HostedZoneId=zone, VPC=one)
        self.assertAwsError("VPCAssociationNotFound", self.dns.disassociate_vpc_from_hosted_zone, HostedZoneId=zone, VPC=two, status=404)
        self.dns.associate_vpc_with_hosted_zone(HostedZoneId=zone, VPC=two)
        found = self.dns.list_hosted_zones_by_vpc(VPCId=vpcs[1], VPCRegion=REGION)["HostedZoneSummaries"]
        self.assertEqual([(f["HostedZoneId"], f["Name"]) for f in found], [(zone.split("/")[-1], called + ".")])
        self.dns.disassociate_vpc_from_hosted_zone(HostedZoneId=zone, VPC=one)
        self.assertEqual(self.dns.get_hosted_zone(Id=zone)["VPCs"], [two])
        limit = self.dns.get_hosted_zone_limit(HostedZoneId=zone, Type="MAX_VPCS_ASSOCIATED_BY_ZONE")
        self.assertEqual((limit["Limit"]["Value"], limit["Count"]), (300, 1))
        public = self.zone()["HostedZone"]["Id"]
        self.assertAwsError("PublicZoneVPCAssociation", self.dns.associate_vpc_with_hosted_zone, HostedZoneId=public, VPC=one, status=400)

    def test_lists(self):
        under = name()
        made = {n: self.zone(f"{n}.{under}")["HostedZone"]["Id"] for n in ("b", "a", "c")}
        ids = [z["Id"] for page in self.dns.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 2}) for z in page["HostedZones"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertLessEqual(set(made.values()), set(ids))
        first = self.dns.list_hosted_zones_by_name(DNSName="a." + under, MaxItems="2")
        self.assertEqual([z["Id"] for z in first["HostedZones"]], [made["a"], made["b"]])
        self.assertTrue(first["IsTruncated"])
        self.assertEqual((first["NextDNSName"], first["NextHostedZoneId"]), (f"c.{under}.", made["c"].split("/")[-1]))
        rest = self.dns.list_hosted_zones_by_name(DNSName=first["NextDNSName"], HostedZoneId=first["NextHostedZoneId"], MaxItems="1")
        self.assertEqual([z["Id"] for z in rest["HostedZones"]], [made["c"]])
        self.assertGreaterEqual(self.dns.get_hosted_zone_count()["HostedZoneCount"], 3)
        used = self.dns.get_account_limit(Type="MAX_HOSTED_ZONES_BY_OWNER")
        self.assertEqual(used["Limit"]["Value"], 500)
        self.assertGreaterEqual(used["Count"], 3)

    def test_tags(self):
        zone = self.zone()["HostedZone"]["Id"].split("/")[-1]
        self.dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone, AddTags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
        self.dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone, AddTags=[{"Key": "a", "Value": "3"}], RemoveTagKeys=["b"])
        tags = self.dns.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)["ResourceTagSet"]
        self.assertEqual(tags, {"ResourceType": "hostedzone", "ResourceId": zone, "Tags": [{"Key": "a", "Value": "3"}]})
        several = self.dns.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=[zone])["ResourceTagSets"]
        self.assertEqual(several, [tags])
        self.assertAwsError("NoSuchHostedZone", self.dns.list_tags_for_resource, ResourceType="hostedzone", ResourceId="Z0", status=404)


class Changes(ZoneCase):
    def setUp(self):
        self.name = name()
        self.zone_id = self.zone(self.name)["HostedZone"]["Id"].split("/")[-1]

    def test_batch(self):
        a, b = self.set("a." + self.name, "A", "192.0.2.1", "192.0.2.2"), self.set("b." + self.name, "TXT", '"x y" "z\\"\\303"')
        info = self.change(self.zone_id, ("CREATE", a), ("UPSERT", b))
        self.assertEqual(info["Status"], "PENDING")
        self.assertEqual(self.dns.get_change(Id=info["Id"].split("/")[-1])["ChangeInfo"]["Status"], "INSYNC")
        self.assertEqual(self.dns.get_hosted_zone(Id=self.zone_id)["HostedZone"]["ResourceRecordSetCount"], 4)
        found = {s["Name"]: s for s in self.sets(self.zone_id)}
        self.assertEqual(found[a["Name"] + "."], {**a, "Name": a["Name"] + "."})
        self.assertEqual(found[b["Name"] + "."]["ResourceRecords"], b["ResourceRecords"])
        what = f"[name='a.{self.name}.', type='A']"
        self.assertBatch(self.zone_id, f"[Tried to create resource record set {what} but it already exists]", ("UPSERT", self.set("n." + self.name, "A", "192.0.2.9")), ("CREATE", a))
        self.assertBatch(self.zone_id, f"[Tried to delete resource record set {what} but the values provided do not match the current values]",
                         ("DELETE", self.set("a." + self.name, "A", "192.0.2.1")))
        self.assertBatch(self.zone_id, f"[Tried to delete resource record set [name='c.{self.name}.', type='A'] but it was not found]",
                         ("DELETE", self.set("c." + self.name, "A", "192.0.2.1")))
        self.assertAwsError("HostedZoneNotEmpty", self.dns.delete_hosted_zone, Id=self.zone_id, status=400)
        # what is deleted may be made anew in one batch
        self.change(self.zone_id, ("DELETE", a), ("CREATE", self.set("a." + self.name, "CNAME", "b." + self.name)))
        self.assertBatch(self.zone_id, f"[RRSet of type A with DNS name a.{self.name}. is not permitted because a conflicting RRSet of type CNAME with "
                         f"the same DNS name already exists in zone {self.name}.]", ("CREATE", a))
        self.assertBatch(self.zone_id, f"[RRSet of type CNAME with DNS name b.{self.name}. is not permitted as it conflicts with other records with "
                         f"the same DNS name in zone {self.name}.]", ("CREATE", self.set("b." + self.name, "CNAME", "x.example.com")))

    def test_apex(self):
        ns, soa = self.sets(self.zone_id)
        self.assertBatch(self.zone_id, "[A HostedZone must contain at least one NS record for the zone itself.]", ("DELETE", ns))
        self.assertBatch(self.zone_id, "[A HostedZone must contain exactly one SOA record.]", ("DELETE", soa))
        self.assertBatch(self.zone_id, f"[RRSet of type CNAME with DNS name {self.name}. is not permitted at apex in zone {self.name}., RRSet of type CNAME with "
                         f"DNS name {self.name}. is not permitted as it conflicts with other records with the same DNS name in zone {self.name}.]",
                         ("CREATE", self.set(self.name, "CNAME", "x.example.com")))
        self.change(self.zone_id, ("UPSERT", {**soa, "TTL": 300}))
        self.assertBatch(self.zone_id, f"[RRSet with DNS name example.org. is not permitted in zone {self.name}.]", ("CREATE", self.set("example.org", "A", "192.0.2.1")))

    def test_values(self):
        good = {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"], "CAA": ['0 issue "ca.example.com"'], "DS": ["123 4 5 0123456789ABCDEF0123456789ABCDEF01234567"],
                "HTTPS": ['1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1'], "MX": ["10 mail.example.com", "20 mail2.example.com."],
                "NAPTR": ['100 50 "u" "E2U+sip" "!^(.*)$!sip:\\\\1@example.com!" .'], "NS": ["ns.example.com"], "PTR": ["host.example.com"],
                "SPF": ['"v=spf1 -all"'], "SRV": ["1 2 443 h.example.com"], "SSHFP": ["4 2 " + "0123456789abcdef" * 4],
                "SVCB": ["0 target.example.com"], "TLSA": ["3 1 1 0d6fce3ba1a5a6c7b8e9f00112233445566778899aabbccddeeff00112233445"], "TXT": ['"' + "x" * 255 + '" "y"']}
        self.change(self.zone_id, *[("CREATE", self.set(f"{kind.lower()}.{self.name}", kind, *values)) for kind, values in good.items()])
        self.assertEqual({s["Type"] for s in self.sets(self.zone_id)}, {*good, "SOA"})
        bad = [("A", "1.2.3.256", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"), ("A", "01.2.3.4", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
               ("AAAA", "192.0.2.1", "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
               ("TXT", "bare", "InvalidCharacterString (Value should be enclosed in quotation marks)"), ("TXT", '"' + "x" * 256 + '"', "CharacterStringTooLong (Value is too long)"),
               ("CNAME", "a..b", "DomainLabelEmpty (Domain label is empty)"), ("CNAME", "", "DomainNameEmpty (Domain name is empty)")]
        for kind, value, why in bad:
            with self.subTest(kind=kind, value=value):
                self.assertBatch(self.zone_id, f"[Invalid Resource Record: 'FATAL problem: {why} encountered with '{value}'']", ("CREATE", self.set("bad." + self.name, kind, value)))
        for kind, value in (("MX", "mail.example.com"), ("SRV", "1 2 3"), ("SRV", "1 2 70000 h.example.com"), ("CAA", "0 issue x"), ("DS", "1 2 3 abc"), ("SVCB", "0 t.example.com port=1"),
                            ("HTTPS", "1 . port=x"), ("HTTPS", "1 . port=1 port=2"), ("NAPTR", "1 2 u s r ."), ("TLSA", "3 1 1 zz"), ("A", "192.0.2.1 192.0.2.2")):
            with self.subTest(kind=kind, value=value):
                error = self.assertAwsError("InvalidChangeBatch", self.change, self.zone_id, ("CREATE", self.set("bad." + self.name, kind, value)))
                self.assertTrue(error["Error"]["Message"].startswith("[Invalid Resource Record: 'FATAL problem: "), error["Error"]["Message"])
        self.assertBatch(self.zone_id, "[Duplicate Resource Record: '192.0.2.1']", ("CREATE", self.set("bad." + self.name, "A", "192.0.2.1", "192.0.2.1")))

    def test_form(self):
        change = f"in Change with [Action=CREATE, Name=w.{self.name}., Type=A, SetIdentifier=null]"
        for wrong, message in (
                ({"Name": "w." + self.name, "Type": "A"}, "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found none " + change),
                ({**self.set("w." + self.name, "A", "192.0.2.1"), "Weight": 1}, "Missing field 'SetIdentifier' " + change)):
            self.assertAwsError("InvalidInput", self.change, self.zone_id, ("CREATE", wrong), status=400, message="Invalid request: " + message)
        self.assertAwsError("InvalidInput", self.change, self.zone_id, ("CREATE", {**self.set("w." + self.name, "A", "192.0.2.1"), "SetIdentifier": "c",
                            "CidrRoutingConfig": {"CollectionId": str(uuid.uuid4()), "LocationName": "*"}}), status=400, message="does not exist")
        one = self.set("w." + self.name, "A", "192.0.2.1")
        self.assertBatch(self.zone_id, f"[The request contains an invalid set of changes for a resource record set 'A w.{self.name}.']", ("CREATE", one), ("UPSERT", one))
        many = [self.set(f"m{i}.{self.name}", "A", "192.0.2.1") for i in range(501)]
        self.assertBatch(self.zone_id, "[Number of records limit of 1000 exceeded.]", *[("UPSERT", s) for s in many])

    def test_policies(self):
        at = "p." + self.name
        one = {**self.set(at, "A", "192.0.2.1"), "SetIdentifier": "one", "Weight": 10}
        self.change(self.zone_id, ("CREATE", one), ("CREATE", {**self.set(at, "A", "192.0.2.2"), "SetIdentifier": "two", "Weight": 0}))
        refused = "cannot be created as other RRSets exist with the same name and type.]"
        self.assertBatch(self.zone_id, f"[RRSet with DNS name {at}., type A {refused}", ("CREATE", self.set(at, "A", "192.0.2.3")))
        self.assertBatch(self.zone_id, f"[RRSet with DNS name {at}., type A, SetIdentifier l {refused}",
                         ("CREATE", {**self.set(at, "A", "192.0.2.3"), "SetIdentifier": "l", "Region": "us-east-1"}))
        self.assertBatch(self.zone_id, f"[Tried to create resource record set [name='{at}.', type='A', set-identifier='one'] but it already exists]", ("CREATE", one))
        self.change(self.zone_id, ("CREATE", {**self.set("f." + self.name, "A", "192.0.2.1"), "SetIdentifier": "1", "Failover": "PRIMARY"}))
        self.assertBatch(self.zone_id, f"[RRSet with DNS name f.{self.name}., type A, SetIdentifier 2 {refused}",
                         ("CREATE", {**self.set("f." + self.name, "A", "192.0.2.1"), "SetIdentifier": "2", "Failover": "PRIMARY"}))

    def test_aliases(self):
        target, why = "t." + self.name, f"Tried to create an alias that targets t.{self.name}., type A in zone {self.zone_id}, but that target was not found"
        self.assertBatch(self.zone_id, f"[{why}]", ("CREATE", self.alias(self.name, "A", self.zone_id, target)))
        self.change(self.zone_id, ("CREATE", self.set(target, "A", "192.0.2.1")), ("CREATE", self.alias(self.name, "A", "/hostedzone/" + self.zone_id, target)))
        self.assertEqual(self.sets(self.zone_id)[0]["AliasTarget"], {"HostedZoneId": self.zone_id, "DNSName": target + ".", "EvaluateTargetHealth": False})
        self.assertBatch(self.zone_id, f"[Tried to create an alias that targets x.example.org., type A in zone {self.zone_id}, but the alias target name does not lie "
                         "within the target zone]", ("CREATE", self.alias("o." + self.name, "A", self.zone_id, "x.example.org")))

    def test_list(self):
        names = ["*.b", "b", "a.b", "z", "a", "-", "x\\057y"]
        self.change(self.zone_id, *[("CREATE", self.set(f"{n}.{self.name}", "A", "192.0.2.1")) for n in names], ("CREATE", self.set("b." + self.name, "TXT", '"t"')))
        texts = [(s["Name"].replace(f"{self.name}.", ""), s["Type"]) for s in self.sets(self.zone_id)]
        self.assertEqual(texts, [("", "NS"), ("", "SOA"), ("-.", "A"), ("a.", "A"), ("b.", "A"), ("b.", "TXT"), ("\\052.b.", "A"), ("a.b.", "A"), ("x\\057y.", "A"), ("z.", "A")])
        page = self.dns.list_resource_record_sets(HostedZoneId=self.zone_id, StartRecordName="b." + self.name, StartRecordType="TXT", MaxItems="2")
        self.assertEqual([s["Name"] for s in page["ResourceRecordSets"]], [f"b.{self.name}.", f"\\052.b.{self.name}."])
        self.assertEqual((page["IsTruncated"], page["NextRecordName"], page["NextRecordType"], page["MaxItems"]), (True, f"a.b.{self.name}.", "A", "2"))
        self.assertAwsError("InvalidInput", self.dns.list_resource_record_sets, HostedZoneId=self.zone_id, StartRecordType="A", status=400)

    def test_command_lines(self):
        batch = json.dumps({"Changes": [{"Action": "UPSERT", "ResourceRecordSet": self.set("cli." + self.name, "A", "192.0.2.7")}]})
        for aws in aws_programs():
            done = json.loads(run(aws, "--endpoint-url", ENDPOINT, "route53", "change-resource-record-sets", "--hosted-zone-id", "/hostedzone/" + self.zone_id, "--change-batch", batch).stdout)
            run(aws, "--endpoint-url", ENDPOINT, "route53", "wait", "resource-record-sets-changed", "--id", done["ChangeInfo"]["Id"])
            found = json.loads(run(aws, "--endpoint-url", ENDPOINT, "route53", "list-resource-record-sets", "--hosted-zone-id", self.zone_id, "--query", "ResourceRecordSets[?Type=='A'].Name").stdout)
            self.assertEqual(found, [f"cli.{self.name}."])
            answer = json.loads(run(aws, "--endpoint-url", ENDPOINT, "route53", "test-dns-answer", "--hosted-zone-id", self.zone_id, "--record-name", "cli." + self.name, "--record-type", "A").stdout)
            self.assertEqual((answer["RecordData"], answer["ResponseCode"], answer["Protocol"]), (["192.0.2.7"], "NOERROR", "UDP"))


class Permissions(ZoneCase):
    def test_conditions(self):
        iam, user = client("iam"), "u" + uuid.uuid4().hex[:12]
        zone, other, called = self.zone(), self.zone(), name()
        mine = zone["HostedZone"]["Id"].split("/")[-1]
        iam.create_user(UserName=user)
        self.addCleanup(iam.delete_user, UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Action": "route53:ChangeResourceRecordSets", "Resource": "arn:aws:route53:::hostedzone/" + mine,
            "Condition": {"ForAllValues:StringEquals": {"route53:ChangeResourceRecordSetsRecordTypes": ["TXT"], "route53:ChangeResourceRecordSetsActions": ["UPSERT"]}}}}))
        self.addCleanup(iam.delete_user_policy, UserName=user, PolicyName="p")
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self.addCleanup(iam.delete_access_key, UserName=user, AccessKeyId=key["AccessKeyId"])
        theirs = client("route53", key["AccessKeyId"], key["SecretAccessKey"])

        def put(zone, action, kind, value):
            at = zone["HostedZone"]
            return theirs.change_resource_record_sets(HostedZoneId=at["Id"], ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": self.set("x." + at["Name"], kind, value)}]})
        put(zone, "UPSERT", "TXT", '"t"')
        for args in ((zone, "UPSERT", "A", "192.0.2.1"), (zone, "CREATE", "TXT", '"t"'), (other, "UPSERT", "TXT", '"t"')):
            self.assertAwsError("AccessDenied", put, *args, status=403)
        self.assertAwsError("AccessDenied", theirs.create_hosted_zone, Name=called, CallerReference="r", status=403)


if __name__ == "__main__":
    unittest.main()
