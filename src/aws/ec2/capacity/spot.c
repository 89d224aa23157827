/* Requests and prices. The price of spot is a fixed part of the price on demand, so a request whose highest price is too low stays
 * open until somebody cancels it or its time is over. spot_open.c has what becomes of requests that are open. */
#include "aws/ec2/capacity/spot.h"

#include "aws/ec2/capacity/capacity.h"
#include "aws/ec2/instance/instances.h"
#include "aws/ec2/instance/launch_data.h"
#include "aws/ec2/instance/run.h"
#include "base/clock.h"

enum { PERCENT_OF_ON_DEMAND = 30, NOTICE_MS = 120000, WEEK_MS = 7 * 24 * 3600 * 1000 };

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedOperation", 400, "%s not supported.", what);
}

/* Millionths of a dollar an hour; 0: not known. */
static uint64_t price_of(const struct instance_type *t)
{
	return (uint64_t)t->micro_usd_h * PERCENT_OF_ON_DEMAND / 100;
}

static struct str price_text(struct arena *a, uint64_t micro)
{
	return arena_printf(a, "%llu.%06llu", (unsigned long long)(micro / 1000000), (unsigned long long)(micro % 1000000));
}

/* "0.0104" in millionths; what follows them does not count. */
static bool parse_price(struct str text, uint64_t *ret)
{
	struct str rest = text, whole = str_cut(&rest, '.');
	uint64_t micro = 0, unit = 100000;
	if (whole.n > 9 || (!whole.n && !rest.n) || (whole.n && !str_to_u64(whole, &micro)))
		return false;
	micro *= 1000000;
	for (size_t k = 0; k < rest.n; k++, unit /= 10) {
		if (!ascii_is_digit(rest.p[k]))
			return false;
		micro += (uint64_t)(rest.p[k] - '0') * unit;
	}
	*ret = micro;
	return true;
}

static int take_price(struct call *c, struct str given, const struct instance_type *type, struct spot_ask *ret, bool *ret_too_low)
{
	uint64_t now = price_of(type), most = type->micro_usd_h;
	if (!now)
		return call_fail(c, "Unsupported", 400, "The price of the instance type '%s' is not known.", type->name);
	if (given.n && (!parse_price(given, &most) || !most))
		return ec2_invalid(c, "Invalid value for Spot price '%.*s'. It must be a number greater than 0.", STR_ARG(given));
	ret->set = true;
	ret->price = price_text(c->arena, now);
	ret->max_price = price_text(c->arena, most);
	*ret_too_low = most < now;
	return CALL_OK;
}

/* What happens to an instance whose capacity is taken back. */
static int check_behavior(struct call *c, struct str behavior, bool persistent)
{
	if (!behavior.n || str_is(behavior, "terminate"))
		return CALL_OK;
	if (!persistent)
		return ec2_combination(c,
		                       "One-time spot instances can be terminated at an interruption, not stopped or hibernated.");
	return unsupported(c, "Stopping or hibernating Spot Instances at an interruption is");
}

/* A request that waited gets its instance. */
static int take_waiting(struct call *c, struct str id, const struct instance_type *type, struct spot_ask *ret, bool *ret_too_low,
                        struct ec2_tag_list *template_tags)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_spot_instance_request r;
	if (!ec2_find(&s, &ec2_kind_spot_request, id, &r) || !str_is(r.state, "open") || spot_expire(&s, &r, c->now_ms))
		return call_fail(c, "IncorrectSpotRequestState", 400, "The Spot request '%.*s' is not open.", STR_ARG(id));
	ret->request = id;
	ret->persistent = str_is(r.type, "persistent");
	spot_template_tags(&s, id, template_tags);
	return take_price(c, r.spot_price, type, ret, ret_too_low);
}

