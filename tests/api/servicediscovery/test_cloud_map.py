"""Cloud Map as clients see it: namespaces, services, instances, discovery, operations, tags, permissions."""
import json
import os
import unittest
import uuid

import raw
from aws import ENDPOINT, REGION, TestCase, aws_programs, client, run

ACCOUNT = "000000000000"


def name():
    return "t" + uuid.uuid4().hex[:16]


def discovering(**about):
    """A client that does not put "data-" before an address that is none of AWS's."""
    return client("servicediscovery", inject_host_prefix=False, **about)


class MapCase(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.map = discovering()
        cls.vpc = client("ec2").create_vpc(CidrBlock="10.77.0.0/24")["Vpc"]["VpcId"]
        cls.addClassCleanup(client("ec2").delete_vpc, VpcId=cls.vpc)

    def call(self, operation, **body):
        """(status, answer) of an operation that the oldest boto3 does not know."""
        port = int(ENDPOINT.rsplit(":", 1)[1])
        signer = raw.Signer(port, "servicediscovery", os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], REGION)
        reply = raw.ask(port, signer.request("POST", "/", json.dumps(body).encode(), headers={
            "content-type": "application/x-amz-json-1.1", "x-amz-target": "Route53AutoNaming_v20170314." + operation}))
        return reply.status, json.loads(reply.body or b"{}")

    def target(self, operation, kind):
        """What an operation that has succeeded was about."""
        done = self.map.get_operation(OperationId=operation["OperationId"])["Operation"]
        self.assertEqual(done["Status"], "SUCCESS")
        return done["Targets"][kind]

    def drop(self, namespace):
        for service in self.services(namespace):
            for instance in self.map.list_instances(ServiceId=service)["Instances"]:
                self.map.deregister_instance(ServiceId=service, InstanceId=instance["Id"])
            self.map.delete_service(Id=service)
        self.map.delete_namespace(Id=namespace)

    def services(self, namespace):
        found = self.map.list_services(Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace]}])["Services"]
        return [s["Id"] for s in found]

    def http(self, **more):
        called = name()
        made = self.target(self.map.create_http_namespace(Name=called, **more), "NAMESPACE")
        self.addCleanup(self.drop, made)
        return made, called

    def private(self, called=None, **more):
        called = called or name() + ".local"
        made = self.target(self.map.create_private_dns_namespace(Name=called, Vpc=self.vpc, **more), "NAMESPACE")
        self.addCleanup(self.drop, made)
        return made, called

    def service(self, namespace, called="web", **more):
        return self.map.create_service(Name=called, NamespaceId=namespace, **more)["Service"]

    def records(self, kind="A", ttl=60, **more):
        return {"DnsRecords": [{"Type": kind, "TTL": ttl}], **more}

    def assertRefused(self, message, call, *args, code="InvalidInput", **kwargs):
        return self.assertAwsError(code, call, *args, status=400, message=message, **kwargs)


