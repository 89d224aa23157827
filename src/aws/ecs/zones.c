#include "aws/ecs/zones.h"

uint32_t zones_least(const int64_t *tasks, uint32_t n)
{
	uint32_t at = 0;
	for (uint32_t i = 1; i < n; i++)
		if (tasks[i] < tasks[at])
			at = i;
	return at;
}

uint32_t zones_most(const int64_t *tasks, uint32_t n)
{
	uint32_t at = 0;
	for (uint32_t i = 1; i < n; i++)
		if (tasks[i] > tasks[at])
			at = i;
	return at;
}

bool zones_uneven(const int64_t *tasks, uint32_t n)
{
	return n && tasks[zones_most(tasks, n)] - tasks[zones_least(tasks, n)] > 1;
}
