"""VPC peering connections: within an account and between two."""
import unittest

from aws import client
from ec2 import Ec2Case

OTHER = "111122223333"


class Peering(Ec2Case):
    def setUp(self):
        super().setUp()
        self.other = client("ec2", key=OTHER, region=self.region)
        self.one, self.two = self.vpc(), self.vpc("10.1.0.0/16")

    def ask(self, peer, **more):
        return self.ec2.create_vpc_peering_connection(VpcId=self.one, PeerVpcId=peer, **more)["VpcPeeringConnection"]

    def status(self, pcx, ec2=None):
        (found,) = (ec2 or self.ec2).describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])["VpcPeeringConnections"]
        return found["Status"]["Code"]

    def test_life_and_routes(self):
        asked = self.ask(self.two, TagSpecifications=[{"ResourceType": "vpc-peering-connection", "Tags": [{"Key": "a", "Value": "b"}]}])
        pcx = asked["VpcPeeringConnectionId"]
        self.assertEqual((asked["Status"]["Code"], asked["RequesterVpcInfo"]["CidrBlock"]), ("initiating-request", "10.0.0.0/16"))
        self.assertEqual(self.status(pcx), "pending-acceptance")
        self.fails("VpcPeeringConnectionAlreadyExists", self.ec2.create_vpc_peering_connection, VpcId=self.two, PeerVpcId=self.one)
        table = self.ec2.describe_route_tables(Filters=self.of_vpc(self.one))["RouteTables"][0]["RouteTableId"]
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=pcx)

        def route():
            routes = self.ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
            return [(r["VpcPeeringConnectionId"], r["State"]) for r in routes if r["DestinationCidrBlock"] == "10.1.0.0/16"]
        self.assertEqual(route(), [(pcx, "blackhole")])
        accepted = self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)["VpcPeeringConnection"]
        self.assertEqual((accepted["Status"]["Code"], accepted["AccepterVpcInfo"]["CidrBlockSet"]), ("active", [{"CidrBlock": "10.1.0.0/16"}]))
        self.assertEqual(route(), [(pcx, "active")])
        self.fails("InvalidStateTransition", self.ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=pcx)
        self.fails("InvalidStateTransition", self.ec2.reject_vpc_peering_connection, VpcPeeringConnectionId=pcx)
        self.fails("DependencyViolation", self.ec2.delete_vpc, VpcId=self.two)
        third = self.vpc("10.3.0.0/16")
        elsewhere = self.ec2.describe_route_tables(Filters=self.of_vpc(third))["RouteTables"][0]["RouteTableId"]
        self.fails("InvalidParameterValue", self.ec2.create_route, "belong to different networks", RouteTableId=elsewhere,
                   DestinationCidrBlock="10.1.0.0/16", VpcPeeringConnectionId=pcx)
        found = self.ec2.describe_vpc_peering_connections(Filters=[{"Name": "status-code", "Values": ["active"]}, {"Name": "tag:a", "Values": ["b"]}])
        self.assertEqual([p["VpcPeeringConnectionId"] for p in found["VpcPeeringConnections"]], [pcx])
        self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.assertEqual((self.status(pcx), route()), ("deleted", [(pcx, "blackhole")]))
        self.fails("InvalidStateTransition", self.ec2.delete_vpc_peering_connection, VpcPeeringConnectionId=pcx)
        self.ec2.delete_vpc(VpcId=self.two)

    def test_groups_of_the_peer(self):
        here, there = self.group(self.one), self.group(self.two)
        pair = dict(GroupId=here, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": there}]}])
        self.fails("InvalidGroup.NotFound", self.ec2.authorize_security_group_ingress, "different networks", **pair)
        pcx = self.ask(self.two)["VpcPeeringConnectionId"]
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.ec2.authorize_security_group_ingress(**pair)
        (group,) = self.ec2.describe_security_groups(GroupIds=[here])["SecurityGroups"]
        (named,) = group["IpPermissions"][0]["UserIdGroupPairs"]
        self.assertEqual((named["GroupId"], named["VpcId"], named["VpcPeeringConnectionId"]), (there, self.two, pcx))

    def test_another_account(self):
        theirs = self.other.create_vpc(CidrBlock="10.2.0.0/16")["Vpc"]["VpcId"]
        pcx = self.ask(theirs, PeerOwnerId=OTHER)["VpcPeeringConnectionId"]
        self.assertEqual(self.status(pcx, self.other), "pending-acceptance")
        self.fails("OperationNotPermitted", self.ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=pcx)
        self.other.reject_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.assertEqual((self.status(pcx), self.status(pcx, self.other)), ("rejected", "rejected"))
        pcx = self.ask(theirs, PeerOwnerId=OTHER)["VpcPeeringConnectionId"]
        self.other.accept_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.assertEqual((self.status(pcx), self.status(pcx, self.other)), ("active", "active"))
        group = self.other.create_security_group(GroupName="theirs", Description="d", VpcId=theirs)["GroupId"]
        pairs = [{"GroupId": group, "UserId": OTHER}]
        self.ec2.authorize_security_group_ingress(GroupId=self.group(self.one), IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": pairs}])
        self.other.create_tags(Resources=[pcx], Tags=[{"Key": "theirs", "Value": "1"}])
        self.ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
        self.assertEqual(self.status(pcx, self.other), "deleted")
        (seen,) = self.ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])["VpcPeeringConnections"]
        self.assertEqual(seen["Tags"], [])
        (seen,) = self.other.describe_vpc_peering_connections(VpcPeeringConnectionIds=[pcx])["VpcPeeringConnections"]
        self.assertEqual(seen["Tags"], [{"Key": "theirs", "Value": "1"}])

    def test_refusals(self):
        ask = self.ec2.create_vpc_peering_connection
        self.fails("MissingParameter", ask, VpcId=self.one)
        self.fails("InvalidVpcID.NotFound", ask, VpcId=self.one, PeerVpcId="vpc-00000000000000000")
        self.fails("InvalidParameterValue", ask, VpcId=self.one, PeerVpcId=self.one)
        same = self.vpc("10.0.128.0/17")
        self.assertEqual(self.ask(same)["Status"]["Code"], "failed")
        self.assertEqual(self.ask("vpc-00000000000000000", PeerOwnerId=OTHER)["Status"]["Code"], "failed")
        self.fails("InvalidVpcPeeringConnectionID.NotFound", self.ec2.accept_vpc_peering_connection,
                   VpcPeeringConnectionId="pcx-00000000000000000")


if __name__ == "__main__":
    unittest.main()