int spot_take(struct call *c, const struct ec2_run_instances_request *in, const struct instance_type *type, struct spot_ask *ret,
              struct ec2_tag_list *template_tags)
{
	static const struct ec2_spot_market_options none;
	const struct ec2_instance_market_options_request *market = in->instance_market_options;
	struct str waiting = spot_fulfils(c, in);
	bool too_low;
	*ret = (struct spot_ask){0};
	if (!market)
		return CALL_OK;
	if (market->market_type.n && !str_is(market->market_type, "spot"))
		return unsupported(c, "Markets other than spot are");
	const struct ec2_spot_market_options *o = market->spot_options ? market->spot_options : &none;
	if (o->block_duration_minutes.set)
		return unsupported(c, "Spot instances with a defined duration are");
	ret->persistent = str_is(o->spot_instance_type, "persistent");
	if (!ret->persistent && o->valid_until.set)
		return ec2_combination(c, "The parameter validUntil cannot be used with one-time spot requests of RunInstances");
	if (o->valid_until.set && o->valid_until.ms <= c->now_ms && !str_set(waiting))
		return ec2_invalid(c, "The value of validUntil has to be in the future.");
	if (check_behavior(c, o->instance_interruption_behavior, ret->persistent) != CALL_OK)
		return CALL_FAIL;
	ret->until = o->valid_until;
	if ((str_set(waiting) ? take_waiting(c, waiting, type, ret, &too_low, template_tags)
	                      : take_price(c, o->max_price, type, ret, &too_low)) != CALL_OK)
		return CALL_FAIL;
	if (too_low)
		return call_fail(
		        c, "SpotMaxPriceTooLow", 400,
		        "Your Spot request price of %.*s is lower than the minimum required Spot request fulfillment price of %.*s.",
		        STR_ARG(ret->max_price), STR_ARG(ret->price));
	return CALL_OK;
}

static struct ec2_spot_instance_request *request_new(struct call *c, const struct spot_ask *ask)
{
	struct ec2_spot_instance_request *r = arena_new(c->arena, struct ec2_spot_instance_request);
	*r = (struct ec2_spot_instance_request){.spot_instance_request_id = ec2_new_id(c->arena, "sir"),
	                                        .create_time = OPT_TIME(c->now_ms),
	                                        .product_description = S("Linux/UNIX"),
	                                        .spot_price = ask->max_price,
	                                        .type = ask->persistent ? S("persistent") : S("one-time"),
	                                        .valid_from = ask->from,
	                                        .valid_until = ask->until,
	                                        .instance_interruption_behavior = S("terminate")};
	return r;
}

/* What the instance was launched with, as requests show it. */
static struct ec2_launch_specification *specification_of(struct call *c, const struct ec2_run_instances_request *in,
                                                         const struct ec2_instance *i)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_launch_specification *spec = arena_new(c->arena, struct ec2_launch_specification);
	ec2_carry(c->arena, "RunInstancesRequest", in, "LaunchSpecification", spec);
	spec->user_data = STR_NONE;
	spec->image_id = i->image_id;
	spec->instance_type = i->instance_type;
	spec->key_name = i->key_name;
	spec->subnet_id = i->subnet_id;
	spec->placement = arena_new(c->arena, struct ec2_spot_placement);
	spec->placement->availability_zone = i->placement->availability_zone;
	spec->monitoring = arena_new(c->arena, struct ec2_run_instances_monitoring_enabled);
	spec->monitoring->enabled = OPT_BOOL(!str_is(i->monitoring->state, "disabled"));
	for (uint32_t k = 0; k < in->security_group_ids.n; k++) {
		struct state_vpc_group_record g;
		if (ec2_find(&s, &ec2_kind_group, in->security_group_ids.v[k], &g))
			*LIST_ADD(c->arena, &spec->security_groups) =
			        (struct ec2_group_identifier){.group_id = g.group->group_id, .group_name = g.group->group_name};
	}
	return spec;
}

