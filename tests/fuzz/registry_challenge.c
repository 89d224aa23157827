/* What another registry says about how to be asked: a header of its choice. */
#include "engine/fetch/registry.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = {0};
	struct registry_challenge c;
	if (registry_challenge_read(&a, str_of(data, n), &c) && (!str_set(c.realm) || !str_starts(c.realm, S("http"))))
		abort();
	arena_done(&a);
	return 0;
}
