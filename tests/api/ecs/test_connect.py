"""Service Connect: tasks that reach services by names, through their own proxy."""
import datetime

from aws import client
from services import CHECK, ServiceCase, name

PORT = {"containerPort": 80, "name": "web", "appProtocol": "http"}
# It can say its own address, and drains its clients.
SERVE = ("mkdir -p /w/cgi-bin; echo {} > /w/index.html; printf '#!/bin/sh\\necho\\nifconfig eth0\\n' > /w/cgi-bin/who; "
         "printf '#!/bin/sh\\nprintf \"HTTP/1.0 500 No\\\\r\\\\n\\\\r\\\\n\"\\n' > /w/cgi-bin/fail; chmod 755 /w/cgi-bin/*; httpd -f -p 80 -h /w & S=$!; trap 'sleep 2; kill $S; exit 0' TERM; touch /tmp/up; wait $S")
# A static busybox resolves no names by itself: /etc/hosts is read for it.
ASK = ("A=$(awk '$2 == \"{name}\" {{ print $1 }}' /etc/hosts); echo at $A; while :; do "
       "R=$(printf 'GET {path} HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n' | nc -w 20 $A {port} | "
       "sed -n 's/.*inet addr:\\([0-9.]*\\) .*/\\1/p; /^HTTP.* [45]/p; /^[a-z]*$/p'); echo \"${{R:-nothing}}\"; usleep 50000; done")


