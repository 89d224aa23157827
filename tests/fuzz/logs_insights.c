/* Input: a query of Logs Insights, a line of its own, and messages. Whatever compiles can run. */
#include "engine/logs/insights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str rest = str_of(data, size), query = str_cut(&rest, '\n'), error;
	const struct insights *q = insights_compile(&a, query, &error);
	if (!q)
		return 0;
	struct insights_run *r = insights_run_new(q, 100);
	uint32_t n;
	for (int i = 0; i < 50 && str_set(rest); i++) {
		struct insights_event e = {
		        .time_ms = i * 1000, .message = str_cut(&rest, '\n'), .stream = S("s"), .log = S("l"), .ptr = S("p")};
		if (!insights_add(r, &e))
			break;
	}
	insights_rows(r, &n);
	insights_run_free(r);
	return 0;
}
