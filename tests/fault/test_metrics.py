"""What this cloud says of itself in CloudWatch: every metric under AWS's name, by AWS's dimensions and in AWS's unit, measured while things run; and nothing of what was
not asked for. `quartet clock` moves the minutes."""
import datetime
import os
import socket
import subprocess
import sys
import time
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import ROOT, program  # noqa: E402
from documented import documented  # noqa: E402
from functions import Functions  # noqa: E402
from tasked import Tasked  # noqa: E402

SERVE = "mkdir /w; hostname > /w/index.html; while :; do nc -l -p 81 -e echo no; done & exec httpd -f -p 80 -h /w"
# Reads the second sector into memory by the BIOS, waits for the clock (18 times a second), and again.
READING = bytes.fromhex("31c0 8ec0 bb007e b80102 b90200 ba8000 cd13 fb f4 ebea")
FUNCTION = """
def handler(event, context):
    if event == "fail":
        raise ValueError("no")
    return event
"""


def table(text):
    """Lines of `Unit: names`."""
    return [(name, unit.strip()) for unit, names in (line.split(":") for line in text.strip().splitlines()) for name in names.split()]


INSTANCES = table("""
    Percent: CPUUtilization
    Bytes: NetworkIn NetworkOut EBSReadBytes EBSWriteBytes
    Count: NetworkPacketsIn NetworkPacketsOut EBSReadOps EBSWriteOps MetadataNoToken MetadataNoTokenRejected""")
CREDITS = table("Count: CPUCreditUsage CPUCreditBalance CPUSurplusCreditBalance CPUSurplusCreditsCharged")
CHECKS = table("Count: StatusCheckFailed StatusCheckFailed_Instance StatusCheckFailed_System StatusCheckFailed_AttachedEBS")
VOLUMES = table("""
    Bytes: VolumeReadBytes VolumeWriteBytes
    Count: VolumeReadOps VolumeWriteOps VolumeQueueLength
    Count/Second: VolumeAvgIOPS
    Bytes/Second: VolumeAvgThroughput
    Seconds: VolumeTotalReadTime VolumeTotalWriteTime VolumeIdleTime
    Milliseconds: VolumeAvgReadLatency VolumeAvgWriteLatency
    None: VolumeStalledIOCheck VolumeIOPSExceededCheck VolumeThroughputExceededCheck""")
BURSTS = table("Percent: BurstBalance")
PROVISIONED = table("Percent: VolumeThroughputPercentage\nCount: VolumeConsumedReadWriteOps")
GATEWAYS = table("""
    Bytes: BytesInFromSource BytesOutToDestination BytesInFromDestination BytesOutToSource
    Count: PacketsInFromSource PacketsOutToDestination PacketsInFromDestination PacketsOutToSource PacketsDropCount ErrorPortAllocation ConnectionAttemptCount
    Count: ConnectionEstablishedCount IdleTimeoutCount ActiveConnectionCount PeakBytesPerSecond PeakPacketsPerSecond""")
GROUPS = table("""
    None: GroupMinSize GroupMaxSize GroupDesiredCapacity GroupInServiceInstances GroupPendingInstances GroupStandbyInstances GroupTerminatingInstances GroupTotalInstances
    None: GroupInServiceCapacity GroupPendingCapacity GroupStandbyCapacity GroupTerminatingCapacity GroupTotalCapacity""")
TASKS = table("""
    None: CpuUtilized CpuReserved
    Megabytes: MemoryUtilized MemoryReserved
    Gigabytes: EphemeralStorageReserved
    Bytes/Second: NetworkRxBytes NetworkTxBytes""")
ENHANCED_TASKS = table("Percent: TaskCpuUtilization TaskMemoryUtilization")
CONTAINERS = table("""
    None: ContainerCpuUtilized ContainerCpuReserved
    Megabytes: ContainerMemoryUtilized ContainerMemoryReserved
    Percent: ContainerCpuUtilization ContainerMemoryUtilization
    Count: UnHealthyContainerHealthStatus""")
