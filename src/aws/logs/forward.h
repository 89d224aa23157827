/* Subscription filters: events that a filter selects go to a function, packed as AWS packs them. Private to aws/logs. */
#pragma once
#include "rows.h"

struct forward;
struct forward *forward_new(struct cloud *cloud);
void forward_free(struct forward *f); /* forgets what is under way. NULL is harmless */
void forward_events(struct call *c, const struct logs_group *group, struct str stream, const struct log_input *events, uint32_t n);
/* Who invokes: CloudWatch Logs, for this group. The caller unrefs it. */
struct principal *forward_principal(struct str account, struct str group_arn);

/* subscription.c */
struct str subscriptions_under(struct call *c, uint64_t group);
void subscriptions_drop(struct call *c, uint64_t group);