class Namespaces(MapCase):
    def test_http(self):
        made, called = self.http(Description="d", CreatorRequestId="me")
        n = self.map.get_namespace(Id=made)["Namespace"]
        self.assertEqual((n["Name"], n["Type"], n["Description"], n["CreatorRequestId"], n["ServiceCount"]), (called, "HTTP", "d", "me", 0))
        self.assertEqual(n["Arn"], f"arn:aws:servicediscovery:{REGION}:{ACCOUNT}:namespace/{made}")
        self.assertEqual(n["Properties"], {"HttpProperties": {"HttpName": called}})
        self.assertEqual(self.map.get_namespace(Id=n["Arn"])["Namespace"]["Id"], made)
        error = self.assertRefused("same name", self.map.create_http_namespace, Name=called, code="NamespaceAlreadyExists")
        self.assertEqual((error["NamespaceId"], error["CreatorRequestId"]), (made, "me"))
        self.service(made)
        self.assertEqual(self.map.get_namespace(Id=made)["Namespace"]["ServiceCount"], 1)
        self.assertRefused("still has services", self.map.delete_namespace, Id=made, code="ResourceInUse")
        self.target(self.map.update_http_namespace(Id=made, Namespace={"Description": "new"}), "NAMESPACE")
        self.assertEqual(self.map.get_namespace(Id=made)["Namespace"]["Description"], "new")
        self.assertRefused("type HTTP", self.map.update_private_dns_namespace, Id=made, Namespace={"Description": "x"})

    def test_private(self):
        made, called = self.private(Properties={"DnsProperties": {"SOA": {"TTL": 7}}})
        n = self.map.get_namespace(Id=made)["Namespace"]
        self.assertEqual((n["Type"], n["Properties"]["DnsProperties"]["SOA"]), ("DNS_PRIVATE", {"TTL": 7}))
        self.map.update_private_dns_namespace(Id=made, Namespace={"Properties": {"DnsProperties": {"SOA": {"TTL": 9}}}})
        self.assertEqual(self.map.get_namespace(Id=made)["Namespace"]["Properties"]["DnsProperties"]["SOA"], {"TTL": 9})
        self.assertRefused("", self.map.create_private_dns_namespace, Name=called.upper(), Vpc=self.vpc, code="NamespaceAlreadyExists")
        self.assertRefused("VPC", self.map.create_private_dns_namespace, Name=name(), Vpc="vpc-00000000000000000")
        self.assertRefused("domain name", self.map.create_private_dns_namespace, Name="a..b", Vpc=self.vpc)
        self.assertRefused("not found", self.map.get_namespace, Id="ns-" + "a" * 16, code="NamespaceNotFound")

    def test_lists(self):
        mine = [self.http()[0] for _ in range(3)] + [self.private()[0]]
        seen, more = [], {}
        while True:
            page = self.map.list_namespaces(MaxResults=2, **more)
            self.assertLessEqual(len(page["Namespaces"]), 2)
            seen += [n["Id"] for n in page["Namespaces"]]
            if "NextToken" not in page:
                break
            more = {"NextToken": page["NextToken"]}
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(set(mine), set(seen))
        found = self.map.list_namespaces(Filters=[{"Name": "TYPE", "Values": ["DNS_PRIVATE"], "Condition": "EQ"}])["Namespaces"]
        self.assertIn(mine[3], [n["Id"] for n in found])
        self.assertEqual({n["Type"] for n in found}, {"DNS_PRIVATE"})
        self.assertRefused("token", self.map.list_namespaces, NextToken="xx")

    def test_operations(self):
        operation = self.map.create_http_namespace(Name=name())["OperationId"]
        made = self.map.get_operation(OperationId=operation)["Operation"]
        self.assertEqual((made["Type"], made["Status"]), ("CREATE_NAMESPACE", "SUCCESS"))
        namespace = made["Targets"]["NAMESPACE"]
        self.map.delete_namespace(Id=namespace)
        find = lambda **f: [o["Id"] for o in self.map.list_operations(Filters=[{"Name": k, "Values": [v]} for k, v in f.items()])["Operations"]]
        self.assertEqual(len(find(NAMESPACE_ID=namespace)), 2)
        self.assertEqual(find(NAMESPACE_ID=namespace, TYPE="CREATE_NAMESPACE"), [operation])
        self.assertEqual(find(NAMESPACE_ID=namespace, STATUS="FAIL"), [])
        self.assertRefused("not found", self.map.get_operation, OperationId="nothing", code="OperationNotFound")

    def test_tags(self):
        made, _ = self.http(Tags=[{"Key": "a", "Value": "1"}])
        arn = self.map.get_namespace(Id=made)["Namespace"]["Arn"]
        service = self.service(made, Tags=[{"Key": "s", "Value": "2"}])
        self.map.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "3"}])
        self.map.untag_resource(ResourceARN=arn, TagKeys=["a"])
        self.assertEqual(self.map.list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": "3"}])
        self.assertEqual(self.map.list_tags_for_resource(ResourceARN=service["Arn"])["Tags"], [{"Key": "s", "Value": "2"}])
        self.assertRefused("", self.map.list_tags_for_resource, ResourceARN=arn + "x", code="ResourceNotFoundException")
        self.assertRefused("at most 50", self.map.tag_resource, ResourceARN=arn, code="TooManyTagsException",
                           Tags=[{"Key": f"k{i}", "Value": ""} for i in range(50)])


class Services(MapCase):
    def test_life(self):
        made, _ = self.private()
        s = self.service(made, DnsConfig=self.records(ttl=5), HealthCheckCustomConfig={"FailureThreshold": 3}, Description="d")
        self.assertEqual((s["Type"], s["DnsConfig"]["RoutingPolicy"], s["DnsConfig"]["DnsRecords"]), ("DNS_HTTP", "MULTIVALUE", [{"Type": "A", "TTL": 5}]))
        self.assertEqual(s["HealthCheckCustomConfig"], {"FailureThreshold": 1})
        self.assertEqual(self.map.get_service(Id=s["Arn"])["Service"]["InstanceCount"], 0)
        error = self.assertRefused("already exists", self.service, made, "WEB", code="ServiceAlreadyExists")
        self.assertEqual(error["ServiceId"], s["Id"])
        self.target(self.map.update_service(Id=s["Id"], Service={"DnsConfig": self.records(ttl=9)}), "SERVICE")
        self.assertEqual(self.map.get_service(Id=s["Id"])["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"], 9)
        self.assertRefused("types", self.map.update_service, Id=s["Id"], Service={"DnsConfig": self.records("SRV")})
        self.map.register_instance(ServiceId=s["Id"], InstanceId="i", Attributes={"AWS_INSTANCE_IPV4": "10.77.0.9"})
        self.assertRefused("instances", self.map.delete_service, Id=s["Id"], code="ResourceInUse")
        self.map.deregister_instance(ServiceId=s["Id"], InstanceId="i")
        self.map.delete_service(Id=s["Id"])
        self.assertRefused("not found", self.map.get_service, Id=s["Id"], code="ServiceNotFound")

    def test_what_is_refused(self):
        http, private = self.http()[0], self.private()[0]
        for message, namespace, more in (
                ("HTTP namespaces", http, {"DnsConfig": self.records()}),
                ("AAAA", private, {"DnsConfig": self.records("AAAA")}),
                ("not of both", private, {"DnsConfig": {"DnsRecords": [{"Type": t, "TTL": 1} for t in ("A", "SRV")]}}),
                ("Duplicate", private, {"DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": t} for t in (1, 2)]}}),
                ("WEIGHTED", private, {"DnsConfig": self.records("SRV", RoutingPolicy="WEIGHTED")}),
                ("public DNS", private, {"HealthCheckConfig": {"Type": "TCP"}}),
                ("type HTTP", private, {"DnsConfig": self.records(), "Type": "HTTP"})):
            with self.subTest(message):
                self.assertRefused(message, self.service, namespace, **more)
        self.assertRefused("", self.service, "ns-none", code="NamespaceNotFound")
        self.assertEqual(self.services(private), [])
        self.assertAwsError("UnsupportedOperationException", self.map.create_public_dns_namespace, Name="example.com", status=501)

    def test_attributes(self):
        service = self.service(self.http()[0])["Id"]
        self.assertEqual(self.call("UpdateServiceAttributes", ServiceId=service, Attributes={"a": "1", "b": "2"})[0], 200)
        self.call("DeleteServiceAttributes", ServiceId=service, Attributes=["a"])
        self.assertEqual(self.call("GetServiceAttributes", ServiceId=service)[1]["ServiceAttributes"]["Attributes"], {"b": "2"})
        status, error = self.call("UpdateServiceAttributes", ServiceId=service, Attributes={f"k{i}": "x" for i in range(30)})
        self.assertEqual((status, error["__type"].split("#")[-1]), (400, "ServiceAttributesLimitExceededException"))


