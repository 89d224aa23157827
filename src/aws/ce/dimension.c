/* What lines can be grouped and filtered by. */
#include "aws/ce/cost.h"

#include "aws/savingsplans/savingsplans.h"

static bool is_compute(const struct cost_line *line)
{
	return str_starts(str_from(line->price->service), S("Amazon Elastic Compute Cloud"));
}

struct str cost_instance_type(const struct cost_line *line)
{
	static const char *const kinds[] = {"Usage:", "UnusedBox:"};
	for (size_t i = 0; is_compute(line) && i < sizeof(kinds) / sizeof(*kinds); i++) {
		ptrdiff_t at = str_find(line->usage_type, str_from(kinds[i]));
		if (at >= 0)
			return str_from_at(line->usage_type, (size_t)at + strlen(kinds[i]));
	}
	return STR_NONE;
}

static struct str family(struct str type)
{
	return str_cut(&type, '.');
}

int64_t cost_size_e2(struct str type)
{
	static const struct {
		const char *size;
		int64_t e2;
	} sizes[] = {{"nano", 25}, {"micro", 50}, {"small", 100}, {"medium", 200}, {"large", 400}, {"xlarge", 800}};
	int64_t times;
	str_cut(&type, '.');
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		if (str_is(type, sizes[i].size))
			return sizes[i].e2;
	if (str_ends(type, S("xlarge")) && str_to_i64(str_sub(type, 0, type.n - 6), &times) && times > 0 && times < 1000)
		return times * 800;
	return 0;
}

/* One of the words that the price list has about the usage type: "operation". */
static struct str word_of(const struct cost_line *line, struct str name)
{
	struct str words = str_from(price_products + line->price->product);
	while (str_set(words)) {
		struct str word = str_cut(&words, '\t'), key = str_cut(&word, '=');
		if (str_eq(key, name) && str_set(word) && word.n)
			return word;
	}
	return STR_NONE;
}

static struct str or (struct str value, struct str instead)
{
	return str_set(value) ? value : instead;
}

static struct str purchase(const struct cost_line *line)
{
	if (line->plan)
		return S("Savings Plans");
	if (str_set(line->reservation))
		return S("Standard Reserved Instances");
	return str_starts(str_from(line->price->usage), S("SpotUsage")) ? S("Spot Instances") : S("On Demand Instances");
}

static struct str tenancy(const struct cost_line *line)
{
	if (!str_set(cost_instance_type(line)))
		return S("NoTenancy");
	return str_starts(str_from(line->price->usage), S("DedicatedUsage")) ? S("Dedicated") : S("Shared");
}

static struct str usage_group(const struct cost_line *line)
{
	static const struct {
		const char *begin, *group;
	} groups[] = {{"BoxUsage:", "EC2: Running Hours"},
	              {"DedicatedUsage:", "EC2: Running Hours"},
	              {"SpotUsage:", "EC2: Running Hours"},
	              {"EBS:VolumeUsage.gp2", "EC2: EBS - SSD(gp2)"},
	              {"EBS:VolumeUsage.gp3", "EC2: EBS - SSD(gp3)"},
	              {"EBS:VolumeUsage.piops", "EC2: EBS - SSD(io1)"},
	              {"EBS:VolumeUsage.io2", "EC2: EBS - SSD(io2)"},
	              {"EBS:SnapshotUsage", "EC2: EBS - Snapshots"},
	              {"NatGateway-Hours", "EC2: NAT Gateway - Running Hours"},
	              {"NatGateway-Bytes", "EC2: NAT Gateway - Data Processed"},
	              {"LoadBalancerUsage", "ELB - Running Hours"},
	              {"S3/Requests-Tier1", "S3: API Requests - Standard"},
	              {"S3/Requests-Tier2", "S3: API Requests - Standard"},
	              {"S3/TimedStorage-ByteHrs", "S3: Storage - Standard"}};
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (str_starts(str_from(line->price->usage), str_from(groups[i].begin)))
			return str_from(groups[i].group);
	return S("NoUsageTypeGroup");
}

static struct str service(const struct cost_line *l)
{
	return str_from(l->price->service);
}

static struct str service_code(const struct cost_line *l)
{
	struct str words = str_from(price_products + l->price->product);
	return str_cut(&words, '\t');
}

static struct str usage_type(const struct cost_line *l)
{
	return l->usage_type;
}

static struct str region(const struct cost_line *l)
{
	return l->region;
}

