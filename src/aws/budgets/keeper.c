/* Tells topics what budgets have come to.
 *
 * Once a minute all notifications are held against the bill. One whose threshold is passed is told, and the record says so when the
 * topic has answered: a crash in between tells it twice, never not at all. It is told once a period; below the threshold again, as
 * in a new period, it is OK. One at a time, so that a round never finds two of its own under way. */
#include "aws/budgets/rows.h"

#include "aws/pricing/pricing.h"
#include "base/clock.h"
#include "base/log.h"
#include "gen/sns.h"

#include <math.h>
#include <stdlib.h>

enum { ROUND_US = 60 * 1000000, FIRST_US = 2 * 1000000 };

struct budgets_keeper {
	struct cloud *cloud;
	struct loop_timer *timer;
	struct arena arena; /* of the notification under way */
	struct str key;
	uint32_t index;
	struct state_budgets_notice after; /* as it is when it is told */
	bool asking, ended;
};

static void look(void *ctx);

static void look_in(struct budgets_keeper *k, int64_t us)
{
	loop_remove_timer(k->cloud->loop, k->timer);
	k->timer = loop_add_clock_timer(k->cloud->loop, us, look, k);
}

/* --- is it passed? */

static bool is_passed(const struct budgets_budget *b, const struct budgets_notification *n, const struct ce_spent *spent,
                      __int128 *ret_threshold_e10, __int128 *ret_amount_e10)
{
	__int128 limit = 0, amount = 0, threshold;
	struct str text = str_is(n->notification_type, "FORECASTED") ? spent->forecast : spent->actual;
	price_parse(b->budget_limit->amount, 10, &limit);
	*ret_threshold_e10 = *ret_amount_e10 = 0;
	if (!str_set(text) || !price_parse(text, 10, &amount))
		return false; /* a share of nothing */
	if (str_is(n->threshold_type, "ABSOLUTE_VALUE"))
		threshold = (__int128)llround(n->threshold.v * 1e4) * 1000000;
	else
		threshold = limit * llround(n->threshold.v * 1e4) / 1000000;
	*ret_threshold_e10 = threshold;
	*ret_amount_e10 = amount;
	return str_is(n->comparison_operator, "GREATER_THAN") ? amount > threshold
	       : str_is(n->comparison_operator, "LESS_THAN")  ? amount < threshold
	                                                      : amount == threshold;
}

static struct str message(struct arena *a, struct str account, const struct budgets_budget *b, const struct budgets_notification *n,
                          __int128 threshold_e10, __int128 amount_e10)
{
	static const struct {
		const char *type, *words;
	} kinds[] = {{"COST", "Cost"},
	             {"USAGE", "Usage"},
	             {"RI_UTILIZATION", "RI Utilization"},
	             {"RI_COVERAGE", "RI Coverage"},
	             {"SAVINGS_PLANS_UTILIZATION", "Savings Plans Utilization"},
	             {"SAVINGS_PLANS_COVERAGE", "Savings Plans Coverage"}};
	struct str unit = b->budget_limit->unit;
	const char *kind = "";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		kind = str_is(b->budget_type, kinds[i].type) ? kinds[i].words : kind;
	const char *sign = str_is(n->comparison_operator, "GREATER_THAN") ? ">"
	                   : str_is(n->comparison_operator, "LESS_THAN")  ? "<"
	                                                                  : "=";
	return arena_printf(
	        a,
	        "AWS Budget Notification\nAWS Account %.*s\n\nBudget Name: %.*s\nBudget Type: %s\nBudgeted Amount: %.*s %.*s\n"
	        "Alert Type: %.*s\nAlert Threshold: %s %.*s %.*s\n%.*s Amount: %.*s %.*s\n",
	        STR_ARG(account), STR_ARG(b->budget_name), kind, STR_ARG(b->budget_limit->amount), STR_ARG(unit),
	        STR_ARG(n->notification_type), sign, STR_ARG(price_text_e10(a, threshold_e10)), STR_ARG(unit),
	        STR_ARG(n->notification_type), STR_ARG(price_text_e10(a, amount_e10)), STR_ARG(unit));
}

/* --- writing down */

static void drop(struct budgets_keeper *k)
{
	arena_done(&k->arena);
	free(k);
}

static void written(void *ctx, int result, uint64_t revision)
{
	struct budgets_keeper *k = ctx;
	(void)revision;
	k->asking = false;
	if (k->ended) {
		drop(k);
		return;
	}
	arena_reset(&k->arena);
	look_in(k, result == 0 ? 0 : ROUND_US);
}

