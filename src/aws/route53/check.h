/* Health checks as they run: who is looked at when, and what was seen. check_run.c; private to aws/route53. */
#pragma once
#include "rows.h"

struct route53_checks;
struct route53_checks *route53_checks_new(struct route53_state *s);
void route53_checks_free(struct route53_checks *k);
/* A record has come, has changed, or (value absent) is gone. */
void route53_check_take(struct route53_checks *k, struct str account, struct str id, struct str value);
/* Is it well, by its own settings? Unknown ones are. */
bool route53_check_healthy(struct route53_checks *k, struct str id);

/* --- check_alarm.c: those of type CLOUDWATCH_METRIC */
/* What such a one may be; *ret_copy: the alarm's settings, in the call's arena; not NULL: they stay as they are. */
int route53_check_alarm(struct call *c, struct route53_health_check_config *f,
                        struct route53_cloud_watch_alarm_configuration **ret_copy);
/* By the data that the alarm looks at; was: what it was before, for a time without enough data. */
bool route53_alarm_well(struct cloud *cloud, struct str account, const struct route53_health_check *check, int64_t now_ms,
                        bool was);

/* --- what they saw */
struct route53_seen {
	struct str status; /* "Success: ..." or "Failure: ..."; absent: nothing was seen yet */
	int64_t at_ms;
	struct str failure; /* the last one; absent: none */
	int64_t failed_ms;
};
/* Strings live until the loop goes on. False: there is no such check. */
bool route53_check_seen(struct route53_checks *k, struct str id, struct route53_seen *ret);
