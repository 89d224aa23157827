/* DescribeInstanceTypes and DescribeInstanceTypeOfferings: the table of types as EC2 shows it. */
#include "aws/ec2/compute.h"

static const struct {
	unsigned bit;
	const char *name;
} architectures[] = {{ARCH_I386, "i386"},
                     {ARCH_X86_64, "x86_64"},
                     {ARCH_ARM64, "arm64"},
                     {ARCH_X86_64_MAC, "x86_64_mac"},
                     {ARCH_ARM64_MAC, "arm64_mac"}};

static struct str_list *text(struct call *c, struct str_list *list, struct str s)
{
	*LIST_ADD(c->arena, list) = s;
	return list;
}

static struct ec2_instance_type_info info_of(struct call *c, const struct instance_type *t)
{
	struct arena *a = c->arena;
	struct ec2_instance_type_info info = {.instance_type = str_from(t->name),
	                                      .bare_metal = OPT_BOOL(false),
	                                      .current_generation = OPT_BOOL(instance_type_current(t)),
	                                      .hypervisor = instance_type_xen(t) ? S("xen") : S("nitro"),
	                                      .hibernation_supported = OPT_BOOL(false),
	                                      .dedicated_hosts_supported = OPT_BOOL(false),
	                                      .burstable_performance_supported = OPT_BOOL(t->credits_tenths_h != 0),
	                                      .instance_storage_supported = OPT_BOOL(false)};
	text(c, text(c, &info.supported_usage_classes, S("on-demand")), S("spot"));
	text(c, &info.supported_root_device_types, S("ebs"));
	text(c, &info.supported_virtualization_types, S("hvm"));
	info.processor_info = arena_new(a, struct ec2_processor_info);
	for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++)
		if (t->architectures & architectures[i].bit)
			text(c, &info.processor_info->supported_architectures, str_from(architectures[i].name));
	info.v_cpu_info = arena_new(a, struct ec2_v_cpu_info);
	info.v_cpu_info->default_v_cpus = info.v_cpu_info->default_cores = OPT_INT(t->vcpus);
	info.v_cpu_info->default_threads_per_core = OPT_INT(1);
	info.placement_group_info = arena_new(a, struct ec2_placement_group_info);
	if (!t->credits_tenths_h)
		text(c, &info.placement_group_info->supported_strategies, S("cluster"));
	text(c, text(c, &info.placement_group_info->supported_strategies, S("partition")), S("spread"));
	info.memory_info = arena_new(a, struct ec2_memory_info);
	info.memory_info->size_in_mib = OPT_INT(t->memory_mib);
	if (t->interfaces) {
		info.network_info = arena_new(a, struct ec2_network_info);
		info.network_info->maximum_network_interfaces = OPT_INT(t->interfaces);
		info.network_info->ipv4_addresses_per_interface = OPT_INT(t->addresses);
		info.network_info->ipv6_addresses_per_interface = OPT_INT(t->addresses);
		info.network_info->ipv6_supported = OPT_BOOL(true);
	}
	if (t->network) {
		struct ec2_network_info *n = info.network_info ? info.network_info : arena_new(a, struct ec2_network_info);
		info.network_info = n;
		n->network_performance = str_from(t->network);
		n->maximum_network_cards = OPT_INT(1);
		n->default_network_card_index = OPT_INT(0);
		struct ec2_network_card_info *card = LIST_ADD(a, &n->network_cards);
		card->network_card_index = OPT_INT(0);
		card->network_performance = n->network_performance;
		card->peak_bandwidth_in_gbps = (struct opt_double){t->network_mbps / 1000.0, true};
		if (t->interfaces)
			card->maximum_network_interfaces = OPT_INT(t->interfaces);
	}
	return info;
}

