#include "aws/ec2/instance/instance_filter.h"

#include "aws/ec2/network/interface.h"

static void ask_reservation(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) = ((const struct ec2_shown *)record)->record->reservation;
}

static void ask_owner(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) = ((const struct ec2_shown *)record)->record->owner;
}

/* What an instance does not show of its interfaces, and their own records say. */
static void of_ports(struct call *c, void *record, const char *path, struct str_list *ret)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_interfaces ports;
	ec2_interfaces_of(&s, ((const struct ec2_shown *)record)->instance->instance_id, &ports);
	for (uint32_t i = 0; i < ports.n; i++)
		ec2_path_values(c->arena, "NetworkInterface", ports.v[i].interface, path, ret);
}
#define OF_PORTS(name, path) \
	static void ask_##name(struct call *c, void *record, struct str_list *ret) \
	{ \
		of_ports(c, record, path, ret); \
	}
OF_PORTS(allocation, "Association.AllocationId")
OF_PORTS(association, "Association.AssociationId")
OF_PORTS(address_allocation, "PrivateIpAddresses.Association.AllocationId")
OF_PORTS(address_association, "PrivateIpAddresses.Association.AssociationId")
OF_PORTS(attached_instance, "Attachment.InstanceId")
OF_PORTS(attached_owner, "Attachment.InstanceOwnerId")
OF_PORTS(port_zone, "AvailabilityZone")
OF_PORTS(port_requester, "RequesterId")
OF_PORTS(port_managed, "RequesterManaged")
OF_PORTS(port_tag_key, "TagSet.Key")
OF_PORTS(port_tag_value, "TagSet.Value")

#define AT(name, path) FIELD_PATH(name, "Instance", path)
#define DISK(name, path) AT("block-device-mapping." name, "BlockDeviceMappings." path)
#define METADATA(name, path) AT("metadata-options." name, "MetadataOptions." path)
#define PORT(name, path) AT("network-interface." name, "NetworkInterfaces." path)
#define PORT_ASK(name, fn) FIELD_ASK("network-interface." name, fn)
#define PORT_NEVER(name) FIELD_NEVER("network-interface." name)
#define RESERVED(name, path) AT("capacity-reservation-specification." name, "CapacityReservationSpecification." path)
#define NAMES(name, path) AT("private-dns-name-options." name, "PrivateDnsNameOptions." path)