void spot_launched(struct call *c, const struct spot_ask *ask, const struct ec2_run_instances_request *in,
                   const struct ec2_tag_list *template_tags, struct state_ec2_instance_record *r)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance *i = r->instance;
	struct ec2_spot_instance_request waited;
	if (!ask->set)
		return;
	bool waits = str_set(ask->request) && ec2_find(&s, &ec2_kind_spot_request, ask->request, &waited);
	struct ec2_spot_instance_request *made = waits ? &waited : request_new(c, ask);
	made->launch_specification = specification_of(c, in, i);
	made->state = S("active");
	made->instance_id = i->instance_id;
	made->launched_availability_zone = i->placement->availability_zone;
	if (!waits)
		made->tags = ec2_tags_for(c, &in->tag_specifications, &ec2_kind_spot_request);
	if (waits && !ask->persistent)
		spot_drop_launch(&s, made->spot_instance_request_id);
	if (!waits && ask->persistent)
		spot_keep_launch(&s, made->spot_instance_request_id, in, template_tags);
	spot_status(&s, made, c->now_ms, "fulfilled", "Your spot request is fulfilled.");
	ec2_put(&s, &ec2_kind_spot_request, made->spot_instance_request_id, made);
	i->instance_lifecycle = S("spot");
	i->spot_instance_request_id = made->spot_instance_request_id;
	/* There is no coming back for it. */
	if (!ask->persistent)
		r->terminate_on_shutdown = OPT_BOOL(true);
}

int spot_check_stop(struct call *c, const struct ec2_instance *i)
{
	struct ec2_scope s = ec2_scope(c);
	if (!spot_is_one_time(&s, i))
		return CALL_OK;
	return call_fail(
	        c, "UnsupportedOperation", 400,
	        "You can't stop the Spot Instance '%.*s' because it is associated with a one-time Spot Instance request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
	        STR_ARG(i->instance_id));
}

/* --- taking capacity back */

struct candidate {
	struct ec2_scope scope;
	struct state_ec2_instance_record record;
	const struct instance_type *type;
	bool told;
};

static struct candidate *candidates(struct call *c, struct desk *d, uint32_t *ret_n)
{
	struct candidate *all = arena_array(c->arena, d->items.count + 1, sizeof(*all));
	size_t at = 0;
	struct str key;
	void *value;
	uint32_t n = 0;
	while (map_next(&d->items, &at, &key, &value)) {
		const struct desk_item *i = value;
		struct candidate *k = &all[n];
		if (i->kind != &ec2_kind_instance || !i->memory_mib)
			continue;
		*k = (struct candidate){
		        .scope = {.txn = call_txn(c), .arena = c->arena, .account = i->account, .region = i->region}};
		if (!ec2_find(&k->scope, &ec2_kind_instance, i->id, &k->record) ||
		    !str_is(k->record.instance->instance_lifecycle, "spot"))
			continue;
		k->type = instance_type_find(k->record.instance->instance_type);
		k->told = k->record.interrupt.set || ec2_instance_state(k->record.instance) == INSTANCE_SHUTTING_DOWN;
		n += k->type != NULL;
	}
	*ret_n = n;
	return all;
}

static struct candidate *oldest(struct candidate *all, uint32_t n)
{
	struct candidate *found = NULL;
	for (uint32_t k = 0; k < n; k++)
		if (!all[k].told && (!found || all[k].record.instance->launch_time.ms < found->record.instance->launch_time.ms))
			found = &all[k];
	return found;
}

void spot_tell(const struct ec2_scope *s, struct state_ec2_instance_record *r, int64_t now_ms, int64_t end_ms)
{
	struct ec2_spot_instance_request request;
	struct str id = r->instance->spot_instance_request_id;
	r->interrupt = OPT_TIME(end_ms);
	if (!r->recommended.set)
		r->recommended = OPT_TIME(now_ms);
	ec2_put(s, &ec2_kind_instance, r->instance->instance_id, r);
	if (!ec2_find(s, &ec2_kind_spot_request, id, &request))
		return;
	spot_status(s, &request, now_ms, "marked-for-termination", "Your Spot instance is marked for termination.");
	ec2_put(s, &ec2_kind_spot_request, id, &request);
}

