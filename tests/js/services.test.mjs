// The same SDK against the services beside functions: what one call sends and what its reply becomes, by each service's own protocol.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ACMClient, DeleteCertificateCommand, DescribeCertificateCommand, ListCertificatesCommand, RequestCertificateCommand } from "@aws-sdk/client-acm";
import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import { CloudWatchClient, DeleteAlarmsCommand, DescribeAlarmsCommand, GetMetricDataCommand, GetMetricStatisticsCommand, PutMetricAlarmCommand, PutMetricDataCommand, SetAlarmStateCommand } from "@aws-sdk/client-cloudwatch";
import { CostExplorerClient, GetCostAndUsageCommand } from "@aws-sdk/client-cost-explorer";
import { AuthorizeSecurityGroupIngressCommand, CreateSecurityGroupCommand, CreateVpcCommand, DeleteSecurityGroupCommand, DeleteVpcCommand, DescribeInstanceTypesCommand, DescribeSecurityGroupRulesCommand, DescribeSubnetsCommand, DescribeVpcsCommand, EC2Client, paginateDescribeInstanceTypes, RunInstancesCommand, waitUntilVpcAvailable } from "@aws-sdk/client-ec2";
import { CreateRepositoryCommand, DeleteRepositoryCommand, DescribeRepositoriesCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { CreateClusterCommand, DeleteClusterCommand, DeregisterTaskDefinitionCommand, DescribeTaskDefinitionCommand, ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { CreateListenerCommand, CreateLoadBalancerCommand, CreateRuleCommand, CreateTargetGroupCommand, DeleteLoadBalancerCommand, DeleteTargetGroupCommand, DescribeRulesCommand, DescribeTargetHealthCommand, ElasticLoadBalancingV2Client, RegisterTargetsCommand, waitUntilLoadBalancerAvailable } from "@aws-sdk/client-elastic-load-balancing-v2";
import { ChangeResourceRecordSetsCommand, CreateHostedZoneCommand, DeleteHostedZoneCommand, ListResourceRecordSetsCommand, Route53Client, waitUntilResourceRecordSetsChanged } from "@aws-sdk/client-route-53";
import { DeleteParameterCommand, GetParameterCommand, GetParametersByPathCommand, PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";

const config = { endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION, maxAttempts: 1 };
const name = (what) => `js-${what}-${process.pid}-${Math.floor(Math.random() * 1e9)}`;

test("ec2: networks, rules, pages and errors", async () => {
  const ec2 = new EC2Client(config);
  const { Vpc } = await ec2.send(new CreateVpcCommand({ CidrBlock: "10.231.0.0/16", TagSpecifications: [{ ResourceType: "vpc", Tags: [{ Key: "Name", Value: "js" }] }] }));
  const ids = { VpcIds: [Vpc.VpcId] };
  await waitUntilVpcAvailable({ client: ec2, maxWaitTime: 20, minDelay: 1 }, ids);
  const { Vpcs } = await ec2.send(new DescribeVpcsCommand(ids));
  assert.deepEqual(Vpcs[0].Tags, [{ Key: "Name", Value: "js" }]);
  assert.equal(Vpcs[0].IsDefault, false);
  const { GroupId } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: name("group"), Description: "of a test", VpcId: Vpc.VpcId }));
  const IpPermissions = [{ IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "10.0.0.0/8", Description: "inside" }] }];
  const { Return, SecurityGroupRules } = await ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions }));
  assert.equal(Return, true);
  const rules = await ec2.send(new DescribeSecurityGroupRulesCommand({ SecurityGroupRuleIds: [SecurityGroupRules[0].SecurityGroupRuleId] }));
  assert.equal(rules.SecurityGroupRules[0].CidrIpv4, "10.0.0.0/8");
  await assert.rejects(ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions })), { name: "InvalidPermission.Duplicate" });
  await ec2.send(new DeleteSecurityGroupCommand({ GroupId }));
  await ec2.send(new DeleteVpcCommand({ VpcId: Vpc.VpcId }));
  await assert.rejects(ec2.send(new DescribeVpcsCommand(ids)), (e) => e.name === "InvalidVpcID.NotFound" && e.$metadata.httpStatusCode === 400);

  const types = [];
  for await (const page of paginateDescribeInstanceTypes({ client: ec2, pageSize: 20 }, { Filters: [{ Name: "burstable-performance-supported", Values: ["true"] }] }))
    types.push(...page.InstanceTypes);
  assert.ok(types.length > 20 && types.every((t) => t.BurstablePerformanceSupported));
  const { InstanceTypes } = await ec2.send(new DescribeInstanceTypesCommand({ InstanceTypes: ["t3.micro"] }));
  assert.equal(InstanceTypes[0].MemoryInfo.SizeInMiB, 1024);
  await assert.rejects(ec2.send(new RunInstancesCommand({ ImageId: "ami-00000000000000000", MinCount: 1, MaxCount: 1, InstanceType: "t3.micro" })), { name: "InvalidAMIID.NotFound" });
});

