"""What can be changed of an instance at any time, and snapshots of all its volumes."""
import os
import random
import re
import subprocess
import time
import unittest

import images
from ec2 import Ec2Case, end_instances, wait_for


class Options(Ec2Case):
    def setUp(self):
        super().setUp()
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no image: tools/make-image")
        self.made = self.ec2.run_instances(ImageId=image, InstanceType="t3.nano", MinCount=1, MaxCount=1, Monitoring={"Enabled": True}, BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}], TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "a", "Value": "v"}]}])["Instances"][0]
        self.instance_id = self.made["InstanceId"]
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=[self.instance_id])

    def instance(self):
        return self.ec2.describe_instances(InstanceIds=[self.instance_id])["Reservations"][0]["Instances"][0]

    def wait(self, state):
        for _ in range(240):
            if self.instance()["State"]["Name"] == state:
                return
            time.sleep(0.25)
        self.fail(f"{self.instance()['State']} is not {state}")

    def test_options(self):
        self.assertEqual(self.made["Monitoring"]["State"], "enabled")
        off = self.ec2.unmonitor_instances(InstanceIds=[self.instance_id])["InstanceMonitorings"]
        self.assertEqual(off, [{"InstanceId": self.instance_id, "Monitoring": {"State": "disabling"}}])
        self.assertEqual(self.instance()["Monitoring"]["State"], "disabled")
        self.ec2.monitor_instances(InstanceIds=[self.instance_id])
        self.assertEqual(self.instance()["Monitoring"]["State"], "enabled")
        self.fails("InvalidInstanceID.NotFound", self.ec2.monitor_instances, InstanceIds=[self.instance_id, "i-0123456789abcdef0"])
        modify = lambda **more: self.ec2.modify_instance_metadata_options(InstanceId=self.instance_id, **more)  # noqa: E731
        changed = modify(HttpTokens="required", HttpPutResponseHopLimit=5)["InstanceMetadataOptions"]
        self.assertEqual((changed["HttpTokens"], changed["HttpPutResponseHopLimit"], changed["HttpEndpoint"]), ("required", 5, "enabled"))
        self.assertEqual(self.instance()["MetadataOptions"], changed)
        self.fails("InvalidParameterValue", modify, HttpPutResponseHopLimit=65)
        self.fails("InvalidParameterCombination", modify)
        self.assertEqual(modify(HttpProtocolIpv6="enabled")["InstanceMetadataOptions"]["HttpProtocolIpv6"], "enabled")
        disks = lambda: {m["DeviceName"]: m["Ebs"] for m in self.instance()["BlockDeviceMappings"]}  # noqa: E731
        attribute = lambda *maps: self.ec2.modify_instance_attribute(InstanceId=self.instance_id, BlockDeviceMappings=list(maps))  # noqa: E731
        self.assertIs(disks()["/dev/sdf"]["DeleteOnTermination"], False)
        attribute({"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}})
        self.assertIs(disks()["/dev/sdf"]["DeleteOnTermination"], True)
        self.assertAwsError("InvalidInstanceAttributeValue", attribute, {"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}})
        self.snapshots(disks())

    def test_attributes_that_nothing_sets(self):
        """What AWS shows of an instance without them: a name without a value, an empty list, what is off."""
        show = lambda name: self.ec2.describe_instance_attribute(InstanceId=self.instance_id, Attribute=name)  # noqa: E731
        for name, member in (("kernel", "KernelId"), ("ramdisk", "RamdiskId"), ("sriovNetSupport", "SriovNetSupport")):
            self.assertEqual(show(name)[member], {}, name)
        self.assertEqual(show("productCodes")["ProductCodes"], [])
        self.assertEqual(show("enclaveOptions")["EnclaveOptions"], {"Enabled": False})
        self.fails("InvalidParameterValue", show, name="colour")
        eni = self.instance()["NetworkInterfaces"][0]["NetworkInterfaceId"]

        def public(of):  # newer than the SDK
            made = self.query("DescribeNetworkInterfaceAttribute", NetworkInterfaceId=of, Attribute="associatePublicIpAddress")
            return re.findall("<associatePublicIpAddress>([a-z]+)<", made.body.decode())
        self.assertEqual(public(eni), ["true"])
        other = self.ec2.create_network_interface(SubnetId=self.instance()["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
        self.addCleanup(self.ec2.delete_network_interface, NetworkInterfaceId=other)
        self.assertEqual(public(other), ["false"])

    def test_options_with_one_value(self):
        kept = lambda **more: self.ec2.modify_instance_maintenance_options(InstanceId=self.instance_id, **more)  # noqa: E731
        self.assertEqual(kept(AutoRecovery="disabled")["AutoRecovery"], "disabled")
        self.fails("UnsupportedOperation", kept, AutoRecovery="default")
        self.fails("InvalidParameterValue", kept, AutoRecovery="maybe")
        names = lambda **more: self.ec2.modify_private_dns_name_options(InstanceId=self.instance_id, **more)  # noqa: E731
        self.assertTrue(names(PrivateDnsHostnameType="ip-name", EnableResourceNameDnsARecord=False)["Return"])
        self.fails("UnsupportedOperation", names, PrivateDnsHostnameType="resource-name")
        self.fails("UnsupportedOperation", names, EnableResourceNameDnsARecord=True)
        self.fails("InvalidParameterCombination", names)
        self.fails("InvalidInstanceID.NotFound", self.ec2.modify_private_dns_name_options, InstanceId="i-0123456789abcdef0", PrivateDnsHostnameType="ip-name")

    def test_a_stopped_instance_is_led_to_a_reservation(self):
        zone = self.instance()["Placement"]["AvailabilityZone"]
        place = lambda kind: self.ec2.create_capacity_reservation(InstanceType=kind, InstancePlatform="Linux/UNIX", AvailabilityZone=zone, InstanceCount=1,  # noqa: E731
                                                                  InstanceMatchCriteria="targeted")["CapacityReservation"]["CapacityReservationId"]
        own, other = place("t3.nano"), place("t3.micro")
        for r in (own, other):
            self.addCleanup(self.ec2.cancel_capacity_reservation, CapacityReservationId=r)
        lead = lambda to: self.ec2.modify_instance_capacity_reservation_attributes(  # noqa: E731
            InstanceId=self.instance_id, CapacityReservationSpecification={"CapacityReservationTarget": {"CapacityReservationId": to}})
        free = lambda: self.ec2.describe_capacity_reservations(CapacityReservationIds=[own])["CapacityReservations"][0]["AvailableInstanceCount"]  # noqa: E731
        self.wait("running")
        self.fails("IncorrectInstanceState", lead, to=own)
        self.ec2.stop_instances(InstanceIds=[self.instance_id], Force=True)
        self.wait("stopped")
        self.fails("InvalidParameterCombination", lead, to=other)
        self.fails("InvalidCapacityReservationId.NotFound", lead, to="cr-0123456789abcdef0")
        self.assertTrue(lead(own)["Return"])
        self.assertEqual((free(), self.instance().get("CapacityReservationId")), (1, None))
        self.ec2.start_instances(InstanceIds=[self.instance_id])
        self.assertEqual((free(), self.instance()["CapacityReservationId"]), (0, own))

    def test_groups(self):
        vpc = self.instance()["VpcId"]
        group = self.ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
        own = [g["GroupId"] for g in self.instance()["SecurityGroups"]]
        self.assertIsNone(self.ec2.modify_instance_attribute(InstanceId=self.instance_id, Groups=[group]).get("Return"))
        shown = self.instance()
        self.assertEqual([g["GroupId"] for g in shown["SecurityGroups"]], [group])
        self.assertEqual([g["GroupId"] for g in shown["NetworkInterfaces"][0]["Groups"]], [group])
        self.fails("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
        self.fails("InvalidGroup.NotFound", self.ec2.modify_instance_attribute, InstanceId=self.instance_id, Groups=["sg-0123456789abcdef0"])
        self.assertEqual([g["GroupId"] for g in self.instance()["SecurityGroups"]], [group])
        self.ec2.modify_instance_attribute(InstanceId=self.instance_id, Groups=own)
        self.ec2.delete_security_group(GroupId=group)

    def test_what_a_launch_may_say(self):
        """What is off, or so anyway, may be said; the rest is refused."""
        launch = dict(ImageId=self.made["ImageId"], MinCount=1, MaxCount=1)
        made = self.query("RunInstances", ImageId=self.made["ImageId"], MinCount=1, MaxCount=1, InstanceType="t3.nano", **{
            "EnclaveOptions.Enabled": "false", "HibernationOptions.Configured": "false", "MaintenanceOptions.AutoRecovery": "disabled",
            "CpuOptions.CoreCount": 1, "CpuOptions.ThreadsPerCore": 2, "PrivateDnsNameOptions.HostnameType": "ip-name",
            "PrivateDnsNameOptions.EnableResourceNameDnsARecord": "false"})
        text = made.body.decode()
        self.assertEqual(made.status, 200, text)
        self.addCleanup(self.ec2.terminate_instances, InstanceIds=re.findall("<instanceId>(i-[0-9a-f]+)", text)[:1])
        for part in ("<cpuOptions><coreCount>1</coreCount><threadsPerCore>2</threadsPerCore></cpuOptions>", "<enclaveOptions><enabled>false<",
                     "<hibernationOptions><configured>false<", "<maintenanceOptions><autoRecovery>disabled<", "<privateDnsNameOptions><hostnameType>ip-name<"):
            self.assertIn(part, re.sub(r">\s+<", "><", text))
        run = lambda kind="t3.nano", **more: self.ec2.run_instances(**launch, InstanceType=kind, **more)  # noqa: E731
        self.fails("UnsupportedOperation", run, EnclaveOptions={"Enabled": True})
        self.fails("UnsupportedHibernationConfiguration", run, HibernationOptions={"Configured": True})
        self.fails("UnsupportedOperation", run, CpuOptions={"CoreCount": 1, "ThreadsPerCore": 1})
        self.fails("InvalidParameterValue", run, CpuOptions={"CoreCount": 4, "ThreadsPerCore": 2})
        # another processor than the image's; and what this machine has none of, however few are asked for
        self.fails("InvalidParameterValue", run, "The architecture 'arm64' of the specified instance type does not match the architecture 'x86_64' of the "
                   "specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use "
                   "'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.", kind="t4g.nano")
        for kind in ("g4dn.xlarge", "p4d.24xlarge", "inf1.xlarge"):
            self.fails("InsufficientInstanceCapacity", run, status=500, kind=kind)
        self.fails("Unsupported", run, kind="m5.metal")
        self.fails("Unsupported", run, kind="p3.2xlarge", message="(p3.2xlarge) is not supported in your requested Availability Zone")
        self.fails("InvalidParameterValue", run, kind="p3.huge")

    def snapshots(self, disks):
        self.wait("running")
        create = lambda **more: self.ec2.create_snapshots(InstanceSpecification={"InstanceId": self.instance_id, **more}, Description="d", CopyTagsFromSource="volume",  # noqa: E731
                                                          TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "b", "Value": "w"}]}])
        data = disks["/dev/sdf"]["VolumeId"]
        self.fails("UnsupportedOperation", create)
        self.fails("InvalidParameterValue", create, ExcludeDataVolumeIds=["vol-0123456789abcdef0"])
        self.fails("InvalidParameterCombination", create, ExcludeBootVolume=True, ExcludeDataVolumeIds=[data])
        self.ec2.stop_instances(InstanceIds=[self.instance_id], Force=True)
        self.wait("stopped")
        made = create()["Snapshots"]
        self.assertEqual({s["VolumeId"] for s in made}, {d["VolumeId"] for d in disks.values()})
        self.assertEqual({t["Key"]: t["Value"] for t in made[0]["Tags"]}, {"a": "v", "b": "w"})
        only = create(ExcludeBootVolume=True)["Snapshots"]
        self.assertEqual([s["VolumeId"] for s in only], [data])
        ids = [s["SnapshotId"] for s in made + only]
        self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=ids, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        for snapshot in ids:
            self.ec2.delete_snapshot(SnapshotId=snapshot)


def rulesets():
    """What the kernel's packet filters have in the namespaces that this cloud's processes hold."""
    mine, seen = os.environ["QUARTET_DATA"].encode(), set()
    for pid in (p for p in os.listdir("/proc") if p.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if mine not in file.read().split(b"\0"):
                    continue
            for fd in os.listdir(f"/proc/{pid}/fd"):
                at = f"/proc/{pid}/fd/{fd}"
                where = os.readlink(at)
                if not where.startswith("net:") or where in seen:
                    continue
                seen.add(where)
                yield subprocess.run(["nsenter", f"--net={at}", "nft", "list", "ruleset"], capture_output=True, text=True, timeout=60, check=False).stdout
        except OSError:
            continue


@unittest.skipIf(images.no_containers() or os.geteuid() != 0, images.no_containers() or "needs root")
class Network(Ec2Case):
    def limits(self):
        """Bytes a second that are in the kernel for the only instance of the VPC."""
        for rules in rulesets():
            if self.address in rules:
                return {int(n) for n in re.findall(r"limit rate over (\d+) bytes/second", rules)}
        return None

    def until(self, bytes_per_s):
        end = time.monotonic() + 120
        while self.limits() != {bytes_per_s}:
            self.assertLess(time.monotonic(), end, self.limits())
            time.sleep(0.3)

    def test_it_has_what_its_type_has(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no image: tools/make-image")
        second, third = random.randrange(256), random.randrange(256)
        vpc = self.vpc(f"10.{second}.{third}.0/24")
        subnet, self.address = self.subnet(vpc, f"10.{second}.{third}.0/26"), f"10.{second}.{third}.{random.randrange(4, 60)}"
        i = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, SubnetId=subnet, PrivateIpAddress=self.address, TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"][0]["InstanceId"]
        end_instances(self, self.ec2, i)
        self.until(125000000)  # a gigabit
        wait_for(self, self.ec2, i, "running")
        self.ec2.stop_instances(InstanceIds=[i], Force=True)
        wait_for(self, self.ec2, i, "stopped", 120)
        self.ec2.modify_instance_attribute(InstanceId=i, InstanceType={"Value": "t3.nano"})
        self.ec2.start_instances(InstanceIds=[i])
        self.until(625000000)
        shown = self.ec2.describe_instance_types(InstanceTypes=["t3.nano"])["InstanceTypes"][0]["NetworkInfo"]
        self.assertEqual((shown["NetworkPerformance"], shown["NetworkCards"][0]["MaximumNetworkInterfaces"]), ("Up to 5 Gigabit", 2))


@unittest.skipIf(images.no_containers(), images.no_containers())
class Protection(Ec2Case):
    def test_it_keeps_those_of_its_zone(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no image: tools/make-image")
        subnets = {s["AvailabilityZone"]: s["SubnetId"] for s in self.ec2.describe_subnets()["Subnets"]}
        zones = sorted(subnets)[:2]
        launch = lambda zone: self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, SubnetId=subnets[zone], TagSpecifications=[  # noqa: E731
            {"ResourceType": "instance", "Tags": [{"Key": "quartet:driver", "Value": "container"}]}])["Instances"][0]["InstanceId"]
        kept, beside, other = launch(zones[0]), launch(zones[0]), launch(zones[1])
        end_instances(self, self.ec2, kept, beside)
        protect = lambda on: self.ec2.modify_instance_attribute(InstanceId=kept, DisableApiTermination={"Value": on})  # noqa: E731
        protect(True)
        state = lambda i: self.ec2.describe_instances(InstanceIds=[i])["Reservations"][0]["Instances"][0]["State"]["Name"]  # noqa: E731
        end = lambda *ids, **more: self.ec2.terminate_instances(InstanceIds=ids, **more)  # noqa: E731
        self.assertAwsError("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=[kept, other, "i-0123456789abcdef0"])
        self.assertAwsError("DryRunOperation", self.ec2.terminate_instances, InstanceIds=[kept, other], DryRun=True)
        self.assertIn(state(other), ("pending", "running"))
        self.assertAwsError("OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[beside, kept, other],
                            message=f"The instance '{kept}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.")
        self.assertIn(state(other), ("shutting-down", "terminated"))
        self.assertEqual([state(i) in ("pending", "running") for i in (kept, beside)], [True, True])
        self.assertAwsError("OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[kept, other])
        protect(False)
        self.assertEqual(len(end(beside, kept, other)["TerminatingInstances"]), 3)


class MetadataDefaults(Ec2Case):
    """What an account says for launches that say nothing; in a region of its own."""
    def launch(self, image, **more):
        made = self.ec2.run_instances(ImageId=image, InstanceType="t2.nano", MinCount=1, MaxCount=1, **more)["Instances"][0]
        end_instances(self, self.ec2, made["InstanceId"])
        options = made["MetadataOptions"]
        return options["HttpTokens"], options["HttpPutResponseHopLimit"], options["HttpEndpoint"], options["InstanceMetadataTags"]

    def ask(self):
        """By hand, because not every boto3 knows the operation."""
        reply = self.query("GetInstanceMetadataDefaults")
        self.assertEqual(reply.status, 200, reply.body)
        return dict(re.findall(r"<(http\w+|instanceMetadataTags)>([^<]*)<", reply.body.decode()))

    def modify(self, code=None, **more):
        reply = self.query("ModifyInstanceMetadataDefaults", **more)
        self.assertEqual(reply.status, 400 if code else 200, reply.body)
        self.assertIn(f"<Code>{code}</Code>" if code else "<return>true</return>", reply.body.decode())

    def test_defaults(self):
        image = images.image(self.ec2)
        if not image:
            self.skipTest("there is no image: tools/make-image")
        self.assertEqual(self.ask(), {})
        before = self.launch(image)
        self.modify(HttpTokens="required", HttpPutResponseHopLimit=7, InstanceMetadataTags="enabled")
        self.assertEqual(self.ask(), {"httpTokens": "required", "httpPutResponseHopLimit": "7", "instanceMetadataTags": "enabled"})
        self.assertEqual(self.launch(image), ("required", 7, "enabled", "enabled"))
        self.assertEqual(self.launch(image, MetadataOptions={"HttpTokens": "optional", "HttpPutResponseHopLimit": 2}), ("optional", 2, "enabled", "enabled"))
        self.modify("InvalidParameterValue", HttpPutResponseHopLimit=65)
        self.modify("InvalidParameterCombination")
        self.modify("UnsupportedOperation", HttpTokensEnforced="enabled")
        self.modify(HttpTokens="no-preference", HttpPutResponseHopLimit=-1, InstanceMetadataTags="no-preference")
        self.assertEqual(self.ask(), {})
        self.assertEqual(self.launch(image), before)


if __name__ == "__main__":
    unittest.main()
