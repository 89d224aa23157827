"""Route 53 Resolver as clients see it: endpoints, rules, associations, configurations, tags, permissions, refusals."""
import unittest
import uuid

from aws import client, limited_key
from ec2 import Ec2Case

ACCOUNT = "000000000000"
INTERNET = "rslvr-autodefined-rr-internet-resolver"


class ResolverCase(Ec2Case):
    def setUp(self):
        super().setUp()
        self.r = client("route53resolver", region=self.region)
        self.mine = self.vpc()
        self.subnets = [self.subnet(self.mine, f"10.0.{i}.0/24") for i in (1, 2)]
        self.groups = [self.group(self.mine)]

    def endpoint(self, direction="OUTBOUND", ips=None, **more):
        more = {"CreatorRequestId": uuid.uuid4().hex, "SecurityGroupIds": self.groups, "Direction": direction,
                "IpAddresses": ips or [{"SubnetId": s} for s in self.subnets], **more}
        made = self.r.create_resolver_endpoint(**more)["ResolverEndpoint"]
        self.addCleanup(self.drop_endpoint, made["Id"])
        return made

    def drop_endpoint(self, endpoint):
        try:
            self.r.delete_resolver_endpoint(ResolverEndpointId=endpoint)
        except self.r.exceptions.ResourceNotFoundException:
            pass

    def forward(self, endpoint, domain="corp.test", **more):
        made = self.r.create_resolver_rule(**{"CreatorRequestId": uuid.uuid4().hex, "RuleType": "FORWARD", "DomainName": domain,
                                              "TargetIps": [{"Ip": "192.0.2.1"}], "ResolverEndpointId": endpoint, **more})["ResolverRule"]
        self.addCleanup(self.drop_rule, made["Id"])
        return made

    def drop_rule(self, rule):
        for a in self.r.list_resolver_rule_associations(Filters=[{"Name": "ResolverRuleId", "Values": [rule]}])["ResolverRuleAssociations"]:
            self.r.disassociate_resolver_rule(ResolverRuleId=rule, VPCId=a["VPCId"])
        try:
            self.r.delete_resolver_rule(ResolverRuleId=rule)
        except self.r.exceptions.ResourceNotFoundException:
            pass

    def interfaces(self, endpoint):
        found = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [f"Route 53 Resolver: {endpoint}:*"]}])
        return found["NetworkInterfaces"]

    def ips(self, endpoint):
        return self.r.list_resolver_endpoint_ip_addresses(ResolverEndpointId=endpoint)["IpAddresses"]

    def get(self, endpoint):
        return self.r.get_resolver_endpoint(ResolverEndpointId=endpoint)["ResolverEndpoint"]