const struct ec2_field ec2_instance_fields[] = {
        AT("affinity", "Placement.Affinity"),
        AT("architecture", "Architecture"),
        AT("availability-zone", "Placement.AvailabilityZone"),
        AT("availability-zone-id", "Placement.AvailabilityZoneId"),
        DISK("attach-time", "Ebs.AttachTime"),
        DISK("delete-on-termination", "Ebs.DeleteOnTermination"),
        DISK("device-name", "DeviceName"),
        DISK("status", "Ebs.Status"),
        DISK("volume-id", "Ebs.VolumeId"),
        AT("boot-mode", "BootMode"),
        AT("capacity-reservation-id", "CapacityReservationId"),
        RESERVED("capacity-reservation-preference", "CapacityReservationPreference"),
        RESERVED("capacity-reservation-target.capacity-reservation-id", "CapacityReservationTarget.CapacityReservationId"),
        RESERVED("capacity-reservation-target.capacity-reservation-resource-group-arn",
                 "CapacityReservationTarget.CapacityReservationResourceGroupArn"),
        AT("client-token", "ClientToken"),
        AT("current-instance-boot-mode", "CurrentInstanceBootMode"),
        AT("dns-name", "PublicDnsName"),
        AT("ebs-optimized", "EbsOptimized"),
        AT("ena-support", "EnaSupport"),
        AT("enclave-options.enabled", "EnclaveOptions.Enabled"),
        AT("group-id", "SecurityGroups.GroupId"),
        AT("group-name", "SecurityGroups.GroupName"),
        AT("hibernation-options.configured", "HibernationOptions.Configured"),
        AT("host-id", "Placement.HostId"),
        AT("hypervisor", "Hypervisor"),
        AT("iam-instance-profile.arn", "IamInstanceProfile.Arn"),
        AT("iam-instance-profile.id", "IamInstanceProfile.Id"),
        AT("image-id", "ImageId"),
        AT("instance-id", "InstanceId"),
        AT("instance-lifecycle", "InstanceLifecycle"),
        AT("instance-state-code", "State.Code"),
        AT("instance-state-name", "State.Name"),
        AT("instance-type", "InstanceType"),
        AT("instance.group-id", "SecurityGroups.GroupId"),
        AT("instance.group-name", "SecurityGroups.GroupName"),
        AT("ip-address", "PublicIpAddress"),
        AT("ipv6-address", "Ipv6Address"),
        AT("kernel-id", "KernelId"),
        AT("key-name", "KeyName"),
        AT("launch-index", "AmiLaunchIndex"),
        AT("launch-time", "LaunchTime"),
        AT("maintenance-options.auto-recovery", "MaintenanceOptions.AutoRecovery"),
        METADATA("http-endpoint", "HttpEndpoint"),
        METADATA("http-protocol-ipv4", "HttpEndpoint"), /* the endpoint is IPv4's; IPv6's comes on top of it */
        METADATA("http-protocol-ipv6", "HttpProtocolIpv6"),
        METADATA("http-put-response-hop-limit", "HttpPutResponseHopLimit"),
        METADATA("http-tokens", "HttpTokens"),
        METADATA("instance-metadata-tags", "InstanceMetadataTags"),
        METADATA("state", "State"),
        AT("monitoring-state", "Monitoring.State"),
        PORT_ASK("addresses.association.allocation-id", ask_address_allocation),
        PORT_ASK("addresses.association.association-id", ask_address_association),
        PORT("addresses.association.carrier-ip", "PrivateIpAddresses.Association.CarrierIp"),
        PORT("addresses.association.customer-owned-ip", "PrivateIpAddresses.Association.CustomerOwnedIp"),
        PORT("addresses.association.ip-owner-id", "PrivateIpAddresses.Association.IpOwnerId"),
        PORT("addresses.association.public-dns-name", "PrivateIpAddresses.Association.PublicDnsName"),
        PORT("addresses.association.public-ip", "PrivateIpAddresses.Association.PublicIp"),
        PORT("addresses.primary", "PrivateIpAddresses.Primary"),
        PORT("addresses.private-dns-name", "PrivateIpAddresses.PrivateDnsName"),
        PORT("addresses.private-ip-address", "PrivateIpAddresses.PrivateIpAddress"),
        PORT_ASK("association.allocation-id", ask_allocation),
        PORT_ASK("association.association-id", ask_association),
        PORT("association.carrier-ip", "Association.CarrierIp"),
        PORT("association.customer-owned-ip", "Association.CustomerOwnedIp"),
        PORT("association.ip-owner-id", "Association.IpOwnerId"),
        PORT("association.public-dns-name", "Association.PublicDnsName"),
        PORT("association.public-ip", "Association.PublicIp"),
        PORT("attachment.attach-time", "Attachment.AttachTime"),
        PORT("attachment.attachment-id", "Attachment.AttachmentId"),
        PORT("attachment.delete-on-termination", "Attachment.DeleteOnTermination"),
        PORT("attachment.device-index", "Attachment.DeviceIndex"),
        PORT_ASK("attachment.instance-id", ask_attached_instance),
        PORT_ASK("attachment.instance-owner-id", ask_attached_owner),
        PORT("attachment.network-card-index", "Attachment.NetworkCardIndex"),
        PORT("attachment.status", "Attachment.Status"),
        PORT_ASK("availability-zone", ask_port_zone),
        PORT_NEVER("deny-all-igw-traffic"),
        PORT("description", "Description"),
        PORT("group-id", "Groups.GroupId"),
        PORT("group-name", "Groups.GroupName"),
        PORT("ipv4-prefixes.ipv4-prefix", "Ipv4Prefixes.Ipv4Prefix"),
        PORT("ipv6-address", "Ipv6Addresses.Ipv6Address"),
        PORT("ipv6-addresses.ipv6-address", "Ipv6Addresses.Ipv6Address"),
        PORT("ipv6-addresses.is-primary-ipv6", "Ipv6Addresses.IsPrimaryIpv6"),
        PORT_NEVER("ipv6-native"),
        PORT("ipv6-prefixes.ipv6-prefix", "Ipv6Prefixes.Ipv6Prefix"),
        PORT("mac-address", "MacAddress"),
        PORT("network-interface-id", "NetworkInterfaceId"),
        PORT("operator.managed", "Operator.Managed"),
        PORT("operator.principal", "Operator.Principal"),
        PORT_NEVER("outpost-arn"),
        PORT("owner-id", "OwnerId"),
        PORT("private-dns-name", "PrivateDnsName"),
        PORT("private-ip-address", "PrivateIpAddress"),
        PORT("public-dns-name", "Association.PublicDnsName"),
        PORT_ASK("requester-id", ask_port_requester),
        PORT_ASK("requester-managed", ask_port_managed),
        PORT("source-dest-check", "SourceDestCheck"),
        PORT("status", "Status"),
        PORT("subnet-id", "SubnetId"),
        PORT_ASK("tag-key", ask_port_tag_key),
        PORT_ASK("tag-value", ask_port_tag_value),
        PORT("vpc-id", "VpcId"),
        AT("network-performance-options.bandwidth-weighting", "NetworkPerformanceOptions.BandwidthWeighting"),
        AT("operator.managed", "Operator.Managed"),
        AT("operator.principal", "Operator.Principal"),
        AT("outpost-arn", "OutpostArn"),
        FIELD_ASK("owner-id", ask_owner),
        AT("placement-group-name", "Placement.GroupName"),
        AT("placement-partition-number", "Placement.PartitionNumber"),
        AT("platform", "Platform"),
        AT("platform-details", "PlatformDetails"),
        AT("private-dns-name", "PrivateDnsName"),
        NAMES("enable-resource-name-dns-a-record", "EnableResourceNameDnsARecord"),
        NAMES("enable-resource-name-dns-aaaa-record", "EnableResourceNameDnsAAAARecord"),
        NAMES("hostname-type", "HostnameType"),
        AT("private-ip-address", "PrivateIpAddress"),
        AT("product-code", "ProductCodes.ProductCodeId"),
        AT("product-code.type", "ProductCodes.ProductCodeType"),
        AT("ramdisk-id", "RamdiskId"),
        AT("reason", "StateTransitionReason"),
        FIELD_NEVER("requester-id"),
        FIELD_ASK("reservation-id", ask_reservation),
        AT("root-device-name", "RootDeviceName"),
        AT("root-device-type", "RootDeviceType"),
        AT("source-dest-check", "SourceDestCheck"),
        AT("spot-instance-request-id", "SpotInstanceRequestId"),
        AT("state-reason-code", "StateReason.Code"),
        AT("state-reason-message", "StateReason.Message"),
        AT("subnet-id", "SubnetId"),
        AT("tenancy", "Placement.Tenancy"),
        AT("tpm-support", "TpmSupport"),
        AT("usage-operation", "UsageOperation"),
        AT("usage-operation-update-time", "UsageOperationUpdateTime"),
        AT("virtualization-type", "VirtualizationType"),
        AT("vpc-id", "VpcId"),
        {0},
};
