#!/bin/sh
# A load balancer over two zones, and behind it a group of instances that follows the load, keeps its health and has a name and an alarm:
#   eval "$(quartet env)"; samples/elastic.sh [NAME]
# Prints the balancer's ARN and name. Away again: samples/elastic.sh --delete [NAME]
set -eu
delete=no
case "${1-}" in
-h|--help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
--delete) delete=yes; shift ;;
esac
name=${1-elastic}
zone=$name.example.

ask() { aws --output text "$@"; }

if [ "$delete" = yes ]; then
	id=$(ask route53 list-hosted-zones --query "HostedZones[?Name=='$zone'].Id | [0]")
	balancer=$(ask elbv2 describe-load-balancers --names "$name" --query 'LoadBalancers[0].LoadBalancerArn')
	targets=$(ask elbv2 describe-target-groups --names "$name" --query 'TargetGroups[0].TargetGroupArn')
	aws cloudwatch delete-alarms --alarm-names "$name-slow"
	set_=$(aws route53 list-resource-record-sets --hosted-zone-id "$id" --output json --query "ResourceRecordSets[?Type=='A'] | [0]")
	aws route53 change-resource-record-sets --hosted-zone-id "$id" --change-batch "{\"Changes\":[{\"Action\":\"DELETE\",\"ResourceRecordSet\":$set_}]}" > /dev/null
	aws route53 delete-hosted-zone --id "$id" > /dev/null
	aws autoscaling delete-auto-scaling-group --auto-scaling-group-name "$name" --force-delete
	aws elbv2 delete-load-balancer --load-balancer-arn "$balancer"
	aws elbv2 delete-target-group --target-group-arn "$targets"
	aws ec2 delete-launch-template --launch-template-name "$name" > /dev/null
	until [ "$(ask autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$name" --query 'length(AutoScalingGroups)')" = 0 ]; do sleep 1; done
	for group in "$name-web" "$name-door"; do
		aws ec2 delete-security-group --group-id "$(ask ec2 describe-security-groups --filters "Name=group-name,Values=$group" --query 'SecurityGroups[0].GroupId')" > /dev/null
	done
	exit 0
fi

vpc=$(ask ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId')
subnets=$(ask ec2 describe-subnets --filters "Name=vpc-id,Values=$vpc" --query 'sort_by(Subnets,&AvailabilityZone)[:2].SubnetId')
one=$(echo $subnets | cut -d' ' -f1) two=$(echo $subnets | cut -d' ' -f2)

# The door is open to everybody, the instances to the door alone.
door=$(ask ec2 create-security-group --group-name "$name-door" --description door --vpc-id "$vpc" --query GroupId)
web=$(ask ec2 create-security-group --group-name "$name-web" --description web --vpc-id "$vpc" --query GroupId)
aws ec2 authorize-security-group-ingress --group-id "$door" --protocol tcp --port 80 --cidr 0.0.0.0/0 > /dev/null
aws ec2 authorize-security-group-ingress --group-id "$web" --protocol tcp --port 80 --source-group "$door" > /dev/null

balancer=$(ask elbv2 create-load-balancer --name "$name" --subnets "$one" "$two" --security-groups "$door" --query 'LoadBalancers[0].LoadBalancerArn')
targets=$(ask elbv2 create-target-group --name "$name" --protocol HTTP --port 80 --vpc-id "$vpc" --health-check-interval-seconds 5 \
	--health-check-timeout-seconds 2 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn')
aws elbv2 modify-target-group-attributes --target-group-arn "$targets" --attributes Key=deregistration_delay.timeout_seconds,Value=10 > /dev/null
aws elbv2 create-listener --load-balancer-arn "$balancer" --protocol HTTP --port 80 --default-actions "Type=forward,TargetGroupArn=$targets" > /dev/null

image=$(ask ssm get-parameter --name /aws/service/debian/release/12/latest/amd64 --query Parameter.Value)
data=$(printf '#!/bin/sh\nmkdir -p /srv/web; hostname > /srv/web/index.html\nsystemd-run --unit web python3 -m http.server --directory /srv/web 80\n' | base64 -w 0)
aws ec2 create-launch-template --launch-template-name "$name" --launch-template-data \
	"{\"ImageId\":\"$image\",\"InstanceType\":\"t3.micro\",\"SecurityGroupIds\":[\"$web\"],\"UserData\":\"$data\"}" > /dev/null
aws autoscaling create-auto-scaling-group --auto-scaling-group-name "$name" --launch-template "LaunchTemplateName=$name,Version=\$Latest" \
	--min-size 2 --max-size 6 --vpc-zone-identifier "$one,$two" --target-group-arns "$targets" --health-check-type ELB --health-check-grace-period 30 \
	--default-instance-warmup 60

# So many requests a minute for each of them, and so busy.
label=$(echo "$balancer" | sed 's/.*:loadbalancer\///')/$(echo "$targets" | sed 's/.*:targetgroup/targetgroup/')
aws autoscaling put-scaling-policy --auto-scaling-group-name "$name" --policy-name requests --policy-type TargetTrackingScaling --target-tracking-configuration \
	"{\"PredefinedMetricSpecification\":{\"PredefinedMetricType\":\"ALBRequestCountPerTarget\",\"ResourceLabel\":\"$label\"},\"TargetValue\":600}" > /dev/null
aws autoscaling put-scaling-policy --auto-scaling-group-name "$name" --policy-name cpu --policy-type TargetTrackingScaling --target-tracking-configuration \
	'{"PredefinedMetricSpecification":{"PredefinedMetricType":"ASGAverageCPUUtilization"},"TargetValue":60}' > /dev/null

id=$(ask route53 create-hosted-zone --name "$zone" --caller-reference "$name-$(date +%s)" --query HostedZone.Id)
set -- $(ask elbv2 describe-load-balancers --load-balancer-arns "$balancer" --query 'LoadBalancers[0].[CanonicalHostedZoneId,DNSName]')
aws route53 change-resource-record-sets --hosted-zone-id "$id" --change-batch "{\"Changes\":[{\"Action\":\"CREATE\",\"ResourceRecordSet\":{\"Name\":\"www.$zone\",
	\"Type\":\"A\",\"AliasTarget\":{\"HostedZoneId\":\"$1\",\"DNSName\":\"$2\",\"EvaluateTargetHealth\":false}}}]}" > /dev/null
aws cloudwatch put-metric-alarm --alarm-name "$name-slow" --namespace AWS/ApplicationELB --metric-name TargetResponseTime --statistic Average --period 60 \
	--evaluation-periods 1 --threshold 1 --comparison-operator GreaterThanThreshold --dimensions "Name=LoadBalancer,Value=$(echo "$balancer" | sed 's/.*:loadbalancer\///')"

aws elbv2 wait load-balancer-available --load-balancer-arns "$balancer"
echo "$balancer"
echo "$2"
