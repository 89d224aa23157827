/* What an environment has as often as its options say (extra.c). Private to aws/elasticbeanstalk. */
#pragma once
#include "environment.h"

#define SCHEDULED "aws:autoscaling:scheduledaction" /* its options are of an action each, by ResourceName */

bool extra_is_source(struct arena *a, struct str text);              /* of SSHSourceRestriction */
int extra_check(struct call *c, const struct environment_record *r); /* all of its options together */
/* What may have been, and cannot come anew: times in the past. */
int extra_check_new(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l);
/* ASK_EXTRA: about the next that is not as it should be. */
void extra_ask(const struct question *q, struct arena *a, const struct environment_record *r);
/* True: *ret is next. Only while its group of instances is there. */
bool extra_step(const struct scope *s, struct environment_record *r, const struct answer *a, struct next *ret);
