/* Instance types by what they have to be: what attribute-based selection would take, and how likely spot capacity is for it. */
#include "aws/ec2/capacity/requirements.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/ec2.h"
#include "aws/ec2/filter.h"
#include "aws/ec2/network/vpc.h"

enum { SCORE_BEST = 10 };

static bool in_range(double n, bool has_min, double min, bool has_max, double max)
{
	return (!has_min || n >= min) && (!has_max || n <= max);
}
#define IN_RANGE(n, r) (!(r) || in_range(n, (r)->min.set, (double)(r)->min.v, (r)->max.set, (double)(r)->max.v))

static bool named(const struct str_list *list, struct str name)
{
	const struct ec2_filter patterns = {.values = *list};
	return ec2_filter_matches(&patterns, name);
}

static bool has(const struct str_list *list, struct str name)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], name))
			return true;
	return false;
}

/* By Amazon's names: a letter behind the generation says whose processor it is, and Intel's has none. */
static struct str maker_of(struct str type)
{
	size_t i = 0;
	while (i < type.n && !ascii_is_digit(type.p[i]))
		i++;
	while (i < type.n && ascii_is_digit(type.p[i]))
		i++;
	for (; i < type.n && type.p[i] != '.'; i++) {
		if (type.p[i] == 'a')
			return S("amd");
		if (type.p[i] == 'g')
			return S("amazon-web-services");
	}
	return S("intel");
}

static int check(struct call *c, const struct ec2_instance_requirements_request *r)
{
	if (!r)
		return ec2_missing(c, "InstanceRequirements");
	if (!r->v_cpu_count || !r->v_cpu_count->min.set)
		return ec2_missing(c, "InstanceRequirements.VCpuCount.Min");
	if (!r->memory_mib || !r->memory_mib->min.set)
		return ec2_missing(c, "InstanceRequirements.MemoryMiB.Min");
	if (r->allowed_instance_types.n && r->excluded_instance_types.n)
		return ec2_combination(c, "AllowedInstanceTypes and ExcludedInstanceTypes cannot both be specified.");
	if (r->baseline_ebs_bandwidth_mbps || r->network_bandwidth_gbps || r->baseline_performance_factors)
		return ec2_unsupported(c, "A selection by bandwidths or by performance factors");
	return CALL_OK;
}

static bool fits(const struct instance_type *t, const struct ec2_instance_requirements_request *r)
{
	struct str name = str_from(t->name);
	bool burstable = t->credits_tenths_h != 0;
	struct str maker = maker_of(name);
	if (!IN_RANGE(t->vcpus, r->v_cpu_count) || !IN_RANGE(t->memory_mib, r->memory_mib) ||
	    !IN_RANGE(t->memory_mib / 1024.0 / t->vcpus, r->memory_gib_per_v_cpu) ||
	    (t->interfaces && !IN_RANGE(t->interfaces, r->network_interface_count)))
		return false;
	if ((r->cpu_manufacturers.n && !has(&r->cpu_manufacturers, maker)) || named(&r->excluded_instance_types, name) ||
	    (r->allowed_instance_types.n && !named(&r->allowed_instance_types, name)))
		return false;
	if (r->instance_generations.n && !has(&r->instance_generations, instance_type_current(t) ? S("current") : S("previous")))
		return false;
	/* left out unless it is asked for */
	if (str_is(r->burstable_performance, "required") ? !burstable : burstable && !str_is(r->burstable_performance, "included"))
		return false;
	/* What no type of this cloud has: bare metal, hibernation, disks of its own, accelerators, encryption on the way. */
	return !str_is(r->bare_metal, "required") && !r->require_hibernate_support.v && !str_is(r->local_storage, "required") &&
	       !(r->total_local_storage_gb && r->total_local_storage_gb->min.set && r->total_local_storage_gb->min.v > 0) &&
	       !r->accelerator_types.n && !r->accelerator_manufacturers.n && !r->accelerator_names.n &&
	       !(r->accelerator_count && r->accelerator_count->min.set && r->accelerator_count->min.v > 0) &&
	       !(r->accelerator_total_memory_mib && r->accelerator_total_memory_mib->min.set &&
	         r->accelerator_total_memory_mib->min.v > 0) &&
	       !r->require_encryption_in_transit.v;
}

static const struct {
	unsigned bit;
	const char *name;
} architectures[] = {{ARCH_I386, "i386"}, {ARCH_X86_64, "x86_64"}, {ARCH_ARM64, "arm64"}};

static bool has_architecture(const struct instance_type *t, const struct str_list *names)
{
	for (size_t i = 0; i < sizeof(architectures) / sizeof(*architectures); i++)
		if (t->architectures & architectures[i].bit && has(names, str_from(architectures[i].name)))
			return true;
	return false;
}

