"""What our own services tell EventBridge: instances, groups, tasks, images and objects."""
import os
import sys
import time
import unittest
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "autoscaling"))
from aws import REGION, TestCase, client  # noqa: E402
from groups import GroupCase, wait  # noqa: E402
from happenings import ACCOUNT, Listener  # noqa: E402
from tasks import TaskCase  # noqa: E402


class Groups(GroupCase):
    def test_an_instance_comes_and_goes(self):
        of = lambda service: client(service, region=self.region)  # noqa: E731
        ec2, scaling = Listener(self, of, self.region, "aws.ec2"), Listener(self, of, self.region, "aws.autoscaling")
        self.template()
        self.group()
        self.scaling.put_lifecycle_hook(AutoScalingGroupName="g", LifecycleHookName="h", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING", NotificationMetadata="m")
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        waits = scaling.wait(lambda d: True, "EC2 Instance-launch Lifecycle Action")["detail"]
        instance = waits["EC2InstanceId"]
        self.assertEqual({k: waits[k] for k in ("AutoScalingGroupName", "LifecycleHookName", "LifecycleTransition", "NotificationMetadata", "Origin", "Destination")},
                         {"AutoScalingGroupName": "g", "LifecycleHookName": "h", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "NotificationMetadata": "m", "Origin": "EC2",
                          "Destination": "AutoScalingGroup"})
        self.scaling.complete_lifecycle_action(AutoScalingGroupName="g", LifecycleHookName="h", LifecycleActionToken=waits["LifecycleActionToken"], LifecycleActionResult="CONTINUE")
        said = scaling.wait(lambda d: d["EC2InstanceId"] == instance, "EC2 Instance Launch Successful")
        self.assertEqual(said["resources"], [self.shown()["AutoScalingGroupARN"]])
        self.assertIn("Availability Zone", said["detail"]["Details"])
        self.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        scaling.wait(lambda d: d["EC2InstanceId"] == instance and d["Destination"] == "EC2", "EC2 Instance Terminate Successful")
        for state in ("pending", "running", "shutting-down", "terminated"):
            said = ec2.wait(lambda d, s=state: d == {"instance-id": instance, "state": s}, "EC2 Instance State-change Notification")
            self.assertEqual((said["source"], said["resources"]), ("aws.ec2", [f"arn:aws:ec2:{self.region}:{ACCOUNT}:instance/{instance}"]))
        made = ec2.wait(lambda d: (d["event"], d["result"]) == ("createVolume", "available"), "EBS Volume Notification")
        ec2.wait(lambda d: (d["event"], d["result"]) == ("deleteVolume", "deleted"), "EBS Volume Notification")
        self.assertTrue(made["resources"][0].startswith(f"arn:aws:ec2:{self.region}:{ACCOUNT}:volume/vol-"))
        wait(self, lambda: not self.members())


class Disks(TestCase):
    def test_a_snapshot(self):
        ec2, heard = client("ec2", region=REGION), Listener(self, client, REGION, "aws.ec2")
        volume = ec2.create_volume(AvailabilityZone=REGION + "a", Size=1)["VolumeId"]
        self.addCleanup(ec2.delete_volume, VolumeId=volume)
        heard.wait(lambda d: d.get("event") == "createVolume", "EBS Volume Notification")
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        self.addCleanup(ec2.delete_snapshot, SnapshotId=snapshot)
        said = heard.wait(lambda d: d["snapshot_id"].endswith(snapshot), "EBS Snapshot Notification")
        self.assertEqual((said["detail"]["event"], said["detail"]["result"], said["detail"]["source"], said["resources"]),
                         ("createSnapshot", "succeeded", f"arn:aws:ec2::{REGION}:volume/{volume}", [f"arn:aws:ec2::{REGION}:snapshot/{snapshot}"]))


class Alarms(TestCase):
    def test_states(self):
        heard, cloudwatch, name = Listener(self, client, REGION, "aws.cloudwatch"), client("cloudwatch"), "a-" + uuid.uuid4().hex[:8]
        cloudwatch.put_metric_alarm(AlarmName=name, AlarmDescription="of a test", Namespace="n/" + name, MetricName="m", Dimensions=[{"Name": "d", "Value": "v"}], Statistic="Average", Period=60,
                                    EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold")
        self.addCleanup(cloudwatch.delete_alarms, AlarmNames=[name, name + "-all"])
        cloudwatch.put_composite_alarm(AlarmName=name + "-all", AlarmRule=f"ALARM({name})")
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="because", StateReasonData='{"x": 1}')
        said = heard.wait(lambda d: d["alarmName"] == name and d["state"]["value"] == "ALARM", "CloudWatch Alarm State Change")
        detail = said["detail"]
        self.assertEqual(said["resources"], [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{name}"])
        self.assertEqual((detail["state"]["reason"], detail["state"]["reasonData"], detail["previousState"]["value"]), ("because", '{"x": 1}', "INSUFFICIENT_DATA"))
        self.assertRegex(detail["state"]["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000$")
        (metric,) = detail["configuration"]["metrics"]
        self.assertEqual((detail["configuration"]["description"], metric["returnData"], metric["metricStat"]),
                         ("of a test", True, {"metric": {"namespace": "n/" + name, "name": "m", "dimensions": {"d": "v"}}, "period": 60, "stat": "Average"}))
        # without data the state that was set may be over before the composite alarm has looked
        until, said = time.monotonic() + 180, None
        while not said:
            try:
                said = heard.wait(lambda d: d["alarmName"] == name + "-all" and d["state"]["value"] == "ALARM", "CloudWatch Alarm State Change", 5)
            except AssertionError:
                if time.monotonic() > until:
                    raise
                cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="again")
        self.assertEqual(said["detail"]["configuration"]["alarmRule"], f"ALARM({name})")


class Tasks(TaskCase):
    def test_a_task_and_a_service(self):
        of = lambda service: client(service, region=self.region)  # noqa: E731
        heard = Listener(self, of, self.region, "aws.ecs")
        task = self.run_task("exit 3")
        end = heard.wait(lambda d: d["taskArn"] == task and d["lastStatus"] == "STOPPED", "ECS Task State Change")
        self.assertEqual(end["resources"], [task])
        detail = end["detail"]
        self.assertEqual((detail["containers"][0]["exitCode"], detail["desiredStatus"], detail["launchType"]), (3, "STOPPED", "FARGATE"))
        self.assertRegex(detail["stoppedAt"], r"^\d{4}-\d\d-\d\dT.*Z$")
        heard.wait(lambda d: d["taskArn"] == task and d["lastStatus"] == "PENDING", "ECS Task State Change")
        name = "s-" + uuid.uuid4().hex[:8]
        service = self.ecs.create_service(cluster=self.cluster, serviceName=name, taskDefinition=self.register("sleep 1000"), desiredCount=1, launchType="FARGATE",
                                          networkConfiguration={"awsvpcConfiguration": {"subnets": [self.subnet["SubnetId"]]}})["service"]
        self.addCleanup(self.ecs.delete_service, cluster=self.cluster, service=name, force=True)
        deployment = service["deployments"][0]["id"]
        for state in ("IN_PROGRESS", "COMPLETED"):
            said = heard.wait(lambda d, s=state: d["eventName"] == "SERVICE_DEPLOYMENT_" + s, "ECS Deployment State Change")
            self.assertEqual((said["detail"]["deploymentId"], said["detail"]["eventType"], said["resources"]), (deployment, "INFO", [service["serviceArn"]]))
        said = heard.wait(lambda d: d["eventName"] == "SERVICE_STEADY_STATE", "ECS Service Action")
        self.assertEqual((said["resources"], said["detail"]["clusterArn"]), ([service["serviceArn"]], service["clusterArn"]))

    def test_an_image(self):
        of = lambda service: client(service, region=self.region)  # noqa: E731
        heard, ecr = Listener(self, of, self.region, "aws.ecr"), of("ecr")
        manifest = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "latest"}])["images"][0]["imageManifest"]
        tag = "t" + uuid.uuid4().hex[:8]
        ecr.put_image(repositoryName="app", imageManifest=manifest, imageTag=tag)
        want = {"result": "SUCCESS", "repository-name": "app", "image-digest": self.digest, "action-type": "PUSH", "image-tag": tag}
        heard.wait(lambda d: d == want, "ECR Image Action")
        ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageTag": tag}])
        heard.wait(lambda d: d == {**want, "action-type": "DELETE"}, "ECR Image Action")

    def test_a_task_as_target(self):
        """A rule runs a task with other words than its definition has."""
        of = lambda service: client(service, region=self.region)  # noqa: E731
        iam, events, name = client("iam"), of("events"), "runs-" + uuid.uuid4().hex[:12]
        trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ecs:RunTask", "iam:PassRole"], "Resource": "*"}]}')
        events.put_rule(Name=name, EventPattern='{"source": ["%s"]}' % name)
        cluster = f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{self.cluster}"
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": cluster, "RoleArn": role, "EcsParameters": {
            "TaskDefinitionArn": self.register("exit 1"), "LaunchType": "FARGATE", "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": [self.subnet["SubnetId"]]}}},
            "InputTransformer": {"InputPathsMap": {"code": "$.detail.code"}, "InputTemplate": '{"containerOverrides": [{"name": "c", "command": ["/bin/sh", "-c", "exit <code>"]}]}'}}])
        events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": '{"code": 7}'}])

        def ended():
            arns = self.ecs.list_tasks(cluster=self.cluster, startedBy="events-rule/" + name[:24], desiredStatus="STOPPED")["taskArns"]
            return [t for t in self.ecs.describe_tasks(cluster=self.cluster, tasks=arns)["tasks"] if t["lastStatus"] == "STOPPED"] if arns else None
        (task,) = self.wait(ended)
        self.assertEqual(task["containers"][0]["exitCode"], 7)
        events.remove_targets(Rule=name, Ids=["1"])
        events.delete_rule(Name=name)


