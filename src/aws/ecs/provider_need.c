#include "provider.h"

int64_t provider_needed(int64_t used, const struct provider_size *waiting, uint32_t count, const struct provider_size *each)
{
	int64_t cpu = 0, memory = 0;
	for (uint32_t i = 0; i < count; i++) {
		cpu += waiting[i].cpu;
		memory += waiting[i].memory;
	}
	if (!count)
		return used;
	int64_t by_cpu = each->cpu > 0 ? (cpu + each->cpu - 1) / each->cpu : 1;
	int64_t by_memory = each->memory > 0 ? (memory + each->memory - 1) / each->memory : 1;
	int64_t more = by_cpu > by_memory ? by_cpu : by_memory;
	more = more < 1 ? 1 : more > count ? count : more;
	return used + more;
}

double provider_reservation(int64_t needed, int64_t there, int64_t least, int64_t most)
{
	int64_t step = needed - there, way = step < 0 ? -1 : 1, size = step * way;
	if (!there)
		return needed ? 200 : 100;
	if (size && size < least)
		size = least;
	if (size > most)
		size = most;
	needed = there + way * size;
	return needed > 0 ? 100.0 * (double)needed / (double)there : 0;
}
