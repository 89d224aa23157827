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
	                                      .hibernation_supported = OPT_BOOL(false),
	                                      .dedicated_hosts_supported = OPT_BOOL(false),
	                                      .burstable_performance_supported = OPT_BOOL(t->credits_tenths_h != 0),
	                                      .instance_storage_supported = OPT_BOOL(false)};
	text(c, &info.supported_usage_classes, S("on-demand"));
	text(c, &info.supported_root_device_types, S("ebs"));
	text(c, &info.supported_virtualization_types, S("hvm"));
	info.processor_info = arena_new(a, struct ec2_processor_info);
	for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++)
		if (t->architectures & architectures[i].bit)
			text(c, &info.processor_info->supported_architectures, str_from(architectures[i].name));
	info.v_cpu_info = arena_new(a, struct ec2_v_cpu_info);
	info.v_cpu_info->default_v_cpus = info.v_cpu_info->default_cores = OPT_INT(t->vcpus);
	info.v_cpu_info->default_threads_per_core = OPT_INT(1);
	info.memory_info = arena_new(a, struct ec2_memory_info);
	info.memory_info->size_in_mib = OPT_INT(t->memory_mib);
	if (t->interfaces) {
		info.network_info = arena_new(a, struct ec2_network_info);
		info.network_info->maximum_network_interfaces = OPT_INT(t->interfaces);
		info.network_info->ipv4_addresses_per_interface = OPT_INT(t->addresses);
		info.network_info->ipv6_addresses_per_interface = OPT_INT(t->addresses);
		info.network_info->ipv6_supported = OPT_BOOL(true);
	}
	return info;
}

static void ask_architectures(struct call *c, void *record, struct str_list *ret)
{
	(void)c;
	*ret = ((const struct ec2_instance_type_info *)record)->processor_info->supported_architectures;
}

static void number(struct call *c, struct opt_int n, struct str_list *ret)
{
	if (n.set)
		text(c, ret, arena_printf(c->arena, "%lld", (long long)n.v));
}

static void ask_vcpus(struct call *c, void *record, struct str_list *ret)
{
	number(c, ((const struct ec2_instance_type_info *)record)->v_cpu_info->default_v_cpus, ret);
}

static void ask_memory(struct call *c, void *record, struct str_list *ret)
{
	number(c, ((const struct ec2_instance_type_info *)record)->memory_info->size_in_mib, ret);
}

static void ask_interfaces(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_network_info *n = ((const struct ec2_instance_type_info *)record)->network_info;
	if (n)
		number(c, n->maximum_network_interfaces, ret);
}

static void ask_addresses(struct call *c, void *record, struct str_list *ret)
{
	const struct ec2_network_info *n = ((const struct ec2_instance_type_info *)record)->network_info;
	if (n)
		number(c, n->ipv4_addresses_per_interface, ret);
}

static void ask_usage(struct call *c, void *record, struct str_list *ret)
{
	(void)c;
	*ret = ((const struct ec2_instance_type_info *)record)->supported_usage_classes;
}

static void ask_root(struct call *c, void *record, struct str_list *ret)
{
	(void)c;
	*ret = ((const struct ec2_instance_type_info *)record)->supported_root_device_types;
}

static const struct ec2_field type_fields[] = {
        FIELD_TEXT("instance-type", ec2_instance_type_info, instance_type),
        FIELD_FLAG("bare-metal", ec2_instance_type_info, bare_metal),
        FIELD_FLAG("burstable-performance-supported", ec2_instance_type_info, burstable_performance_supported),
        FIELD_FLAG("hibernation-supported", ec2_instance_type_info, hibernation_supported),
        FIELD_FLAG("dedicated-hosts-supported", ec2_instance_type_info, dedicated_hosts_supported),
        FIELD_FLAG("instance-storage-supported", ec2_instance_type_info, instance_storage_supported),
        FIELD_ASK("processor-info.supported-architecture", ask_architectures),
        FIELD_ASK("vcpu-info.default-vcpus", ask_vcpus),
        FIELD_ASK("memory-info.size-in-mib", ask_memory),
        FIELD_ASK("network-info.maximum-network-interfaces", ask_interfaces),
        FIELD_ASK("network-info.ipv4-addresses-per-interface", ask_addresses),
        FIELD_ASK("supported-usage-class", ask_usage),
        FIELD_ASK("supported-root-device-type", ask_root),
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
