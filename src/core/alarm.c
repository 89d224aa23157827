#include "core/alarm.h"

bool alarm_action_matches(const char *prefix, struct str arn)
{
	struct str wanted = str_from(prefix), rest = arn;
	while (str_find_char(wanted, ':') >= 0) {
		struct str want = str_cut(&wanted, ':');
		if (!str_set(rest) || str_find_char(rest, ':') < 0)
			return false;
		struct str part = str_cut(&rest, ':');
		if (!str_is(want, "*") && !str_eq(want, part))
			return false;
	}
	return str_set(rest) && str_starts(rest, wanted);
}

const struct alarm_action_kind *alarm_action_find(struct str arn)
{
	const struct alarm_action_kind *best = NULL;
	for (unsigned i = 0; cloud_services[i]; i++)
		for (unsigned k = 0; k < cloud_services[i]->alarm_action_count; k++) {
			const struct alarm_action_kind *kind = &cloud_services[i]->alarm_actions[k];
			if (alarm_action_matches(kind->prefix, arn) && (!best || strlen(kind->prefix) > strlen(best->prefix)))
				best = kind;
		}
	return best;
}