class Objects(TestCase):
    def test_objects(self):
        s3, bucket = client("s3"), "told-" + uuid.uuid4().hex[:12]
        heard = Listener(self, client, REGION, "aws.s3")
        s3.create_bucket(Bucket=bucket)
        self.addCleanup(s3.delete_bucket, Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="untold", Body=b"1")
        self.assertNotIn("EventBridgeConfiguration", s3.get_bucket_notification_configuration(Bucket=bucket))
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
        self.assertEqual(s3.get_bucket_notification_configuration(Bucket=bucket)["EventBridgeConfiguration"], {})
        etag = s3.put_object(Bucket=bucket, Key="a/b", Body=b"hello")["ETag"]
        mine = lambda d: d["bucket"]["name"] == bucket  # noqa: E731
        said = heard.wait(lambda d: mine(d) and d["object"]["key"] == "a/b", "Object Created")
        self.assertEqual(said["resources"], ["arn:aws:s3:::" + bucket])
        self.assertEqual({k: said["detail"]["object"][k] for k in ("key", "size", "etag")}, {"key": "a/b", "size": 5, "etag": etag.strip('"')})
        self.assertEqual((said["detail"]["reason"], said["detail"]["requester"]), ("PutObject", ACCOUNT))
        s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a/b")
        self.assertEqual(heard.wait(lambda d: mine(d) and d["object"]["key"] == "c", "Object Created")["detail"]["reason"], "CopyObject")
        upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=1, Body=b"x")["ETag"]
        s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]})
        self.assertEqual(heard.wait(lambda d: mine(d) and d["object"]["key"] == "m", "Object Created")["detail"]["reason"], "CompleteMultipartUpload")
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        marker = s3.delete_object(Bucket=bucket, Key="a/b")["VersionId"]
        said = heard.wait(lambda d: mine(d) and d["object"]["key"] == "a/b", "Object Deleted")["detail"]
        self.assertEqual((said["deletion-type"], said["object"]["version-id"]), ("Delete Marker Created", marker))
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c", "VersionId": "null"}]})
        self.assertEqual(heard.wait(lambda d: mine(d) and d["object"]["key"] == "c", "Object Deleted")["detail"]["deletion-type"], "Permanently Deleted")
        self.assertFalse([e for e in heard.seen if e["detail"]["object"]["key"] == "untold" and mine(e["detail"])])
        self.assertAwsError("InvalidArgument", s3.put_bucket_notification_configuration, Bucket=bucket,
                            NotificationConfiguration={"QueueConfigurations": [{"QueueArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", "Events": ["s3:ObjectCreated:*"]}]})
        for v in (lambda said: said.get("Versions", []) + said.get("DeleteMarkers", []))(s3.list_object_versions(Bucket=bucket)):
            s3.delete_object(Bucket=bucket, Key=v["Key"], VersionId=v["VersionId"])


if __name__ == "__main__":
    unittest.main()