int64_t spot_reclaim(struct call *c, const struct instance_type *type, int64_t room, int64_t count, bool *ret_waits)
{
	struct desk *d = ec2_state(c)->desk;
	int64_t memory, vcpus;
	uint32_t n, told = 0;
	*ret_waits = false;
	if (room >= count || !d)
		return room;
	struct candidate *all = candidates(c, d, &n), **list = arena_array(c->arena, n + 1, sizeof(*list));
	capacity_left(c, &memory, &vcpus);
	/* Who has been told goes anyway; the place may be promised already, which the count of what runs says. */
	for (uint32_t k = 0; k < n; k++)
		if (all[k].told) {
			memory += all[k].type->memory_mib;
			vcpus += all[k].type->vcpus;
		}
	while (capacity_fit(memory, vcpus, type) < count) {
		struct candidate *k = oldest(all, n);
		if (!k)
			return room;
		k->told = true;
		list[told++] = k;
		memory += k->type->memory_mib;
		vcpus += k->type->vcpus;
	}
	for (uint32_t k = 0; k < told; k++)
		spot_tell(&list[k]->scope, &list[k]->record, c->now_ms, c->now_ms + NOTICE_MS);
	*ret_waits = true;
	return count;
}

/* --- RequestSpotInstances */

static int check_request(struct call *c, const struct ec2_request_spot_instances_request *in)
{
	const struct ec2_request_spot_launch_specification *l = in->launch_specification;
	if (in->launch_group.n || in->availability_zone_group.n || in->block_duration_minutes.set)
		return unsupported(c, "Launch groups, zone groups and durations of spot requests are");
	if (in->valid_until.set && in->valid_until.ms <= c->now_ms)
		return ec2_invalid(c, "The value of validUntil has to be in the future.");
	if (in->valid_from.set && in->valid_until.set && in->valid_from.ms >= in->valid_until.ms)
		return ec2_invalid(c, "The value of validUntil has to be later than that of validFrom.");
	if (check_behavior(c, in->instance_interruption_behavior, str_is(in->type, "persistent")) != CALL_OK)
		return CALL_FAIL;
	if (in->instance_count.set && (in->instance_count.v < 1 || in->instance_count.v > 1000))
		return ec2_invalid(c, "Value (%lld) for parameter instanceCount is invalid.", (long long)in->instance_count.v);
	if (!l)
		return ec2_missing(c, "LaunchSpecification");
	if (l->addressing_type.n)
		return unsupported(c, "Addressing types are");
	return CALL_OK;
}

/* What the launch itself would be asked for. */
static bool may_run(struct call *c, const struct ec2_request_spot_launch_specification *l)
{
	const char *action = "ec2:RunInstances";
	for (uint32_t k = 0; k < l->security_group_ids.n; k++)
		if (!call_allowed(c, action, ec2_arn(c, &ec2_kind_group, l->security_group_ids.v[k])))
			return false;
	return (!l->image_id.n || call_allowed(c, action, ec2_arn(c, &ec2_kind_image, l->image_id))) &&
	       (!l->subnet_id.n || call_allowed(c, action, ec2_arn(c, &ec2_kind_subnet, l->subnet_id))) &&
	       call_allowed(c, action, ec2_arn(c, &ec2_kind_instance, S("*")));
}

