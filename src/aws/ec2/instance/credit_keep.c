/* Accounts of credits. They stand as they did when the machine was last looked at, with how much its processors had run by then;
 * the counter is the machine's, so nothing is lost while this role is away. A start is told by the instance's launch time. */
#include "aws/ec2/instance/credit.h"

#include "aws/ec2/desk.h"
#include "base/clock.h"
#include "core/meter.h"
#include "engine/vm/machine.h"

#include <stdlib.h>

static const struct record_type row = {&state_ec2_api, "CreditRecord"};
static const struct record_type default_row = {&ec2_api, "InstanceFamilyCreditSpecification"};

static struct str key_of(const struct ec2_scope *s, struct str instance)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("credits"), instance, S("account"));
}

static struct str family_of(struct str type)
{
	return str_cut(&type, '.');
}

/* --- which mode */

static struct str default_key(const struct ec2_scope *s, struct str family)
{
	return KEY(s->arena, S("ec2"), s->account, s->region, S("credits"), S("default"), family);
}

bool credit_default(const struct ec2_scope *s, struct str family)
{
	struct ec2_instance_family_credit_specification r;
	if (record_get(s->txn, s->arena, default_key(s, family), &default_row, &r))
		return str_is(r.cpu_credits, "unlimited");
	return !str_is(family, "t2");
}

void credit_set_default(const struct ec2_scope *s, struct str family, bool unlimited)
{
	struct ec2_instance_family_credit_specification r = {.instance_family = family,
	                                                     .cpu_credits = unlimited ? S("unlimited") : S("standard")};
	record_put(s->txn, s->arena, default_key(s, family), &default_row, &r);
}

/* --- accounts */

struct kept {
	struct credit_account account;
	int64_t at_ms, seen_us; /* when it stood so, and what the machine's counter said */
};

/* As it stands once the instance's present start has been taken in. */
static struct kept load(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t)
{
	struct credit_kind k = credit_kind_of(t);
	struct state_ec2_credit_record r;
	struct kept a = {.at_ms = i->launch_time.ms};
	if (!record_get(s->txn, s->arena, key_of(s, i->instance_id), &row, &r)) {
		a.account.unlimited = credit_default(s, family_of(i->instance_type));
		credit_start(&k, &a.account, -1);
		return a;
	}
	a.account = (struct credit_account){
	        .unlimited = r.unlimited.v, .balance = r.balance.v, .launch = r.launch.v, .surplus = r.surplus.v};
	if (r.started.ms == i->launch_time.ms) {
		a.at_ms = r.at.ms;
		a.seen_us = r.seen_us.v;
	} else {
		credit_start(&k, &a.account, i->launch_time.ms > r.at.ms ? i->launch_time.ms - r.at.ms : 0);
	}
	return a;
}

static void save(const struct ec2_scope *s, const struct ec2_instance *i, const struct kept *a)
{
	struct state_ec2_credit_record r = {.unlimited = OPT_BOOL(a->account.unlimited),
	                                    .balance = OPT_INT(a->account.balance),
	                                    .launch = OPT_INT(a->account.launch),
	                                    .surplus = OPT_INT(a->account.surplus),
	                                    .at = OPT_TIME(a->at_ms),
	                                    .seen_us = OPT_INT(a->seen_us),
	                                    .started = OPT_TIME(i->launch_time.ms)};
	record_put(s->txn, s->arena, key_of(s, i->instance_id), &row, &r);
}

static void charge(const struct ec2_scope *s, const struct ec2_instance *i, int64_t credits, int64_t now_ms)
{
	if (credits > 0)
		meter_lump(s->txn, s->arena, s->account, s->region,
		           ARENA_CAT(s->arena, S("CPUCredits:"), family_of(i->instance_type)), credits, now_ms);
}

static const struct instance_type *burstable(const struct ec2_instance *i)
{
	const struct instance_type *t = instance_type_find(i->instance_type);
	return t && t->credits_tenths_h ? t : NULL;
}