SERVICES = table("Count: DesiredTaskCount RunningTaskCount PendingTaskCount DeploymentCount TaskSetCount")
CLUSTERS = table("Count: TaskCount ServiceCount")
BALANCERS = table("""
    Count: RequestCount NewConnectionCount ConsumedLCUs HTTPCode_Target_2XX_Count HTTPCode_Target_4XX_Count HTTPCode_ELB_4XX_Count HTTP_Fixed_Response_Count
    Count: RuleEvaluations ClientTLSNegotiationErrorCount TargetTLSNegotiationErrorCount
    Bytes: ProcessedBytes
    Seconds: TargetResponseTime""")
TARGETS = table("""
    Count: RequestCount RequestCountPerTarget HTTPCode_Target_2XX_Count HTTPCode_Target_4XX_Count HealthyHostCount UnHealthyHostCount
    Seconds: TargetResponseTime""")
STATES = table("Count: HealthyHostCount UnHealthyHostCount HealthyStateDNS UnhealthyStateDNS HealthyStateRouting UnhealthyStateRouting")
NETWORK = table("""
    Count: ActiveFlowCount NewFlowCount NewFlowCount_TCP NewFlowCount_UDP ProcessedPackets PeakPacketsPerSecond RejectedFlowCount RejectedFlowCount_TCP
    Count: TCP_Client_Reset_Count TCP_Target_Reset_Count TCP_ELB_Reset_Count PortAllocationErrorCount UnhealthyRoutingFlowCount ZonalHealthStatus
    Count: SecurityGroupBlockedFlowCount_Inbound_ICMP SecurityGroupBlockedFlowCount_Inbound_TCP SecurityGroupBlockedFlowCount_Inbound_UDP
    Count: SecurityGroupBlockedFlowCount_Outbound_TCP
    Bytes: ProcessedBytes ProcessedBytes_TCP ProcessedBytes_UDP
    Bytes/Second: PeakBytesPerSecond""")
UNITS = table("Count: ConsumedLCUs ConsumedLCUs_TCP ConsumedLCUs_UDP")
INVOCATIONS = table("""
    Count: Invocations Errors Throttles
    Milliseconds: Duration""")
EVENTS = table("""
    Count: AsyncEventsReceived AsyncEventsDropped
    Milliseconds: AsyncEventAge""")
FORWARDED = table("""
    Bytes: ForwardedBytes
    None: ForwardedLogEvents""")
LOST = table("None: DeliveryErrors DeliveryThrottling")
REQUESTS = table("""
    Count: AllRequests GetRequests PutRequests HeadRequests ListRequests DeleteRequests PostRequests 4xxErrors 5xxErrors
    Bytes: BytesUploaded BytesDownloaded
    Milliseconds: FirstByteLatency TotalRequestLatency""")


