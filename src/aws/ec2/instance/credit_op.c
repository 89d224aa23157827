/* Credit options of burstable instances. A change acts at once: the record is touched, so that the machine's limit is looked at. */
#include "aws/ec2/instance/credit.h"

#include "aws/ec2/page.h"

static bool is_mode(struct str s)
{
	return str_is(s, "standard") || str_is(s, "unlimited");
}

static int bad_mode(struct call *c, struct str s)
{
	return ec2_invalid(c, "Invalid value '%.*s' for CpuCredits. Expected 'standard' or 'unlimited'.", STR_ARG(s));
}

int credit_check_launch(struct call *c, const struct ec2_credit_specification_request *asked, const struct instance_type *t)
{
	if (!asked)
		return CALL_OK;
	if (!is_mode(asked->cpu_credits))
		return bad_mode(c, asked->cpu_credits);
	if (!t->credits_tenths_h)
		return ec2_combination(c, "CreditSpecification is for burstable instance types alone, and %s is none.", t->name);
	return CALL_OK;
}

/* --- one instance */

static void failed(struct call *c, struct ec2_modify_instance_credit_specification_result *out, struct str id, const char *code,
                   const char *message)
{
	struct ec2_unsuccessful_instance_credit_specification_item *item =
	        LIST_ADD(c->arena, &out->unsuccessful_instance_credit_specifications);
	item->instance_id = id;
	item->error = arena_new(c->arena, struct ec2_unsuccessful_instance_credit_specification_item_error);
	item->error->code = str_from(code);
	item->error->message = arena_printf(c->arena, "%s: %.*s", message, STR_ARG(id));
}

static void modify_one(struct call *c, const struct ec2_instance_credit_specification_request *in,
                       struct ec2_modify_instance_credit_specification_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	if (!ec2_id_well_formed(in->instance_id, "i")) {
		failed(c, out, in->instance_id, "InvalidInstanceID.Malformed", "Invalid id");
		return;
	}
	if (!ec2_find(&s, &ec2_kind_instance, in->instance_id, &r)) {
		failed(c, out, in->instance_id, "InvalidInstanceID.NotFound", "There is no such instance");
		return;
	}
	const struct instance_type *t = instance_type_find(r.instance->instance_type);
	enum instance_state state = ec2_instance_state(r.instance);
	if (!t || !t->credits_tenths_h) {
		failed(c, out, in->instance_id, "InstanceCreditSpecification.NotSupported", "Its type is not burstable");
		return;
	}
	if (state == INSTANCE_SHUTTING_DOWN || state == INSTANCE_TERMINATED) {
		failed(c, out, in->instance_id, "IncorrectInstanceState", "It is not in a state that allows it to be changed");
		return;
	}
	credit_set_unlimited(&s, r.instance, t, str_is(in->cpu_credits, "unlimited"));
	ec2_put(&s, &ec2_kind_instance, in->instance_id, &r);
	LIST_ADD(c->arena, &out->successful_instance_credit_specifications)->instance_id = in->instance_id;
}

int ec2_modify_instance_credit_specification(struct call *c, const struct ec2_modify_instance_credit_specification_request *in,
                                             struct ec2_modify_instance_credit_specification_result *out)
{
	const struct ec2_instance_credit_specification_list_request *all = &in->instance_credit_specifications;
	if (!all->n)
		return ec2_missing(c, "InstanceCreditSpecification");
	for (uint32_t i = 0; i < all->n; i++)
		if (!is_mode(all->v[i].cpu_credits))
			return bad_mode(c, all->v[i].cpu_credits);
	out->successful_instance_credit_specifications.set = out->unsuccessful_instance_credit_specifications.set = true;
	for (uint32_t i = 0; i < all->n; i++)
		modify_one(c, &all->v[i], out);
	return CALL_OK;
}

/* --- Describe: those that are named, else those that are unlimited */

static struct ec2_instance *instance_of(void *record)
{
	return ((struct state_ec2_instance_record *)record)->instance;
}

static void ask_id(struct call *c, void *record, struct str_list *ret)
{
	*LIST_ADD(c->arena, ret) = instance_of(record)->instance_id;
}

static const struct ec2_field fields[] = {FIELD_ASK("instance-id", ask_id), {0}};

static bool is_hidden(struct call *c, void *record)
{
	const struct ec2_describe_instance_credit_specifications_request *in = c->in;
	struct ec2_scope s = ec2_scope(c);
	const struct instance_type *t = instance_type_find(instance_of(record)->instance_type);
	if (!t || !t->credits_tenths_h || ec2_instance_state(instance_of(record)) == INSTANCE_TERMINATED)
		return true;
	return !in->instance_ids.n && !credit_is_unlimited(&s, instance_of(record), t);
}

static void show(struct call *c, void *record, void *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance *i = instance_of(record);
	bool unlimited = credit_is_unlimited(&s, i, instance_type_find(i->instance_type));
	*LIST_ADD(c->arena, &((struct ec2_describe_instance_credit_specifications_result *)out)->instance_credit_specifications) =
	        (struct ec2_instance_credit_specification){.instance_id = i->instance_id,
	                                                   .cpu_credits = unlimited ? S("unlimited") : S("standard")};
}

int ec2_describe_instance_credit_specifications(struct call *c,
                                                const struct ec2_describe_instance_credit_specifications_request *in,
                                                struct ec2_describe_instance_credit_specifications_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct state_ec2_instance_record r;
	for (uint32_t i = 0; i < in->instance_ids.n; i++) {
		if (!ec2_find(&s, &ec2_kind_instance, in->instance_ids.v[i], &r))
			continue;
		const struct instance_type *t = instance_type_find(r.instance->instance_type);
		if (!t || !t->credits_tenths_h)
			return call_fail(c, "InvalidInstanceID", 400, "The instance '%.*s' is not of a burstable type.",
			                 STR_ARG(in->instance_ids.v[i]));
	}
	out->instance_credit_specifications.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_instance,
	                                       .fields = fields,
	                                       .filters = &in->filters,
	                                       .ids = &in->instance_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show,
	                                       .hidden = is_hidden,
	                                       .min = 5,
	                                       .max = 1000},
	                    out, &out->next_token);
}

/* --- defaults of the account */

static struct ec2_instance_family_credit_specification *default_of(struct call *c, struct str family)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_instance_family_credit_specification *ret = arena_new(c->arena, struct ec2_instance_family_credit_specification);
	ret->instance_family = family;
	ret->cpu_credits = credit_default(&s, family) ? S("unlimited") : S("standard");
	return ret;
}

int ec2_get_default_credit_specification(struct call *c, const struct ec2_get_default_credit_specification_request *in,
                                         struct ec2_get_default_credit_specification_result *out)
{
	out->instance_family_credit_specification = default_of(c, in->instance_family);
	return CALL_OK;
}

int ec2_modify_default_credit_specification(struct call *c, const struct ec2_modify_default_credit_specification_request *in,
                                            struct ec2_modify_default_credit_specification_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	if (!is_mode(in->cpu_credits))
		return bad_mode(c, in->cpu_credits);
	credit_set_default(&s, in->instance_family, str_is(in->cpu_credits, "unlimited"));
	out->instance_family_credit_specification = default_of(c, in->instance_family);
	return CALL_OK;
}
