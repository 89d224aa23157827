/* Input: the rule of a composite alarm. It is refused with words, or is true or false, and always the same. */
#include "aws/cloudwatch/alarm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int state_of(void *ctx, struct str name)
{
	(void)ctx;
	return (int)(name.n % 4) - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA;
	struct str why = STR_NONE, text = str_of(data, size < 10240 ? size : 10240);
	arena_init(&a, 0);
	struct alarm_rule_tree *t = alarm_rule_parse(&a, text, &why);
	if (!t && !str_set(why))
		__builtin_trap();
	if (!t)
		return 0;
	struct str_list names = alarm_rule_names(&a, t);
	for (uint32_t i = 0; i < names.n; i++)
		if (names.v[i].p < text.p || names.v[i].p + names.v[i].n > text.p + text.n)
			__builtin_trap();
	if (alarm_rule_holds(t, state_of, NULL) != alarm_rule_holds(t, state_of, NULL))
		__builtin_trap();
	return 0;
}
