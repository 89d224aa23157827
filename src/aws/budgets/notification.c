/* What a budget tells, and whom: one topic a notification. */
#include "aws/budgets/rows.h"

static struct str threshold_type(const struct budgets_notification *n)
{
	return str_set(n->threshold_type) ? n->threshold_type : S("PERCENTAGE");
}

static struct state_budgets_notice *find(struct state_budgets_budget_record *r, const struct budgets_notification *n)
{
	for (uint32_t i = 0; i < r->notices.n; i++) {
		const struct budgets_notification *k = r->notices.v[i].notification;
		if (str_eq(k->notification_type, n->notification_type) && str_eq(k->comparison_operator, n->comparison_operator) &&
		    k->threshold.v == n->threshold.v && str_eq(k->threshold_type, threshold_type(n)))
			return &r->notices.v[i];
	}
	return NULL;
}

static int check_subscribers(struct call *c, const struct budgets_subscribers *all)
{
	for (uint32_t i = 0; i < all->n; i++) {
		const struct budgets_subscriber *s = &all->v[i];
		if (str_is(s->subscription_type, "EMAIL"))
			return budgets_invalid(
			        c, "EMAIL subscribers are not supported: no mail leaves this cloud. An SNS topic can be told.");
		if (!str_starts(s->address, S("arn:aws:sns:")))
			return budgets_invalid(c, "The address of an SNS subscriber is the ARN of a topic");
	}
	if (all->n > 1)
		return call_fail(c, "CreationLimitExceededException", 400, "A notification has at most one SNS subscriber.");
	return CALL_OK;
}

int budgets_notice_add(struct call *c, const struct budgets_notification *n, const struct budgets_subscribers *subscribers,
                       struct state_budgets_budget_record *r)
{
	enum ce_share share;
	if (check_subscribers(c, subscribers) != CALL_OK)
		return CALL_FAIL;
	if (str_is(n->notification_type, "FORECASTED") && budgets_is_share(r->budget->budget_type, &share))
		return budgets_invalid(c, "Budgets of utilization and coverage have no forecast");
	if (find(r, n))
		return call_fail(c, "DuplicateRecordException", 400, "The notification already exists.");
	if (r->notices.n >= NOTICES_MAX)
		return call_fail(c, "CreationLimitExceededException", 400, "A budget has at most %d notifications.", NOTICES_MAX);
	struct budgets_notification *made = arena_new(c->arena, struct budgets_notification);
	*made = *n;
	made->threshold_type = threshold_type(n);
	made->notification_state = S("OK");
	*LIST_ADD(c->arena, &r->notices) =
	        (struct state_budgets_notice){.notification = made, .subscribers = *subscribers, .told_day = OPT_INT(-1)};
	return CALL_OK;
}

/* CALL_OK with a budget and its notification. */
static int get(struct call *c, struct str account, struct str budget, const struct budgets_notification *n,
               struct state_budgets_budget_record *r, struct state_budgets_notice **ret)
{
	if (budgets_account(c, account) != CALL_OK || budgets_get(c, budget, r) != CALL_OK)
		return CALL_FAIL;
	*ret = find(r, n);
	return *ret ? CALL_OK
	            : call_fail(c, "NotFoundException", 400, "Unable to get notification: the notification doesn't exist.");
}

int budgets_create_notification(struct call *c, const struct budgets_create_notification_request *in,
                                struct budgets_create_notification_response *out)
{
	(void)out;
	struct state_budgets_budget_record r;
	if (budgets_account(c, in->account_id) != CALL_OK || budgets_get(c, in->budget_name, &r) != CALL_OK ||
	    budgets_notice_add(c, in->notification, &in->subscribers, &r) != CALL_OK)
		return CALL_FAIL;
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_delete_notification(struct call *c, const struct budgets_delete_notification_request *in,
                                struct budgets_delete_notification_response *out)
{
	(void)out;
	struct state_budgets_budget_record r;
	struct state_budgets_notice *n;
	if (get(c, in->account_id, in->budget_name, in->notification, &r, &n) != CALL_OK)
		return CALL_FAIL;
	*n = r.notices.v[--r.notices.n];
	budgets_put(c, &r);
	return CALL_OK;
}

int budgets_describe_subscribers_for_notification(struct call *c,
                                                  const struct budgets_describe_subscribers_for_notification_request *in,
                                                  struct budgets_describe_subscribers_for_notification_response *out)
{
	struct state_budgets_budget_record r;
	struct state_budgets_notice *n;
	if (get(c, in->account_id, in->budget_name, in->notification, &r, &n) != CALL_OK)
		return CALL_FAIL;
	out->subscribers = n->subscribers;
	out->subscribers.set = true;
	return CALL_OK;
}

static void list(struct arena *a, const struct state_budgets_budget_record *r, struct budgets_notifications *ret)
{
	ret->set = true;
	for (uint32_t i = 0; i < r->notices.n; i++)
		*LIST_ADD(a, ret) = *r->notices.v[i].notification;
}

int budgets_describe_notifications_for_budget(struct call *c, const struct budgets_describe_notifications_for_budget_request *in,
                                              struct budgets_describe_notifications_for_budget_response *out)
{
	struct state_budgets_budget_record r;
	if (budgets_account(c, in->account_id) != CALL_OK || budgets_get(c, in->budget_name, &r) != CALL_OK)
		return CALL_FAIL;
	list(c->arena, &r, &out->notifications);
	return CALL_OK;
}

int budgets_describe_budget_notifications_for_account(struct call *c,
                                                      const struct budgets_describe_budget_notifications_for_account_request *in,
                                                      struct budgets_describe_budget_notifications_for_account_response *out)
{
	struct str under = KEY_UNDER(c->arena, S("budgets"), c->account), key;
	if (budgets_account(c, in->account_id) != CALL_OK)
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	struct state_budgets_budget_record r;
	out->budget_notifications_for_account.set = true;
	while (store_next(i, &key, &v)) {
		if (!record_read(c->arena, v.value, &budgets_row, &r) || !r.notices.n)
			continue;
		struct budgets_budget_notifications_for_account *b = LIST_ADD(c->arena, &out->budget_notifications_for_account);
		b->budget_name = r.budget->budget_name;
		list(c->arena, &r, &b->notifications);
	}
	return CALL_OK;
}
