/* AWS's own managed policies, as far as the services here need them: what each permits, written down compactly. Sorted by name. To
 * add one: a row, in its place. */
#include "aws/iam/entity.h"

#define POLICY(path_, name_, id_, description_, document_) \
	{ \
		.path = S_INIT(path_), .name = S_INIT(name_), .id = S_INIT(id_), .description = S_INIT(description_), \
		.document = S_INIT(document_) \
	}

/* clang-format off */
const struct iam_aws_policy iam_aws_policies[] = {
	POLICY("/", "AdministratorAccess", "ANPAIWMBCKSKIEE64ZLYK",
	       "Provides full access to AWS services and resources.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}"),
	POLICY("/", "AdministratorAccess-AWSElasticBeanstalk", "ANPALHNMERPTIWSMS2ABR",
	       "Grants account administrative permissions. Explicitly allows developers and administrators to gain direct access to resources they need to manage AWS Elastic Beanstalk applications",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"acm:Describe*\",\"acm:Lis"
	       "t*\",\"autoscaling:*\",\"cloudformation:*\",\"cloudwatch:*\",\"codebuild:*\",\"dynamodb:*\",\"ec2:*\",\""
	       "ecs:*\",\"elasticbeanstalk:*\",\"elasticloadbalancing:*\",\"iam:Get*\",\"iam:List*\",\"logs:*\",\"rds:*"
	       "\",\"s3:*\",\"sns:*\",\"sqs:*\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\","
	       "\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"iam:PassedToService\":[\"autoscaling.amazonaws.com*"
	       "\",\"ec2.amazonaws.com*\",\"ecs-tasks.amazonaws.com*\",\"elasticbeanstalk.amazonaws.com*\"]}}},{\"Effect"
	       "\":\"Allow\",\"Action\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Condition\":{\"StringEquals"
	       "\":{\"iam:AWSServiceName\":[\"autoscaling.amazonaws.com\",\"elasticbeanstalk.amazonaws.com\",\"elasticlo"
	       "adbalancing.amazonaws.com\",\"ecs.amazonaws.com\",\"rds.amazonaws.com\"]}}}]}"),
	POLICY("/", "AmazonDynamoDBFullAccess", "ANPATVLMVDVOMF2KHIQBW",
	       "Provides full access to Amazon DynamoDB via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:*\",\"applicatio"
	       "n-autoscaling:*ScalingPolicy\",\"application-autoscaling:*ScalableTarget\",\"application-autoscaling:Des"
	       "cribe*\",\"cloudwatch:*Alarm*\",\"cloudwatch:GetMetric*\",\"cloudwatch:ListMetrics\",\"kms:DescribeKey\""
	       ",\"kms:ListAliases\",\"lambda:*EventSourceMapping*\",\"sns:ListTopics\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonEC2ContainerRegistryFullAccess", "ANPAQ47MOSXX6CM5WNMBN",
	       "Provides administrative access to Amazon ECR resources",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecr:*\",\"cloudtrail:Look"
	       "upEvents\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"iam:CreateServiceLinkedRole\"],\"Res"
	       "ource\":\"*\",\"Condition\":{\"StringEquals\":{\"iam:AWSServiceName\":[\"replication.ecr.amazonaws.com\""
	       "]}}}]}"),
	POLICY("/", "AmazonEC2ContainerRegistryPowerUser", "ANPA26ZNZUW2KAWMBKKL3",
	       "Provides full access to Amazon EC2 Container Registry repositories, but does not allow repository deletion or policy changes.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecr:GetAuthorizationToken"
	       "\",\"ecr:BatchCheckLayerAvailability\",\"ecr:GetDownloadUrlForLayer\",\"ecr:GetRepositoryPolicy\",\"ecr:"
	       "DescribeRepositories\",\"ecr:ListImages\",\"ecr:DescribeImages\",\"ecr:BatchGetImage\",\"ecr:GetLifecycl"
	       "ePolicy\",\"ecr:GetLifecyclePolicyPreview\",\"ecr:ListTagsForResource\",\"ecr:DescribeImageScanFindings"
	       "\",\"ecr:InitiateLayerUpload\",\"ecr:UploadLayerPart\",\"ecr:CompleteLayerUpload\",\"ecr:PutImage\"],\"R"
	       "esource\":\"*\"}]}"),
	POLICY("/", "AmazonEC2ContainerRegistryReadOnly", "ANPAQLGQGQ3MDGP7OB7X3",
	       "Provides read-only access to Amazon EC2 Container Registry repositories.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecr:GetAuthorizationToken"
	       "\",\"ecr:BatchCheckLayerAvailability\",\"ecr:GetDownloadUrlForLayer\",\"ecr:GetRepositoryPolicy\",\"ecr:"
	       "DescribeRepositories\",\"ecr:ListImages\",\"ecr:DescribeImages\",\"ecr:BatchGetImage\",\"ecr:GetLifecycl"
	       "ePolicy\",\"ecr:GetLifecyclePolicyPreview\",\"ecr:ListTagsForResource\",\"ecr:DescribeImageScanFindings"
	       "\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AmazonEC2ContainerServiceEventsRole", "ANPAPMDBPQIRMK6ZK5O6V",
	       "Policy to enable CloudWatch Events for EC2 Container Service",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ecs:RunTask\",\"Resource\""
	       ":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"*\",\"Condition\":{\"StringLike"
	       "\":{\"iam:PassedToService\":\"ecs-tasks.amazonaws.com\"}}},{\"Effect\":\"Allow\",\"Action\":\"ecs:TagRes"
	       "ource\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"ecs:CreateAction\":[\"RunTask\"]}}}]}"),
	POLICY("/service-role/", "AmazonEC2ContainerServiceforEC2Role", "ANPAD6JTFVFSEZV6ERQOM",
	       "Default policy for the Amazon EC2 Role for Amazon EC2 Container Service.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:DescribeTags\",\"ecs:"
	       "CreateCluster\",\"ecs:DeregisterContainerInstance\",\"ecs:DiscoverPollEndpoint\",\"ecs:Poll\",\"ecs:Regi"
	       "sterContainerInstance\",\"ecs:StartTelemetrySession\",\"ecs:UpdateContainerInstancesState\",\"ecs:Submit"
	       "*\",\"ecr:GetAuthorizationToken\",\"ecr:BatchCheckLayerAvailability\",\"ecr:GetDownloadUrlForLayer\",\"e"
	       "cr:BatchGetImage\",\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"},{\"Effect\":\"All"
	       "ow\",\"Action\":\"ecs:TagResource\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"ecs:CreateActi"
	       "on\":[\"CreateCluster\",\"RegisterContainerInstance\"]}}}]}"),
	POLICY("/", "AmazonEC2FullAccess", "ANPADSMGNZIIL3QUIZPCD",
	       "Provides full access to Amazon EC2 via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"ec2:*\",\"Resource\":\"*\""
	       "},{\"Effect\":\"Allow\",\"Action\":\"elasticloadbalancing:*\",\"Resource\":\"*\"},{\"Effect\":\"Allow\","
	       "\"Action\":\"cloudwatch:*\",\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"autoscaling:*\",\"Res"
	       "ource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Con"
	       "dition\":{\"StringEquals\":{\"iam:AWSServiceName\":[\"autoscaling.amazonaws.com\",\"ec2scheduled.amazona"
	       "ws.com\",\"elasticloadbalancing.amazonaws.com\",\"spot.amazonaws.com\",\"spotfleet.amazonaws.com\",\"tra"
	       "nsitgateway.amazonaws.com\"]}}}]}"),
	POLICY("/", "AmazonEC2ReadOnlyAccess", "ANPA4USQC7CGMLOA2PCVN",
	       "Provides read only access to Amazon EC2 via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:Describe*\",\"ec2:Get"
	       "SecurityGroupsForVpc\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"elasticloadbalancing:Desc"
	       "ribe*\",\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:ListMetrics\",\"cloudwatch:Ge"
	       "tMetricStatistics\",\"cloudwatch:Describe*\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"aut"
	       "oscaling:Describe*\",\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonECS_FullAccess", "ANPASMONPUBRD7XYELXJM",
	       "Provides administrative access to Amazon ECS resources and enables ECS features through access to other AWS service resources.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"application-autoscaling:*"
	       "\",\"autoscaling:*\",\"cloudformation:*\",\"cloudwatch:*\",\"ec2:Describe*\",\"ec2:CreateSecurityGroup\""
	       ",\"ec2:AuthorizeSecurityGroupIngress\",\"ec2:RunInstances\",\"ec2:CreateLaunchTemplate\",\"ecs:*\",\"ela"
	       "sticloadbalancing:*\",\"events:*\",\"iam:ListAttachedRolePolicies\",\"iam:ListInstanceProfiles\",\"iam:L"
	       "istRoles\",\"lambda:ListFunctions\",\"logs:*\",\"route53:*\",\"servicediscovery:*\",\"sns:ListTopics\"],"
	       "\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"*\",\"Condition\":{"
	       "\"StringLike\":{\"iam:PassedToService\":\"ecs-tasks.amazonaws.com\"}}},{\"Effect\":\"Allow\",\"Action\":"
	       "\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"iam:AWSServiceName\""
	       ":[\"ecs.amazonaws.com\",\"autoscaling.amazonaws.com\",\"ecs.application-autoscaling.amazonaws.com\",\"sp"
	       "ot.amazonaws.com\",\"spotfleet.amazonaws.com\"]}}}]}"),
	POLICY("/aws-service-role/", "AmazonECSServiceRolePolicy", "ANPABE65NYY34V7OXC6N5",
	       "Policy to enable Amazon ECS to manage your cluster.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:AttachNetworkInterfac"
	       "e\",\"ec2:CreateNetworkInterface\",\"ec2:CreateNetworkInterfacePermission\",\"ec2:DeleteNetworkInterface"
	       "\",\"ec2:DeleteNetworkInterfacePermission\",\"ec2:Describe*\",\"ec2:DetachNetworkInterface\",\"elasticlo"
	       "adbalancing:Deregister*\",\"elasticloadbalancing:Describe*\",\"elasticloadbalancing:Register*\",\"route5"
	       "3:*HealthCheck*\",\"route53:ChangeResourceRecordSets\",\"route53:Get*\",\"route53:List*\",\"servicedisco"
	       "very:*Instance*\",\"servicediscovery:Get*\",\"servicediscovery:List*\",\"autoscaling:Describe*\",\"autos"
	       "caling:*ScalingPolicy\",\"cloudwatch:*Alarm*\",\"logs:CreateLogGroup\",\"logs:CreateLogStream\",\"logs:D"
	       "escribeLogGroups\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AmazonECSTaskExecutionRolePolicy", "ANPAJDATM32TQW5ZX6IFH",
	       "Provides access to other AWS service resources that are required to run Amazon ECS tasks",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecr:GetAuthorizationToken"
	       "\",\"ecr:BatchCheckLayerAvailability\",\"ecr:GetDownloadUrlForLayer\",\"ecr:BatchGetImage\",\"logs:Creat"
	       "eLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonElastiCacheFullAccess", "ANPAGGDS6UYXLRM2KRYVU",
	       "Provides full access to Amazon ElastiCache via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"elasticache:*\",\"Resource"
	       "\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Conditio"
	       "n\":{\"StringEquals\":{\"iam:AWSServiceName\":\"elasticache.amazonaws.com\"}}}]}"),
	POLICY("/", "AmazonRDSFullAccess", "ANPAEGI6QDXTHPBOXIOOO",
	       "Provides full access to Amazon RDS via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"rds:*\",\"application-aut"
	       "oscaling:*\",\"cloudwatch:Describe*\",\"cloudwatch:Get*\",\"cloudwatch:List*\",\"cloudwatch:PutMetricAla"
	       "rm\",\"cloudwatch:DeleteAlarms\",\"ec2:Describe*\",\"logs:DescribeLogStreams\",\"logs:GetLogEvents\",\"s"
	       "ns:ListSubscriptions\",\"sns:ListTopics\",\"sns:Publish\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"A"
	       "ction\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"iam:AWSSer"
	       "viceName\":[\"rds.amazonaws.com\",\"rds.application-autoscaling.amazonaws.com\"]}}}]}"),
	POLICY("/", "AmazonRoute53FullAccess", "ANPAUPQXEOZRHKUFPYAYO",
	       "Provides full access to all Amazon Route 53 via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"route53:*\",\"route53doma"
	       "ins:*\",\"cloudfront:ListDistributions\",\"elasticloadbalancing:DescribeLoadBalancers\",\"elasticbeansta"
	       "lk:DescribeEnvironments\",\"s3:ListBucket\",\"s3:GetBucketLocation\",\"s3:GetBucketWebsite\",\"ec2:Descr"
	       "ibeVpcs\",\"ec2:DescribeRegions\",\"sns:ListTopics\",\"cloudwatch:DescribeAlarms\",\"cloudwatch:GetMetri"
	       "cStatistics\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonS3FullAccess", "ANPAIFIR6V6BVTRAHWINE",
	       "Provides full access to all buckets via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:*\",\"s3-object-lambda"
	       ":*\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonS3ReadOnlyAccess", "ANPAIZTJ4DXE7G6AGAE6M",
	       "Provides read only access to all buckets via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:Get*\",\"s3:List*\",\""
	       "s3:Describe*\",\"s3-object-lambda:Get*\",\"s3-object-lambda:List*\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AmazonSNSFullAccess", "ANPAFSFCBD4MBCDQGJ6AD",
	       "Provides full access to Amazon SNS via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sns:*\"],\"Resource\":\"*"
	       "\"}]}"),
	POLICY("/", "AmazonSQSFullAccess", "ANPAOUFI76C2Y3YY5YOZI",
	       "Provides full access to Amazon SQS via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:*\"],\"Resource\":\"*"
	       "\"}]}"),
	POLICY("/", "AmazonSSMManagedInstanceCore", "ANPAQBCNZ5XOS6DMH6L7U",
	       "The policy for Amazon EC2 Role to enable AWS Systems Manager service core functionality.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ssm:DescribeAssociation\""
	       ",\"ssm:GetDeployablePatchSnapshotForInstance\",\"ssm:GetDocument\",\"ssm:DescribeDocument\",\"ssm:GetMan"
	       "ifest\",\"ssm:GetParameter\",\"ssm:GetParameters\",\"ssm:ListAssociations\",\"ssm:ListInstanceAssociatio"
	       "ns\",\"ssm:PutInventory\",\"ssm:PutComplianceItems\",\"ssm:PutConfigurePackageResult\",\"ssm:UpdateAssoc"
	       "iationStatus\",\"ssm:UpdateInstanceAssociationStatus\",\"ssm:UpdateInstanceInformation\"],\"Resource\":"
	       "\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"ssmmessages:CreateControlChannel\",\"ssmmessages:CreateDataCh"
	       "annel\",\"ssmmessages:OpenControlChannel\",\"ssmmessages:OpenDataChannel\"],\"Resource\":\"*\"},{\"Effec"
	       "t\":\"Allow\",\"Action\":[\"ec2messages:AcknowledgeMessage\",\"ec2messages:DeleteMessage\",\"ec2messages"
	       ":FailMessage\",\"ec2messages:GetEndpoint\",\"ec2messages:GetMessages\",\"ec2messages:SendReply\"],\"Reso"
	       "urce\":\"*\"}]}"),
	POLICY("/", "AmazonVPCFullAccess", "ANPAUXX6BR7KTAU4VFSNE",
	       "Provides full access to Amazon VPC via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:*Address*\",\"ec2:*Vp"
	       "c*\",\"ec2:*Subnet*\",\"ec2:*RouteTable*\",\"ec2:*Route\",\"ec2:*NetworkAcl*\",\"ec2:*SecurityGroup*\","
	       "\"ec2:*InternetGateway*\",\"ec2:*NatGateway*\",\"ec2:*NetworkInterface*\",\"ec2:*DhcpOptions*\",\"ec2:*F"
	       "lowLogs*\",\"ec2:*PrefixList*\",\"ec2:*Gateway*\",\"ec2:CreateTags\",\"ec2:DeleteTags\",\"ec2:Describe*"
	       "\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AutoScalingFullAccess", "ANPA2NZLFAYIY6D6FNRQH",
	       "Provides full access to Auto Scaling.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:*\",\"cloudwa"
	       "tch:PutMetricAlarm\",\"ec2:DescribeAccountAttributes\",\"ec2:DescribeAvailabilityZones\",\"ec2:DescribeI"
	       "mages\",\"ec2:DescribeInstanceAttribute\",\"ec2:DescribeInstances\",\"ec2:DescribeKeyPairs\",\"ec2:Descr"
	       "ibeLaunchTemplateVersions\",\"ec2:DescribePlacementGroups\",\"ec2:DescribeSecurityGroups\",\"ec2:Describ"
	       "eSpotInstanceRequests\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpcClassicLink\",\"elasticloadbalancing:De"
	       "scribeLoadBalancers\",\"elasticloadbalancing:DescribeTargetGroups\"],\"Resource\":\"*\"},{\"Effect\":\"A"
	       "llow\",\"Action\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\""
	       "iam:AWSServiceName\":\"autoscaling.amazonaws.com\"}}}]}"),
	POLICY("/aws-service-role/", "AutoScalingServiceRolePolicy", "ANPA7AVNWGQ3JOHG3XF3N",
	       "Enables access to AWS Services and Resources used or managed by Auto Scaling",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:*\",\"elasticloadbala"
	       "ncing:Register*\",\"elasticloadbalancing:Deregister*\",\"elasticloadbalancing:Describe*\",\"cloudwatch:D"
	       "eleteAlarms\",\"cloudwatch:DescribeAlarms\",\"cloudwatch:GetMetricData\",\"cloudwatch:PutMetricAlarm\","
	       "\"events:PutRule\",\"events:PutTargets\",\"events:RemoveTargets\",\"events:DeleteRule\",\"events:Describ"
	       "eRule\",\"sns:Publish\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resourc"
	       "e\":\"*\",\"Condition\":{\"StringLike\":{\"iam:PassedToService\":\"ec2.amazonaws.com*\"}}}]}"),
	POLICY("/aws-service-role/", "AWSApplicationAutoscalingECSServicePolicy", "ANPAM6T2W22GCZVF3EGGC",
	       "Policy granting permissions to Application Auto Scaling to access ECS and CloudWatch",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecs:DescribeServices\",\""
	       "ecs:UpdateService\",\"cloudwatch:PutMetricAlarm\",\"cloudwatch:DescribeAlarms\",\"cloudwatch:DeleteAlarm"
	       "s\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AWSElasticBeanstalkEnhancedHealth", "ANPAHNB4H7L5WXWJULEAD",
	       "AWS Elastic Beanstalk Service policy for Health Monitoring system",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"elasticloadbalancing:Desc"
	       "ribeInstanceHealth\",\"elasticloadbalancing:DescribeLoadBalancers\",\"elasticloadbalancing:DescribeTarge"
	       "tHealth\",\"ec2:DescribeInstances\",\"ec2:DescribeInstanceStatus\",\"ec2:GetConsoleOutput\",\"ec2:Associ"
	       "ateAddress\",\"ec2:DescribeAddresses\",\"ec2:DescribeSecurityGroups\",\"sqs:GetQueueAttributes\",\"sqs:G"
	       "etQueueUrl\",\"autoscaling:DescribeAutoScalingGroups\",\"autoscaling:DescribeAutoScalingInstances\",\"au"
	       "toscaling:DescribeScalingActivities\",\"autoscaling:DescribeNotificationConfigurations\",\"sns:Publish\""
	       "],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:DescribeLogStreams\",\"logs:CreateLogStre"
	       "am\",\"logs:PutLogEvents\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/elasticbeanstalk/*:log-stream"
	       ":*\"}]}"),
	POLICY("/", "AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy", "ANPAIKM4JHG43UGLCNTE4",
	       "This policy is for the AWS Elastic Beanstalk service role used to perform managed updates of Elastic Beanstalk environments.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"elasticbeanstalk:*\"],\"R"
	       "esource\":\"*\",\"Sid\":\"ElasticBeanstalkPermissions\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole"
	       "\",\"Resource\":\"*\",\"Sid\":\"AllowPassRoleToElasticBeanstalkAndDownstreamServices\",\"Condition\":{\""
	       "StringEquals\":{\"iam:PassedToService\":[\"elasticbeanstalk.amazonaws.com\",\"ec2.amazonaws.com\",\"auto"
	       "scaling.amazonaws.com\",\"elasticloadbalancing.amazonaws.com\",\"ecs.amazonaws.com\",\"cloudformation.am"
	       "azonaws.com\"]}}},{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:*\",\"cloudformation:*\",\"cloudwatch:"
	       "*\",\"ec2:*\",\"ecs:*\",\"elasticloadbalancing:*\",\"logs:*\",\"rds:Describe*\",\"rds:CreateDBInstance\""
	       ",\"sns:*\",\"sqs:GetQueueAttributes\",\"sqs:GetQueueUrl\",\"sqs:CreateQueue\"],\"Resource\":\"*\",\"Sid"
	       "\":\"DownstreamServices\"},{\"Effect\":\"Allow\",\"Action\":[\"s3:*\"],\"Resource\":[\"arn:aws:s3:::elas"
	       "ticbeanstalk-*\",\"arn:aws:s3:::elasticbeanstalk-*/*\"],\"Sid\":\"S3BucketAccess\"}]}"),
	POLICY("/", "AWSElasticBeanstalkMulticontainerDocker", "ANPAVY6FDQH6D3Y7MTB6N",
	       "Provide the instances in your multicontainer Docker environment access to use the Amazon EC2 Container Service to manage container deployment tasks.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecs:Poll\",\"ecs:StartTas"
	       "k\",\"ecs:StopTask\",\"ecs:DiscoverPollEndpoint\",\"ecs:StartTelemetrySession\",\"ecs:RegisterContainerI"
	       "nstance\",\"ecs:DeregisterContainerInstance\",\"ecs:DescribeContainerInstances\",\"ecs:Submit*\",\"ecs:D"
	       "escribeTasks\"],\"Resource\":\"*\",\"Sid\":\"ECSAccess\"}]}"),
	POLICY("/", "AWSElasticBeanstalkReadOnly", "ANPADTERIHFDRXF7GYLHZ",
	       "Grants read-only permissions. Explicitly allows operators to gain direct access to retrieve information about resources related to AWS Elastic Beanstalk applications.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:Describe*\","
	       "\"cloudformation:Describe*\",\"cloudformation:Get*\",\"cloudformation:List*\",\"cloudwatch:Describe*\","
	       "\"cloudwatch:Get*\",\"cloudwatch:List*\",\"ec2:Describe*\",\"elasticbeanstalk:Check*\",\"elasticbeanstal"
	       "k:Describe*\",\"elasticbeanstalk:List*\",\"elasticbeanstalk:RequestEnvironmentInfo\",\"elasticbeanstalk:"
	       "RetrieveEnvironmentInfo\",\"elasticloadbalancing:Describe*\",\"iam:GetRole\",\"iam:ListAttachedRolePolic"
	       "ies\",\"iam:ListInstanceProfiles\",\"iam:ListRolePolicies\",\"iam:ListRoles\",\"iam:ListServerCertificat"
	       "es\",\"rds:Describe*\",\"s3:Get*\",\"s3:List*\",\"sns:List*\",\"sns:Get*\",\"sqs:List*\"],\"Resource\":"
	       "\"*\"}]}"),
	POLICY("/service-role/", "AWSElasticBeanstalkService", "ANPAUMPH4HI5BFISK7WAT",
	       "This policy is on a deprecation path. AWS Elastic Beanstalk Service role policy which grants permissions to create and manage resources on your behalf.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudformation:*\"],\"Res"
	       "ource\":[\"arn:aws:cloudformation:*:*:stack/awseb-*\",\"arn:aws:cloudformation:*:*:stack/eb-*\"]},{\"Eff"
	       "ect\":\"Allow\",\"Action\":[\"logs:DeleteLogGroup\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/elas"
	       "ticbeanstalk*\"},{\"Effect\":\"Allow\",\"Action\":[\"s3:*\"],\"Resource\":[\"arn:aws:s3:::elasticbeansta"
	       "lk-*\",\"arn:aws:s3:::elasticbeanstalk-*/*\"]},{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:*\",\"clo"
	       "udwatch:PutMetricAlarm\",\"cloudwatch:DeleteAlarms\",\"codebuild:*\",\"ec2:*\",\"ecs:*\",\"elasticbeanst"
	       "alk:*\",\"elasticloadbalancing:*\",\"iam:ListRoles\",\"iam:PassRole\",\"logs:CreateLogGroup\",\"logs:Put"
	       "RetentionPolicy\",\"logs:DescribeLogGroups\",\"rds:Describe*\",\"rds:CreateDBInstance\",\"rds:ModifyDBIn"
	       "stance\",\"rds:DeleteDBInstance\",\"s3:GetObject\",\"s3:ListBucket\",\"sns:*\",\"sqs:GetQueueAttributes"
	       "\",\"sqs:GetQueueUrl\"],\"Resource\":\"*\"}]}"),
	POLICY("/aws-service-role/", "AWSElasticBeanstalkServiceRolePolicy", "ANPAFI6MUXKWITUEY3TJH",
	       "AWS Elastic Beanstalk Service Linked Role policy which grants permissions to create & manage resources on your behalf.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:*\",\"cloudfo"
	       "rmation:*\",\"cloudwatch:PutMetricAlarm\",\"ec2:*\",\"elasticloadbalancing:*\",\"elasticbeanstalk:*\",\""
	       "logs:*\",\"sns:*\",\"sqs:GetQueueAttributes\",\"sqs:GetQueueUrl\"],\"Resource\":\"*\"},{\"Effect\":\"All"
	       "ow\",\"Action\":[\"s3:*\"],\"Resource\":[\"arn:aws:s3:::elasticbeanstalk-*\",\"arn:aws:s3:::elasticbeans"
	       "talk-*/*\"]}]}"),
	POLICY("/", "AWSElasticBeanstalkWebTier", "ANPATNEVVPEOZ37OJJZ2N",
	       "Provide the instances in your web server environment access to upload log files to Amazon S3.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:Get*\",\"s3:List*\",\""
	       "s3:PutObject\"],\"Resource\":[\"arn:aws:s3:::elasticbeanstalk-*\",\"arn:aws:s3:::elasticbeanstalk-*/*\"]"
	       ",\"Sid\":\"BucketAccess\"},{\"Effect\":\"Allow\",\"Action\":[\"xray:PutTraceSegments\",\"xray:PutTelemet"
	       "ryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\",\"xray:GetSamplingStatisticSummaries\""
	       "],\"Resource\":\"*\",\"Sid\":\"XRayAccess\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:PutLogEvents\",\"l"
	       "ogs:CreateLogStream\",\"logs:DescribeLogStreams\",\"logs:DescribeLogGroups\"],\"Resource\":[\"arn:aws:lo"
	       "gs:*:*:log-group:/aws/elasticbeanstalk*\"],\"Sid\":\"CloudWatchLogsAccess\"},{\"Effect\":\"Allow\",\"Act"
	       "ion\":[\"elasticbeanstalk:PutInstanceStatistics\"],\"Resource\":[\"arn:aws:elasticbeanstalk:*:*:applicat"
	       "ion/*\",\"arn:aws:elasticbeanstalk:*:*:environment/*\"],\"Sid\":\"ElasticBeanstalkHealthAccess\"}]}"),
	POLICY("/", "AWSElasticBeanstalkWorkerTier", "ANPALMRZQYI6VLBUXPGSM",
	       "Provide the instances in your worker environment access to upload log files to Amazon S3, to use Amazon SQS to monitor your application's job queue, to use Amazon DynamoDB to perform leader election, and to Amazon CloudWatch to publish metrics for health monitoring.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:PutMetricData"
	       "\"],\"Resource\":\"*\",\"Sid\":\"MetricsAccess\"},{\"Effect\":\"Allow\",\"Action\":[\"xray:PutTraceSegme"
	       "nts\",\"xray:PutTelemetryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\",\"xray:GetSampl"
	       "ingStatisticSummaries\"],\"Resource\":\"*\",\"Sid\":\"XRayAccess\"},{\"Effect\":\"Allow\",\"Action\":[\""
	       "sqs:ChangeMessageVisibility\",\"sqs:DeleteMessage\",\"sqs:ReceiveMessage\",\"sqs:SendMessage\"],\"Resour"
	       "ce\":\"*\",\"Sid\":\"QueueAccess\"},{\"Effect\":\"Allow\",\"Action\":[\"s3:Get*\",\"s3:List*\",\"s3:PutO"
	       "bject\"],\"Resource\":[\"arn:aws:s3:::elasticbeanstalk-*\",\"arn:aws:s3:::elasticbeanstalk-*/*\"],\"Sid"
	       "\":\"BucketAccess\"},{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:BatchGetItem\",\"dynamodb:BatchWriteIt"
	       "em\",\"dynamodb:DeleteItem\",\"dynamodb:GetItem\",\"dynamodb:PutItem\",\"dynamodb:Query\",\"dynamodb:Sca"
	       "n\",\"dynamodb:UpdateItem\"],\"Resource\":[\"arn:aws:dynamodb:*:*:table/*-stack-AWSEBWorkerCronLeaderReg"
	       "istry*\"],\"Sid\":\"DynamoPeriodicTasks\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:PutLogEvents\",\"log"
	       "s:CreateLogStream\",\"logs:DescribeLogStreams\",\"logs:DescribeLogGroups\"],\"Resource\":[\"arn:aws:logs"
	       ":*:*:log-group:/aws/elasticbeanstalk*\"],\"Sid\":\"CloudWatchLogsAccess\"},{\"Effect\":\"Allow\",\"Actio"
	       "n\":[\"elasticbeanstalk:PutInstanceStatistics\"],\"Resource\":[\"arn:aws:elasticbeanstalk:*:*:applicatio"
	       "n/*\",\"arn:aws:elasticbeanstalk:*:*:environment/*\"],\"Sid\":\"ElasticBeanstalkHealthAccess\"}]}"),
	POLICY("/aws-service-role/", "AWSElasticLoadBalancingServiceRolePolicy", "ANPAOSEG45Y4TLEJXI7YU",
	       "Service Linked Role Policy for AWS Elastic Load Balancing Control Plane",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ec2:Describe*\",\"ec2:Cre"
	       "ateSecurityGroup\",\"ec2:CreateNetworkInterface\",\"ec2:DeleteNetworkInterface\",\"ec2:ModifyNetworkInte"
	       "rfaceAttribute\",\"ec2:AllocateAddress\",\"ec2:AuthorizeSecurityGroupIngress\",\"ec2:AssociateAddress\","
	       "\"ec2:DisassociateAddress\",\"ec2:AttachNetworkInterface\",\"ec2:DetachNetworkInterface\",\"ec2:AssignPr"
	       "ivateIpAddresses\",\"ec2:AssignIpv6Addresses\",\"ec2:ReleaseAddress\",\"ec2:UnassignIpv6Addresses\",\"lo"
	       "gs:CreateLogDelivery\",\"logs:GetLogDelivery\",\"logs:UpdateLogDelivery\",\"logs:DeleteLogDelivery\",\"l"
	       "ogs:ListLogDeliveries\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AWSLambda_FullAccess", "ANPAFW4WIND6GJ7ODAW7M",
	       "Grants full access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudformation:DescribeSt"
	       "acks\",\"cloudformation:ListStackResources\",\"cloudwatch:ListMetrics\",\"cloudwatch:GetMetricData\",\"e"
	       "c2:DescribeSecurityGroups\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpcs\",\"kms:ListAliases\",\"iam:GetPo"
	       "licy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"iam:GetRolePolicy\",\"iam:ListAttachedRolePolicies\","
	       "\"iam:ListRolePolicies\",\"iam:ListRoles\",\"lambda:*\",\"logs:DescribeLogGroups\",\"states:DescribeStat"
	       "eMachine\",\"states:ListStateMachines\",\"tag:GetResources\",\"xray:GetTraceSummaries\",\"xray:BatchGetT"
	       "races\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"*\",\"Cond"
	       "ition\":{\"StringEquals\":{\"iam:PassedToService\":\"lambda.amazonaws.com\"}}},{\"Effect\":\"Allow\",\"A"
	       "ction\":[\"logs:DescribeLogStreams\",\"logs:GetLogEvents\",\"logs:FilterLogEvents\",\"logs:StartLiveTail"
	       "\",\"logs:StopLiveTail\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/lambda/*\"}]}"),
	POLICY("/", "AWSLambda_ReadOnlyAccess", "ANPAWTKXQCWYXVDWI3B4L",
	       "Grants read-only access to AWS Lambda service, AWS Lambda console features, and other related AWS services.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudformation:DescribeSt"
	       "acks\",\"cloudformation:ListStackResources\",\"cloudwatch:GetMetricData\",\"cloudwatch:ListMetrics\",\"e"
	       "c2:DescribeSecurityGroups\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpcs\",\"kms:ListAliases\",\"iam:GetPo"
	       "licy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"iam:GetRolePolicy\",\"iam:ListAttachedRolePolicies\","
	       "\"iam:ListRolePolicies\",\"iam:ListRoles\",\"logs:DescribeLogGroups\",\"lambda:Get*\",\"lambda:List*\","
	       "\"states:DescribeStateMachine\",\"states:ListStateMachines\",\"tag:GetResources\",\"xray:GetTraceSummari"
	       "es\",\"xray:BatchGetTraces\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:DescribeLogSt"
	       "reams\",\"logs:GetLogEvents\",\"logs:FilterLogEvents\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/l"
	       "ambda/*\"}]}"),
	POLICY("/service-role/", "AWSLambdaBasicExecutionRole", "ANPAJNCQGXC42545SKXIK",
	       "Provides write permissions to CloudWatch Logs.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogGroup\",\"l"
	       "ogs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AWSLambdaDynamoDBExecutionRole", "ANPAW33JYII45H5IRXRTA",
	       "Provides list and read access to DynamoDB streams and write permissions to CloudWatch logs.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:DescribeStream\""
	       ",\"dynamodb:GetRecords\",\"dynamodb:GetShardIterator\",\"dynamodb:ListStreams\",\"logs:CreateLogGroup\","
	       "\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "AWSLambdaExecute", "ANPALMBMFZVXWJCKE4RQ2",
	       "Provides Put, Get access to S3 and full access to CloudWatch Logs.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:*\"],\"Resource\":\""
	       "arn:aws:logs:*:*:*\"},{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:PutObject\"],\"Resource\":"
	       "\"arn:aws:s3:::*\"}]}"),
	POLICY("/service-role/", "AWSLambdaKinesisExecutionRole", "ANPA7P3BRZRJHXAZQ3TYQ",
	       "Provides list and read access to Kinesis streams and write permissions to CloudWatch logs.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"kinesis:DescribeStream\","
	       "\"kinesis:DescribeStreamSummary\",\"kinesis:GetRecords\",\"kinesis:GetShardIterator\",\"kinesis:ListShar"
	       "ds\",\"kinesis:ListStreams\",\"kinesis:SubscribeToShard\",\"logs:CreateLogGroup\",\"logs:CreateLogStream"
	       "\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AWSLambdaRole", "ANPA2PMWTD33PBKTRLFQK",
	       "Default policy for AWS Lambda service role.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"lambda:InvokeFunction\"],"
	       "\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AWSLambdaSQSQueueExecutionRole", "ANPARQFFWPYOMYNQYSK5Y",
	       "Provides receive message, delete message, and read attribute access to SQS queues, and write permissions to CloudWatch logs.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:ReceiveMessage\",\"sq"
	       "s:DeleteMessage\",\"sqs:GetQueueAttributes\",\"logs:CreateLogGroup\",\"logs:CreateLogStream\",\"logs:Put"
	       "LogEvents\"],\"Resource\":\"*\"}]}"),
	POLICY("/service-role/", "AWSLambdaVPCAccessExecutionRole", "ANPAX3WD72HX3WKO6UVJQ",
	       "Provides minimum permissions for a Lambda function to execute while accessing a resource within a VPC",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogGroup\",\"l"
	       "ogs:CreateLogStream\",\"logs:PutLogEvents\",\"ec2:CreateNetworkInterface\",\"ec2:DescribeNetworkInterfac"
	       "es\",\"ec2:DescribeSubnets\",\"ec2:DeleteNetworkInterface\",\"ec2:AssignPrivateIpAddresses\",\"ec2:Unass"
	       "ignPrivateIpAddresses\"],\"Resource\":\"*\",\"Sid\":\"AWSLambdaVPCAccessExecutionPermissions\"}]}"),
	POLICY("/", "AWSXRayDaemonWriteAccess", "ANPAWDG4A54J4KGUTPTW7",
	       "Allow the AWS X-Ray Daemon to relay raw trace segments data to the service's API and retrieve sampling data (rules, targets, etc.) to be used by the X-Ray SDK.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"xray:PutTraceSegments\","
	       "\"xray:PutTelemetryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\",\"xray:GetSamplingSta"
	       "tisticSummaries\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "CloudWatchAgentServerPolicy", "ANPAFSFB33W7ITYAUNRIV",
	       "Permissions required to use AmazonCloudWatchAgent on servers",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:PutMetricData"
	       "\",\"ec2:DescribeVolumes\",\"ec2:DescribeTags\",\"logs:PutLogEvents\",\"logs:PutRetentionPolicy\",\"logs"
	       ":DescribeLogStreams\",\"logs:DescribeLogGroups\",\"logs:CreateLogStream\",\"logs:CreateLogGroup\",\"xray"
	       ":PutTraceSegments\",\"xray:PutTelemetryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\","
	       "\"xray:GetSamplingStatisticSummaries\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"ssm:GetP"
	       "arameter\"],\"Resource\":\"arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*\"}]}"),
	POLICY("/", "CloudWatchFullAccess", "ANPAXXGMTNERJUSCZBGZH",
	       "Provides full access to CloudWatch.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:Describe*\","
	       "\"cloudwatch:*\",\"logs:*\",\"sns:*\",\"iam:GetPolicy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"oam:L"
	       "istSinks\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "CloudWatchLogsFullAccess", "ANPA4DGHVATPPW3S56CMV",
	       "Provides full access to CloudWatch Logs",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:*\",\"cloudwatch:Gen"
	       "erateQuery\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "CloudWatchLogsReadOnlyAccess", "ANPA4RKLDRWVMGPSXYEQ6",
	       "Provides read only access to CloudWatch Logs",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:Describe*\",\"logs:G"
	       "et*\",\"logs:List*\",\"logs:StartQuery\",\"logs:StopQuery\",\"logs:TestMetricFilter\",\"logs:FilterLogEv"
	       "ents\",\"logs:StartLiveTail\",\"logs:StopLiveTail\",\"cloudwatch:GenerateQuery\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "CloudWatchReadOnlyAccess", "ANPAOBSUSBJFHDGVX4NT4",
	       "Provides read only access to CloudWatch.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"autoscaling:Describe*\","
	       "\"cloudwatch:Describe*\",\"cloudwatch:Get*\",\"cloudwatch:List*\",\"logs:Get*\",\"logs:List*\",\"logs:De"
	       "scribe*\",\"logs:StartQuery\",\"logs:StopQuery\",\"logs:TestMetricFilter\",\"logs:FilterLogEvents\",\"lo"
	       "gs:StartLiveTail\",\"logs:StopLiveTail\",\"sns:Get*\",\"sns:List*\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "ElasticLoadBalancingFullAccess", "ANPADF7PIJKYXI6EJ2ORJ",
	       "Provides full access to Amazon ElasticLoadBalancing, and limited access to other services necessary to provide ElasticLoadBalancing features.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"elasticloadbalancing:*\","
	       "\"ec2:DescribeAccountAttributes\",\"ec2:DescribeAddresses\",\"ec2:DescribeInternetGateways\",\"ec2:Descr"
	       "ibeSecurityGroups\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpcs\",\"ec2:DescribeVpcClassicLink\",\"ec2:De"
	       "scribeInstances\",\"ec2:DescribeNetworkInterfaces\",\"ec2:DescribeClassicLinkInstances\",\"ec2:DescribeR"
	       "outeTables\",\"ec2:DescribeCoipPools\",\"ec2:GetCoipPoolUsage\",\"ec2:DescribeVpcPeeringConnections\"],"
	       "\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:CreateServiceLinkedRole\",\"Resource\":\"*\","
	       "\"Condition\":{\"StringEquals\":{\"iam:AWSServiceName\":\"elasticloadbalancing.amazonaws.com\"}}}]}"),
	POLICY("/", "IAMFullAccess", "ANPA4KMMF7S45S6ALDUGG",
	       "Provides full access to IAM via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"iam:*\",\"organizations:D"
	       "escribeAccount\",\"organizations:DescribeOrganization\",\"organizations:DescribeOrganizationalUnit\",\"o"
	       "rganizations:DescribePolicy\",\"organizations:ListChildren\",\"organizations:ListParents\",\"organizatio"
	       "ns:ListPoliciesForTarget\",\"organizations:ListRoots\",\"organizations:ListPolicies\",\"organizations:Li"
	       "stTargetsForPolicy\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "IAMReadOnlyAccess", "ANPA5WB47UIS2ERXGY6UR",
	       "Provides read only access to IAM via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"iam:GenerateCredentialRep"
	       "ort\",\"iam:GenerateServiceLastAccessedDetails\",\"iam:Get*\",\"iam:List*\",\"iam:SimulateCustomPolicy\""
	       ",\"iam:SimulatePrincipalPolicy\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "PowerUserAccess", "ANPAJYRXTHIB4FOVS3ZXS",
	       "Provides full access to AWS services and resources, but does not allow management of Users and groups.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":[\"iam:*\",\"organization"
	       "s:*\",\"account:*\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"account:GetAccountInformati"
	       "on\",\"account:GetPrimaryEmail\",\"account:ListRegions\",\"iam:CreateServiceLinkedRole\",\"iam:DeleteSer"
	       "viceLinkedRole\",\"iam:ListRoles\",\"organizations:DescribeOrganization\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "ReadOnlyAccess", "ANPAILL3HVNFSB6DCOWYQ",
	       "Provides read-only access to AWS services and resources.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"application-autoscaling:D"
	       "escribe*\",\"application-autoscaling:Get*\",\"application-autoscaling:List*\",\"autoscaling:Describe*\","
	       "\"autoscaling:Get*\",\"autoscaling:List*\",\"cloudformation:Describe*\",\"cloudformation:Detect*\",\"clo"
	       "udformation:Estimate*\",\"cloudformation:Get*\",\"cloudformation:List*\",\"cloudwatch:Describe*\",\"clou"
	       "dwatch:Get*\",\"cloudwatch:List*\",\"dynamodb:BatchGet*\",\"dynamodb:Describe*\",\"dynamodb:Get*\",\"dyn"
	       "amodb:List*\",\"dynamodb:Query\",\"dynamodb:Scan\",\"ec2:Describe*\",\"ec2:Get*\",\"ec2:List*\",\"ecr:Ba"
	       "tchCheck*\",\"ecr:BatchGet*\",\"ecr:Describe*\",\"ecr:Get*\",\"ecr:List*\",\"ecs:Describe*\",\"ecs:List*"
	       "\",\"elasticache:Describe*\",\"elasticache:Get*\",\"elasticache:List*\",\"elasticbeanstalk:Check*\",\"el"
	       "asticbeanstalk:Describe*\",\"elasticbeanstalk:Get*\",\"elasticbeanstalk:List*\",\"elasticbeanstalk:Reque"
	       "stEnvironmentInfo\",\"elasticbeanstalk:RetrieveEnvironmentInfo\",\"elasticloadbalancing:Describe*\",\"el"
	       "asticloadbalancing:Get*\",\"elasticloadbalancing:List*\",\"events:Describe*\",\"events:Get*\",\"events:L"
	       "ist*\",\"iam:Describe*\",\"iam:Generate*\",\"iam:Get*\",\"iam:List*\",\"iam:Simulate*\",\"kms:Describe*"
	       "\",\"kms:GetKey*\",\"kms:List*\",\"lambda:Describe*\",\"lambda:Get*\",\"lambda:List*\",\"logs:Describe*"
	       "\",\"logs:FilterLogEvents\",\"logs:Get*\",\"logs:List*\",\"logs:StartQuery\",\"logs:StopQuery\",\"logs:T"
	       "estMetricFilter\",\"pricing:Describe*\",\"pricing:Get*\",\"pricing:List*\",\"rds:Describe*\",\"rds:Get*"
	       "\",\"rds:List*\",\"route53:Describe*\",\"route53:Get*\",\"route53:List*\",\"route53:TestDNSAnswer\",\"s3"
	       ":Describe*\",\"s3:Get*\",\"s3:List*\",\"scheduler:Describe*\",\"scheduler:Get*\",\"scheduler:List*\",\"s"
	       "ecretsmanager:Describe*\",\"secretsmanager:GetResourcePolicy\",\"secretsmanager:List*\",\"servicediscove"
	       "ry:Describe*\",\"servicediscovery:Get*\",\"servicediscovery:List*\",\"sns:Describe*\",\"sns:Get*\",\"sns"
	       ":List*\",\"sqs:Describe*\",\"sqs:Get*\",\"sqs:List*\",\"sqs:ReceiveMessage\",\"ssm:Describe*\",\"ssm:Get"
	       "*\",\"ssm:List*\",\"sts:GetAccessKeyInfo\",\"sts:GetCallerIdentity\",\"sts:GetSessionToken\",\"tag:Descr"
	       "ibe*\",\"tag:Get*\",\"tag:List*\"],\"Resource\":\"*\"}]}"),
	POLICY("/", "SecretsManagerReadWrite", "ANPAGSUMYPFSTAJVF7JUQ",
	       "Provides read/write access to AWS Secrets Manager via the AWS Management Console.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"secretsmanager:*\",\"clou"
	       "dformation:CreateChangeSet\",\"cloudformation:DescribeChangeSet\",\"cloudformation:DescribeStackResource"
	       "\",\"cloudformation:DescribeStacks\",\"cloudformation:ExecuteChangeSet\",\"ec2:DescribeSecurityGroups\","
	       "\"ec2:DescribeSubnets\",\"ec2:DescribeVpcs\",\"kms:DescribeKey\",\"kms:ListAliases\",\"kms:ListKeys\",\""
	       "lambda:ListFunctions\",\"rds:DescribeDBClusters\",\"rds:DescribeDBInstances\",\"tag:GetResources\"],\"Re"
	       "source\":\"*\"}]}"),
	POLICY("/job-function/", "ViewOnlyAccess", "ANPAYQMVUICFWLCE7PFEO",
	       "This policy grants permissions to view resources and basic metadata across all AWS services.",
	       "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"application-autoscaling:D"
	       "escribe*\",\"application-autoscaling:List*\",\"autoscaling:Describe*\",\"autoscaling:List*\",\"cloudform"
	       "ation:Describe*\",\"cloudformation:List*\",\"cloudwatch:Describe*\",\"cloudwatch:List*\",\"dynamodb:Desc"
	       "ribe*\",\"dynamodb:List*\",\"ec2:Describe*\",\"ec2:List*\",\"ecr:Describe*\",\"ecr:List*\",\"ecs:Describ"
	       "e*\",\"ecs:List*\",\"elasticache:Describe*\",\"elasticache:List*\",\"elasticbeanstalk:Describe*\",\"elas"
	       "ticbeanstalk:List*\",\"elasticloadbalancing:Describe*\",\"elasticloadbalancing:List*\",\"events:Describe"
	       "*\",\"events:List*\",\"iam:Describe*\",\"iam:List*\",\"kms:Describe*\",\"kms:List*\",\"lambda:Describe*"
	       "\",\"lambda:List*\",\"logs:Describe*\",\"logs:List*\",\"pricing:Describe*\",\"pricing:List*\",\"rds:Desc"
	       "ribe*\",\"rds:List*\",\"route53:Describe*\",\"route53:List*\",\"s3:Describe*\",\"s3:List*\",\"scheduler:"
	       "Describe*\",\"scheduler:List*\",\"secretsmanager:Describe*\",\"secretsmanager:List*\",\"servicediscovery"
	       ":Describe*\",\"servicediscovery:List*\",\"sns:Describe*\",\"sns:List*\",\"sqs:Describe*\",\"sqs:List*\","
	       "\"ssm:Describe*\",\"ssm:List*\",\"tag:Describe*\",\"tag:List*\",\"iam:Get*\",\"s3:ListAllMyBuckets\",\"s"
	       "3:ListBucket\"],\"Resource\":\"*\"}]}"),
};
/* clang-format on */
const unsigned iam_aws_policy_count = sizeof(iam_aws_policies) / sizeof(iam_aws_policies[0]);

const struct iam_aws_policy *iam_aws_policy(struct str arn)
{
	struct str prefix = S("arn:aws:iam::aws:policy");
	if (!str_starts(arn, prefix))
		return NULL;
	struct str rest = str_from_at(arn, prefix.n);
	for (unsigned i = 0; i < iam_aws_policy_count; i++) {
		const struct iam_aws_policy *p = &iam_aws_policies[i];
		if (rest.n == p->path.n + p->name.n && str_starts(rest, p->path) && str_ends(rest, p->name))
			return p;
	}
	return NULL;
}