int ec2_get_instance_types_from_instance_requirements(struct call *c,
                                                      const struct ec2_get_instance_types_from_instance_requirements_request *in,
                                                      struct ec2_get_instance_types_from_instance_requirements_result *out)
{
	struct str after;
	if (!in->architecture_types.n)
		return ec2_missing(c, "ArchitectureTypes");
	if (!in->virtualization_types.n)
		return ec2_missing(c, "VirtualizationTypes");
	if (check(c, in->instance_requirements) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : 1000;
	out->instance_types.set = true;
	for (unsigned i = 0; i < instance_type_count; i++) {
		const struct instance_type *t = &instance_types[i];
		if (!instance_type_offered(t) || !has(&in->virtualization_types, S("hvm")) ||
		    !has_architecture(t, &in->architecture_types) || !fits(t, in->instance_requirements) ||
		    (str_set(after) && str_cmp(str_from(t->name), after) <= 0))
			continue;
		if (out->instance_types.n == limit) {
			out->next_token = ec2_page_token(c, out->instance_types.v[limit - 1].instance_type);
			break;
		}
		LIST_ADD(c->arena, &out->instance_types)->instance_type = str_from(t->name);
	}
	return CALL_OK;
}

/* --- for other services */

bool ec2_types_fitting(struct arena *a, const struct ec2_instance_requirements_request *r, struct str_list *ret,
                       const char **ret_why)
{
	struct str machine = S("x86_64");
	const struct str_list here = {.v = &machine, .n = 1, .set = true};
	*ret_why = !r || !r->v_cpu_count || !r->v_cpu_count->min.set || !r->memory_mib || !r->memory_mib->min.set
	                   ? "VCpuCount.Min and MemoryMiB.Min must be specified in InstanceRequirements."
	           : r->allowed_instance_types.n && r->excluded_instance_types.n
	                   ? "AllowedInstanceTypes and ExcludedInstanceTypes cannot both be specified."
	           : r->baseline_ebs_bandwidth_mbps || r->network_bandwidth_gbps || r->baseline_performance_factors
	                   ? "A selection by bandwidths or by performance factors is not supported."
	                   : NULL;
	*ret = (struct str_list){0};
	for (unsigned i = 0; !*ret_why && i < instance_type_count; i++) {
		const struct instance_type *t = &instance_types[i];
		if (!instance_type_offered(t) || !has_architecture(t, &here) || !fits(t, r))
			continue;
		uint32_t at = ret->n;
		LIST_ADD(a, ret);
		for (; at > 0 && ec2_type_price(ret->v[at - 1]) > t->micro_usd_h; at--)
			ret->v[at] = ret->v[at - 1];
		ret->v[at] = str_from(t->name);
	}
	return !*ret_why;
}

/* --- how likely it is that so much is there: what this machine has left, in tenths of what is asked for */

static bool wanted(const struct ec2_get_spot_placement_scores_request *in, const struct instance_type *t)
{
	const struct ec2_instance_requirements_with_metadata_request *m = in->instance_requirements_with_metadata;
	if (!instance_type_offered(t))
		return false;
	if (in->instance_types.n)
		return has(&in->instance_types, str_from(t->name));
	return has_architecture(t, &m->architecture_types) && fits(t, m->instance_requirements);
}

static int64_t score_of(struct call *c, const struct ec2_get_spot_placement_scores_request *in)
{
	int64_t best = 0;
	for (unsigned i = 0; i < instance_type_count; i++) {
		const struct instance_type *t = &instance_types[i];
		if (!wanted(in, t))
			continue;
		int64_t each = str_is(in->target_capacity_unit_type, "vcpu")         ? t->vcpus
		               : str_is(in->target_capacity_unit_type, "memory-mib") ? t->memory_mib
		                                                                     : 1;
		int64_t needed = (in->target_capacity.v + each - 1) / each, score = capacity_room(c, t) * SCORE_BEST / needed;
		if (score > best)
			best = score;
	}
	return best > SCORE_BEST ? SCORE_BEST : best < 1 ? 1 : best;
}

int ec2_get_spot_placement_scores(struct call *c, const struct ec2_get_spot_placement_scores_request *in,
                                  struct ec2_get_spot_placement_scores_result *out)
{
	const struct ec2_instance_requirements_with_metadata_request *m = in->instance_requirements_with_metadata;
	struct str unit = in->target_capacity_unit_type, after;
	if (!in->target_capacity.set)
		return ec2_missing(c, "TargetCapacity");
	if (in->target_capacity.v < 1)
		return ec2_invalid(c, "Value (%ld) for parameter targetCapacity is invalid.", in->target_capacity.v);
	if (unit.n && !str_is(unit, "vcpu") && !str_is(unit, "memory-mib") && !str_is(unit, "units"))
		return ec2_invalid(c, "Value (%.*s) for parameter targetCapacityUnitType is invalid.", STR_ARG(unit));
	if (!in->instance_types.n == !m)
		return ec2_combination(c, "Either InstanceTypes or InstanceRequirementsWithMetadata must be specified.");
	for (uint32_t i = 0; i < in->instance_types.n; i++)
		if (!instance_type_find(in->instance_types.v[i]))
			return ec2_invalid(c, "The instance type '%.*s' does not exist", STR_ARG(in->instance_types.v[i]));
	if (m && check(c, m->instance_requirements) != CALL_OK)
		return CALL_FAIL;
	if (ec2_page_begin(c, &in->max_results, 10, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	/* All regions and zones are this machine; those that nobody names are of the call's region. */
	const struct str_list own = {.v = &c->region, .n = 1};
	const struct str_list *regions = in->region_names.n ? &in->region_names : &own;
	int64_t score = score_of(c, in);
	out->spot_placement_scores.set = true;
	for (uint32_t i = 0; i < regions->n && i < 10; i++)
		for (unsigned z = 0; z < (in->single_availability_zone.v ? EC2_ZONES : 1); z++)
			*LIST_ADD(c->arena, &out->spot_placement_scores) = (struct ec2_spot_placement_score){
			        .region = regions->v[i],
			        .availability_zone_id =
			                in->single_availability_zone.v ? ec2_zone_id(c->arena, regions->v[i], z) : STR_NONE,
			        .score = OPT_INT(score)};
	return CALL_OK;
}
