"""Security groups, their rules, and prefix lists."""
import unittest

from ec2 import Ec2Case, names


class Groups(Ec2Case):
    def test_life(self):
        vpc = self.vpc()
        made = self.ec2.create_security_group(GroupName="web", Description="for the web", VpcId=vpc)
        self.assertRegex(made["GroupId"], "^sg-[0-9a-f]{17}$")
        (group,) = self.ec2.describe_security_groups(GroupIds=[made["GroupId"]])["SecurityGroups"]
        self.assertEqual(group["IpPermissions"], [])
        self.assertEqual(group["IpPermissionsEgress"][0]["IpProtocol"], "-1")
        self.fails("InvalidGroup.Duplicate", self.ec2.create_security_group, f"The security group 'web' already exists for VPC '{vpc}'",
                   GroupName="web", Description="x", VpcId=vpc)
        self.ec2.delete_security_group(GroupId=made["GroupId"])
        self.fails("InvalidGroup.NotFound", self.ec2.describe_security_groups, f"The security group '{made['GroupId']}' does not exist",
                   GroupIds=[made["GroupId"]])
        default = self.default_group(vpc)["GroupId"]
        self.fails("CannotDelete", self.ec2.delete_security_group, f'the specified group: "{default}" name: "default" cannot be deleted by a user',
                   GroupId=default)

    def test_names(self):
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "sg-*", GroupName="sg-x", Description="d")
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "GroupName", GroupName="é", Description="d")
        self.fails("InvalidParameterValue", self.ec2.create_security_group, "GroupDescription", GroupName="x", Description="é")
        self.fails("InvalidGroup.Reserved", self.ec2.create_security_group, GroupName="default", Description="d")
        self.fails("InvalidGroupId.Malformed", self.ec2.delete_security_group, GroupId="sg-x")
        self.fails("InvalidGroup.NotFound", self.ec2.delete_security_group, "does not exist in default VPC", GroupName="nope")
        self.fails("MissingParameter", self.ec2.delete_security_group)
        self.ec2.create_security_group(GroupName="old style", Description="d")
        self.assertEqual(len(self.ec2.describe_security_groups(GroupNames=["old style"])["SecurityGroups"]), 1)

    def test_rules_old_form(self):
        group = self.group(self.vpc())
        port = dict(GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0")
        (rule,) = self.ec2.authorize_security_group_ingress(**port)["SecurityGroupRules"]
        self.assertRegex(rule["SecurityGroupRuleId"], "^sgr-[0-9a-f]{17}$")
        self.assertEqual((rule["IsEgress"], rule["CidrIpv4"], rule["FromPort"]), (False, "0.0.0.0/0", 22))
        self.fails("InvalidPermission.Duplicate", self.ec2.authorize_security_group_ingress,
                   'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists', **port)
        self.ec2.revoke_security_group_ingress(**port)
        self.fails("InvalidPermission.NotFound", self.ec2.revoke_security_group_ingress,
                   "The specified rule does not exist in this security group.", **port)

    def test_rules_new_form(self):
        vpc = self.vpc()
        group, other = self.group(vpc), self.group(vpc, "other")
        permissions = [
            {"IpProtocol": "6", "FromPort": 80, "ToPort": 81, "IpRanges": [{"CidrIp": "10.0.0.9/8", "Description": "all of 10"}, {"CidrIp": "192.0.2.0/24"}],
             "UserIdGroupPairs": [{"GroupId": other}]},
            {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
            {"IpProtocol": "-1", "FromPort": 5, "ToPort": 6, "UserIdGroupPairs": [{"GroupName": "other"}]},
        ]
        rules = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permissions)["SecurityGroupRules"]
        self.assertEqual(len(rules), 5)
        (shown,) = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        tcp = shown["IpPermissions"][0]
        self.assertEqual((tcp["IpProtocol"], tcp["FromPort"], tcp["ToPort"]), ("tcp", 80, 81))
        self.assertEqual(tcp["IpRanges"], [{"CidrIp": "10.0.0.0/8", "Description": "all of 10"}, {"CidrIp": "192.0.2.0/24"}])
        self.assertEqual(tcp["UserIdGroupPairs"][0]["GroupId"], other)
        self.assertNotIn("FromPort", shown["IpPermissions"][2])
        self.fails("DependencyViolation", self.ec2.delete_security_group, f"resource {other} has a dependent object", GroupId=other)
        by_group = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        self.assertEqual(len(by_group), 6)
        found = self.ec2.describe_security_groups(Filters=[{"Name": "ip-permission.cidr", "Values": ["192.0.*"]}])["SecurityGroups"]
        self.assertEqual(names(found, "GroupId"), [group])
        gone = self.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[r["SecurityGroupRuleId"] for r in rules])
        self.assertTrue(gone["Return"])
        self.ec2.delete_security_group(GroupId=other)
        # A rule that names its own group does not hold it.
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[{"IpProtocol": "udp", "FromPort": 0, "ToPort": 65535,
                                                                                 "UserIdGroupPairs": [{"GroupId": group}]}])
        self.ec2.delete_security_group(GroupId=group)

    def test_egress_and_descriptions(self):
        group = self.group(self.vpc())
        everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
        self.fails("InvalidPermission.Duplicate", self.ec2.authorize_security_group_egress, "peer: 0.0.0.0/0, ALL, ALLOW", GroupId=group,
                   IpPermissions=everything)
        self.ec2.update_security_group_rule_descriptions_egress(
            GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "out"}]}])
        (rule,) = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        self.assertEqual(rule["Description"], "out")
        self.ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{
            "SecurityGroupRuleId": rule["SecurityGroupRuleId"],
            "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "CidrIpv4": "10.0.0.0/8", "Description": "https"}}])
        (changed,) = self.ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])["SecurityGroupRules"]
        self.assertEqual((changed["CidrIpv4"], changed["FromPort"], changed["Description"], changed["IsEgress"]), ("10.0.0.0/8", 443, "https", True))
        self.ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"], [])
        self.fails("InvalidSecurityGroupRuleId.NotFound", self.ec2.revoke_security_group_egress, GroupId=group,
                   SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]])

    def test_bad_rules(self):
        vpc = self.vpc()
        group = self.group(vpc)

        def refused(code, message, **permission):
            self.fails(code, self.ec2.authorize_security_group_ingress, message, GroupId=group, IpPermissions=[permission])
        anyone = [{"CidrIp": "0.0.0.0/0"}]
        refused("InvalidParameterValue", "Must specify both from and to ports", IpProtocol="tcp", IpRanges=anyone)
        refused("InvalidParameterValue", "TCP/UDP port (65536) out of range", IpProtocol="tcp", FromPort=1, ToPort=65536, IpRanges=anyone)
        refused("InvalidParameterValue", "Invalid TCP/UDP port range (9:8)", IpProtocol="udp", FromPort=9, ToPort=8, IpRanges=anyone)
        refused("InvalidParameterValue", "CIDR block 10.0.0.0/40 is malformed", IpProtocol="-1", IpRanges=[{"CidrIp": "10.0.0.0/40"}])
        refused("InvalidParameterValue", "Unknown protocol", IpProtocol="carrots", IpRanges=anyone)
        refused("InvalidParameterValue", "CIDR block ::/129 is malformed", IpProtocol="-1", Ipv6Ranges=[{"CidrIpv6": "::/129"}])
        refused("InvalidGroup.NotFound", "does not exist", IpProtocol="-1", UserIdGroupPairs=[{"GroupId": "sg-00000000000000000"}])
        far = self.group(self.vpc("10.9.0.0/16"), "far")
        refused("InvalidGroup.NotFound", "different networks", IpProtocol="-1", UserIdGroupPairs=[{"GroupId": far}])
        refused("InvalidPrefixListID.NotFound", "does not exist", IpProtocol="-1", PrefixListIds=[{"PrefixListId": "pl-00000000000000000"}])
        self.assertEqual(self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"], [])
        many = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, "IpRanges": anyone} for p in range(1, 61)]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=many)
        self.fails("RulesPerSecurityGroupLimitExceeded", self.ec2.authorize_security_group_ingress, GroupId=group,
                   IpPermissions=[{"IpProtocol": "-1", "IpRanges": anyone}])

    def test_references(self):
        vpc = self.vpc()
        self.assertEqual(self.ec2.describe_security_group_references(GroupId=[self.group(vpc)])["SecurityGroupReferenceSet"], [])
        self.assertEqual(self.ec2.describe_stale_security_groups(VpcId=vpc)["StaleSecurityGroupSet"], [])
        self.fails("InvalidVpcID.NotFound", self.ec2.describe_stale_security_groups, VpcId="vpc-00000000000000000")


