/* Lines about queries on their way to CloudWatch Logs: gathered in memory and put once a second. Private to aws/route53; called by
 * index.c, on the loop. What waits when the cloud is killed is lost, as is what comes faster than Logs takes it. */
#pragma once
#include "rows.h"

struct query_logs;
struct query_logs *query_logs_new(struct cloud *cloud);
void query_logs_free(struct query_logs *q); /* NULL is harmless */
/* A configuration has come or (value absent) is gone. */
void query_logs_take(struct query_logs *q, struct str account, struct str id, struct str value);
/* A query that a zone has answered; nothing happens where nobody logs it. */
void query_logs_add(struct query_logs *q, const struct dns_found *found, uint32_t peer, const struct dns_query *query,
                    enum dns_said said);
/* Does anybody log? So that the path of a query need not ask more. */
bool query_logs_any(const struct query_logs *q);

#define QUERY_LOG_EDGE "LOC1" /* the one edge location that there is */
/* Who writes: Route 53, for this zone. The caller unrefs it. */
struct principal *query_log_principal(struct str account, struct str zone);
/* The name in a group's ARN; absent: it is none of this account in us-east-1. */
struct str query_log_group(struct str arn, struct str account);
