/* Input: an expression of the cluster query language, a newline, a text. Any expression is compiled or refused with words; one that
 * fits a container instance fits it again, and its negation does not. */
#include "aws/ecs/placement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str text = str_of(data, size < 4096 ? size : 4096);
	struct str expression = str_cut(&text, '\n');
	const char *why = NULL;
	struct placement_pair pair = {S("x"), str_set(text) ? text : S("")};
	struct placement_task tasks[] = {{pair.value}, {S("service:web")}};
	struct placement_node n = {.id = S("id"),
	                           .ec2_id = S("i-1"),
	                           .agent_version = pair.value,
	                           .attributes = &pair,
	                           .attribute_count = 1,
	                           .tasks = tasks,
	                           .task_count = 2,
	                           .running = 2};
	const struct placement_query *q = placement_query_parse(&a, expression, &why);
	if (!q != (why != NULL))
		__builtin_trap();
	if (!q)
		return 0;
	bool fits = placement_query_fits(&a, q, &n);
	if (placement_query_fits(&a, q, &n) != fits)
		__builtin_trap();
	const struct placement_query *negation = placement_query_parse(&a, ARENA_CAT(&a, S("not("), expression, S(")")), NULL);
	if (negation && placement_query_fits(&a, negation, &n) == fits)
		__builtin_trap();
	return 0;
}
