#include "aws/ec2/instance/credit.h"

enum { HOUR_MS = 3600 * 1000, LAUNCH_CREDITS = 30, US_PER_CREDIT = 60 * 1000000 };
#define WEEK_MS (7 * 24 * INT64_C(3600000))

struct credit_kind credit_kind_of(const struct instance_type *t)
{
	bool t2 = str_starts(str_from(t->name), S("t2."));
	int64_t per_hour = t->credits_tenths_h * CREDIT / 10;
	return (struct credit_kind){
	        .per_hour = per_hour, .most = 24 * per_hour, .launch = t2 ? LAUNCH_CREDITS * CREDIT * t->vcpus : 0, .keeps = !t2};
}

void credit_start(const struct credit_kind *k, struct credit_account *a, int64_t away_ms)
{
	if (away_ms < 0 || !k->keeps || away_ms > WEEK_MS)
		a->balance = 0;
	a->launch = a->unlimited ? 0 : k->launch;
}

static int64_t take(int64_t *from, int64_t much)
{
	int64_t taken = *from < much ? *from : much;
	*from -= taken;
	return taken;
}

int64_t credit_pass(const struct credit_kind *k, struct credit_account *a, int64_t ms, int64_t cpu_us)
{
	int64_t earned = ms > 0 ? k->per_hour * ms / HOUR_MS : 0;
	int64_t used = cpu_us > 0 ? cpu_us / (US_PER_CREDIT / CREDIT) : 0;
	/* what is earned while it is spent does not run over; launch credits go before it */
	used -= take(&a->launch, used);
	int64_t both = used < earned ? used : earned;
	used -= both;
	earned -= both;
	earned -= take(&a->surplus, earned);
	a->balance += earned;
	if (a->balance > k->most)
		a->balance = k->most;
	used -= take(&a->balance, used);
	if (!a->unlimited)
		return 0;
	a->surplus += used;
	int64_t over = a->surplus > k->most ? a->surplus - k->most : 0;
	a->surplus -= over;
	return over;
}

int64_t credit_settle(struct credit_account *a)
{
	return take(&a->surplus, a->surplus);
}

unsigned credit_percent(const struct instance_type *t, const struct credit_account *a)
{
	unsigned whole = t->vcpus * 100u, base = instance_type_cpu_percent(t);
	int64_t has = (a->balance + a->launch) * 100 / CREDIT;
	if (!t->credits_tenths_h || a->unlimited || has >= whole - base)
		return whole;
	return base + (unsigned)has;
}