static void as_launch(struct call *c, const struct ec2_request_spot_instances_request *in, struct ec2_run_instances_request *ret)
{
	const struct ec2_request_spot_launch_specification *l = in->launch_specification;
	int64_t n = in->instance_count.set ? in->instance_count.v : 1;
	*ret = (struct ec2_run_instances_request){.min_count = OPT_INT(n),
	                                          .max_count = OPT_INT(n),
	                                          .image_id = l->image_id,
	                                          .instance_type = l->instance_type,
	                                          .key_name = l->key_name,
	                                          .kernel_id = l->kernel_id,
	                                          .ramdisk_id = l->ramdisk_id,
	                                          .subnet_id = l->subnet_id,
	                                          .user_data = l->user_data,
	                                          .ebs_optimized = l->ebs_optimized,
	                                          .iam_instance_profile =
	                                                  (struct ec2_iam_instance_profile_specification *)l->iam_instance_profile,
	                                          .monitoring = (struct ec2_run_instances_monitoring_enabled *)l->monitoring,
	                                          .tag_specifications = in->tag_specifications};
	for (uint32_t k = 0; k < l->security_group_ids.n; k++)
		*LIST_ADD(c->arena, &ret->security_group_ids) = l->security_group_ids.v[k];
	for (uint32_t k = 0; k < l->security_groups.n; k++)
		*LIST_ADD(c->arena, &ret->security_groups) = l->security_groups.v[k];
	for (uint32_t k = 0; k < l->network_interfaces.n; k++)
		*LIST_ADD(c->arena, &ret->network_interfaces) = l->network_interfaces.v[k];
	for (uint32_t k = 0; k < l->block_device_mappings.n; k++)
		*LIST_ADD(c->arena, &ret->block_device_mappings) = l->block_device_mappings.v[k];
	if (l->placement) {
		ret->placement = arena_new(c->arena, struct ec2_placement);
		ret->placement->availability_zone = l->placement->availability_zone;
		ret->placement->availability_zone_id = l->placement->availability_zone_id;
		ret->placement->group_name = l->placement->group_name;
		ret->placement->tenancy = l->placement->tenancy;
	}
	struct ec2_spot_market_options *options = arena_new(c->arena, struct ec2_spot_market_options);
	ret->instance_market_options = arena_new(c->arena, struct ec2_instance_market_options_request);
	ret->instance_market_options->market_type = S("spot");
	ret->instance_market_options->spot_options = options;
	options->max_price = in->spot_price;
	options->spot_instance_type = in->type.n ? in->type : S("one-time");
	if (str_is(in->type, "persistent"))
		options->valid_until = in->valid_until;
}

enum why_open { TIME_IS_TO_COME, PRICE_TOO_LOW, NO_CAPACITY };
static const struct {
	const char *code, *message;
} open_status[] = {
        [TIME_IS_TO_COME] = {"not-scheduled-yet", "Your Spot request will not be evaluated until the scheduled date."},
        [PRICE_TOO_LOW] = {"price-too-low", "Your Spot request price is lower than the price of now."},
        [NO_CAPACITY] = {"capacity-not-available", "There is no Spot capacity available that matches your request."},
};

/* What waits is launched later in the name of the service, so the user is asked now for what the launch will be asked for. */
static int leave_open(struct call *c, const struct ec2_run_instances_request *run, const struct spot_ask *ask, enum why_open why,
                      struct ec2_request_spot_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_image_record image;
	struct launch l = {.in = run};
	struct ec2_tag_list tags;
	if (!run->image_id.n)
		return ec2_missing(c, "LaunchSpecification.ImageId");
	if (ec2_image_usable(c, run->image_id, &image) != CALL_OK || ec2_run_take_profile(c, &l) != CALL_OK ||
	    ec2_tags_at_creation(c, &run->tag_specifications, &ec2_kind_spot_request, &tags) != CALL_OK)
		return CALL_FAIL;
	for (int64_t k = 0; k < run->min_count.v; k++) {
		struct ec2_spot_instance_request *r = request_new(c, ask);
		r->launch_specification = arena_new(c->arena, struct ec2_launch_specification);
		r->launch_specification->image_id = run->image_id;
		r->launch_specification->instance_type = run->instance_type.n ? run->instance_type : S("m1.small");
		r->launch_specification->key_name = run->key_name;
		r->launch_specification->subnet_id = run->subnet_id;
		r->state = S("open");
		r->tags = tags;
		spot_status(&s, r, c->now_ms, open_status[why].code, open_status[why].message);
		ec2_put(&s, &ec2_kind_spot_request, r->spot_instance_request_id, r);
		spot_keep_launch(&s, r->spot_instance_request_id, run, NULL);
		*LIST_ADD(c->arena, &out->spot_instance_requests) = *r;
	}
	return CALL_OK;
}