test("ecr: a repository and a token", async () => {
  const ecr = new ECRClient(config), repositoryName = name("repository");
  const { repository } = await ecr.send(new CreateRepositoryCommand({ repositoryName, imageTagMutability: "IMMUTABLE" }));
  assert.ok(repository.createdAt instanceof Date);
  const { repositories } = await ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }));
  assert.equal(repositories[0].imageTagMutability, "IMMUTABLE");
  const { authorizationData } = await ecr.send(new GetAuthorizationTokenCommand({}));
  assert.match(Buffer.from(authorizationData[0].authorizationToken, "base64").toString(), /^AWS:/);
  assert.ok(authorizationData[0].expiresAt > new Date());
  await ecr.send(new DeleteRepositoryCommand({ repositoryName }));
  await assert.rejects(ecr.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] })), { name: "RepositoryNotFoundException" });
});

test("ecs: definitions and errors", async () => {
  const ecs = new ECSClient(config), family = name("family"), clusterName = name("cluster");
  await ecs.send(new CreateClusterCommand({ clusterName }));
  const containerDefinitions = [{ name: "web", image: "none:1", memory: 64, portMappings: [{ containerPort: 80 }], environment: [{ name: "A", value: "\u00fc" }] }];
  const { taskDefinition } = await ecs.send(new RegisterTaskDefinitionCommand({ family, containerDefinitions, requiresCompatibilities: ["FARGATE"], networkMode: "awsvpc", cpu: "256", memory: "512" }));
  assert.equal(taskDefinition.revision, 1);
  const found = await ecs.send(new DescribeTaskDefinitionCommand({ taskDefinition: family }));
  assert.deepEqual(found.taskDefinition.containerDefinitions[0].environment, [{ name: "A", value: "\u00fc" }]);
  await assert.rejects(ecs.send(new RunTaskCommand({ cluster: clusterName, taskDefinition: family, launchType: "FARGATE" })), { name: "InvalidParameterException" });
  await assert.rejects(ecs.send(new RunTaskCommand({ cluster: name("absent"), taskDefinition: family })), { name: "ClusterNotFoundException" });
  await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition: taskDefinition.taskDefinitionArn }));
  await ecs.send(new DeleteClusterCommand({ cluster: clusterName }));
});

test("cloudwatch: numbers, statistics and an alarm", async () => {
  const watch = new CloudWatchClient(config), Namespace = name("space"), AlarmName = name("alarm");
  const minute = Math.floor(Date.now() / 60000) * 60000, at = (n) => new Date(minute - n * 60000);
  const MetricData = [1, 2, 3].map((n) => ({ MetricName: "m", Timestamp: at(n), Value: n * 10, Unit: "Count", Dimensions: [{ Name: "d", Value: "v" }] }));
  await watch.send(new PutMetricDataCommand({ Namespace, MetricData }));
  const Metric = { Namespace, MetricName: "m", Dimensions: [{ Name: "d", Value: "v" }] }, span = { StartTime: at(5), EndTime: at(0) };
  const MetricDataQueries = [{ Id: "a", MetricStat: { Metric, Period: 60, Stat: "Sum" }, ReturnData: false }, { Id: "b", Expression: "a * 2" }];
  const { MetricDataResults } = await watch.send(new GetMetricDataCommand({ ...span, MetricDataQueries, ScanBy: "TimestampAscending" }));
  assert.deepEqual(MetricDataResults[0].Values, [60, 40, 20]);
  assert.deepEqual(MetricDataResults[0].Timestamps, [at(3), at(2), at(1)]);
  const { Datapoints } = await watch.send(new GetMetricStatisticsCommand({ ...span, ...Metric, Period: 300, Statistics: ["Maximum", "SampleCount"] }));
  assert.equal(Datapoints.reduce((sum, p) => sum + p.SampleCount, 0), 3);
  await watch.send(new PutMetricAlarmCommand({ AlarmName, ...Metric, Statistic: "Average", Period: 60, EvaluationPeriods: 1, Threshold: 5, ComparisonOperator: "GreaterThanThreshold" }));
  const { MetricAlarms } = await watch.send(new DescribeAlarmsCommand({ AlarmNames: [AlarmName] }));
  assert.equal(MetricAlarms[0].Threshold, 5);
  await watch.send(new DeleteAlarmsCommand({ AlarmNames: [AlarmName] }));
  await assert.rejects(watch.send(new SetAlarmStateCommand({ AlarmName, StateValue: "OK", StateReason: "a test" })), (e) => /ResourceNotFound/.test(e.name) && e.$metadata.httpStatusCode === 404);
});

