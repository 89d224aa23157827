/* Compiled patterns of the tables, so that no request pays for compiling. They are as many as the models have, and stay. */
#include <pthread.h>

#include "model/pattern.h"

#define BUCKETS 256

struct entry {
	const char *text;
	const struct pattern *pattern;
	struct entry *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry *buckets[BUCKETS];
static struct arena kept;

const struct pattern *pattern_cached(const char *text)
{
	struct entry **bucket = &buckets[(uintptr_t)text * 0x9e3779b97f4a7c15ull >> 56];
	pthread_mutex_lock(&lock);
	struct entry *entry = *bucket;
	while (entry && entry->text != text)
		entry = entry->next;
	if (!entry) {
		entry = arena_new(&kept, struct entry);
		*entry = (struct entry){.text = text, .pattern = pattern_compile(&kept, str_from(text), NULL), .next = *bucket};
		*bucket = entry;
	}
	pthread_mutex_unlock(&lock);
	return entry->pattern;
}
