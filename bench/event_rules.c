/* How many events a second are held against 1,000 rules: each is parsed and matched, as PutEvents does it. The rules are an
 * ordinary mix; each event is what a few of them want. With "all" every pattern is asked about every event instead, which is what
 * an index saves. usage: event_rules [all]; prints rates a second: events, and rules that were held against one. */
#include "base/clock.h"
#include "engine/events/pattern.h"

#include <stdio.h>
#include <string.h>

enum { RULES = 1000, EVENTS = 200, RUN_US = 1000000 };

static const char *const patterns[] = {
        "{\"source\":[\"shop.%d\"],\"detail-type\":[\"Order Placed\"]}",
        "{\"source\":[\"shop\"],\"detail\":{\"customer\":[\"c%d\"],\"total\":[{\"numeric\":[\">\",100]}]}}",
        "{\"source\":[\"aws.ec2\"],\"detail\":{\"instance-id\":[\"i-%d\"],\"state\":[\"running\",\"stopped\"]}}",
        "{\"source\":[\"aws.s3\"],\"detail\":{\"bucket\":{\"name\":[\"b%d\"]},\"object\":{\"key\":[{\"prefix\":\"in/\"}]}}}",
        "{\"detail\":{\"order\":[{\"prefix\":\"o-%d-\"}],\"total\":[{\"anything-but\":[0]}]}}",
};

static void count(void *ctx, void *owner)
{
	(void)owner;
	++*(long *)ctx;
}

static struct str event(struct arena *a, int n)
{
	return arena_printf(
	        a,
	        "{\"version\":\"0\",\"id\":\"%d\",\"detail-type\":\"Order Placed\",\"source\":\"%s\",\"account\":\"000000000000\","
	        "\"time\":\"2026-01-01T00:00:00Z\",\"region\":\"us-east-1\",\"resources\":[\"arn:aws:shop:order/%d\"],"
	        "\"detail\":{\"customer\":\"c%d\",\"order\":\"o-%d-7\",\"total\":%d,\"lines\":[{\"item\":\"a\",\"count\":2},"
	        "{\"item\":\"b\",\"count\":1}],\"paid\":true,\"address\":{\"city\":\"Bonn\",\"zip\":\"53111\"}}}",
	        n, n % 2 ? "shop" : "shop.17", n, n * 5 + 1, n * 5 + 4, n + 50);
}

int main(int argc, char **argv)
{
	CLEAN_ARENA struct arena a = {0};
	static struct pattern_entry entries[RULES];
	struct pattern_index index = {0};
	struct str events[EVENTS], why = STR_NONE;
	bool all = argc > 1 && !strcmp(argv[1], "all");
	long held = 0, found = 0;
	for (int i = 0; i < RULES; i++) {
		char text[400];
		const char *form = patterns[i % 5], *mark = strstr(form, "%d");
		snprintf(text, sizeof(text), "%.*s%d%s", (int)(mark - form), form, i, mark + 2);
		entries[i].pattern = event_pattern_compile(&a, str_from(text), &why);
		if (!entries[i].pattern)
			return fprintf(stderr, "%.*s\n", STR_ARG(why)), 1;
		pattern_index_add(&index, &entries[i]);
	}
	for (int i = 0; i < EVENTS; i++)
		events[i] = event(&a, i);
	CLEAN_ARENA struct arena scratch = {0};
	int64_t begun = clock_mono_us(), took;
	do {
		for (int i = 0; i < EVENTS; i++, held++) {
			arena_reset(&scratch);
			const struct json_value *e = json_parse(&scratch, events[i], NULL);
			if (!all)
				pattern_index_match(&index, e, count, &found);
			for (int k = 0; all && k < RULES; k++)
				found += event_pattern_match(entries[k].pattern, e);
		}
		took = clock_mono_us() - begun;
	} while (took < RUN_US);
	printf("%.0f events/s %.0f rules/s %ld found\n", held * 1e6 / (double)took, held * 1e6 / (double)took * RULES, found);
	pattern_index_done(&index);
	return 0;
}