test("route 53: a zone and a batch", async () => {
  const dns = new Route53Client(config), Name = `${name("zone")}.example.`;
  const { HostedZone } = await dns.send(new CreateHostedZoneCommand({ Name, CallerReference: name("call") })), HostedZoneId = HostedZone.Id;
  const change = (Action, ResourceRecordSet) => dns.send(new ChangeResourceRecordSetsCommand({ HostedZoneId, ChangeBatch: { Changes: [{ Action, ResourceRecordSet }] } }));
  const set = { Name: `www.${Name}`, Type: "A", TTL: 60, ResourceRecords: [{ Value: "192.0.2.1" }, { Value: "192.0.2.2" }] };
  const { ChangeInfo } = await change("CREATE", set);
  assert.ok(ChangeInfo.SubmittedAt instanceof Date);
  await waitUntilResourceRecordSetsChanged({ client: dns, maxWaitTime: 20, minDelay: 1 }, { Id: ChangeInfo.Id });
  const { ResourceRecordSets } = await dns.send(new ListResourceRecordSetsCommand({ HostedZoneId }));
  assert.deepEqual(ResourceRecordSets.map((s) => s.Type), ["NS", "SOA", "A"]);
  assert.deepEqual(ResourceRecordSets[2], set);
  await assert.rejects(change("CREATE", set), { name: "InvalidChangeBatch" });
  await change("DELETE", set);
  await dns.send(new DeleteHostedZoneCommand({ Id: HostedZoneId }));
  await assert.rejects(dns.send(new ListResourceRecordSetsCommand({ HostedZoneId })), { name: "NoSuchHostedZone" });
});

test("auto scaling: a group of none", async () => {
  const scaling = new AutoScalingClient(config), AutoScalingGroupName = name("group"), LaunchConfigurationName = name("launch");
  const absent = { AutoScalingGroupName, LaunchConfigurationName, MinSize: 0, MaxSize: 0, AvailabilityZones: [`${config.region}a`] };
  await assert.rejects(scaling.send(new CreateAutoScalingGroupCommand(absent)), { name: "ValidationError" });
  const { AutoScalingGroups } = await scaling.send(new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [AutoScalingGroupName] }));
  assert.deepEqual(AutoScalingGroups, []);
});

test("ssm: parameters", async () => {
  const ssm = new SSMClient(config), Path = `/${name("path")}`, Name = `${Path}/a`;
  assert.equal((await ssm.send(new PutParameterCommand({ Name, Value: "secret", Type: "SecureString" }))).Version, 1);
  const { Parameter } = await ssm.send(new GetParameterCommand({ Name, WithDecryption: true }));
  assert.equal(Parameter.Value, "secret");
  assert.ok(Parameter.LastModifiedDate instanceof Date);
  assert.equal((await ssm.send(new GetParametersByPathCommand({ Path }))).Parameters.length, 1);
  await ssm.send(new DeleteParameterCommand({ Name }));
  await assert.rejects(ssm.send(new GetParameterCommand({ Name })), { name: "ParameterNotFound" });
});

