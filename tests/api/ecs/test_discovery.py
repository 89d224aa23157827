"""Names of private namespaces inside their VPC, and services whose tasks are found by them."""
from aws import client
from services import CHECK, ServiceCase, name


class DiscoveryCase(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.map = client("servicediscovery", region=cls.region, inject_host_prefix=False)
        cls.zone = f"z{cls.word}.local"
        made = cls.map.create_private_dns_namespace(Name=cls.zone, Vpc=cls.vpc, Properties={"DnsProperties": {"SOA": {"TTL": 0}}})
        cls.namespace = cls.map.get_operation(OperationId=made["OperationId"])["Operation"]["Targets"]["NAMESPACE"]

    def found_as(self, called, kind="A", **more):
        return self.map.create_service(Name=called, NamespaceId=self.namespace, DnsConfig={"DnsRecords": [{"Type": kind, "TTL": 0}], **more},
                                       HealthCheckCustomConfig={"FailureThreshold": 1})["Service"]

    def instances(self, registry):
        return {i["Id"]: i["Attributes"] for i in self.map.list_instances(ServiceId=registry["Id"])["Instances"]}

    def health(self, registry):
        return self.map.get_instances_health_status(ServiceId=registry["Id"])["Status"]


class Names(DiscoveryCase):
    def put(self, registry, instance, address, **more):
        self.map.register_instance(ServiceId=registry["Id"], InstanceId=instance, Attributes={"AWS_INSTANCE_IPV4": address, **more})

    def addresses(self, lines):
        return sorted(line.split()[-1] for line in lines if line.startswith("Address") and "10.1." in line)

    def answers(self, lines):
        """What was said between the marks, question by question."""
        said = [[]]
        for line in lines:
            if line.startswith("--"):
                said.append([])
            said[-1].append(line)
        return said[1:]

    def test_what_is_answered(self):
        many, one, target = self.found_as("many"), self.found_as("one", RoutingPolicy="WEIGHTED"), self.found_as("_http._tcp", "SRV")
        for i in range(12):
            self.put(many, f"i{i}", f"10.1.0.{i}", AWS_INIT_HEALTH_STATUS="UNHEALTHY" if i < 3 else "HEALTHY")
        for i in range(3):
            self.put(one, f"i{i}", f"10.1.1.{i}")
            self.put(target, f"T{i}", f"10.1.2.{i}", AWS_INSTANCE_PORT=f"80{i}")
        self.found_as("empty")
        ask = [f"many.{self.zone}"] * 3 + [f"one.{self.zone}", f"-type=srv _http._tcp.{self.zone}", f"t1._http._tcp.{self.zone}",
                                           f"empty.{self.zone}", f"none.{self.zone}", f"-type=aaaa many.{self.zone}"]
        script = "; ".join(f"echo '--'; nslookup {q} 2>&1" for q in ask)
        lines, _ = self.says(script)
        *several, single, targets, host, empty, none, other = self.answers(lines)
        well = {f"10.1.0.{i}" for i in range(3, 12)}
        for said in several:
            self.assertEqual(len(set(self.addresses(said))), 8, said)
            self.assertLessEqual(set(self.addresses(said)), well)
        self.assertEqual(len(self.addresses(single)), 1)
        for i in range(3):
            self.assertTrue(any(f"1 1 80{i} t{i}._http._tcp.{self.zone}" in line for line in targets), targets)
        self.assertEqual(self.addresses(host), ["10.1.2.1"])
        for said in (empty, none):
            self.assertTrue(any("NXDOMAIN" in line for line in said), said)
        self.assertEqual(self.addresses(other), [])
        self.assertFalse(any("NXDOMAIN" in line for line in other), other)
        for i in range(3, 12):
            self.map.update_instance_custom_health_status(ServiceId=many["Id"], InstanceId=f"i{i}", Status="UNHEALTHY")
        lines, _ = self.says(f"nslookup many.{self.zone}; nslookup MANY.{self.zone.upper()}")
        self.assertEqual(len(self.addresses(lines)), 16)

    def test_of_its_vpc_alone(self):
        shared = self.found_as("shared")
        self.put(shared, "i", "10.1.3.3")
        vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]
        subnet = self.ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/25")["Subnet"]
        mine, self.subnet = self.subnet, subnet
        self.addCleanup(setattr, self, "subnet", mine)
        lines, _ = self.says(f"nslookup shared.{self.zone} 2>&1")
        self.assertEqual(self.addresses(lines), [])
        self.assertTrue(lines)