#define AT(name, path) FIELD_PATH(name, "InstanceTypeInfo", path)
static const struct ec2_field type_fields[] = {
        AT("auto-recovery-supported", "AutoRecoverySupported"),
        AT("bare-metal", "BareMetal"),
        AT("burstable-performance-supported", "BurstablePerformanceSupported"),
        AT("current-generation", "CurrentGeneration"),
        AT("dedicated-hosts-supported", "DedicatedHostsSupported"),
        AT("ebs-info.attachment-limit-type", "EbsInfo.AttachmentLimitType"),
        AT("ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps", "EbsInfo.EbsOptimizedInfo.BaselineBandwidthInMbps"),
        AT("ebs-info.ebs-optimized-info.baseline-iops", "EbsInfo.EbsOptimizedInfo.BaselineIops"),
        AT("ebs-info.ebs-optimized-info.baseline-throughput-in-mbps", "EbsInfo.EbsOptimizedInfo.BaselineThroughputInMBps"),
        AT("ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps", "EbsInfo.EbsOptimizedInfo.MaximumBandwidthInMbps"),
        AT("ebs-info.ebs-optimized-info.maximum-iops", "EbsInfo.EbsOptimizedInfo.MaximumIops"),
        AT("ebs-info.ebs-optimized-info.maximum-throughput-in-mbps", "EbsInfo.EbsOptimizedInfo.MaximumThroughputInMBps"),
        AT("ebs-info.ebs-optimized-support", "EbsInfo.EbsOptimizedSupport"),
        AT("ebs-info.encryption-support", "EbsInfo.EncryptionSupport"),
        AT("ebs-info.maximum-ebs-attachments", "EbsInfo.MaximumEbsAttachments"),
        AT("ebs-info.nvme-support", "EbsInfo.NvmeSupport"),
        AT("free-tier-eligible", "FreeTierEligible"),
        AT("hibernation-supported", "HibernationSupported"),
        AT("hypervisor", "Hypervisor"),
        AT("instance-storage-info.disk.count", "InstanceStorageInfo.Disks.Count"),
        AT("instance-storage-info.disk.size-in-gb", "InstanceStorageInfo.Disks.SizeInGB"),
        AT("instance-storage-info.disk.type", "InstanceStorageInfo.Disks.Type"),
        AT("instance-storage-info.encryption-support", "InstanceStorageInfo.EncryptionSupport"),
        AT("instance-storage-info.nvme-support", "InstanceStorageInfo.NvmeSupport"),
        AT("instance-storage-info.total-size-in-gb", "InstanceStorageInfo.TotalSizeInGB"),
        AT("instance-storage-supported", "InstanceStorageSupported"),
        AT("instance-type", "InstanceType"),
        AT("memory-info.size-in-mib", "MemoryInfo.SizeInMiB"),
        AT("network-info.bandwidth-weightings", "NetworkInfo.BandwidthWeightings"),
        AT("network-info.efa-info.maximum-efa-interfaces", "NetworkInfo.EfaInfo.MaximumEfaInterfaces"),
        AT("network-info.efa-supported", "NetworkInfo.EfaSupported"),
        AT("network-info.ena-support", "NetworkInfo.EnaSupport"),
        AT("network-info.encryption-in-transit-supported", "NetworkInfo.EncryptionInTransitSupported"),
        AT("network-info.flexible-ena-queues-support", "NetworkInfo.FlexibleEnaQueuesSupport"),
        AT("network-info.ipv4-addresses-per-interface", "NetworkInfo.Ipv4AddressesPerInterface"),
        AT("network-info.ipv6-addresses-per-interface", "NetworkInfo.Ipv6AddressesPerInterface"),
        AT("network-info.ipv6-supported", "NetworkInfo.Ipv6Supported"),
        AT("network-info.maximum-network-cards", "NetworkInfo.MaximumNetworkCards"),
        AT("network-info.maximum-network-interfaces", "NetworkInfo.MaximumNetworkInterfaces"),
        AT("network-info.network-performance", "NetworkInfo.NetworkPerformance"),
        AT("nitro-enclaves-support", "NitroEnclavesSupport"),
        AT("nitro-tpm-info.supported-versions", "NitroTpmInfo.SupportedVersions"),
        AT("nitro-tpm-support", "NitroTpmSupport"),
        AT("processor-info.supported-architecture", "ProcessorInfo.SupportedArchitectures"),
        AT("processor-info.supported-features", "ProcessorInfo.SupportedFeatures"),
        AT("processor-info.sustained-clock-speed-in-ghz", "ProcessorInfo.SustainedClockSpeedInGhz"),
        AT("reboot-migration-support", "RebootMigrationSupport"),
        AT("supported-boot-mode", "SupportedBootModes"),
        AT("supported-root-device-type", "SupportedRootDeviceTypes"),
        AT("supported-usage-class", "SupportedUsageClasses"),
        AT("supported-virtualization-type", "SupportedVirtualizationTypes"),
        AT("vcpu-info.default-cores", "VCpuInfo.DefaultCores"),
        AT("vcpu-info.default-threads-per-core", "VCpuInfo.DefaultThreadsPerCore"),
        AT("vcpu-info.default-vcpus", "VCpuInfo.DefaultVCpus"),
        AT("vcpu-info.valid-cores", "VCpuInfo.ValidCores"),
        AT("vcpu-info.valid-threads-per-core", "VCpuInfo.ValidThreadsPerCore"),
        {0},
};