int ec2_request_spot_instances(struct call *c, const struct ec2_request_spot_instances_request *in,
                               struct ec2_request_spot_instances_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_run_instances_request run;
	struct ec2_reservation made = {0};
	struct spot_ask ask = {0};
	bool too_low;
	if (check_request(c, in) != CALL_OK || !may_run(c, in->launch_specification))
		return CALL_FAIL;
	as_launch(c, in, &run);
	struct str name = run.instance_type.n ? run.instance_type : S("m1.small");
	const struct instance_type *type = instance_type_find(name);
	if (!type)
		return ec2_invalid(c, "Invalid value '%.*s' for InstanceType.", STR_ARG(name));
	if (take_price(c, in->spot_price, type, &ask, &too_low) != CALL_OK)
		return CALL_FAIL;
	ask.persistent = str_is(in->type, "persistent");
	ask.from = in->valid_from;
	ask.until = in->valid_until.set ? in->valid_until : OPT_TIME(c->now_ms + WEEK_MS);
	if (in->valid_from.set && in->valid_from.ms > c->now_ms)
		return leave_open(c, &run, &ask, TIME_IS_TO_COME, out);
	if (too_low)
		return leave_open(c, &run, &ask, PRICE_TOO_LOW, out);
	int said = ec2_run_instances(c, &run, &made);
	if (said == CALL_FAIL && str_is(c->error.code, "InsufficientInstanceCapacity")) {
		c->error = (struct call_error){0};
		return leave_open(c, &run, &ask, NO_CAPACITY, out);
	}
	for (uint32_t k = 0; said == CALL_OK && k < made.instances.n; k++) {
		struct ec2_spot_instance_request *r = LIST_ADD(c->arena, &out->spot_instance_requests);
		if (!ec2_find(&s, &ec2_kind_spot_request, made.instances.v[k].spot_instance_request_id, r))
			return call_broken(c, "a spot request that was made is not there");
		r->valid_from = ask.from;
		r->valid_until = ask.until;
		ec2_put(&s, &ec2_kind_spot_request, r->spot_instance_request_id, r);
	}
	return said;
}

/* --- cancelling and describing */

int ec2_cancel_spot_instance_requests(struct call *c, const struct ec2_cancel_spot_instance_requests_request *in,
                                      struct ec2_cancel_spot_instance_requests_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_spot_instance_request *all =
	        arena_array(c->arena, in->spot_instance_request_ids.n + 1, sizeof(struct ec2_spot_instance_request));
	if (!in->spot_instance_request_ids.n)
		return ec2_missing(c, "SpotInstanceRequestId");
	for (uint32_t k = 0; k < in->spot_instance_request_ids.n; k++)
		if (ec2_get(c, &ec2_kind_spot_request, in->spot_instance_request_ids.v[k], &all[k]) != CALL_OK)
			return CALL_FAIL;
	for (uint32_t k = 0; k < in->spot_instance_request_ids.n; k++) {
		struct ec2_spot_instance_request *r = &all[k];
		spot_expire(&s, r, c->now_ms);
		bool open = str_is(r->state, "open"), active = str_is(r->state, "active") || str_is(r->state, "disabled");
		if (open)
			spot_status(&s, r, c->now_ms, "canceled-before-fulfillment",
			            "Your Spot request was canceled before it was fulfilled.");
		if (active)
			spot_status(&s, r, c->now_ms, "request-canceled-and-instance-running",
			            "Your Spot request is canceled, but your instance is still running.");
		if (open || active) {
			r->state = S("cancelled");
			spot_drop_launch(&s, r->spot_instance_request_id);
			ec2_put(&s, &ec2_kind_spot_request, r->spot_instance_request_id, r);
		}
		*LIST_ADD(c->arena, &out->cancelled_spot_instance_requests) = (struct ec2_cancelled_spot_instance_request){
		        .spot_instance_request_id = r->spot_instance_request_id,
		        .state = str_is(r->state, "closed") || str_is(r->state, "failed") ? S("completed") : r->state};
	}
	return CALL_OK;
}