/* The notification may have gone, or be another one by now: then there is nothing to write. */
static void write_down(struct budgets_keeper *k)
{
	struct store_txn *t = store_begin(k->cloud->store, &k->arena);
	struct state_budgets_budget_record r;
	if (record_get(t, &k->arena, k->key, &budgets_row, &r) && k->index < r.notices.n &&
	    r.notices.v[k->index].notification->threshold.v == k->after.notification->threshold.v) {
		r.notices.v[k->index].notification->notification_state = k->after.notification->notification_state;
		r.notices.v[k->index].told_day = k->after.told_day;
		record_put(t, &k->arena, k->key, &budgets_row, &r);
	}
	store_commit(t, written, k);
}

static void told(void *ctx, struct call *sub)
{
	struct budgets_keeper *k = ctx;
	if (str_set(sub->error.code))
		log_warn("budgets: a topic was not told: %.*s: %.*s", STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	if (k->ended)
		drop(k);
	else
		write_down(k);
}

static void tell(struct budgets_keeper *k, struct str account, const struct budgets_budget *b, const struct state_budgets_notice *n,
                 struct str text)
{
	struct str arn = n->subscribers.v[0].address, rest = arn, region = STR_NONE;
	for (unsigned i = 0; i < 4 && str_set(rest); i++)
		region = str_cut(&rest, ':');
	struct principal *self = principal_new(PRINCIPAL_SERVICE, account);
	self->name = self->arn = self->user_id = S("budgets.amazonaws.com");
	self->issuer_arn = ARENA_CAT(&self->arena, S("arn:aws:budgets::"), account, S(":budget/"), b->budget_name);
	const struct sns_publish_input in = {.topic_arn = arn,
	                                     .subject = arena_printf(&k->arena, "AWS Budgets: %.*s has passed your alert threshold",
	                                                             b->budget_name.n > 50 ? 50 : (int)b->budget_name.n,
	                                                             b->budget_name.p),
	                                     .message = text};
	call_op(k->cloud, self, str_set(region) && region.n ? region : S("us-east-1"), &sns_api, "Publish", &in, told, k);
	principal_unref(self);
}

/* --- looking */

/* Something to do about one of a budget's notifications? Then does it. */
static bool take(struct budgets_keeper *k, struct store_txn *t, struct str key, struct str account,
                 struct state_budgets_budget_record *r, int64_t now_ms)
{
	const struct budgets_budget *b = r->budget;
	int64_t from, to;
	if (!r->notices.n || now_ms < b->time_period->start.ms || now_ms >= b->time_period->end.ms)
		return false;
	budgets_days(b, now_ms, &from, &to);
	struct ce_spent spent = budgets_spent(t, &k->arena, k->cloud->prices, account, b, now_ms);
	for (uint32_t i = 0; i < r->notices.n; i++) {
		struct state_budgets_notice *n = &r->notices.v[i];
		__int128 threshold, amount;
		bool passed = is_passed(b, n->notification, &spent, &threshold, &amount),
		     alarm = str_is(n->notification->notification_state, "ALARM");
		if (passed == alarm && (!passed || n->told_day.v == from))
			continue;
		bool tells = passed && n->told_day.v != from;
		k->key = arena_dup(&k->arena, key);
		k->index = i;
		k->after = *n;
		k->after.notification->notification_state = passed ? S("ALARM") : S("OK");
		if (tells)
			k->after.told_day = OPT_INT(from);
		k->asking = true;
		struct str text = message(&k->arena, account, b, n->notification, threshold, amount);
		store_abort(t);
		if (tells && n->subscribers.n)
			tell(k, account, b, n, text);
		else
			write_down(k);
		return true;
	}
	return false;
}

static void look(void *ctx)
{
	struct budgets_keeper *k = ctx;
	k->timer = NULL;
	if (k->asking)
		return;
	struct str under = KEY_UNDER(&k->arena, S("budgets")), key;
	int64_t now_ms = clock_wall_ms();
	struct store_txn *t = store_begin(k->cloud->store, &k->arena);
	struct store_iter *i = store_scan(t, under, store_prefix_end(&k->arena, under), false);
	struct store_value v;
	struct state_budgets_budget_record r;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&k->arena, key);
		if (parts.n == 3 && record_read(&k->arena, v.value, &budgets_row, &r) && take(k, t, key, parts.v[1], &r, now_ms))
			return;
	}
	store_abort(t);
	arena_reset(&k->arena);
	look_in(k, ROUND_US);
}

struct budgets_keeper *budgets_keeper_new(struct cloud *cloud)
{
	struct budgets_keeper *k = calloc(1, sizeof(*k));
	if (!k)
		abort();
	k->cloud = cloud;
	arena_init(&k->arena, 0);
	k->timer = loop_add_clock_timer(cloud->loop, FIRST_US, look, k);
	return k;
}

/* What is under way ends by itself. */
void budgets_keeper_free(struct budgets_keeper *k)
{
	if (!k)
		return;
	loop_remove_timer(k->cloud->loop, k->timer);
	k->timer = NULL;
	k->ended = true;
	if (!k->asking)
		drop(k);
}