static const struct ec2_kind no_kind = {0};

static bool asked_for(const struct str_list *names, const char *name)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (str_is(names->v[i], name))
			return true;
	return !names->n;
}

static int check_names(struct call *c, const struct str_list *names)
{
	struct str unknown = STR_NONE;
	for (uint32_t i = 0; i < names->n; i++) {
		const struct instance_type *t = instance_type_find(names->v[i]);
		if (!t || !instance_type_offered(t))
			unknown = str_set(unknown) ? ARENA_CAT(c->arena, unknown, S(", "), names->v[i]) : names->v[i];
	}
	if (!str_set(unknown))
		return CALL_OK;
	return call_fail(c, "InvalidInstanceType", 400, "The following supplied instance types do not exist: [%.*s]",
	                 STR_ARG(unknown));
}

int ec2_describe_instance_types(struct call *c, const struct ec2_describe_instance_types_request *in,
                                struct ec2_describe_instance_types_result *out)
{
	struct str after;
	out->instance_types.set = true;
	if (ec2_filters_check(c, type_fields, &in->filters) != CALL_OK || check_names(c, &in->instance_types) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_types.n && in->max_results.set)
		return ec2_combination(c, "The parameter instanceTypes cannot be used with the parameter maxResults");
	if (ec2_page_begin(c, &in->max_results, 5, 100, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 100;
	for (unsigned i = 0; i < instance_type_count; i++) {
		const struct instance_type *t = &instance_types[i];
		if (!instance_type_offered(t) || !asked_for(&in->instance_types, t->name) ||
		    (str_set(after) && str_cmp(str_from(t->name), after) <= 0))
			continue;
		struct ec2_instance_type_info info = info_of(c, t);
		if (!ec2_filters_pass(c, &no_kind, &info, type_fields, &in->filters))
			continue;
		if (out->instance_types.n == limit) {
			out->next_token = ec2_page_token(c, out->instance_types.v[limit - 1].instance_type);
			break;
		}
		*LIST_ADD(c->arena, &out->instance_types) = info;
	}
	return CALL_OK;
}

/* --- offerings: every type that this machine can run is there in every zone */

static const struct ec2_field offering_fields[] = {
        FIELD_TEXT("instance-type", ec2_instance_type_offering, instance_type),
        FIELD_TEXT("location", ec2_instance_type_offering, location),
        {0},
};

static bool add_offering(struct call *c, const struct ec2_describe_instance_type_offerings_request *in, struct str after,
                         const struct instance_type *t, struct str location, struct str *last,
                         struct ec2_describe_instance_type_offerings_result *out)
{
	struct str at = ARENA_CAT(c->arena, str_from(t->name), S("\n"), location);
	struct ec2_instance_type_offering o = {.instance_type = str_from(t->name),
	                                       .location_type = str_set(in->location_type) ? in->location_type : S("region"),
	                                       .location = location};
	if ((str_set(after) && str_cmp(at, after) <= 0) || !ec2_filters_pass(c, &no_kind, &o, offering_fields, &in->filters))
		return true;
	if (out->instance_type_offerings.n == (in->max_results.set ? (uint32_t)in->max_results.v : 1000)) {
		out->next_token = ec2_page_token(c, *last);
		return false;
	}
	*LIST_ADD(c->arena, &out->instance_type_offerings) = o;
	*last = at;
	return true;
}

int ec2_describe_instance_type_offerings(struct call *c, const struct ec2_describe_instance_type_offerings_request *in,
                                         struct ec2_describe_instance_type_offerings_result *out)
{
	struct str after, last = STR_NONE, kind = in->location_type;
	out->instance_type_offerings.set = true;
	if (ec2_filters_check(c, offering_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 5, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	if (str_set(kind) && !str_is(kind, "region") && !str_is(kind, "availability-zone") && !str_is(kind, "availability-zone-id"))
		return ec2_invalid(c, "The location type '%.*s' is not supported", STR_ARG(kind));
	bool zones = str_starts(kind, S("availability-zone"));
	for (unsigned i = 0; i < instance_type_count; i++) {
		if (!instance_type_offered(&instance_types[i]))
			continue;
		for (unsigned z = 0; z < (zones ? EC2_ZONES : 1); z++) {
			struct str location = !zones                              ? c->region
			                      : str_is(kind, "availability-zone") ? ec2_zone_name(c->arena, c->region, z)
			                                                          : ec2_zone_id(c->arena, c->region, z);
			if (!add_offering(c, in, after, &instance_types[i], location, &last, out))
				return CALL_OK;
		}
	}
	return CALL_OK;
}
