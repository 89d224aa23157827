/* Input: a filter pattern of CloudWatch Logs, a newline, a message. Any pattern compiles or is refused with words; a pattern that
 * selects a message selects it again, and the fields that it cuts out lie within the message. */
#include "engine/logs/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA;
	struct str message = str_of(data, size < 4096 ? size : 4096);
	struct str pattern = str_sub(str_cut(&message, '\n'), 0, 1024);
	struct str error = STR_NONE;
	arena_init(&a, 0);
	const struct log_filter *filter = log_filter_compile(&a, pattern, &error);
	if (!filter != str_set(error))
		__builtin_trap();
	if (!filter)
		return 0;
	if (!str_set(message))
		message = S("");
	bool selected = log_filter_match(&a, filter, message);
	if (log_filter_match(&a, filter, message) != selected)
		__builtin_trap();
	struct str_map fields = log_filter_fields(&a, filter, message);
	if (!selected && fields.n)
		__builtin_trap();
	for (uint32_t i = 0; i < fields.n; i++)
		if (fields.v[i].value.n &&
		    (fields.v[i].value.p < message.p || fields.v[i].value.p + fields.v[i].value.n > message.p + message.n))
			__builtin_trap();
	return 0;
}
