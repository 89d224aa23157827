/* Input: a search for metrics. It is refused with words, or finds a metric or not. */
#include "aws/cloudwatch/query.h"
#include "engine/metrics/metrics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA;
	struct str why = STR_NONE;
	struct metric_dimension d = {S("Host"), S("web-1")};
	struct metric m = {.space = S("mine"), .name = S("Cpu"), .dimensions = &d, .dimension_count = 1};
	arena_init(&a, 0);
	struct search *s = search_parse(&a, str_of(data, size < 2048 ? size : 2048), &why);
	if (!s && !str_set(why))
		__builtin_trap();
	if (s && search_matches(s, &m) != search_matches(s, &m))
		__builtin_trap();
	return 0;
}