static struct str account(const struct cost_line *l)
{
	return l->account;
}

static struct str instance_type(const struct cost_line *l)
{
	return or (cost_instance_type(l), S("NoInstanceType"));
}

static struct str instance_family(const struct cost_line *l)
{
	struct str type = cost_instance_type(l);
	if (!str_set(type) && l->plan && str_set(l->plan->family))
		return l->plan->family; /* a fee */
	return str_set(type) ? family(type) : S("NoInstanceTypeFamily");
}

static struct str operation(const struct cost_line *l)
{
	return or (word_of(l, S("operation")), S("NoOperation"));
}

static struct str system(const struct cost_line *l)
{
	return str_set(cost_instance_type(l)) ? S("Linux/UNIX") : S("NoOperatingSystem");
}

static struct str platform(const struct cost_line *l)
{
	return str_set(cost_instance_type(l)) ? S("Linux/UNIX") : S("NoPlatform");
}

static struct str resource(const struct cost_line *l)
{
	return l->resource.n ? l->resource : S("NoResourceId");
}

static struct str record(const struct cost_line *l)
{
	return str_from(l->record);
}

static struct str reservation(const struct cost_line *l)
{
	return or (l->reservation, S("NoReservationId"));
}

static struct str plan(const struct cost_line *l)
{
	return l->plan ? l->plan->arn : S("NoSavingsPlan");
}

static struct str plan_type(const struct cost_line *l)
{
	return !l->plan                           ? S("NoSavingsPlansType")
	       : str_is(l->plan->type, "Compute") ? S("ComputeSavingsPlans")
	                                          : S("EC2InstanceSavingsPlans");
}

static struct str payment(const struct cost_line *l)
{
	return l->plan ? l->plan->payment : str_set(l->reservation) ? S("No Upfront") : S("NoPaymentOption");
}

static struct str seller(const struct cost_line *l)
{
	(void)l;
	return S("AWS");
}

static struct str company(const struct cost_line *l)
{
	(void)l;
	return S("Amazon Web Services, Inc.");
}

static struct str no_engine(const struct cost_line *l)
{
	(void)l;
	return S("NoDatabaseEngine");
}

static struct str no_cache(const struct cost_line *l)
{
	(void)l;
	return S("NoCacheEngine");
}

static struct str no_option(const struct cost_line *l)
{
	(void)l;
	return S("NoDeploymentOption");
}

static const struct {
	const char *name;
	struct str (*of)(const struct cost_line *);
} dimensions[] = {{"SERVICE", service},
                  {"USAGE_TYPE", usage_type},
                  {"REGION", region},
                  {"LINKED_ACCOUNT", account},
                  {"INSTANCE_TYPE", instance_type},
                  {"INSTANCE_TYPE_FAMILY", instance_family},
                  {"RECORD_TYPE", record},
                  {"PURCHASE_TYPE", purchase},
                  {"RESOURCE_ID", resource},
                  {"RESERVATION_ID", reservation},
                  {"SAVINGS_PLAN_ARN", plan},
                  {"SAVINGS_PLANS_TYPE", plan_type},
                  {"PAYMENT_OPTION", payment},
                  {"OPERATION", operation},
                  {"USAGE_TYPE_GROUP", usage_group},
                  {"SERVICE_CODE", service_code},
                  {"TENANCY", tenancy},
                  {"OPERATING_SYSTEM", system},
                  {"PLATFORM", platform},
                  {"BILLING_ENTITY", seller},
                  {"LEGAL_ENTITY_NAME", company},
                  {"INVOICING_ENTITY", company},
                  {"PAYER_ACCOUNT", account},
                  {"DATABASE_ENGINE", no_engine},
                  {"CACHE_ENGINE", no_cache},
                  {"DEPLOYMENT_OPTION", no_option}};

bool cost_dimension(struct arena *a, const struct cost_line *line, struct str key, struct str *ret)
{
	(void)a;
	for (size_t i = 0; i < sizeof(dimensions) / sizeof(*dimensions); i++)
		if (str_is(key, dimensions[i].name)) {
			*ret = dimensions[i].of(line);
			return true;
		}
	return false;
}

bool cost_dimension_known(struct str key, bool resources)
{
	if (str_is(key, "RESOURCE_ID"))
		return resources;
	for (size_t i = 0; i < sizeof(dimensions) / sizeof(*dimensions); i++)
		if (str_is(key, dimensions[i].name))
			return true;
	return false;
}
