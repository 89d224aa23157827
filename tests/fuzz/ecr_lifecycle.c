/* Any text is refused with a sentence or is a policy. Applied to images, it expires no image that no rule means, none twice and
 * none by a rule that it does not have, and a second application says the same as the first. */
#include "aws/ecr/lifecycle.h"

#include <assert.h>
#include <stdint.h>

enum { IMAGES = 12 };
#define DAY_MS INT64_C(86400000)

static void fill(struct lifecycle_image *images)
{
	static struct str tags[] = {S_INIT("latest"), S_INIT("prod-1"), S_INIT("prod-2"),
	                            S_INIT("a"),      S_INIT("v1.0"),   S_INIT("v2.0")};
	static struct str digests[IMAGES];
	for (int i = 0; i < IMAGES; i++) {
		digests[i] = str_of(&"0123456789ab"[i], 1);
		images[i] =
		        (struct lifecycle_image){.digest = digests[i], .pushed_ms = (i * 7 % IMAGES) * 10 * DAY_MS, .held = i == 5};
		images[i].tags =
		        i % 3 ? (struct str_list){.v = &tags[i % 6], .n = 1 + (i % 6 < 5 && i % 4 == 0)} : (struct str_list){0};
	}
}

static bool has_rule(const struct lifecycle_rules *rules, int64_t priority)
{
	for (unsigned i = 0; i < rules->n; i++)
		if (rules->v[i].priority == priority)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct lifecycle_rules rules = {0};
	struct lifecycle_image images[IMAGES], again[IMAGES];
	struct str why = STR_NONE;
	if (!ecr_lifecycle_read(&a, str_of(data, size), &rules, &why)) {
		assert(why.n > 0);
		return 0;
	}
	for (unsigned i = 1; i < rules.n; i++)
		assert(rules.v[i - 1].priority < rules.v[i].priority);
	fill(images);
	fill(again);
	ecr_lifecycle_apply(&rules, images, IMAGES, 200 * DAY_MS);
	ecr_lifecycle_apply(&rules, again, IMAGES, 200 * DAY_MS);
	for (int i = 0; i < IMAGES; i++) {
		assert(images[i].priority == 0 || has_rule(&rules, images[i].priority));
		assert(!images[i].held || images[i].priority == 0);
		assert(i == 0 || images[i - 1].pushed_ms >= images[i].pushed_ms);
		assert(images[i].priority == again[i].priority && str_eq(images[i].digest, again[i].digest));
	}
	return 0;
}