class Endpoints(ResolverCase):
    def test_life(self):
        made = self.endpoint("INBOUND", [{"SubnetId": self.subnets[0], "Ip": "10.0.1.77"}, {"SubnetId": self.subnets[1]}], Name="in-door",
                             Tags=[{"Key": "a", "Value": "b"}])
        known = made["Id"]
        self.assertRegex(known, "^rslvr-in-[0-9a-f]{17}$")
        self.assertEqual(made["Arn"], f"arn:aws:route53resolver:{self.region}:{ACCOUNT}:resolver-endpoint/{known}")
        self.assertEqual((made["Status"], made["Direction"], made["HostVPCId"], made["IpAddressCount"], made["SecurityGroupIds"], made["Name"]),
                         ("CREATING", "INBOUND", self.mine, 2, self.groups, "in-door"))
        self.assertRegex(made["CreationTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        found = self.interfaces(known)
        self.assertEqual({(i["SubnetId"], i["Status"], i["RequesterManaged"]) for i in found}, {(s, "in-use", True) for s in self.subnets})
        self.assertEqual({g["GroupId"] for i in found for g in i["Groups"]}, set(self.groups))
        ips = self.ips(known)
        self.assertEqual({i["SubnetId"]: i["Ip"] for i in ips}, {i["SubnetId"]: i["PrivateIpAddress"] for i in found})
        self.assertIn("10.0.1.77", [i["Ip"] for i in ips])
        for i in ips:
            self.assertRegex(i["IpId"], "^rni-[0-9a-f]{17}$")
        # nobody but the endpoint may take them away
        with self.assertRaises(self.ec2.exceptions.ClientError):
            self.ec2.delete_network_interface(NetworkInterfaceId=found[0]["NetworkInterfaceId"])
        self.assertEqual(self.r.update_resolver_endpoint(ResolverEndpointId=known, Name="other")["ResolverEndpoint"]["Name"], "other")
        self.assertEqual(self.get(known)["Name"], "other")
        more = self.r.associate_resolver_endpoint_ip_address(ResolverEndpointId=known, IpAddress={"SubnetId": self.subnets[0], "Ip": "10.0.1.78"})[
            "ResolverEndpoint"]
        self.assertEqual((more["Status"], more["IpAddressCount"], len(self.interfaces(known))), ("UPDATING", 3, 3))
        self.fails("ResourceExistsException", self.r.associate_resolver_endpoint_ip_address, ResolverEndpointId=known,
                   IpAddress={"SubnetId": self.subnets[0], "Ip": "10.0.1.78"})
        first = self.r.list_resolver_endpoint_ip_addresses(ResolverEndpointId=known, MaxResults=2)
        rest = self.r.list_resolver_endpoint_ip_addresses(ResolverEndpointId=known, NextToken=first["NextToken"])
        self.assertEqual({i["Ip"] for i in first["IpAddresses"] + rest["IpAddresses"]}, {i["Ip"] for i in self.ips(known)})
        self.r.disassociate_resolver_endpoint_ip_address(ResolverEndpointId=known, IpAddress={"IpId": ips[0]["IpId"]})
        self.assertEqual((self.get(known)["IpAddressCount"], len(self.interfaces(known))), (2, 2))
        self.fails("InvalidRequestException", self.r.disassociate_resolver_endpoint_ip_address, "RSLVR-00400", ResolverEndpointId=known,
                   IpAddress={"IpId": ips[1]["IpId"]})
        self.fails("ResourceNotFoundException", self.r.disassociate_resolver_endpoint_ip_address, ResolverEndpointId=known,
                   IpAddress={"IpId": ips[0]["IpId"]})
        self.assertEqual(self.r.delete_resolver_endpoint(ResolverEndpointId=known)["ResolverEndpoint"]["Status"], "DELETING")
        self.fails("ResourceNotFoundException", self.r.get_resolver_endpoint, ResolverEndpointId=known)
        self.assertEqual(self.interfaces(known), [])
        for s in self.subnets:
            self.ec2.delete_subnet(SubnetId=s)

    def test_lists(self):
        one, two = self.endpoint("INBOUND", Name="one"), self.endpoint(Name="two")
        known = lambda **more: [e["Id"] for e in self.r.list_resolver_endpoints(**more)["ResolverEndpoints"]]  # noqa: E731
        self.assertEqual(sorted(known()), sorted([one["Id"], two["Id"]]))
        for name, value, found in (("Direction", "INBOUND", one), ("DIRECTION", "OUTBOUND", two), ("Name", "two", two), ("NAME", "one", one),
                                   ("CreatorRequestId", two["CreatorRequestId"], two)):
            self.assertEqual(known(Filters=[{"Name": name, "Values": [value]}]), [found["Id"]], name)
        for name, value in (("HostVPCId", self.mine), ("HOST_VPC_ID", self.mine), ("IpAddressCount", "2"), ("SecurityGroupIds", self.groups[0])):
            self.assertEqual(len(known(Filters=[{"Name": name, "Values": ["x", value]}])), 2, name)
        self.assertEqual(known(Filters=[{"Name": "Name", "Values": ["one"]}, {"Name": "Direction", "Values": ["OUTBOUND"]}]), [])
        self.fails("InvalidParameterException", self.r.list_resolver_endpoints, Filters=[{"Name": "Colour", "Values": ["red"]}])
        first = self.r.list_resolver_endpoints(MaxResults=1)
        second = self.r.list_resolver_endpoints(MaxResults=1, NextToken=first["NextToken"])
        self.assertEqual({e["Id"] for e in first["ResolverEndpoints"] + second["ResolverEndpoints"]}, {one["Id"], two["Id"]})
        self.assertNotIn("NextToken", second)
        self.fails("InvalidNextTokenException", self.r.list_resolver_endpoints, NextToken="?")

    def test_refusals(self):
        make = lambda **more: dict({"CreatorRequestId": uuid.uuid4().hex, "SecurityGroupIds": self.groups, "Direction": "INBOUND",  # noqa: E731
                                    "IpAddresses": [{"SubnetId": s} for s in self.subnets]}, **more)
        create = self.r.create_resolver_endpoint
        other = self.vpc("10.1.0.0/16")
        foreign, theirs = self.subnet(other, "10.1.1.0/24"), self.group(other)
        made = self.endpoint("INBOUND")
        self.fails("ResourceExistsException", create, "already exists", **make(CreatorRequestId=made["CreatorRequestId"]))
        self.fails("InvalidRequestException", create, "RSLVR-00400", **make(IpAddresses=[{"SubnetId": self.subnets[0]}]))
        self.fails("InvalidParameterException", create, "same VPC", **make(IpAddresses=[{"SubnetId": self.subnets[0]}, {"SubnetId": foreign}]))
        self.fails("ResourceNotFoundException", create, **make(IpAddresses=[{"SubnetId": "subnet-0"}] * 2))
        self.fails("InvalidParameterException", create, **make(SecurityGroupIds=[]))
        self.fails("InvalidParameterException", create, **make(SecurityGroupIds=[theirs]))
        self.fails("ResourceNotFoundException", create, **make(SecurityGroupIds=["sg-0"]))
        self.fails("InvalidRequestException", create, "address range", **make(IpAddresses=[{"SubnetId": s, "Ip": "10.0.9.9"} for s in self.subnets]))
        self.fails("LimitExceededException", create, **make(IpAddresses=[{"SubnetId": self.subnets[0]}] * 7))
        self.fails("ResourceNotFoundException", self.r.update_resolver_endpoint, ResolverEndpointId="rslvr-in-0", Name="x")
        self.assertEqual(len(self.interfaces(made["Id"])), 2)
        self.assertEqual(len(self.ec2.describe_network_interfaces(Filters=self.of_vpc(self.mine))["NetworkInterfaces"]), 2, "what is refused makes nothing")
        for _ in range(3):
            self.endpoint("INBOUND")
        self.fails("LimitExceededException", create, **make())


class Rules(ResolverCase):
    def test_life(self):
        out = self.endpoint()["Id"]
        made = self.forward(out, "Corp.Test", Name="corp", TargetIps=[{"Ip": "192.0.2.1"}, {"Ip": "192.0.2.2", "Port": 5353}])
        self.assertRegex(made["Id"], "^rslvr-rr-[0-9a-f]{17}$")
        self.assertEqual((made["DomainName"], made["Status"], made["RuleType"], made["OwnerId"], made["ShareStatus"], made["ResolverEndpointId"]),
                         ("corp.test.", "COMPLETE", "FORWARD", ACCOUNT, "NOT_SHARED", out))
        self.assertEqual([(t["Ip"], t["Port"]) for t in made["TargetIps"]], [("192.0.2.1", 53), ("192.0.2.2", 5353)])
        self.assertEqual(self.r.get_resolver_rule(ResolverRuleId=made["Id"])["ResolverRule"], made)
        got = self.r.update_resolver_rule(ResolverRuleId=made["Id"], Config={"Name": "new", "TargetIps": [{"Ip": "192.0.2.9"}]})["ResolverRule"]
        self.assertEqual((got["Name"], got["TargetIps"][0]["Ip"], len(got["TargetIps"])), ("new", "192.0.2.9", 1))
        self.fails("InvalidRequestException", self.r.delete_resolver_endpoint, ResolverEndpointId=out)
        self.assertEqual(self.r.delete_resolver_rule(ResolverRuleId=made["Id"])["ResolverRule"]["Status"], "DELETING")
        self.fails("ResourceNotFoundException", self.r.get_resolver_rule, ResolverRuleId=made["Id"])

    def test_the_rule_of_all_else(self):
        (found,) = self.r.list_resolver_rules()["ResolverRules"]
        self.assertEqual((found["Id"], found["DomainName"], found["RuleType"], found["Name"], found["OwnerId"]),
                         (INTERNET, ".", "RECURSIVE", "Internet Resolver", "Route 53 Resolver"))
        self.assertEqual(self.r.get_resolver_rule(ResolverRuleId=INTERNET)["ResolverRule"], found)
        self.fails("InvalidRequestException", self.r.delete_resolver_rule, ResolverRuleId=INTERNET)
        self.fails("InvalidRequestException", self.r.update_resolver_rule, ResolverRuleId=INTERNET, Config={"Name": "x"})
        self.fails("InvalidRequestException", self.r.associate_resolver_rule, ResolverRuleId=INTERNET, VPCId=self.mine)

    def test_lists(self):
        out = self.endpoint()["Id"]
        a, b = self.forward(out, "a.test", Name="a"), self.forward(out, "b.test")
        system = self.r.create_resolver_rule(CreatorRequestId="s", RuleType="SYSTEM", DomainName="x.a.test")["ResolverRule"]
        self.addCleanup(self.drop_rule, system["Id"])
        known = lambda **more: {r["Id"] for r in self.r.list_resolver_rules(**more)["ResolverRules"]}  # noqa: E731
        self.assertEqual(known(), {INTERNET, a["Id"], b["Id"], system["Id"]})
        for name, value, found in (("Type", "FORWARD", {a["Id"], b["Id"]}), ("TYPE", "SYSTEM", {system["Id"]}), ("DomainName", "b.test.", {b["Id"]}),
                                   ("DOMAIN_NAME", "a.test.", {a["Id"]}), ("ResolverEndpointId", out, {a["Id"], b["Id"]}), ("Name", "a", {a["Id"]}),
                                   ("Status", "COMPLETE", {INTERNET, a["Id"], b["Id"], system["Id"]})):
            self.assertEqual(known(Filters=[{"Name": name, "Values": [value]}]), found, name)
        seen, token = set(), {}
        while True:
            page = self.r.list_resolver_rules(MaxResults=1, **token)
            seen |= {r["Id"] for r in page["ResolverRules"]}
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        self.assertEqual(seen, known())

    def test_refusals(self):
        out, inside = self.endpoint()["Id"], self.endpoint("INBOUND")["Id"]
        make = lambda **more: dict({"CreatorRequestId": uuid.uuid4().hex, "RuleType": "FORWARD", "DomainName": "x.test",  # noqa: E731
                                    "TargetIps": [{"Ip": "192.0.2.1"}], "ResolverEndpointId": out}, **more)
        create = self.r.create_resolver_rule
        made = self.forward(out)
        self.fails("ResourceExistsException", create, **make(CreatorRequestId=made["CreatorRequestId"]))
        self.fails("InvalidParameterException", create, "outbound", **make(ResolverEndpointId=inside))
        self.fails("ResourceNotFoundException", create, **make(ResolverEndpointId="rslvr-out-0"))
        self.fails("InvalidParameterException", create, **make(TargetIps=[{"Ip": "not.an.ip"}]))
        self.fails("InvalidParameterException", create, **make(DomainName="a..b"))
        self.fails("InvalidParameterException", create, **make(RuleType="RECURSIVE"))
        self.fails("InvalidParameterException", create, "SYSTEM", **make(RuleType="SYSTEM"))
        self.fails("InvalidParameterException", create, **{k: v for k, v in make().items() if k != "TargetIps"})
        self.fails("InvalidParameterException", create, **{k: v for k, v in make().items() if k != "ResolverEndpointId"})
        self.fails("LimitExceededException", create, **make(TargetIps=[{"Ip": f"192.0.2.{i}"} for i in range(7)]))

    def test_associations(self):
        out, other = self.endpoint()["Id"], self.vpc("10.1.0.0/16")
        one, same = self.forward(out, "a.test"), self.forward(out, "A.test.")
        made = self.r.associate_resolver_rule(ResolverRuleId=one["Id"], VPCId=self.mine, Name="here")["ResolverRuleAssociation"]
        self.assertRegex(made["Id"], "^rslvr-rrassoc-[0-9a-f]{17}$")
        self.assertEqual((made["Status"], made["VPCId"], made["ResolverRuleId"], made["Name"]), ("CREATING", self.mine, one["Id"], "here"))
        got = self.r.get_resolver_rule_association(ResolverRuleAssociationId=made["Id"])["ResolverRuleAssociation"]
        self.assertEqual((got["Status"], got["VPCId"]), ("COMPLETE", self.mine))
        self.fails("ResourceExistsException", self.r.associate_resolver_rule, ResolverRuleId=one["Id"], VPCId=self.mine)
        self.fails("InvalidRequestException", self.r.associate_resolver_rule, "domain name", ResolverRuleId=same["Id"], VPCId=self.mine)
        self.fails("ResourceNotFoundException", self.r.associate_resolver_rule, ResolverRuleId=one["Id"], VPCId="vpc-0")
        self.fails("ResourceNotFoundException", self.r.associate_resolver_rule, ResolverRuleId="rslvr-rr-0", VPCId=self.mine)
        self.r.associate_resolver_rule(ResolverRuleId=same["Id"], VPCId=other)
        known = lambda *filters: {a["VPCId"] for a in self.r.list_resolver_rule_associations(Filters=list(filters))["ResolverRuleAssociations"]}  # noqa: E731
        self.assertEqual(known(), {self.mine, other})
        self.assertEqual(known({"Name": "VPCId", "Values": [other]}), {other})
        self.assertEqual(known({"Name": "RESOLVER_RULE_ID", "Values": [one["Id"]]}), {self.mine})
        self.fails("ResourceInUseException", self.r.delete_resolver_rule, ResolverRuleId=one["Id"])
        gone = self.r.disassociate_resolver_rule(ResolverRuleId=one["Id"], VPCId=self.mine)["ResolverRuleAssociation"]
        self.assertEqual((gone["Id"], gone["Status"]), (made["Id"], "DELETING"))
        self.fails("ResourceNotFoundException", self.r.disassociate_resolver_rule, ResolverRuleId=one["Id"], VPCId=self.mine)
        self.fails("ResourceNotFoundException", self.r.get_resolver_rule_association, ResolverRuleAssociationId=made["Id"])
        self.assertEqual(known(), {other})


class Others(ResolverCase):
    def test_configurations(self):
        got = self.r.get_resolver_config(ResourceId=self.mine)["ResolverConfig"]
        self.assertEqual((got["ResourceId"], got["OwnerId"], got["AutodefinedReverse"]), (self.mine, ACCOUNT, "ENABLED"))
        self.assertEqual(self.r.list_resolver_configs()["ResolverConfigs"], [])
        off = self.r.update_resolver_config(ResourceId=self.mine, AutodefinedReverseFlag="DISABLE")["ResolverConfig"]
        self.assertEqual((off["Id"], off["AutodefinedReverse"]), (got["Id"], "DISABLING"))
        self.assertEqual(self.r.list_resolver_configs()["ResolverConfigs"], [{**got, "AutodefinedReverse": "DISABLED"}])
        self.r.update_resolver_config(ResourceId=self.mine, AutodefinedReverseFlag="ENABLE")
        self.assertEqual(self.r.get_resolver_config(ResourceId=self.mine)["ResolverConfig"], got)
        self.fails("ResourceNotFoundException", self.r.get_resolver_config, ResourceId="vpc-0")

    def test_tags(self):
        out = self.endpoint(Tags=[{"Key": "a", "Value": "1"}])
        rule = self.forward(out["Id"])
        for arn, first in ((out["Arn"], {"a": "1"}), (rule["Arn"], {})):
            tags = lambda arn=arn: {t["Key"]: t["Value"] for t in self.r.list_tags_for_resource(ResourceArn=arn)["Tags"]}  # noqa: E731
            self.assertEqual(tags(), first)
            self.r.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
            self.assertEqual(tags(), {"a": "2", "b": ""})
            self.r.untag_resource(ResourceArn=arn, TagKeys=["a"])
            self.assertEqual(tags(), {"b": ""})
            self.fails("InvalidTagException", self.r.tag_resource, ResourceArn=arn, Tags=[{"Key": "aws:x", "Value": "1"}])
        self.fails("ResourceNotFoundException", self.r.list_tags_for_resource, ResourceArn=out["Arn"] + "0")

    def test_permissions(self):
        out = self.endpoint(Tags=[{"Key": "team", "Value": "blue"}])
        other = self.endpoint()
        mine = client("route53resolver", region=self.region, **limited_key(
            self, {"Effect": "Allow", "Action": "route53resolver:GetResolverEndpoint", "Resource": "*",
                   "Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}))
        self.assertEqual(mine.get_resolver_endpoint(ResolverEndpointId=out["Id"])["ResolverEndpoint"]["Id"], out["Id"])
        self.fails("AccessDeniedException", mine.get_resolver_endpoint, ResolverEndpointId=other["Id"])
        self.fails("AccessDeniedException", mine.list_resolver_rules)

    def test_what_is_not_there(self):
        for operation in (self.r.list_firewall_rule_groups, self.r.list_resolver_query_log_configs):
            with self.assertRaises(self.r.exceptions.ClientError) as caught:
                operation()
            self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 501)


if __name__ == "__main__":
    unittest.main()