/* --- prices */

static const struct ec2_field price_fields[] = {
        FIELD_TEXT("availability-zone", ec2_spot_price, availability_zone),
        FIELD_TEXT("availability-zone-id", ec2_spot_price, availability_zone_id),
        FIELD_TEXT("instance-type", ec2_spot_price, instance_type),
        FIELD_TEXT("product-description", ec2_spot_price, product_description),
        FIELD_TEXT("spot-price", ec2_spot_price, spot_price),
        FIELD_PATH("timestamp", "SpotPrice", "Timestamp"),
        {0},
};

static bool wanted(struct call *c, const struct ec2_describe_spot_price_history_request *in, struct ec2_spot_price *p)
{
	bool type = !in->instance_types.n, product = !in->product_descriptions.n;
	for (uint32_t k = 0; k < in->instance_types.n; k++)
		type = type || str_eq(in->instance_types.v[k], p->instance_type);
	for (uint32_t k = 0; k < in->product_descriptions.n; k++)
		product = product || str_is(in->product_descriptions.v[k], "Linux/UNIX") ||
		          str_is(in->product_descriptions.v[k], "Linux/UNIX (Amazon VPC)");
	if (!type || !product || (in->availability_zone.n && !str_eq(in->availability_zone, p->availability_zone)) ||
	    (in->availability_zone_id.n && !str_eq(in->availability_zone_id, p->availability_zone_id)))
		return false;
	return ec2_filters_pass(c, &(const struct ec2_kind){0}, p, price_fields, &in->filters);
}

int ec2_describe_spot_price_history(struct call *c, const struct ec2_describe_spot_price_history_request *in,
                                    struct ec2_describe_spot_price_history_result *out)
{
	struct str after;
	out->spot_price_history.set = true;
	if (ec2_filters_check(c, price_fields, &in->filters) != CALL_OK ||
	    ec2_page_begin(c, &in->max_results, 1, 1000, in->next_token, &after) != CALL_OK)
		return CALL_FAIL;
	uint32_t most = in->max_results.set ? (uint32_t)in->max_results.v : 1000;
	bool begun = !str_set(after);
	/* The price has not changed, so what held at the beginning of the time asked for holds. */
	struct opt_time since = in->start_time.set && in->start_time.ms < c->now_ms ? in->start_time : OPT_TIME(c->now_ms);
	for (unsigned t = 0; t < instance_type_count; t++)
		for (unsigned z = 0; instance_type_offered(&instance_types[t]) && instance_types[t].micro_usd_h && z < EC2_ZONES;
		     z++) {
			struct ec2_spot_price p = {.instance_type = str_from(instance_types[t].name),
			                           .availability_zone = ec2_zone_name(c->arena, c->region, z),
			                           .availability_zone_id = ec2_zone_id(c->arena, c->region, z),
			                           .product_description = S("Linux/UNIX"),
			                           .spot_price = price_text(c->arena, price_of(&instance_types[t])),
			                           .timestamp = since};
			struct str at = ARENA_CAT(c->arena, p.instance_type, S("/"), p.availability_zone);
			if (begun && wanted(c, in, &p)) {
				if (out->spot_price_history.n == most) {
					const struct ec2_spot_price *last = &out->spot_price_history.v[most - 1];
					out->next_token = ec2_page_token(
					        c, ARENA_CAT(c->arena, last->instance_type, S("/"), last->availability_zone));
					return CALL_OK;
				}
				*LIST_ADD(c->arena, &out->spot_price_history) = p;
			}
			begun = begun || str_eq(at, after);
		}
	return CALL_OK;
}
