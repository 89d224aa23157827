/* Instance refreshes: a group's members are replaced by what it would launch now, a few at a time. One of a group is under way at
 * most, and lies in its record; what is over lies beside it ("refresh"). Private to aws/autoscaling. */
#pragma once
#include "step.h"

/* Do members come from its desired configuration, and not from the group's own? */
bool refresh_leads(const struct state_autoscaling_group_record *r);
/* Is one under way that replaces members? */
bool refresh_replaces(const struct state_autoscaling_group_record *r);
/* Decides about what is under way, before the capacity is looked at: ends old members, or has more launched beside them. */
void refresh_step(struct step *t);
/* So many new members are not warm yet: as many old ones stay beyond the desired capacity. */
int64_t refresh_cold(struct step *t);
/* Writes it down as over. */
void refresh_end(const struct scope *s, struct state_autoscaling_group_record *r, const char *status, struct str reason);
/* From now on members go that are not what the group launches; total and progress begin anew. */
void refresh_mark(const struct scope *s, struct state_autoscaling_group_record *r);
void refresh_turn_back(const struct scope *s, struct state_autoscaling_group_record *r, struct str reason);
extern const struct record_type refresh_row;