class PrefixLists(Ec2Case):
    def test_the_list_of_a_service(self):
        """Amazon's own list of S3 is shown, and rules may name it: what a gateway endpoint is used with."""
        name = f"com.amazonaws.{self.region}.s3"
        found = self.ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [name]}])["PrefixLists"]
        self.assertEqual([(p["OwnerId"], p["AddressFamily"]) for p in found], [("AWS", "IPv4")])
        one = found[0]["PrefixListId"]
        self.assertEqual(self.ec2.describe_managed_prefix_lists(PrefixListIds=[one])["PrefixLists"], found)
        self.assertEqual(self.ec2.describe_managed_prefix_lists(Filters=[{"Name": "owner-id", "Values": ["000000000000"]}])["PrefixLists"], [])
        self.assertEqual(names(self.ec2.get_managed_prefix_list_entries(PrefixListId=one)["Entries"], "Cidr"),
                         self.ec2.describe_prefix_lists(PrefixListIds=[one])["PrefixLists"][0]["Cidrs"])
        self.fails("InvalidPrefixListID.NotFound", self.ec2.describe_managed_prefix_lists, PrefixListIds=[one, "pl-0123456789abcdef0"])
        group = self.group(self.vpc())
        rule = [{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": one}]}]
        self.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=rule)
        seen = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
        self.assertIn((True, one), [(r["IsEgress"], r.get("PrefixListId")) for r in seen])
        self.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=rule)

    def create(self, *cidrs, most=10):
        return self.ec2.create_managed_prefix_list(PrefixListName="offices", AddressFamily="IPv4", MaxEntries=most,
                                                   Entries=[{"Cidr": c, "Description": "d"} for c in cidrs])["PrefixList"]

    def cidrs(self, one, **more):
        return names(self.ec2.get_managed_prefix_list_entries(PrefixListId=one, **more)["Entries"], "Cidr")

    def test_versions(self):
        made = self.create("192.0.2.0/24", "198.51.100.0/24")
        one = made["PrefixListId"]
        self.assertEqual((made["State"], made["Version"]), ("create-complete", 1))
        changed = self.ec2.modify_managed_prefix_list(PrefixListId=one, CurrentVersion=1, AddEntries=[{"Cidr": "203.0.113.0/24"}],
                                                      RemoveEntries=[{"Cidr": "192.0.2.0/24"}])["PrefixList"]
        self.assertEqual((changed["State"], changed["Version"]), ("modify-complete", 2))
        self.assertEqual(self.cidrs(one), ["198.51.100.0/24", "203.0.113.0/24"])
        self.assertEqual(self.cidrs(one, TargetVersion=1), ["192.0.2.0/24", "198.51.100.0/24"])
        self.fails("PrefixListVersionMismatch", self.ec2.modify_managed_prefix_list, "The prefix list has the incorrect version number.",
                   PrefixListId=one, CurrentVersion=1, AddEntries=[{"Cidr": "10.0.0.0/8"}])
        self.fails("PrefixListMaxEntriesExceeded", self.ec2.modify_managed_prefix_list, PrefixListId=one, MaxEntries=1)
        self.fails("InvalidParameterValue", self.ec2.create_managed_prefix_list, "addressFamily", PrefixListName="x", AddressFamily="IPv5", MaxEntries=1)
        first = self.ec2.get_managed_prefix_list_entries(PrefixListId=one, MaxResults=1)
        second = self.ec2.get_managed_prefix_list_entries(PrefixListId=one, MaxResults=1, NextToken=first["NextToken"])
        self.assertEqual(names(first["Entries"] + second["Entries"], "Cidr"), self.cidrs(one))
        self.ec2.delete_managed_prefix_list(PrefixListId=one)
        self.fails("InvalidPrefixListID.NotFound", self.ec2.delete_managed_prefix_list, PrefixListId=one)

    def test_in_rules_and_routes(self):
        vpc = self.vpc()
        group, one = self.group(vpc), self.create("192.0.2.0/24", most=55)["PrefixListId"]
        permission = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "PrefixListIds": [{"PrefixListId": one, "Description": "them"}]}]
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permission)
        shown = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"][0]
        self.assertEqual(shown["PrefixListIds"], [{"PrefixListId": one, "Description": "them"}])
        self.fails("DependencyViolation", self.ec2.delete_managed_prefix_list, PrefixListId=one)
        # It counts as the 55 rules that it may become.
        self.fails("RulesPerSecurityGroupLimitExceeded", self.ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[
            {"IpProtocol": "udp", "FromPort": 1, "ToPort": 1, "PrefixListIds": [{"PrefixListId": one}]}])
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=permission)
        table = self.ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        small = self.create("192.0.2.0/24")["PrefixListId"]
        igw = self.gateway(vpc)
        self.ec2.create_route(RouteTableId=table, DestinationPrefixListId=small, GatewayId=igw)
        self.fails("RouteLimitExceeded", self.ec2.create_route, RouteTableId=table, DestinationPrefixListId=one, GatewayId=igw)
        self.fails("DependencyViolation", self.ec2.delete_managed_prefix_list, PrefixListId=small)
        self.ec2.delete_route(RouteTableId=table, DestinationPrefixListId=small)
        self.ec2.delete_managed_prefix_list(PrefixListId=small)


if __name__ == "__main__":
    unittest.main()
