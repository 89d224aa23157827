/* DescribeSpotInstanceRequests. */
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/page.h"

#define REQUEST(name, path) FIELD_PATH(name, "SpotInstanceRequest", path)
#define LAUNCH(name, path) FIELD_PATH("launch." name, "SpotInstanceRequest", "LaunchSpecification." path)
#define DISK(name, path) LAUNCH("block-device-mapping." name, "BlockDeviceMappings." path)
#define PORT(name, path) FIELD_PATH("network-interface." name, "SpotInstanceRequest", "LaunchSpecification.NetworkInterfaces." path)
static const struct ec2_field fields[] = {
        REQUEST("availability-zone-group", "AvailabilityZoneGroup"),
        REQUEST("create-time", "CreateTime"),
        REQUEST("fault-code", "Fault.Code"),
        REQUEST("fault-message", "Fault.Message"),
        REQUEST("instance-id", "InstanceId"),
        REQUEST("launch-group", "LaunchGroup"),
        DISK("delete-on-termination", "Ebs.DeleteOnTermination"),
        DISK("device-name", "DeviceName"),
        DISK("snapshot-id", "Ebs.SnapshotId"),
        DISK("volume-size", "Ebs.VolumeSize"),
        DISK("volume-type", "Ebs.VolumeType"),
        LAUNCH("group-id", "SecurityGroups.GroupId"),
        LAUNCH("group-name", "SecurityGroups.GroupName"),
        LAUNCH("image-id", "ImageId"),
        LAUNCH("instance-type", "InstanceType"),
        LAUNCH("kernel-id", "KernelId"),
        LAUNCH("key-name", "KeyName"),
        LAUNCH("monitoring-enabled", "Monitoring.Enabled"),
        LAUNCH("ramdisk-id", "RamdiskId"),
        REQUEST("launched-availability-zone", "LaunchedAvailabilityZone"),
        REQUEST("launched-availability-zone-id", "LaunchedAvailabilityZoneId"),
        PORT("addresses.primary", "PrivateIpAddresses.Primary"),
        PORT("delete-on-termination", "DeleteOnTermination"),
        PORT("description", "Description"),
        PORT("device-index", "DeviceIndex"),
        PORT("group-id", "Groups"),
        PORT("network-interface-id", "NetworkInterfaceId"),
        PORT("private-ip-address", "PrivateIpAddress"),
        PORT("subnet-id", "SubnetId"),
        REQUEST("product-description", "ProductDescription"),
        REQUEST("spot-instance-request-id", "SpotInstanceRequestId"),
        REQUEST("spot-price", "SpotPrice"),
        REQUEST("state", "State"),
        REQUEST("status-code", "Status.Code"),
        REQUEST("status-message", "Status.Message"),
        REQUEST("type", "Type"),
        REQUEST("valid-from", "ValidFrom"),
        REQUEST("valid-until", "ValidUntil"),
        {0},
};

static void show(struct call *c, void *record, void *output)
{
	struct ec2_describe_spot_instance_requests_result *out = output;
	struct ec2_spot_instance_request *r = record;
	struct ec2_scope s = ec2_scope(c);
	spot_expire(&s, r, c->now_ms);
	*LIST_ADD(c->arena, &out->spot_instance_requests) = *r;
}

int ec2_describe_spot_instance_requests(struct call *c, const struct ec2_describe_spot_instance_requests_request *in,
                                        struct ec2_describe_spot_instance_requests_result *out)
{
	const struct ec2_walk walk = {.kind = &ec2_kind_spot_request,
	                              .fields = fields,
	                              .filters = &in->filters,
	                              .ids = &in->spot_instance_request_ids,
	                              .max_results = &in->max_results,
	                              .next_token = in->next_token,
	                              .show = show};
	out->spot_instance_requests.set = true;
	return ec2_describe(c, &walk, out, &out->next_token);
}
