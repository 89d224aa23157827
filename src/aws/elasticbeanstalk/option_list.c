/* Which configuration options there are, with their defaults, what a change of them does, and what they may be. */
#include "extra.h"
#include "option.h"

#define NONE "NoInterruption"
#define SERVER OPTION_SERVER
#define ALL OPTION_ALL
/* Of what does not exist here. */
#define FIXED(namespace, name, value, choices) \
	{ \
		namespace, name, value, NONE, choices[0] ? CHOICE : TEXT, 0, 0, choices, .fixed = true \
	}
#define FLAG "true,false"
#define RULE "aws:elbv2:listenerrule:default"
#define RDS "aws:rds:dbinstance"
#define CONTROL "aws:elasticbeanstalk:control"
#define CLASSIC "aws:elb:loadbalancer"
#define CLASSIC_LISTENER "aws:elb:listener"
#define CLASSIC_CHECK "aws:elb:healthcheck"
#define CLASSIC_POLICY "aws:elb:policies"
#define GROUP "aws:autoscaling:asg"
#define TRIGGER "aws:autoscaling:trigger"
#define UPDATE "aws:autoscaling:updatepolicy:rollingupdate"
#define LAUNCH "aws:autoscaling:launchconfiguration"
#define VPC "aws:ec2:vpc"
#define BALANCER "aws:elbv2:loadbalancer"
#define LISTENER "aws:elbv2:listener:default"
#define COMMAND "aws:elasticbeanstalk:command"
#define LOGS "aws:elasticbeanstalk:cloudwatch:logs"
#define HEALTH "aws:elasticbeanstalk:healthreporting:system"
#define MANAGED "aws:elasticbeanstalk:managedactions"
#define TOPICS "aws:elasticbeanstalk:sns:topics"
#define RETENTIONS "1,3,5,7,14,30,60,90,120,150,180,365,400,545,731,1827,3653"
#define PHP "aws:elasticbeanstalk:container:php:phpini"
#define TOMCAT "aws:elasticbeanstalk:container:tomcat:jvmoptions"
#define PROCESS "aws:elasticbeanstalk:environment:process:default"
static const struct option options[] = {
        FIXED(GROUP, "Availability Zones", "Any", "Any,Any 1,Any 2,Any 3"),
        {GROUP, "Cooldown", "360", NONE, NUMBER, 0, 10000, NULL},
        FIXED(GROUP, "Custom Availability Zones", NULL, ""),
        {GROUP, "EnableCapacityRebalancing", "false", NONE, CHOICE, 0, 0, FLAG},
        {GROUP, "MaxSize", "4", NONE, NUMBER, 1, 10000, NULL},
        {GROUP, "MinSize", "1", NONE, NUMBER, 1, 10000, NULL},
        {LAUNCH, "BlockDeviceMappings", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "DisableIMDSv1", "false", ALL, CHOICE, 0, 0, "true,false"},
        {LAUNCH, "EC2KeyName", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "IamInstanceProfile", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "ImageId", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "InstanceType", "t3.micro", ALL, TEXT, 0, 0, NULL},
        FIXED(LAUNCH, "LaunchTemplateTagPropagationEnabled", "false", FLAG),
        {LAUNCH, "MonitoringInterval", "5 minute", ALL, CHOICE, 0, 0, "1 minute,5 minute"},
        {LAUNCH, "RootVolumeIOPS", NULL, ALL, NUMBER, 100, 20000, NULL},
        {LAUNCH, "RootVolumeSize", NULL, ALL, NUMBER, 8, 16384, NULL},
        {LAUNCH, "RootVolumeThroughput", NULL, ALL, NUMBER, 125, 1000, NULL},
        {LAUNCH, "RootVolumeType", NULL, ALL, CHOICE, 0, 0, "standard,gp2,gp3,io1"},
        {LAUNCH, "SecurityGroups", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "SSHSourceRestriction", "tcp,22,22,0.0.0.0/0", NONE, TEXT, 0, 0, NULL},
        {SCHEDULED, "DesiredCapacity", NULL, NONE, NUMBER, 0, 10000, NULL},
        {SCHEDULED, "EndTime", NULL, NONE, TEXT, 0, 0, NULL},
        {SCHEDULED, "MaxSize", NULL, NONE, NUMBER, 0, 10000, NULL},
        {SCHEDULED, "MinSize", NULL, NONE, NUMBER, 0, 10000, NULL},
        {SCHEDULED, "Recurrence", NULL, NONE, TEXT, 0, 0, NULL},
        {SCHEDULED, "StartTime", NULL, NONE, TEXT, 0, 0, NULL},
        {SCHEDULED, "Suspend", "false", NONE, CHOICE, 0, 0, "true,false"},
        {TRIGGER, "BreachDuration", "5", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "EvaluationPeriods", "1", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "LowerBreachScaleIncrement", "-1", NONE, NUMBER, -10000, 10000, NULL},
        {TRIGGER, "LowerThreshold", "2000000", NONE, NUMBER, 0, 20000000, NULL},
        {TRIGGER, "MeasureName", "NetworkOut", NONE, CHOICE, 0, 0,
         "CPUUtilization,NetworkIn,NetworkOut,DiskWriteOps,DiskReadBytes,DiskReadOps,DiskWriteBytes,Latency,RequestCount,"
         "HealthyHostCount,UnhealthyHostCount,TargetResponseTime"},
        {TRIGGER, "Period", "5", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "Statistic", "Average", NONE, CHOICE, 0, 0, "Minimum,Maximum,Sum,Average"},
        {TRIGGER, "Unit", "Bytes", NONE, CHOICE, 0, 0,
         "Seconds,Percent,Bytes,Bits,Count,Bytes/Second,Bits/Second,Count/Second,None"},
        {TRIGGER, "UpperBreachScaleIncrement", "1", NONE, NUMBER, -10000, 10000, NULL},
        {TRIGGER, "UpperThreshold", "6000000", NONE, NUMBER, 0, 20000000, NULL},
        {UPDATE, "MaxBatchSize", NULL, NONE, NUMBER, 1, 10000, NULL},
        {UPDATE, "MinInstancesInService", NULL, NONE, NUMBER, 0, 9999, NULL},
        {UPDATE, "PauseTime", NULL, NONE, TEXT, 0, 0, NULL},
        {UPDATE, "RollingUpdateEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {UPDATE, "RollingUpdateType", "Time", NONE, CHOICE, 0, 0, "Time,Health,Immutable"},
        {UPDATE, "Timeout", "PT30M", NONE, TEXT, 0, 0, NULL},
        {"aws:ec2:instances", "EnableSpot", "false", ALL, CHOICE, 0, 0, "true,false"},
        {"aws:ec2:instances", "InstanceTypes", NULL, ALL, TEXT, 0, 0, NULL},
        {"aws:ec2:instances", "SpotAllocationStrategy", "capacity-optimized", ALL, CHOICE, 0, 0,
         "lowest-price,capacity-optimized,capacity-optimized-prioritized,price-capacity-optimized"},
        {"aws:ec2:instances", "SpotFleetOnDemandAboveBasePercentage", "70", ALL, NUMBER, 0, 100, NULL},
        {"aws:ec2:instances", "SpotFleetOnDemandBase", "0", ALL, NUMBER, 0, 10000, NULL},
        {"aws:ec2:instances", "SpotMaxPrice", NULL, ALL, TEXT, 0, 0, NULL},
        {"aws:ec2:instances", "SupportedArchitectures", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "AssociatePublicIpAddress", NULL, ALL, CHOICE, 0, 0, "true,false"},
        FIXED(VPC, "DBSubnets", NULL, ""),
        {VPC, "ELBScheme", "public", ALL, CHOICE, 0, 0, "public,internal"},
        {VPC, "ELBSubnets", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "Subnets", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "VPCId", NULL, ALL, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:application", "Application Healthcheck URL", NULL, NONE, TEXT, 0, 0, NULL},
        {LOGS, "DeleteOnTerminate", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS, "RetentionInDays", "7", NONE, CHOICE, 0, 0, RETENTIONS},
        {LOGS, "StreamLogs", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "DeleteOnTerminate", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "HealthStreamingEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "RetentionInDays", "7", NONE, CHOICE, 0, 0, RETENTIONS},
        {COMMAND, "BatchSize", "100", NONE, NUMBER, 1, 10000, NULL},
        {COMMAND, "BatchSizeType", "Percentage", NONE, CHOICE, 0, 0, "Percentage,Fixed"},
        {COMMAND, "DeploymentPolicy", "AllAtOnce", NONE, CHOICE, 0, 0,
         "AllAtOnce,Rolling,RollingWithAdditionalBatch,Immutable,TrafficSplitting"},
        {COMMAND, "IgnoreHealthCheck", "false", NONE, CHOICE, 0, 0, "true,false"},
        {COMMAND, "Timeout", "600", NONE, NUMBER, 1, 3600, NULL},
        FIXED(CONTROL, "DefaultSSHPort", "22", ""),
        FIXED(CONTROL, "LaunchTimeout", "0", ""),
        FIXED(CONTROL, "LaunchType", "Migration", ""),
        FIXED(CONTROL, "RollbackLaunchOnFailure", "false", FLAG),
        {PHP, "allow_url_fopen", "On", SERVER, CHOICE, 0, 0, "On,Off"},
        {PHP, "composer_options", "", SERVER, TEXT, 0, 0, NULL},
        {PHP, "display_errors", "Off", SERVER, CHOICE, 0, 0, "On,Off"},
        {PHP, "document_root", "/", SERVER, TEXT, 0, 0, NULL},
        {PHP, "max_execution_time", "60", SERVER, NUMBER, 0, INT64_MAX, NULL},
        {PHP, "memory_limit", "256M", SERVER, TEXT, 0, 0, NULL},
        {PHP, "zlib.output_compression", "Off", SERVER, CHOICE, 0, 0, "On,Off"},
        {"aws:elasticbeanstalk:container:python", "NumProcesses", "1", SERVER, NUMBER, 1, 64, NULL},
        {"aws:elasticbeanstalk:container:python", "NumThreads", "15", SERVER, NUMBER, 1, 1000, NULL},
        {"aws:elasticbeanstalk:container:python", "WSGIPath", "application", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "JVM Options", "", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "Xms", "256m", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "Xmx", "256m", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:environment", "EnvironmentType", "LoadBalanced", ALL, CHOICE, 0, 0, "SingleInstance,LoadBalanced"},
        FIXED("aws:elasticbeanstalk:environment", "LoadBalancerIsShared", "false", FLAG),
        {"aws:elasticbeanstalk:environment", "LoadBalancerType", "application", ALL, CHOICE, 0, 0, "classic,application,network"},
        {"aws:elasticbeanstalk:environment", "ServiceRole", NULL, NONE, TEXT, 0, 0, NULL},
        FIXED("aws:elasticbeanstalk:environment:proxy", "ProxyServer", "nginx", "nginx,apache,none"),
        FIXED("aws:elasticbeanstalk:hostmanager", "LogPublicationControl", "false", FLAG),
        {MANAGED, "ManagedActionsEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {MANAGED, "PreferredStartTime", NULL, NONE, TEXT, 0, 0, NULL},
        {MANAGED, "ServiceRoleForManagedUpdates", NULL, NONE, TEXT, 0, 0, NULL},
        {MANAGED ":platformupdate", "InstanceRefreshEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {MANAGED ":platformupdate", "UpdateLevel", NULL, NONE, CHOICE, 0, 0, "patch,minor"},
        FIXED("aws:elasticbeanstalk:monitoring", "Automatically Terminate Unhealthy Instances", "true", FLAG),
        {PROCESS, "DeregistrationDelay", "20", NONE, NUMBER, 0, 3600, NULL},
        {PROCESS, "HealthCheckInterval", "15", NONE, NUMBER, 5, 300, NULL},
        {PROCESS, "HealthCheckPath", "/", NONE, TEXT, 0, 0, NULL},
        {PROCESS, "HealthCheckTimeout", "5", NONE, NUMBER, 2, 120, NULL},
        {PROCESS, "HealthyThresholdCount", "3", NONE, NUMBER, 2, 10, NULL},
        {PROCESS, "MatcherHTTPCode", "200", NONE, TEXT, 0, 0, NULL},
        {PROCESS, "Port", "80", NONE, NUMBER, 1, 65535, NULL},
        {PROCESS, "Protocol", "HTTP", NONE, CHOICE, 0, 0, "HTTP"},
        {PROCESS, "StickinessEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {PROCESS, "StickinessLBCookieDuration", "86400", NONE, NUMBER, 1, 604800, NULL},
        {PROCESS, "UnhealthyThresholdCount", "5", NONE, NUMBER, 2, 10, NULL},
        {HEALTH, "ConfigDocument", NULL, NONE, TEXT, 0, 0, NULL},
        FIXED(HEALTH, "EnhancedHealthAuthEnabled", "false", FLAG),
        FIXED(HEALTH, "HealthCheckSuccessThreshold", "Ok", "Ok,Warning,Degraded,Severe"),
        {HEALTH, "SystemType", "basic", NONE, CHOICE, 0, 0, "basic,enhanced"},
        {TOPICS, "Notification Endpoint", NULL, NONE, TEXT, 0, 0, NULL},
        {TOPICS, "Notification Protocol", "email", NONE, CHOICE, 0, 0, "http,https,email,email-json,sqs"},
        {TOPICS, "Notification Topic ARN", NULL, NONE, TEXT, 0, 0, NULL},
        {TOPICS, "Notification Topic Name", NULL, NONE, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "ConnectTimeout", "5", SERVER, NUMBER, 1, 60, NULL},
        {"aws:elasticbeanstalk:sqsd", "ErrorVisibilityTimeout", "2", SERVER, NUMBER, 0, 43200, NULL},
        {"aws:elasticbeanstalk:sqsd", "HttpConnections", "50", SERVER, NUMBER, 1, 100, NULL},
        {"aws:elasticbeanstalk:sqsd", "HttpPath", "/", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "InactivityTimeout", "299", SERVER, NUMBER, 1, 36000, NULL},
        {"aws:elasticbeanstalk:sqsd", "MaxRetries", "10", SERVER, NUMBER, 1, 100, NULL},
        {"aws:elasticbeanstalk:sqsd", "MimeType", "application/json", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "RetentionPeriod", "345600", SERVER, NUMBER, 60, 1209600, NULL},
        {"aws:elasticbeanstalk:sqsd", "VisibilityTimeout", "300", SERVER, NUMBER, 0, 43200, NULL},
        {"aws:elasticbeanstalk:sqsd", "WorkerQueueURL", NULL, SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:trafficsplitting", "EvaluationTime", "5", NONE, NUMBER, 3, 600, NULL},
        {"aws:elasticbeanstalk:trafficsplitting", "NewVersionPercent", "10", NONE, NUMBER, 1, 100, NULL},
        FIXED("aws:elasticbeanstalk:xray", "XRayEnabled", "false", FLAG),
        FIXED(CLASSIC_CHECK, "HealthyThreshold", "3", ""),
        {CLASSIC_CHECK, "Interval", "10", NONE, NUMBER, 5, 300, NULL, .of_classic = true},
        FIXED(CLASSIC_CHECK, "Target", NULL, ""),
        FIXED(CLASSIC_CHECK, "Timeout", "5", ""),
        FIXED(CLASSIC_CHECK, "UnhealthyThreshold", "5", ""),
        FIXED(CLASSIC_LISTENER, "InstancePort", "80", ""),
        FIXED(CLASSIC_LISTENER, "InstanceProtocol", NULL, ""),
        FIXED(CLASSIC_LISTENER, "ListenerEnabled", "true", FLAG),
        FIXED(CLASSIC_LISTENER, "ListenerProtocol", "HTTP", "HTTP,HTTPS,TCP,SSL"),
        FIXED(CLASSIC_LISTENER, "PolicyNames", NULL, ""),
        FIXED(CLASSIC_LISTENER, "SSLCertificateId", NULL, ""),
        {CLASSIC, "CrossZone", "false", NONE, CHOICE, 0, 0, FLAG, .of_classic = true},
        FIXED(CLASSIC, "LoadBalancerHTTPPort", "80", ""),
        FIXED(CLASSIC, "LoadBalancerHTTPSPort", "OFF", ""),
        FIXED(CLASSIC, "LoadBalancerPortProtocol", "HTTP", "HTTP,TCP"),
        FIXED(CLASSIC, "LoadBalancerSSLPortProtocol", "HTTPS", "HTTPS,SSL"),
        FIXED(CLASSIC, "ManagedSecurityGroup", NULL, ""),
        FIXED(CLASSIC, "SSLCertificateId", NULL, ""),
        FIXED(CLASSIC, "SecurityGroups", NULL, ""),
        {CLASSIC_POLICY, "ConnectionDrainingEnabled", "false", NONE, CHOICE, 0, 0, FLAG, .of_classic = true},
        FIXED(CLASSIC_POLICY, "ConnectionDrainingTimeout", "20", ""),
        FIXED(CLASSIC_POLICY, "ConnectionSettingIdleTimeout", "60", ""),
        FIXED(CLASSIC_POLICY, "LoadBalancerPorts", ":all", ""),
        FIXED(CLASSIC_POLICY, "Stickiness Cookie Expiration", "0", ""),
        FIXED(CLASSIC_POLICY, "Stickiness Policy", "false", FLAG),
        {LISTENER, "DefaultProcess", "default", NONE, CHOICE, 0, 0, "default"},
        {LISTENER, "ListenerEnabled", "true", NONE, CHOICE, 0, 0, "true,false"},
        {LISTENER, "Protocol", "HTTP", NONE, CHOICE, 0, 0, "HTTP,HTTPS"},
        {LISTENER, "Rules", NULL, NONE, TEXT, 0, 0, NULL},
        {LISTENER, "SSLCertificateArns", NULL, NONE, TEXT, 0, 0, NULL},
        {LISTENER, "SSLPolicy", NULL, NONE, TEXT, 0, 0, NULL},
        {RULE, "HostHeaders", NULL, NONE, TEXT, 0, 0, NULL},
        {RULE, "PathPatterns", NULL, NONE, TEXT, 0, 0, NULL},
        {RULE, "Priority", "1", NONE, NUMBER, 1, 1000, NULL},
        {RULE, "Process", "default", NONE, TEXT, 0, 0, NULL},
        {BALANCER, "AccessLogsS3Bucket", NULL, NONE, TEXT, 0, 0, NULL},
        {BALANCER, "AccessLogsS3Enabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {BALANCER, "AccessLogsS3Prefix", NULL, NONE, TEXT, 0, 0, NULL},
        {BALANCER, "IdleTimeout", "60", NONE, NUMBER, 1, 3600, NULL},
        {BALANCER, "SecurityGroups", NULL, NONE, TEXT, 0, 0, NULL},
        FIXED(RDS, "DBAllocatedStorage", "5", ""),
        FIXED(RDS, "DBDeletionPolicy", "Delete", "Delete,Retain,Snapshot"),
        FIXED(RDS, "DBEngine", "mysql", ""),
        FIXED(RDS, "DBEngineVersion", NULL, ""),
        FIXED(RDS, "DBInstanceClass", "db.t2.micro", ""),
        FIXED(RDS, "DBPassword", NULL, ""),
        FIXED(RDS, "DBSnapshotIdentifier", NULL, ""),
        FIXED(RDS, "DBUser", "ebroot", ""),
        FIXED(RDS, "HasCoupledDatabase", "false", FLAG),
        FIXED(RDS, "MultiAZDatabase", "false", FLAG),
};
enum { OPTIONS = sizeof(options) / sizeof(*options) };

const struct option *option_at(uint32_t i)
{
	return i < OPTIONS ? &options[i] : NULL;
}

/* What is true of the usual listener is of one of any port, and of the usual process of all of them. */
const struct option *option_find(struct str space, struct str name)
{
	if (listener_is_port(space))
		space = S(LISTENER);
	else if (routes_is_process(space))
		space = S(PROCESS);
	else if (routes_is_rule(space))
		space = S(RULE);
	else if (str_starts(space, S(CLASSIC_LISTENER ":")))
		space = S(CLASSIC_LISTENER);
	for (int i = 0; i < OPTIONS; i++)
		if (str_is(space, options[i].namespace) && str_is(name, options[i].name))
			return &options[i];
	return NULL;
}

/* Options of containers are their platform's alone. */
bool option_of_platform(const struct option *o, struct str stack)
{
	static const struct {
		const char *under, *platform;
	} all[] = {{"aws:elasticbeanstalk:container:php", "PHP"},
	           {"aws:elasticbeanstalk:container:python", "Python"},
	           {"aws:elasticbeanstalk:container:tomcat", "Tomcat"}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_starts(str_from(o->namespace), str_from(all[i].under)))
			return str_find(stack, str_from(all[i].platform)) >= 0;
	return true;
}
