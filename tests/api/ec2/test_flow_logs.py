"""Flow logs and gateway endpoints as records: what is refused, listed and forgotten. What they do is in test_inside.py."""
import json
import unittest
import uuid

from aws import client
from ec2 import Ec2Case

ROLE = "arn:aws:iam::000000000000:role/logs"


class FlowLogs(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.vpc()

    def make(self, resource=None, kind="VPC", **more):
        given = {"ResourceIds": [resource or self.net], "ResourceType": kind, "TrafficType": "ALL", "LogGroupName": "g", "DeliverLogsPermissionArn": ROLE, **more}
        return self.ec2.create_flow_logs(**{k: v for k, v in given.items() if v is not None})

    def test_a_life(self):
        sub = self.subnet(self.net)
        made = self.make(TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "k", "Value": "v"}]}], ClientToken="one")
        self.assertEqual((len(made["FlowLogIds"]), made["Unsuccessful"]), (1, []))
        self.assertEqual(self.make(TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "k", "Value": "v"}]}], ClientToken="one")["FlowLogIds"],
                         made["FlowLogIds"])
        again = self.make()
        self.assertEqual((again["FlowLogIds"], again["Unsuccessful"][0]["ResourceId"], again["Unsuccessful"][0]["Error"]["Code"]), ([], self.net, "FlowLogAlreadyExists"))
        second = self.make(TrafficType="ACCEPT")["FlowLogIds"]
        self.assertEqual(self.make(TrafficType="REJECT")["Unsuccessful"][0]["Error"]["Code"], "FlowLogsLimitExceeded")
        self.ec2.delete_flow_logs(FlowLogIds=second)
        other = self.make(sub, "Subnet", TrafficType="REJECT", LogGroupName=None, LogDestination=f"arn:aws:logs:{self.region}:000000000000:log-group:h:*",
                          MaxAggregationInterval=60, LogFormat="${version} ${vpc-id} ${flow-direction}")["FlowLogIds"][0]
        shown = self.ec2.describe_flow_logs(Filter=[{"Name": "traffic-type", "Values": ["ALL"]}])["FlowLogs"]
        self.assertEqual([f["FlowLogId"] for f in shown], made["FlowLogIds"])
        f = shown[0]
        self.assertEqual((f["ResourceId"], f["FlowLogStatus"], f["LogDestinationType"], f["LogGroupName"], f["MaxAggregationInterval"], f["Tags"]),
                         (self.net, "ACTIVE", "cloud-watch-logs", "g", 600, [{"Key": "k", "Value": "v"}]))
        self.assertEqual(f["LogFormat"].split()[0], "${version}")
        f = self.ec2.describe_flow_logs(FlowLogIds=[other])["FlowLogs"][0]
        self.assertEqual((f["LogGroupName"], f["MaxAggregationInterval"], f["LogFormat"]), ("h", 60, "${version} ${vpc-id} ${flow-direction}"))
        gone = self.ec2.delete_flow_logs(FlowLogIds=[other, "fl-00000000000000000"])["Unsuccessful"]
        self.assertEqual([(u["ResourceId"], u["Error"]["Code"]) for u in gone], [("fl-00000000000000000", "InvalidFlowLogId.NotFound")])
        self.fails("InvalidFlowLogId.NotFound", self.ec2.describe_flow_logs, FlowLogIds=[other])
        self.ec2.delete_flow_logs(FlowLogIds=made["FlowLogIds"])
        self.assertEqual(self.ec2.describe_flow_logs()["FlowLogs"], [])

    def test_refusals(self):
        for code, message, more in (
                ("InvalidVpcID.NotFound", "does not exist", {"resource": "vpc-00000000000000000"}),
                ("InvalidSubnetID.NotFound", "does not exist", {"resource": "subnet-00000000000000000", "kind": "Subnet"}),
                ("InvalidNetworkInterfaceID.NotFound", "does not exist", {"resource": "eni-00000000000000000", "kind": "NetworkInterface"}),
                ("UnsupportedOperation", "transit gateway", {"resource": "tgw-00000000000000000", "kind": "TransitGateway"}),
                ("MissingParameter", "TrafficType", {"TrafficType": None}),
                ("InvalidParameter", "DeliverLogsPermissionArn can't be empty", {"DeliverLogsPermissionArn": None}),
                ("InvalidParameter", "LogGroupName can't be empty", {"LogGroupName": None}),
                ("InvalidParameter", "only provide LogGroupName", {"LogDestination": "arn:aws:logs:x:0:log-group:h"}),
                ("InvalidParameter", "Aggregation Interval", {"MaxAggregationInterval": 61}),
                ("InvalidParameter", "Unknown fields provided: colour", {"LogFormat": "${version} ${colour}"}),
                ("InvalidParameter", "Unknown fields provided: version", {"LogFormat": "version"}),
                ("InvalidParameter", "must be the ARN of a bucket", {"LogDestinationType": "s3", "LogDestination": "x", "LogGroupName": None, "DeliverLogsPermissionArn": None}),
                ("InvalidParameter", "is not supported", {"LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::b", "LogGroupName": None}),
                ("UnsupportedOperation", "plain text", {"LogDestinationType": "s3", "LogDestination": "arn:aws:s3:::b", "LogGroupName": None,
                                                        "DeliverLogsPermissionArn": None, "DestinationOptions": {"FileFormat": "parquet"}})):
            with self.subTest(message, **more):
                self.fails(code, self.make, message, **more)
        self.assertEqual(self.ec2.describe_flow_logs()["FlowLogs"], [])

    def test_buckets(self):
        # a region that S3 knows
        self.region = "ca-central-1"
        self.ec2, s3, name = client("ec2", region=self.region), client("s3", region=self.region), "flows-" + uuid.uuid4().hex[:10]
        self.net = self.vpc()
        self.addCleanup(self.ec2.delete_vpc, VpcId=self.net)
        to = {"LogDestinationType": "s3", "LogDestination": f"arn:aws:s3:::{name}/p", "LogGroupName": None, "DeliverLogsPermissionArn": None}
        none = self.make(**to)["Unsuccessful"][0]["Error"]
        self.assertEqual((none["Code"], none["Message"]), ("400", f"LogDestination: {name} does not exist."))
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": {
            "Sid": "mine", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/secret"}}))
        able = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
        self.fails("InvalidParameter", able.create_flow_logs, "Access Denied for LogDestination", ResourceIds=[self.net], ResourceType="VPC", TrafficType="ALL",
                   LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{name}/p")
        self.assertEqual(len(self.make(**to, DestinationOptions={"HiveCompatiblePartitions": True, "PerHourPartition": True})["FlowLogIds"]), 1)
        said = {s["Sid"]: s for s in json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]}
        self.assertEqual(set(said), {"mine", "AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck"})
        self.assertEqual(said["AWSLogDeliveryWrite"]["Principal"], {"Service": "delivery.logs.amazonaws.com"})
        # what the bucket allows now is enough for whoever may make flow logs
        self.assertEqual(len(able.create_flow_logs(ResourceIds=[self.net], ResourceType="VPC", TrafficType="REJECT", LogDestinationType="s3",
                                                   LogDestination=f"arn:aws:s3:::{name}")["FlowLogIds"]), 1)
        self.ec2.delete_flow_logs(FlowLogIds=[f["FlowLogId"] for f in self.ec2.describe_flow_logs()["FlowLogs"]])
        s3.delete_bucket(Bucket=name)

    def test_permissions(self):
        able = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})
        given = {"ResourceIds": [self.net], "ResourceType": "VPC", "TrafficType": "ALL", "LogGroupName": "g", "DeliverLogsPermissionArn": ROLE}
        self.fails("UnauthorizedOperation", able.create_flow_logs, "iam:PassRole", status=403, **given)
        passing = self.user({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}, {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE, "Condition": {
            "StringEquals": {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"}}})
        self.assertEqual(len(passing.create_flow_logs(**given)["FlowLogIds"]), 1)


class Endpoints(Ec2Case):
    def setUp(self):
        super().setUp()
        self.net = self.vpc()
        self.service = f"com.amazonaws.{self.region}.s3"
        self.table = self.ec2.create_route_table(VpcId=self.net)["RouteTable"]["RouteTableId"]

    def make(self, **more):
        return self.ec2.create_vpc_endpoint(**{"VpcId": self.net, "ServiceName": self.service, **more})["VpcEndpoint"]

    def routes(self):
        return [(r.get("DestinationPrefixListId"), r.get("GatewayId"), r["State"]) for r in
                self.ec2.describe_route_tables(RouteTableIds=[self.table])["RouteTables"][0]["Routes"] if "DestinationPrefixListId" in r]

    def test_a_life(self):
        lists = self.ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [self.service]}])["PrefixLists"]
        self.assertEqual(len(lists), 1)
        self.assertEqual(self.ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": ["x"]}])["PrefixLists"], [])
        services = self.ec2.describe_vpc_endpoint_services()
        self.assertEqual(services["ServiceNames"], [self.service])
        self.assertEqual(services["ServiceDetails"][0]["ServiceType"], [{"ServiceType": "Gateway"}])
        one = self.make(RouteTableIds=[self.table], TagSpecifications=[{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "k", "Value": "v"}]}])
        self.assertRegex(one["VpcEndpointId"], "^vpce-[0-9a-f]{17}$")
        self.assertEqual(json.loads(one["PolicyDocument"])["Statement"][0]["Action"], "*")
        pl = lists[0]["PrefixListId"]
        self.assertEqual(self.routes(), [(pl, one["VpcEndpointId"], "active")])
        self.fails("InvalidParameterValue", self.ec2.delete_route, RouteTableId=self.table, DestinationPrefixListId=pl)
        self.fails("RouteAlreadyExists", self.make, RouteTableIds=[self.table])
        self.fails("DependencyViolation", self.ec2.delete_vpc, VpcId=self.net)
        self.ec2.modify_vpc_endpoint(VpcEndpointId=one["VpcEndpointId"], RemoveRouteTableIds=[self.table])
        self.assertEqual(self.routes(), [])
        self.ec2.modify_vpc_endpoint(VpcEndpointId=one["VpcEndpointId"], AddRouteTableIds=[self.table])
        shown = self.ec2.describe_vpc_endpoints(Filters=[{"Name": "service-name", "Values": [self.service]}, {"Name": "tag:k", "Values": ["v"]}])["VpcEndpoints"]
        self.assertEqual([(e["VpcEndpointId"], e["RouteTableIds"], e["VpcId"]) for e in shown], [(one["VpcEndpointId"], [self.table], self.net)])
        gone = self.ec2.delete_vpc_endpoints(VpcEndpointIds=[one["VpcEndpointId"], "vpce-00000000000000000"])["Unsuccessful"]
        self.assertEqual([u["Error"]["Code"] for u in gone], ["InvalidVpcEndpointId.NotFound"])
        self.assertEqual(self.routes(), [])
        self.ec2.delete_route_table(RouteTableId=self.table)
        self.ec2.delete_vpc(VpcId=self.net)

    def test_refusals(self):
        for code, more in (("InvalidVpcID.NotFound", {"VpcId": "vpc-00000000000000000"}), ("UnsupportedOperation", {"VpcEndpointType": "Interface"}),
                           ("InvalidServiceName", {"ServiceName": "com.amazonaws.x.nothing"}), ("InvalidPolicyDocument", {"PolicyDocument": "{}"}),
                           ("InvalidRouteTableId.NotFound", {"RouteTableIds": ["rtb-00000000000000000"]}), ("InvalidParameter", {"SubnetIds": ["subnet-1"]}),
                           ("MissingParameter", {"ServiceName": ""})):
            with self.subTest(code):
                self.fails(code, self.make, **more)
        far = self.ec2.create_route_table(VpcId=self.vpc("10.1.0.0/16"))["RouteTable"]["RouteTableId"]
        self.fails("InvalidParameterValue", self.make, "does not belong", RouteTableIds=[self.table, far])
        self.assertEqual((self.routes(), self.ec2.describe_vpc_endpoints()["VpcEndpoints"]), ([], []))


if __name__ == "__main__":
    unittest.main()