class Instances(MapCase):
    def register(self, service, instance, **attributes):
        return self.map.register_instance(ServiceId=service, InstanceId=instance, Attributes=attributes)

    def discover(self, namespace, **more):
        found = self.map.discover_instances(NamespaceName=namespace, ServiceName="web", **more)["Instances"]
        return sorted(i["InstanceId"] for i in found)

    def test_http(self):
        made, called = self.http()
        service = self.service(made)["Id"]
        revision = lambda: self.call("DiscoverInstancesRevision", NamespaceName=called, ServiceName="web")[1]["InstancesRevision"]
        first = revision()
        self.target(self.register(service, "a", stage="one", AWS_INSTANCE_IPV4="10.0.0.1", AWS_INSTANCE_PORT="80"), "INSTANCE")
        self.register(service, "b", stage="two")
        self.assertGreater(revision(), first)
        self.assertEqual(self.discover(called), ["a", "b"])
        self.assertEqual(self.discover(called, QueryParameters={"stage": "two"}), ["b"])
        self.assertEqual(self.discover(called, QueryParameters={"stage": "three"}), [])
        self.assertEqual(self.discover(called, OptionalParameters={"stage": "one"}), ["a"])
        self.assertEqual(self.discover(called, OptionalParameters={"stage": "three"}), ["a", "b"])
        self.assertEqual(len(self.discover(called, MaxResults=1)), 1)
        (one,) = self.map.discover_instances(NamespaceName=called, ServiceName="web", QueryParameters={"stage": "one"})["Instances"]
        self.assertEqual(one["Attributes"], {"stage": "one", "AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "80"})
        self.assertEqual((one["NamespaceName"], one["ServiceName"], one["HealthStatus"]), (called, "web", "UNKNOWN"))
        self.assertEqual(self.map.get_instance(ServiceId=service, InstanceId="b")["Instance"]["Attributes"], {"stage": "two"})
        self.register(service, "b", stage="changed")
        self.assertEqual([i["Attributes"] for i in self.map.list_instances(ServiceId=service)["Instances"] if i["Id"] == "b"], [{"stage": "changed"}])
        self.map.deregister_instance(ServiceId=service, InstanceId="a")
        self.assertEqual(self.discover(called), ["b"])
        self.assertRefused("", self.map.deregister_instance, ServiceId=service, InstanceId="a", code="InstanceNotFound")
        self.assertRefused("", self.map.update_instance_custom_health_status, ServiceId=service, InstanceId="b", Status="HEALTHY",
                           code="CustomHealthNotFound")
        self.assertRefused("", self.map.discover_instances, NamespaceName=called, ServiceName="none", code="ServiceNotFound")
        self.assertRefused("", self.map.discover_instances, NamespaceName="none", ServiceName="web", code="NamespaceNotFound")

    def test_health(self):
        made, called = self.http()
        service = self.service(made, HealthCheckCustomConfig={})["Id"]
        self.register(service, "a")
        self.register(service, "b", AWS_INIT_HEALTH_STATUS="UNHEALTHY")
        status = lambda **more: self.map.get_instances_health_status(ServiceId=service, **more)["Status"]
        self.assertEqual(status(), {"a": "HEALTHY", "b": "UNHEALTHY"})
        self.assertEqual(status(Instances=["b"]), {"b": "UNHEALTHY"})
        self.assertEqual(self.discover(called), ["a"])
        self.assertEqual(self.discover(called, HealthStatus="ALL"), ["a", "b"])
        self.assertEqual(self.discover(called, HealthStatus="UNHEALTHY"), ["b"])
        self.map.update_instance_custom_health_status(ServiceId=service, InstanceId="a", Status="UNHEALTHY")
        self.assertEqual(self.discover(called, HealthStatus="HEALTHY"), [])
        self.assertEqual(self.discover(called), ["a", "b"])
        self.assertRefused("", status, Instances=["c"], code="InstanceNotFound")

    def test_what_is_refused(self):
        private = self.private()[0]
        a, srv = (self.service(private, kind.lower(), DnsConfig=self.records(kind))["Id"] for kind in ("A", "SRV"))
        for message, service, attributes in (
                ("AWS_INSTANCE_IPV4", a, {}), ("AWS_INSTANCE_IPV4", a, {"AWS_INSTANCE_IPV4": "10.0.0.256"}),
                ("AWS_INSTANCE_PORT", srv, {"AWS_INSTANCE_IPV4": "10.0.0.1"}),
                ("AWS_INSTANCE_PORT", srv, {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "65536"}),
                ("HealthCheckCustomConfig", a, {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INIT_HEALTH_STATUS": "HEALTHY"}),
                ("not supported", a, {"AWS_ALIAS_DNS_NAME": "x.elb.amazonaws.com"}),
                ("at most 30", a, {"AWS_INSTANCE_IPV4": "10.0.0.1", **{f"k{i}": "v" for i in range(31)}})):
            with self.subTest(message):
                self.assertRefused(message, self.register, service, "i", **attributes)
        self.assertEqual(self.map.list_instances(ServiceId=a)["Instances"], [])

    def test_pages(self):
        service = self.service(self.http()[0])["Id"]
        for i in range(5):
            self.register(service, f"i{i}")
        first = self.map.list_instances(ServiceId=service, MaxResults=3)
        rest = self.map.list_instances(ServiceId=service, MaxResults=3, NextToken=first["NextToken"])
        self.assertEqual([i["Id"] for i in first["Instances"] + rest["Instances"]], [f"i{i}" for i in range(5)])
        self.assertNotIn("NextToken", rest)


class Permissions(MapCase):
    def test_by_service(self):
        iam, user = client("iam"), name()
        made, called = self.http()
        mine, other = self.service(made)["Arn"], self.service(made, "other")["Arn"]
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "servicediscovery:GetService", "Resource": mine},
            {"Effect": "Allow", "Action": "servicediscovery:DiscoverInstances", "Resource": "*",
             "Condition": {"StringEquals": {"servicediscovery:ServiceName": "web"}}}]}))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        theirs = discovering(key=key["AccessKeyId"], secret=key["SecretAccessKey"])
        self.assertEqual(theirs.get_service(Id=mine)["Service"]["Arn"], mine)
        self.assertAwsError("AccessDeniedException", theirs.get_service, Id=other)
        self.assertEqual(theirs.discover_instances(NamespaceName=called, ServiceName="web")["Instances"], [])
        self.assertAwsError("AccessDeniedException", theirs.discover_instances, NamespaceName=called, ServiceName="other")
        self.assertAwsError("AccessDeniedException", theirs.list_namespaces)


class Cli(MapCase):
    @unittest.skipUnless(aws_programs(), "there is no AWS CLI")
    def test_cli(self):
        for program in aws_programs():
            with self.subTest(program):
                made, _ = self.http()
                out = json.loads(run(program, "--endpoint-url", ENDPOINT, "servicediscovery", "create-service", "--name", "web",
                                     "--namespace-id", made).stdout)
                run(program, "--endpoint-url", ENDPOINT, "servicediscovery", "register-instance", "--service-id", out["Service"]["Id"],
                    "--instance-id", "one", "--attributes", "AWS_INSTANCE_IPV4=10.0.0.7")
                found = json.loads(run(program, "--endpoint-url", ENDPOINT, "servicediscovery", "list-instances", "--service-id",
                                       out["Service"]["Id"]).stdout)
                self.assertEqual(found["Instances"][0]["Attributes"], {"AWS_INSTANCE_IPV4": "10.0.0.7"})