test("cost explorer: today", async () => {
  const bill = new CostExplorerClient(config), day = (n) => new Date(Date.now() + n * 86400000).toISOString().slice(0, 10);
  const { ResultsByTime } = await bill.send(new GetCostAndUsageCommand({ TimePeriod: { Start: day(0), End: day(1) }, Granularity: "DAILY", Metrics: ["UnblendedCost"] }));
  assert.equal(ResultsByTime.length, 1);
  assert.equal(ResultsByTime[0].Total.UnblendedCost.Unit, "USD");
});

test("acm: a request and its record", async () => {
  const acm = new ACMClient(config), DomainName = `${name("cert")}.example.com`;
  const { CertificateArn } = await acm.send(new RequestCertificateCommand({ DomainName, ValidationMethod: "DNS", KeyAlgorithm: "EC_prime256v1" }));
  const { Certificate } = await acm.send(new DescribeCertificateCommand({ CertificateArn }));
  assert.equal(Certificate.Status, "PENDING_VALIDATION");
  assert.ok(Certificate.CreatedAt instanceof Date);
  assert.equal(Certificate.DomainValidationOptions[0].ResourceRecord.Type, "CNAME");
  const { CertificateSummaryList } = await acm.send(new ListCertificatesCommand({ CertificateStatuses: ["PENDING_VALIDATION"], Includes: { keyTypes: ["EC_prime256v1"] } }));
  assert.ok(CertificateSummaryList.some((c) => c.CertificateArn === CertificateArn));
  await acm.send(new DeleteCertificateCommand({ CertificateArn }));
  await assert.rejects(acm.send(new DescribeCertificateCommand({ CertificateArn })), { name: "ResourceNotFoundException" });
});

test("elastic load balancing: a balancer and its rules", async () => {
  const elb = new ElasticLoadBalancingV2Client(config), ec2 = new EC2Client(config), Name = `js${process.pid}`;
  const { Vpcs } = await ec2.send(new DescribeVpcsCommand({ Filters: [{ Name: "is-default", Values: ["true"] }] }));
  const { Subnets } = await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "vpc-id", Values: [Vpcs[0].VpcId] }] }));
  const { LoadBalancers } = await elb.send(new CreateLoadBalancerCommand({ Name, Subnets: Subnets.slice(0, 2).map((s) => s.SubnetId), Tags: [{ Key: "a", Value: "b" }] }));
  const { LoadBalancerArn } = LoadBalancers[0];
  assert.ok(LoadBalancers[0].CreatedTime instanceof Date);
  const { TargetGroups } = await elb.send(new CreateTargetGroupCommand({ Name, Protocol: "HTTP", Port: 80, VpcId: Vpcs[0].VpcId, TargetType: "ip" }));
  const { TargetGroupArn } = TargetGroups[0];
  const { Listeners } = await elb.send(new CreateListenerCommand({ LoadBalancerArn, Protocol: "HTTP", Port: 80, DefaultActions: [{ Type: "forward", TargetGroupArn }] }));
  const { ListenerArn } = Listeners[0];
  const fixed = { Type: "fixed-response", FixedResponseConfig: { StatusCode: "200", ContentType: "text/plain", MessageBody: "ok" } };
  const rule = { ListenerArn, Priority: 5, Conditions: [{ Field: "path-pattern", PathPatternConfig: { Values: ["/ok"] } }], Actions: [fixed] };
  await elb.send(new CreateRuleCommand(rule));
  await assert.rejects(elb.send(new CreateRuleCommand(rule)), { name: "PriorityInUseException" });
  const { Rules } = await elb.send(new DescribeRulesCommand({ ListenerArn }));
  assert.deepEqual(Rules.map((r) => [r.Priority, r.IsDefault]), [["5", false], ["default", true]]);
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "10.255.0.1", AvailabilityZone: "all" }] }));
  const { TargetHealthDescriptions } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  assert.equal(TargetHealthDescriptions[0].TargetHealth.State, "initial");
  await waitUntilLoadBalancerAvailable({ client: elb, maxWaitTime: 60, minDelay: 1 }, { LoadBalancerArns: [LoadBalancerArn] });
  await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
  await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn }));
  await assert.rejects(elb.send(new DescribeTargetHealthCommand({ TargetGroupArn })), { name: "TargetGroupNotFoundException" });
});