@unittest.skipUnless(os.path.exists("/usr/sbin/haproxy"), "there is no haproxy")
class Metrics(Tasked):
    def setUp(self):
        super().setUp()
        self.cloudwatch, self.ec2 = self.cloud.client("cloudwatch"), self.cloud.client("ec2")
        self.want = []  # (namespace, name, unit, dimensions)

    def expect(self, space, names, **dimensions):
        self.want += [(space, name, unit, dimensions) for name, unit in names]

    def minute(self):
        """Of the cloud's: the links and machines that are asked answer in a real moment."""
        time.sleep(2)
        subprocess.run([program(), "clock", "forward", "58s"], check=True, capture_output=True, env=self.cloud.environment())

    def now(self):
        out = subprocess.run([program(), "clock"], check=True, capture_output=True, text=True, env=self.cloud.environment()).stdout
        return datetime.datetime.fromisoformat(out.split()[0].replace("Z", "+00:00"))

    def missing(self):
        left, now = [], self.now()
        for at in range(0, len(self.want), 400):
            asked = self.want[at:at + 400]
            queries = [{"Id": f"q{k}", "MetricStat": {"Metric": {"Namespace": space, "MetricName": name, "Dimensions": [{"Name": d, "Value": v} for d, v in by.items()]},
                                                      "Period": 300, "Stat": "SampleCount", "Unit": unit}} for k, (space, name, unit, by) in enumerate(asked)]
            found = self.cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=self.start, EndTime=now + datetime.timedelta(minutes=5))["MetricDataResults"]
            left += [asked[int(r["Id"][1:])] for r in found if not r["Values"]]
        return left

    def until_true(self, what, seconds=120):
        until = time.monotonic() + seconds
        while not (found := what()):
            self.assertLess(time.monotonic(), until, "it did not come about")
            time.sleep(0.1)
        return found

    # what runs

    def image(self):
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket="disks")
        s3.put_object(Bucket="disks", Key="disk", Body=READING + bytes(510 - len(READING)) + b"\x55\xaa" + bytes(1 << 20))
        task = self.ec2.import_image(DiskContainers=[{"Format": "raw", "UserBucket": {"S3Bucket": "disks", "S3Key": "disk"}}])["ImportTaskId"]
        return self.until_true(lambda: self.ec2.describe_import_image_tasks(ImportTaskIds=[task])["ImportImageTasks"][0].get("ImageId"))

    def instance(self):
        image = self.image()
        one = self.ec2.run_instances(ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, Monitoring={"Enabled": True})["Instances"][0]["InstanceId"]

        def running():
            found = self.ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
            return found["State"]["Name"] == "running" and found
        volume, zone = self.until_true(running)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"], running()["Placement"]["AvailabilityZone"]
        for by in ({"InstanceId": one}, {"ImageId": image}, {"InstanceType": "t3.nano"}, {}):
            self.expect("AWS/EC2", INSTANCES, **by)
        self.expect("AWS/EC2", CREDITS + CHECKS, InstanceId=one)
        self.expect("AWS/EBS", VOLUMES + BURSTS, VolumeId=volume)
        fast = self.ec2.create_volume(AvailabilityZone=zone, Size=4, VolumeType="io1", Iops=100)["VolumeId"]
        self.until_true(lambda: self.ec2.describe_volumes(VolumeIds=[fast])["Volumes"][0]["State"] == "available")
        self.ec2.attach_volume(VolumeId=fast, InstanceId=one, Device="/dev/sdf")
        self.expect("AWS/EBS", [n for n in VOLUMES if "Stalled" not in n[0]] + PROVISIONED, VolumeId=fast)  # nobody touches it
        reserved = self.ec2.create_capacity_reservation(InstanceType="t3.nano", InstancePlatform="Linux/UNIX", AvailabilityZone=zone, InstanceCount=1)
        self.expect("AWS/EC2CapacityReservations", table("Count: UsedInstanceCount AvailableInstanceCount TotalInstanceCount\nPercent: InstanceUtilization"),
                    CapacityReservationId=reserved["CapacityReservation"]["CapacityReservationId"])
        self.expect("AWS/Usage", table("None: ResourceCount"), Service="EC2", Resource="vCPU", Type="Resource", Class="Standard/OnDemand")

    def gateway(self):
        subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        address = self.ec2.allocate_address(Domain="vpc")["AllocationId"]
        made = self.ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
        self.until_true(lambda: self.ec2.describe_nat_gateways(NatGatewayIds=[made])["NatGateways"][0]["State"] == "available")
        self.expect("AWS/NATGateway", GATEWAYS, NatGatewayId=made)

    def group(self):
        scaling = self.cloud.client("autoscaling")
        self.ec2.create_launch_template(LaunchTemplateName="tmpl", LaunchTemplateData={"ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.nano"})
        scaling.create_auto_scaling_group(AutoScalingGroupName="g", MinSize=0, MaxSize=1, LaunchTemplate={"LaunchTemplateName": "tmpl"},
                                          VPCZoneIdentifier=self.ec2.describe_subnets()["Subnets"][0]["SubnetId"])
        scaling.enable_metrics_collection(AutoScalingGroupName="g", Granularity="1Minute")
        self.expect("AWS/AutoScaling", GROUPS, AutoScalingGroupName="g")

    def service(self):
        """Of a cluster with enhanced Container Insights behind a balancer, and a task of one without."""
        elb = self.cloud.client("elbv2")
        subnets = self.ec2.describe_subnets()["Subnets"][:2]
        vpc, zone = subnets[0]["VpcId"], subnets[0]["AvailabilityZone"]
        (group,) = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc]}])["SecurityGroups"]
        for port in (80, 443):
            self.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpProtocol="tcp", FromPort=port, ToPort=port, CidrIp="0.0.0.0/0")
        balancer = elb.create_load_balancer(Name="web", Subnets=[s["SubnetId"] for s in subnets])["LoadBalancers"][0]["LoadBalancerArn"]
        targets = elb.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
                                          HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}])
        elb.create_rule(ListenerArn=listener["Listeners"][0]["ListenerArn"], Priority=1, Conditions=[{"Field": "path-pattern", "Values": ["/no"]}],
                        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "403"}}])
        self.ecs.create_cluster(clusterName="seen", settings=[{"name": "containerInsights", "value": "enhanced"}])
        self.ecs.create_cluster(clusterName="plain", settings=[{"name": "containerInsights", "value": "enabled"}])
        self.define("web", SERVE, portMappings=[{"containerPort": 80}], healthCheck={"command": ["CMD-SHELL", "true"], "interval": 5})
        self.ecs.create_service(cluster="seen", serviceName="web", taskDefinition="web", desiredCount=1, launchType="FARGATE", networkConfiguration=self.network,
                                loadBalancers=[{"targetGroupArn": targets, "containerName": "c", "containerPort": 80}])
        for cluster in ("plain", "default"):
            made = self.ecs.run_task(cluster=cluster, taskDefinition="t", launchType="FARGATE", networkConfiguration=self.network)
            self.assertEqual(made["failures"], [])
        self.until_true(lambda: [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]] == ["healthy"])
        words, paths = "/".join(balancer.split("/")[-3:]), targets.split(":")[-1]
        # handshakes that fail: of clients that do not speak TLS, of targets that do not
        acm = self.cloud.client("acm")
        certificate = acm.request_certificate(DomainName="web.localhost")["CertificateArn"]
        self.until_true(lambda: acm.describe_certificate(CertificateArn=certificate)["Certificate"]["Status"] == "ISSUED")
        elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": certificate}],
                            DefaultActions=[{"Type": "forward", "TargetGroupArn": targets}])
        sealed = elb.create_target_group(Name="sealed", Protocol="HTTPS", Port=81, VpcId=vpc, TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
        (where,) = elb.describe_target_health(TargetGroupArn=targets)["TargetHealthDescriptions"]
        elb.register_targets(TargetGroupArn=sealed, Targets=[{"Id": where["Target"]["Id"]}])
        elb.create_rule(ListenerArn=listener["Listeners"][0]["ListenerArn"], Priority=2, Conditions=[{"Field": "path-pattern", "Values": ["/sealed"]}],
                        Actions=[{"Type": "forward", "TargetGroupArn": sealed}])
        (node, *_) = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        self.node = node["Association"]["PublicIp"]
        task = self.ecs.list_tasks(cluster="seen")["taskArns"][0].split("/")[-1]
        self.expect("AWS/ECS", table("Percent: CPUUtilization MemoryUtilization"), ClusterName="seen", ServiceName="web")
        self.expect("AWS/Usage", table("None: ResourceCount"), Service="Fargate", Resource="vCPU", Type="Resource", Class="Standard/OnDemand")
        for by in ({}, {"ServiceName": "web"}, {"TaskDefinitionFamily": "web"}, {"ServiceName": "web", "TaskId": task}, {"TaskDefinitionFamily": "web", "TaskId": task}):
            self.expect("ECS/ContainerInsights", TASKS + ENHANCED_TASKS, ClusterName="seen", **by)
            self.expect("ECS/ContainerInsights", CONTAINERS, ClusterName="seen", **by, **({"ContainerName": "c"} if by else {}))
        self.expect("ECS/ContainerInsights", SERVICES, ClusterName="seen", ServiceName="web")
        self.expect("ECS/ContainerInsights", CLUSTERS, ClusterName="seen")
        self.expect("ECS/ContainerInsights", TASKS + CLUSTERS[:1], ClusterName="plain")
        self.expect("ECS/ContainerInsights", TASKS, ClusterName="plain", TaskDefinitionFamily="t")
        for by in ({}, {"AvailabilityZone": node["AvailabilityZone"]}):
            names = BALANCERS if not by else [n for n in BALANCERS if n[0] != "ConsumedLCUs"]
            self.expect("AWS/ApplicationELB", names, LoadBalancer=words, **by)
            self.expect("AWS/ApplicationELB", [n for n in TARGETS if not by or "Host" not in n[0]], LoadBalancer=words, TargetGroup=paths, **by)
            self.expect("AWS/ApplicationELB", table("Count: TargetTLSNegotiationErrorCount UnhealthyRoutingRequestCount"), LoadBalancer=words, TargetGroup=sealed.split(":")[-1], **by)
        self.expect("AWS/ApplicationELB", STATES, LoadBalancer=words, TargetGroup=paths)
        self.expect("AWS/ApplicationELB", STATES, LoadBalancer=words, TargetGroup=paths, AvailabilityZone=zone)

        self.target, self.guarded = where["Target"]["Id"], subnets[0]

    def network_balancer(self):
        """Its group lets in what is for two ports, and nothing out, so no target is ever healthy."""
        elb, subnet = self.cloud.client("elbv2"), self.guarded
        (group,) = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [subnet["VpcId"]]}])["SecurityGroups"]
        self.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpProtocol="udp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
        guard = self.ec2.create_security_group(GroupName="guard", Description="d", VpcId=subnet["VpcId"])["GroupId"]
        self.ec2.authorize_security_group_ingress(GroupId=guard, IpPermissions=[
            {"IpProtocol": p, "FromPort": 9000, "ToPort": 9001, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]} for p in ("tcp", "udp")])
        self.ec2.revoke_security_group_egress(GroupId=guard, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])
        balancer = elb.create_load_balancer(Name="net", Type="network", Subnets=[subnet["SubnetId"]], SecurityGroups=[guard])["LoadBalancers"][0]["LoadBalancerArn"]
        for name, port, targets in (("ill", 9000, [{"Id": self.target, "Port": 80}]), ("none", 9001, [])):
            group = elb.create_target_group(Name=name, Protocol="TCP_UDP", Port=80, VpcId=subnet["VpcId"], TargetType="ip", HealthCheckIntervalSeconds=5,
                                            HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
            if targets:
                elb.register_targets(TargetGroupArn=group, Targets=targets)
                ill = group
            elb.create_listener(LoadBalancerArn=balancer, Protocol="TCP_UDP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        self.until_true(lambda: [d["TargetHealth"]["State"] for d in elb.describe_target_health(TargetGroupArn=ill)["TargetHealthDescriptions"]] == ["unhealthy"])
        words = "/".join(balancer.split("/")[-3:])
        (node,) = self.ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": ["ELB " + words]}])["NetworkInterfaces"]
        self.network_node = node["Association"]["PublicIp"]
        self.expect("AWS/NetworkELB", NETWORK + UNITS, LoadBalancer=words)
        self.expect("AWS/NetworkELB", NETWORK, LoadBalancer=words, AvailabilityZone=subnet["AvailabilityZone"])
        self.expect("AWS/NetworkELB", table("Count: HealthyHostCount UnHealthyHostCount"), LoadBalancer=words, TargetGroup=ill.split(":")[-1])

    def ask_the_network_balancer(self):
        for port in (9000, 9001, 9002):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packet:
                packet.sendto(b"?", (self.network_node, port))
            try:
                with socket.create_connection((self.network_node, port), timeout=1) as s:
                    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    s.recv(1000)
            except OSError:
                pass
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as s:  # an echo request
            s.sendto(b"\x08\0\xf7\xfe\0\x01\0\0", (self.network_node, 0))

    def ask_the_balancer(self):
        for path in ("/", "/nothing", "/no", "/sealed"):
            try:
                urllib.request.urlopen(f"http://{self.node}{path}", timeout=20).read()
            except OSError:
                pass
        with socket.create_connection((self.node, 80), timeout=20) as odd:
            odd.sendall(b"this is not HTTP\r\n\r\n")
            odd.recv(1000)
        try:
            with socket.create_connection((self.node, 443), timeout=20) as odd:
                odd.sendall(b"this is not TLS\r\n\r\n")
                odd.recv(1000)
        except OSError:
            pass

    def function(self):
        made = Functions(self.cloud)
        name = made.make("f", FUNCTION)
        made.aws.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        made.call(name, "x")
        made.call(name, "fail")
        made.aws.invoke(FunctionName=name, Payload='"fail"', InvocationType="Event")
        for by in ({"FunctionName": name}, {"FunctionName": name, "Resource": name}, {}):
            self.expect("AWS/Lambda", INVOCATIONS + EVENTS, **by)
        for by in ({"FunctionName": name}, {"FunctionName": name, "Resource": name}):
            self.expect("AWS/Lambda", table("Count: ConcurrentExecutions"), **by)
        self.expect("AWS/Lambda", table("Count: ConcurrentExecutions UnreservedConcurrentExecutions ClaimedAccountConcurrency"))
        self.expect("AWS/Logs", table("Bytes: IncomingBytes\nNone: IncomingLogEvents"), LogGroupName="/aws/lambda/f")
        self.expect("AWS/Logs", table("Bytes: IncomingBytes\nNone: IncomingLogEvents"))
        self.forwarded(made, name)

    def forwarded(self, made, name):
        """Events that a function gets; and more than there is room for, for one that has gone."""
        logs, names = self.cloud.client("logs"), {"there": name, "gone": made.make("gone", FUNCTION)}
        for group, function in names.items():
            made.aws.add_permission(FunctionName=function, StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com")
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="s")
            logs.put_subscription_filter(logGroupName=group, filterName="f", filterPattern="", destinationArn=made.aws.get_function(FunctionName=function)["Configuration"]["FunctionArn"])
        made.aws.delete_function(FunctionName="gone")
        at = int(self.now().timestamp() * 1000)
        logs.put_log_events(logGroupName="there", logStreamName="s", logEvents=[{"timestamp": at, "message": "one"}])
        for _ in range(70):
            logs.put_log_events(logGroupName="gone", logStreamName="s", logEvents=[{"timestamp": at, "message": "x" * 250000}] * 4)
        for group, wanted in (("there", FORWARDED), ("gone", LOST)):
            self.expect("AWS/Logs", wanted, LogGroupName=group, FilterName="f", DestinationType="Lambda")

    def bucket(self):
        s3 = self.cloud.client("s3")
        s3.create_bucket(Bucket="counted")
        s3.put_bucket_metrics_configuration(Bucket="counted", Id="all", MetricsConfiguration={"Id": "all"})
        s3.put_object(Bucket="counted", Key="k", Body=b"x" * 100)
        s3.get_object(Bucket="counted", Key="k")["Body"].read()
        s3.head_object(Bucket="counted", Key="k")
        s3.list_objects_v2(Bucket="counted")
        s3.create_multipart_upload(Bucket="counted", Key="m")
        s3.delete_object(Bucket="counted", Key="no")
        self.expect("AWS/S3", REQUESTS, BucketName="counted", FilterId="all")

    def names(self):
        dns = self.cloud.client("route53")
        check = dns.create_health_check(CallerReference="c", HealthCheckConfig={"Type": "TCP", "IPAddress": "127.79.255.2", "Port": 9, "RequestInterval": 10})["HealthCheck"]["Id"]
        self.expect("AWS/Route53", table("None: HealthCheckStatus\nPercent: HealthCheckPercentageHealthy"), HealthCheckId=check)

    def resolver(self):
        api = self.cloud.client("route53resolver")
        subnets = self.ec2.describe_subnets()["Subnets"][:2]
        (group,) = self.ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}])["SecurityGroups"]
        made = api.create_resolver_endpoint(CreatorRequestId="r", Direction="INBOUND", SecurityGroupIds=[group["GroupId"]],
                                            IpAddresses=[{"SubnetId": s["SubnetId"]} for s in subnets])["ResolverEndpoint"]["Id"]
        self.expect("AWS/Route53Resolver", table("Count: EndpointHealthyENICount EndpointUnhealthyENICount"), EndpointId=made)

    def test_all_that_is_there(self):
        self.start = self.now() - datetime.timedelta(minutes=1)
        self.start -= datetime.timedelta(minutes=self.start.minute % 5, seconds=self.start.second, microseconds=self.start.microsecond)
        for make in (self.instance, self.gateway, self.group, self.service, self.network_balancer, self.function, self.bucket, self.names, self.resolver):
            make()
        self.expect("AWS/Usage", table("None: CallCount"), Service="S3", Resource="PutObject", Type="API", Class="None")
        for _ in range(30):
            self.ask_the_balancer()
            self.ask_the_network_balancer()
            self.minute()
            if not (left := self.missing()):
                break
        self.assertEqual(left, [])
        self.assertEqual(self.cloudwatch.list_metrics(Namespace="ECS/ContainerInsights", Dimensions=[{"Name": "ClusterName", "Value": "default"}])["Metrics"], [])
        self.is_documented()
        plain = self.cloudwatch.list_metrics(Namespace="ECS/ContainerInsights", Dimensions=[{"Name": "ClusterName", "Value": "plain"}])["Metrics"]
        self.assertEqual([m for m in plain if any(d["Name"] in ("TaskId", "ContainerName") for d in m["Dimensions"])], [])
        self.daily()

    def is_documented(self):
        """All that is there, and all that was asked for, is in docs/METRICS.md by these dimensions, and in that unit."""
        page = documented(ROOT).measured
        for space, name, unit, by in self.want:
            if not space.endswith("ELB"):
                self.assertEqual(page[space, name][0], unit, (space, name))
        seen = 0
        for batch in self.cloudwatch.get_paginator("list_metrics").paginate():
            for m in batch["Metrics"]:
                if m["Namespace"].startswith(("AWS/", "ECS/")) and not m["Namespace"].endswith("ELB"):
                    seen += 1
                    self.assertIn(tuple(sorted(d["Name"] for d in m["Dimensions"])), page.get((m["Namespace"], m["MetricName"]), ("", ()))[1], m)
        self.assertGreater(seen, 300)

    def daily(self):
        """What a bucket has is said once a day, an hour after it was first looked at."""
        self.want = []
        self.expect("AWS/S3", table("Count: NumberOfObjects"), BucketName="counted", StorageType="AllStorageTypes")
        self.expect("AWS/S3", table("Bytes: BucketSizeBytes"), BucketName="counted", StorageType="StandardStorage")
        subprocess.run([program(), "clock", "forward", "61m"], check=True, capture_output=True, env=self.cloud.environment())
        self.start = self.now().replace(hour=0, minute=0, second=0, microsecond=0)
        until = time.monotonic() + 60
        while (left := self.missing()) and time.monotonic() < until:
            time.sleep(0.2)
        self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
