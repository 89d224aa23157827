/* Records of budgets, ("budgets", account, name), and what their files share. Private to aws/budgets. */
#pragma once
#include "core/record.h"
#include "core/service.h"
#include "gen/budgets.h"
#include "gen/ce.h"
#include "gen/state_budgets.h"

#include "aws/ce/ce.h"

extern const struct record_type budgets_row;
struct price_book;

int budgets_invalid(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Is the request about the caller's own account? CALL_OK or CALL_FAIL. */
int budgets_account(struct call *c, struct str account);
struct str budgets_arn(struct call *c, struct str name);
/* CALL_OK with the record, or CALL_FAIL with NotFoundException. */
int budgets_get(struct call *c, struct str name, struct state_budgets_budget_record *ret);
void budgets_put(struct call *c, const struct state_budgets_budget_record *r);

/* check.c: CALL_OK with a budget as it is kept, defaults filled in, or CALL_FAIL. `at_ms`: when it begins if it does not say. */
int budgets_take(struct call *c, const struct budgets_budget *in, int64_t at_ms, struct budgets_budget *ret);
/* Is it a budget of utilization or coverage, of which? */
bool budgets_is_share(struct str type, enum ce_share *ret);
/* What its filters are to Cost Explorer; NULL: it has none. */
struct ce_expression *budgets_filter(struct arena *a, const struct budgets_cost_filters *filters);
/* The days of its period that a time is in. */
void budgets_days(const struct budgets_budget *b, int64_t now_ms, int64_t *ret_from, int64_t *ret_to);
/* What a budget's present period has cost so far, and will have cost; of shares: the percentage so far (absent: of nothing), and no
 * forecast. */
struct ce_spent budgets_spent(struct store_txn *t, struct arena *a, const struct price_book *prices, struct str account,
                              const struct budgets_budget *b, int64_t now_ms);

/* notification.c */
enum { NOTICES_MAX = 10 };
/* CALL_OK with one more, or CALL_FAIL. */
int budgets_notice_add(struct call *c, const struct budgets_notification *n, const struct budgets_subscribers *subscribers,
                       struct state_budgets_budget_record *r);
/* keeper.c: looks once a minute at what has notifications, and tells. */
struct budgets_keeper;
struct budgets_keeper *budgets_keeper_new(struct cloud *cloud);
void budgets_keeper_free(struct budgets_keeper *k);

int budgets_tags_take(struct call *c, const struct budgets_resource_tag_list *tags, struct budgets_resource_tag_list *to);

budgets_create_budget_handler budgets_create_budget;
budgets_update_budget_handler budgets_update_budget;
budgets_delete_budget_handler budgets_delete_budget;
budgets_describe_budget_handler budgets_describe_budget;
budgets_describe_budgets_handler budgets_describe_budgets;
budgets_describe_notifications_for_budget_handler budgets_describe_notifications_for_budget;
budgets_describe_budget_notifications_for_account_handler budgets_describe_budget_notifications_for_account;
budgets_create_notification_handler budgets_create_notification;
budgets_delete_notification_handler budgets_delete_notification;
budgets_describe_subscribers_for_notification_handler budgets_describe_subscribers_for_notification;
budgets_tag_resource_handler budgets_tag_resource;
budgets_untag_resource_handler budgets_untag_resource;
budgets_list_tags_for_resource_handler budgets_list_tags_for_resource;