class Connect(ServiceCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.watch = client("cloudwatch", region=cls.region)
        cls.map = client("servicediscovery", region=cls.region, inject_host_prefix=False)
        cls.space = f"n{cls.word}"
        said = cls.ecs.update_cluster(cluster=cls.cluster, serviceConnectDefaults={"namespace": cls.space})["cluster"]
        cls.namespace = said["serviceConnectDefaults"]["namespace"]

    def offers(self, *services, **more):
        return {"enabled": True, "services": list(services), **more}

    def web(self, text, **more):
        return self.register({"command": SERVE.format(text), "healthCheck": CHECK, "portMappings": [{**PORT, **more}]})

    def client_of(self, *targets, **more):
        """A service whose only task keeps asking; the lines that it has logged, by target."""
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "/t", "awslogs-region": self.region, "awslogs-stream-prefix": "x"}}
        made = self.register(*({"command": ASK.format(name=n, port=port, path=path), "logConfiguration": log} for n, port, path in targets))
        called = name()
        self.create(made, 1, called, serviceConnectConfiguration={"enabled": True, "logConfiguration": log, **more})
        return called

    def says(self, called, container="c"):
        (task,) = self.tasks_of(called)
        stream = f"x/{container}/{task['taskArn'].split('/')[-1]}"
        lines, token = [], None
        while True:
            page = self.logs.get_log_events(logGroupName="/t", logStreamName=stream, startFromHead=True, **({"nextToken": token} if token else {}))
            lines += [e["message"] for e in page["events"]]
            if page["nextForwardToken"] == token or not page["events"]:
                return lines[1:]
            token = page["nextForwardToken"]

    def addresses(self, called, port="80"):
        found = self.map.discover_instances(NamespaceName=self.space, ServiceName=called)["Instances"]
        self.assertLessEqual({i["Attributes"]["AWS_INSTANCE_PORT"] for i in found}, {port})
        return {i["Attributes"]["AWS_INSTANCE_IPV4"] for i in found}

    def running(self, called):
        return self.wait(lambda: [t for t in self.tasks_of(called) if t["lastStatus"] == "RUNNING"])

    def test_names_and_turns(self):
        called = name()
        alias = {"port": 8080, "dnsName": "web.internal"}
        self.create(self.web("one"), 2, called, serviceConnectConfiguration=self.offers(
            {"portName": "web", "discoveryName": called, "clientAliases": [alias]}))
        self.stable(called)
        deployment = self.service(called)["deployments"][0]
        self.assertEqual(deployment["serviceConnectConfiguration"]["namespace"], self.namespace)
        (resource,) = deployment["serviceConnectResources"]
        self.assertEqual(resource["discoveryName"], called)
        addresses = self.addresses(called)
        self.assertEqual(len(addresses), 2)
        asks = self.client_of(("web.internal", 8080, "/cgi-bin/who"))
        loads = self.client_of(("web.internal", 8080, "/"), ("web.internal", 8080, "/cgi-bin/fail"))
        (task,) = self.running(asks)
        self.running(loads)
        proxy = [c for c in task["containers"] if c["name"].startswith("ecs-service-connect-")]
        self.assertEqual([c["lastStatus"] for c in proxy], ["RUNNING"])
        who = self.wait(lambda: len(self.says(asks)) > 20 and self.says(asks))
        self.assertEqual(set(who), addresses, who[:5])
        self.assertLess(sum(a == b for a, b in zip(who, who[1:])), len(who) // 4, who)
        self.counted(called, asks)
        fails = {"TargetDiscoveryName": called, "ServiceName": loads, "ClusterName": self.cluster}
        self.wait(lambda: (self.metric("HTTPCode_Target_5XX_Count", "Count", "Sum", **fails) or 0) > 10)
        self.rolls(called, asks, loads)

    def metric(self, name, unit, stat, **by):
        """Its value over these hours; None: nothing came."""
        now = datetime.datetime.now(datetime.timezone.utc)
        out = self.watch.get_metric_statistics(
            Namespace="AWS/ECS", MetricName=name, Unit=unit, Dimensions=[{"Name": k, "Value": v} for k, v in by.items()], Period=86400 * 2, Statistics=[stat],
            StartTime=now - datetime.timedelta(days=2), EndTime=now + datetime.timedelta(days=2))["Datapoints"]
        return max((p[stat] for p in out), default=None)

    def counted(self, called, asks):
        """What proxies have counted: what reaches the service, by its name, and what a client sees of its targets."""
        everywhere, served = {"DiscoveryName": called}, {"DiscoveryName": called, "ServiceName": called, "ClusterName": self.cluster}
        anybody, client_ = {"TargetDiscoveryName": called}, {"TargetDiscoveryName": called, "ServiceName": asks, "ClusterName": self.cluster}
        self.wait(lambda: (self.metric("HTTPCode_Target_2XX_Count", "Count", "Sum", **client_) or 0) > 10)
        self.assertIsNone(self.metric("HTTPCode_Target_5XX_Count", "Count", "Sum", **client_))
        for by in (everywhere, served):
            for name, unit in (("RequestCount", "Count"), ("NewConnectionCount", "Count"), ("ProcessedBytes", "Bytes")):
                self.assertGreater(self.metric(name, unit, "Sum", **by), 10, (name, by))
            self.assertIsNotNone(self.metric("ActiveConnectionCount", "Count", "Maximum", **by))
            self.assertIsNone(self.metric("GrpcRequestCount", "Count", "Sum", **by))
        requests = self.metric("RequestCount", "Count", "Sum", **served)
        for by in (anybody, client_):
            self.assertGreater(self.metric("TargetProcessedBytes", "Bytes", "Sum", **by), 100)
            self.assertGreater(self.metric("RequestCountPerTarget", "Count", "Sum", **by), 1)
            self.assertGreater(self.metric("TargetResponseTime", "Milliseconds", "Average", **by), 0)
            self.assertIsNone(self.metric("HTTPCode_Target_3XX_Count", "Count", "Sum", **by))
        self.assertLessEqual(self.metric("RequestCountPerTarget", "Count", "Sum", **client_), requests)

    def rolls(self, called, asks, loads):
        """A deployment, one task more and one less: no request fails."""
        before = len(self.says(loads))
        self.update(called, taskDefinition=self.web("two"))
        self.stable(called)
        self.wait(lambda: "two" in self.says(loads))
        self.update(called, desiredCount=3)
        self.stable(called)
        self.wait(lambda: len(self.addresses(called)) == 3)
        addresses = self.addresses(called)
        seen = len(self.says(asks))
        self.wait(lambda: set(self.says(asks)[seen:]) == addresses)
        self.update(called, desiredCount=1)
        self.stable(called)
        many = len(self.says(loads))
        self.wait(lambda: len(self.says(loads)) > many + 10)
        self.assertEqual(set(self.says(loads)), {"one", "two"})
        self.assertGreater(many, before)
        self.ecs.delete_service(cluster=self.cluster, service=called, force=True)
        self.wait(lambda: self.service(called)["status"] == "INACTIVE")
        self.assertAwsError("ServiceNotFound", self.map.discover_instances, NamespaceName=self.space, ServiceName=called)
        self.wait(lambda: " 503 " in self.says(loads)[-1])

    def test_doors_and_plain_connections(self):
        """A port of the proxy's own before the task's, without knowledge of what is said through it."""
        called = name()
        self.create(self.web("door"), 1, called, serviceConnectConfiguration=self.offers(
            {"portName": "web", "discoveryName": called, "ingressPortOverride": 9000, "clientAliases": [{"port": 80}]}))
        plain = name()
        made = self.register({"command": SERVE.format("plain"), "healthCheck": CHECK, "portMappings": [{"containerPort": 80, "name": "web"}]})
        self.create(made, 1, plain, serviceConnectConfiguration=self.offers(
            {"portName": "web", "discoveryName": plain, "clientAliases": [{"port": 80}]}))
        self.ec2.authorize_security_group_ingress(GroupId=self.group, IpProtocol="tcp", FromPort=9000, ToPort=9000, CidrIp="0.0.0.0/0")
        self.stable(called)
        self.stable(plain)
        (instance,) = self.map.discover_instances(NamespaceName=self.space, ServiceName=called)["Instances"]
        self.assertEqual(instance["Attributes"]["AWS_INSTANCE_PORT"], "9000")
        asks = self.client_of((f"{called}.{self.space}", 80, "/"), (f"{plain}.{self.space}", 80, "/"))
        self.running(asks)
        self.wait(lambda: "door" in self.says(asks))
        self.wait(lambda: "plain" in self.says(asks, "c1"))
        # One is counted at its door, the other by its client; what is said through neither is known.
        for named in (called, plain):
            by = {"DiscoveryName": named, "ServiceName": named, "ClusterName": self.cluster}
            self.wait(lambda: self.metric("NewConnectionCount", "Count", "Sum", **by))
            self.assertGreater(self.metric("ProcessedBytes", "Bytes", "Sum", **by), 100)
        self.assertIsNone(self.metric("RequestCount", "Count", "Sum", DiscoveryName=plain))
        self.assertIsNone(self.metric("HTTPCode_Target_2XX_Count", "Count", "Sum", TargetDiscoveryName=plain))
        self.wait(lambda: (self.metric("RequestCount", "Count", "Sum", DiscoveryName=called) or 0) > 3)

    def test_refused(self):
        web = self.web("x")
        good = {"portName": "web", "clientAliases": [{"port": 80}]}

        def refuse(code, *services, **more):
            said = self.newer("CreateService", cluster=self.cluster, serviceName=name(), taskDefinition=web, desiredCount=0, launchType="FARGATE",
                              networkConfiguration=self.network(), serviceConnectConfiguration=self.offers(*services, **more))
            self.assertEqual(said[0], code, said)
        refuse("InvalidParameterException", {**good, "portName": "none"})
        refuse("InvalidParameterException", {**good, "discoveryName": "Upper"})
        refuse("InvalidParameterException", {**good, "clientAliases": []})
        refuse("InvalidParameterException", {**good, "clientAliases": [{"port": 0}]})
        refuse("InvalidParameterException", {**good, "clientAliases": [{"port": 80, "dnsName": "a b"}]})
        refuse("InvalidParameterException", {**good, "ingressPortOverride": 80})
        refuse("InvalidParameterException", good, good)
        refuse("NamespaceNotFoundException", good, namespace="nowhere")
        refuse("UnsupportedFeatureException", {**good, "tls": {"issuerCertificateAuthority": {}}})
        refuse("ClientException", good, logConfiguration={"logDriver": "awslogs", "options": {}})
        self.assertAwsError("ServiceNotFound", self.map.discover_instances, NamespaceName=self.space, ServiceName="web")
        called = name()
        self.create(web, 0, called, serviceConnectConfiguration=self.offers({**good, "discoveryName": "taken"}))
        refuse("InvalidParameterException", {**good, "discoveryName": "taken", "clientAliases": [{"port": 81}]})
        refuse("InvalidParameterException", {**good, "clientAliases": [{"port": 80, "dnsName": f"taken.{self.space}"}]})
        listed = self.newer("ListServicesByNamespace", namespace=self.space, maxResults=100)["serviceArns"]
        self.assertIn(self.service(called)["serviceArn"], listed)
        self.assertEqual(self.newer("ListServicesByNamespace", namespace="nowhere")[0], "NamespaceNotFoundException")
        self.update(called, serviceConnectConfiguration={"enabled": False})
        self.assertNotIn(self.service(called)["serviceArn"], self.newer("ListServicesByNamespace", namespace=self.space, maxResults=100)["serviceArns"])
