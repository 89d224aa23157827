/* Overrides that say what a type has to be, and not which one it is: each stands for all types that fit, the cheapest first. Those
 * that cost too much more than the cheapest one are left out, as AWS's price protection does. */
#include "launch.h"

#include "aws/ec2/ec2.h"
#include "gen/ec2.h"

enum { OVER_LOWEST_PERCENT = 20, OVER_LOWEST_SPOT_PERCENT = 100 };

/* Both services name the same members, each in a shape of its own. */
static struct ec2_instance_requirements_request *of_ec2(struct arena *a, const struct autoscaling_instance_requirements *r)
{
	static const struct record_type from = {&autoscaling_api, "InstanceRequirements"},
	                                to = {&ec2_api, "InstanceRequirementsRequest"};
	struct ec2_instance_requirements_request *made = arena_new(a, struct ec2_instance_requirements_request);
	return record_read(a, record_write(a, &from, r), &to, made) ? made : NULL;
}

bool scaling_requirements_good(struct arena *a, const struct autoscaling_instance_requirements *r, const char **ret_why)
{
	struct str_list fitting;
	return ec2_types_fitting(a, of_ec2(a, r), &fitting, ret_why) && fitting.n > 0;
}

static struct opt_int protection(const struct autoscaling_instance_requirements *r, bool spot)
{
	struct opt_int given =
	        spot ? r->spot_max_price_percentage_over_lowest_price : r->on_demand_max_price_percentage_over_lowest_price;
	return given.set ? given : OPT_INT(spot ? OVER_LOWEST_SPOT_PERCENT : OVER_LOWEST_PERCENT);
}

struct autoscaling_overrides scaling_overrides(struct arena *a, const struct autoscaling_mixed_instances_policy *p, bool spot)
{
	struct autoscaling_overrides all = {0};
	for (uint32_t i = 0; i < p->launch_template->overrides.n; i++) {
		struct autoscaling_launch_template_overrides o = p->launch_template->overrides.v[i];
		const struct autoscaling_instance_requirements *r = o.instance_requirements;
		struct str_list fitting = {0};
		const char *why;
		if (!r)
			*LIST_ADD(a, &all) = o;
		else
			ec2_types_fitting(a, of_ec2(a, r), &fitting, &why);
		for (uint32_t k = 0; k < fitting.n; k++) {
			uint64_t most = ec2_type_price(fitting.v[0]) * (uint64_t)(100 + protection(r, spot).v);
			if (ec2_type_price(fitting.v[k]) * 100 > most)
				break;
			o.instance_type = fitting.v[k];
			o.instance_requirements = NULL;
			*LIST_ADD(a, &all) = o;
		}
	}
	return all;
}
