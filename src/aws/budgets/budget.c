/* Budgets: CreateBudget, UpdateBudget, DeleteBudget, DescribeBudget, DescribeBudgets. What is spent is Cost Explorer's answer of
 * now. */
#include "aws/budgets/rows.h"

#include "core/meter.h"

enum { BUDGETS_MAX = 20000, PAGE_DEFAULT = 100 };

const struct record_type budgets_row = {&state_budgets_api, "BudgetRecord"};

static struct str key_of(struct call *c, struct str name)
{
	return KEY(c->arena, S("budgets"), c->account, name);
}

static struct str keys_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("budgets"), c->account);
}

struct str budgets_arn(struct call *c, struct str name)
{
	return ARENA_CAT(c->arena, S("arn:aws:budgets::"), c->account, S(":budget/"), name);
}

int budgets_account(struct call *c, struct str account)
{
	if (str_eq(account, c->account))
		return CALL_OK;
	return call_fail(c, "AccessDeniedException", 400, "Account %.*s has no access to the budgets of account %.*s.",
	                 STR_ARG(c->account), STR_ARG(account));
}

int budgets_get(struct call *c, struct str name, struct state_budgets_budget_record *ret)
{
	if (record_get(call_txn(c), c->arena, key_of(c, name), &budgets_row, ret))
		return CALL_OK;
	return call_fail(c, "NotFoundException", 400, "Unable to get budget: %.*s - the budget doesn't exist.", STR_ARG(name));
}

void budgets_put(struct call *c, const struct state_budgets_budget_record *r)
{
	record_put(call_txn(c), c->arena, key_of(c, r->budget->budget_name), &budgets_row, r);
}

/* --- changing */

static uint32_t count(struct call *c)
{
	uint32_t n = 0;
	struct str under = keys_under(c), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (n < BUDGETS_MAX && store_next(i, &key, &v))
		n++;
	return n;
}

int budgets_create_budget(struct call *c, const struct budgets_create_budget_request *in,
                          struct budgets_create_budget_response *out)
{
	(void)out;
	struct state_budgets_budget_record r = {0};
	struct budgets_budget b;
	if (budgets_account(c, in->account_id) != CALL_OK || budgets_take(c, in->budget, c->now_ms, &b) != CALL_OK ||
	    budgets_tags_take(c, &in->resource_tags, &r.tags) != CALL_OK)
		return CALL_FAIL;
	r.budget = &b;
	for (uint32_t i = 0; i < in->notifications_with_subscribers.n; i++) {
		const struct budgets_notification_with_subscribers *n = &in->notifications_with_subscribers.v[i];
		if (budgets_notice_add(c, n->notification, &n->subscribers, &r) != CALL_OK)
			return CALL_FAIL;
	}
	if (record_get(call_txn(c), c->arena, key_of(c, b.budget_name), &budgets_row, &(struct state_budgets_budget_record){0}))
		return call_fail(c, "DuplicateRecordException", 400, "Error creating budget: %.*s - the budget already exists.",
		                 STR_ARG(b.budget_name));
	if (count(c) >= BUDGETS_MAX)
		return call_fail(c, "CreationLimitExceededException", 400,
		                 "Error creating budget: the account has %d budgets already.", BUDGETS_MAX);
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_update_budget(struct call *c, const struct budgets_update_budget_request *in,
                          struct budgets_update_budget_response *out)
{
	(void)out;
	struct state_budgets_budget_record r = {0};
	struct budgets_budget b;
	if (budgets_account(c, in->account_id) != CALL_OK || budgets_get(c, in->new_budget->budget_name, &r) != CALL_OK ||
	    budgets_take(c, in->new_budget, r.budget->time_period->start.ms, &b) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(b.budget_type, r.budget->budget_type))
		return budgets_invalid(c, "The type of a budget can't be changed");
	r.budget = &b;
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_delete_budget(struct call *c, const struct budgets_delete_budget_request *in,
                          struct budgets_delete_budget_response *out)
{
	(void)out;
	struct state_budgets_budget_record r;
	if (budgets_account(c, in->account_id) != CALL_OK || budgets_get(c, in->budget_name, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), key_of(c, in->budget_name));
	return CALL_OK;
}

/* --- describing */

struct ce_spent budgets_spent(struct store_txn *t, struct arena *a, const struct price_book *prices, struct str account,
                              const struct budgets_budget *b, int64_t now_ms)
{
	struct ce_spend q = {.txn = t,
	                     .arena = a,
	                     .prices = prices,
	                     .account = account,
	                     .now_ms = now_ms,
	                     .filter = budgets_filter(a, &b->cost_filters),
	                     .usage = str_is(b->budget_type, "USAGE"),
	                     .amortized = b->cost_types && b->cost_types->use_amortized.v};
	enum ce_share share;
	budgets_days(b, now_ms, &q.from_day, &q.to_day);
	if (budgets_is_share(b->budget_type, &share))
		return (struct ce_spent){ce_commitment_share(&q, share), STR_NONE, S("PERCENTAGE")};
	return ce_spent(&q);
}

static void fill(struct call *c, struct budgets_budget *b)
{
	bool runs = c->now_ms >= b->time_period->start.ms && c->now_ms < b->time_period->end.ms;
	struct ce_spent spent = budgets_spent(call_txn(c), c->arena, c->cloud->prices, c->account, b, c->now_ms);
	b->calculated_spend = arena_new(c->arena, struct budgets_calculated_spend);
	b->calculated_spend->actual_spend = arena_new(c->arena, struct budgets_spend);
	*b->calculated_spend->actual_spend =
	        (struct budgets_spend){str_set(spent.actual) ? spent.actual : S("0"), b->budget_limit->unit};
	if (!runs || !str_set(spent.forecast))
		return;
	b->calculated_spend->forecasted_spend = arena_new(c->arena, struct budgets_spend);
	*b->calculated_spend->forecasted_spend = (struct budgets_spend){spent.forecast, b->budget_limit->unit};
}

static int plain(struct call *c, const struct opt_bool *expression)
{
	if (expression->set && expression->v)
		return budgets_invalid(c, "ShowFilterExpression is not supported: budgets have CostFilters");
	return CALL_OK;
}

int budgets_describe_budget(struct call *c, const struct budgets_describe_budget_request *in,
                            struct budgets_describe_budget_response *out)
{
	struct state_budgets_budget_record r;
	if (budgets_account(c, in->account_id) != CALL_OK || plain(c, &in->show_filter_expression) != CALL_OK ||
	    budgets_get(c, in->budget_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->budget = r.budget;
	fill(c, out->budget);
	return CALL_OK;
}

int budgets_describe_budgets(struct call *c, const struct budgets_describe_budgets_request *in,
                             struct budgets_describe_budgets_response *out)
{
	struct str under = keys_under(c), key;
	int64_t most = in->max_results.set ? in->max_results.v : PAGE_DEFAULT;
	if (budgets_account(c, in->account_id) != CALL_OK || plain(c, &in->show_filter_expression) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct state_budgets_budget_record r;
	out->budgets.set = true;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(c->arena, key);
		if (parts.n != 3 || (str_set(in->next_token) && str_cmp(parts.v[2], in->next_token) <= 0) ||
		    !record_read(c->arena, v.value, &budgets_row, &r))
			continue;
		if (out->budgets.n == most) {
			out->next_token = out->budgets.v[out->budgets.n - 1].budget_name;
			break;
		}
		*LIST_ADD(c->arena, &out->budgets) = *r.budget;
	}
	for (uint32_t k = 0; k < out->budgets.n; k++)
		fill(c, &out->budgets.v[k]);
	return CALL_OK;
}