class Tasks(DiscoveryCase):
    def test_they_come_and_go(self):
        registry, called = self.found_as("web"), name()
        one = self.server("one")
        made = self.create(one, 2, called, public=False, serviceRegistries=[{"registryArn": registry["Arn"]}])
        self.assertEqual(made["serviceRegistries"], [{"registryArn": registry["Arn"]}])
        self.wait(lambda: len(self.instances(registry)) == 2)
        self.stable(called)
        for t in self.tasks_of(called):
            attributes = self.instances(registry)[t["taskArn"].rsplit("/", 1)[1]]
            details = {d["name"]: d["value"] for d in t["attachments"][0]["details"]}
            self.assertEqual(attributes, {
                "AWS_INSTANCE_IPV4": details["privateIPv4Address"], "AVAILABILITY_ZONE": t["availabilityZone"], "ECS_CLUSTER_NAME": self.cluster,
                "ECS_SERVICE_NAME": called, "ECS_TASK_DEFINITION_FAMILY": one.rsplit("/", 1)[1].split(":")[0], "REGION": self.region})
        self.assertEqual(set(self.health(registry).values()), {"HEALTHY"})
        ask = f"while true; do wget -q -O - http://web.{self.zone}/ 2>&1 || echo FAILED; sleep 0.1; done"
        asker = self.run_task({"command": ask, "logConfiguration": self.log(called)})
        self.wait_for_lines(10, called, asker)
        self.update(called, taskDefinition=self.server("two"))
        self.stable(called)
        before = len(self.lines(called, asker))
        said = self.wait_for_lines(before + 10, called, asker)
        self.assertEqual(set(said), {"one", "two"}, said)
        self.assertEqual(set(said[-5:]), {"two"})
        self.assertEqual(set(self.instances(registry)), {t["taskArn"].rsplit("/", 1)[1] for t in self.tasks_of(called)})
        self.ecs.delete_service(cluster=self.cluster, service=called, force=True)
        self.wait(lambda: not self.instances(registry))
        self.map.delete_service(Id=registry["Id"])

    def test_health(self):
        """A task that is not well yet is there, and nobody is led to it; a port is told where there is one."""
        registry, called = self.found_as("sick", "SRV"), name()
        self.assertRefused("needs a port", self.create, self.server("x"), 1, called, serviceRegistries=[{"registryArn": registry["Arn"]}])
        slow = self.register({"command": "while true; do sleep 0.1; done", "portMappings": [{"containerPort": 8080}], "name": "app",
                              "healthCheck": {**CHECK, "command": ["CMD-SHELL", "test -f /tmp/well"], "startPeriod": 300}})
        self.create(slow, 1, called, public=False, serviceRegistries=[
            {"registryArn": registry["Arn"], "containerName": "app", "containerPort": 8080}])
        self.wait(lambda: self.health(registry))
        self.assertEqual(list(self.health(registry).values()), ["UNHEALTHY"])
        (attributes,) = self.instances(registry).values()
        self.assertEqual(attributes["AWS_INSTANCE_PORT"], "8080")
        self.assertEqual(self.map.discover_instances(NamespaceName=self.zone, ServiceName="sick", HealthStatus="HEALTHY")["Instances"], [])
        self.assertEqual(self.service(called)["deployments"][0]["rolloutState"], "IN_PROGRESS")