void credit_open(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t, struct str asked)
{
	struct credit_kind k = credit_kind_of(t);
	struct kept a = {.at_ms = i->launch_time.ms};
	if (!k.per_hour)
		return;
	a.account.unlimited = str_set(asked) ? str_is(asked, "unlimited") : credit_default(s, family_of(i->instance_type));
	credit_start(&k, &a.account, -1);
	save(s, i, &a);
}

bool credit_is_unlimited(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t)
{
	return load(s, i, t).account.unlimited;
}

void credit_set_unlimited(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t, bool unlimited)
{
	struct kept a = load(s, i, t);
	a.account.unlimited = unlimited;
	charge(s, i, unlimited ? 0 : credit_settle(&a.account), clock_wall_ms());
	save(s, i, &a);
}

void credit_end(const struct ec2_scope *s, const struct ec2_instance *i, bool gone)
{
	const struct instance_type *t = burstable(i);
	if (!t)
		return;
	int64_t now = clock_wall_ms();
	struct kept a = load(s, i, t);
	charge(s, i, credit_settle(&a.account), now);
	a.at_ms = now;
	if (gone)
		store_delete(s->txn, key_of(s, i->instance_id));
	else
		save(s, i, &a);
}

/* --- machines */

unsigned credit_percent_at_start(const struct ec2_scope *s, const struct ec2_instance *i, const struct instance_type *t)
{
	struct kept a = {.account.unlimited = true};
	if (t->credits_tenths_h)
		a = load(s, i, t);
	return credit_percent(t, &a.account);
}

void credit_apply(struct desk_item *i, const struct ec2_scope *s, const struct ec2_instance *instance)
{
	const struct instance_type *t = burstable(instance);
	if (t)
		machine_limit_cpu(i->machine, t->vcpus, credit_percent_at_start(s, instance, t));
}

static int64_t pass(struct kept *a, const struct credit_kind *k, int64_t cpu_us, int64_t now_ms, int64_t *ret_used)
{
	/* a counter that has become less has begun anew */
	int64_t used_us = cpu_us >= a->seen_us ? cpu_us - a->seen_us : cpu_us;
	int64_t charged = credit_pass(k, &a->account, now_ms - a->at_ms, used_us);
	a->at_ms = now_ms;
	a->seen_us = cpu_us;
	*ret_used = used_us / 60;
	return charged;
}

struct look_job {
	struct arena arena;
	struct str instance;
	int64_t cpu_us, now_ms;
};

static void edit_look(const struct ec2_scope *s, void *ctx)
{
	struct look_job *j = ctx;
	struct state_ec2_instance_record r;
	int64_t unused;
	if (!ec2_find(s, &ec2_kind_instance, j->instance, &r) || !burstable(r.instance) ||
	    ec2_instance_state(r.instance) == INSTANCE_TERMINATED || ec2_instance_state(r.instance) == INSTANCE_STOPPED)
		return;
	const struct instance_type *t = burstable(r.instance);
	struct credit_kind k = credit_kind_of(t);
	struct kept a = load(s, r.instance, t);
	if (j->now_ms < a.at_ms)
		return; /* of before the present start */
	charge(s, r.instance, pass(&a, &k, j->cpu_us, j->now_ms, &unused), j->now_ms);
	save(s, r.instance, &a);
}

static void look_ended(void *ctx)
{
	struct look_job *j = ctx;
	arena_done(&j->arena);
	free(j);
}

bool credit_look(struct desk_item *i, const struct ec2_scope *s, const struct ec2_instance *instance,
                 const struct machine_usage *usage, struct credit_look *ret)
{
	const struct instance_type *t = burstable(instance);
	if (!t || !usage->at_us)
		return false;
	struct credit_kind k = credit_kind_of(t);
	struct kept a = load(s, instance, t);
	struct look_job *j = calloc(1, sizeof(*j));
	if (!j)
		abort();
	j->instance = arena_dup(&j->arena, instance->instance_id);
	j->cpu_us = (int64_t)usage->cpu_us;
	j->now_ms = clock_wall_ms();
	ret->charged = pass(&a, &k, j->cpu_us, j->now_ms, &ret->used);
	ret->account = a.account;
	machine_limit_cpu(i->machine, t->vcpus, credit_percent(t, &a.account));
	desk_edit(i->desk, i->account, i->region, edit_look, look_ended, j);
	return true;
}
