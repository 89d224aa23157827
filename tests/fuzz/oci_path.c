/* Names of entries and targets of links in a layer: whatever passes stays in the layer. */
#include "engine/oci/layer_path.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void stays(const char *path)
{
	assert(*path && *path != '/' && strlen(path) < LAYER_PATH_MAX);
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		assert(n > 0 && n < 256 && !(n == 2 && p[0] == '.' && p[1] == '.'));
		assert(!(n == 1 && p[0] == '.') || strcmp(path, ".") == 0);
		if (!p[n])
			return;
		p += n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A name, a NUL, a target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 2), path[LAYER_PATH_MAX], again[LAYER_PATH_MAX];
	enum layer_kind kind, other;
	if (size)
		memcpy(text, data, size);
	text[size] = text[size + 1] = 0;
	if (layer_path(text, path, &kind) == 0) {
		stays(path);
		/* what it returned is a name that it would return for itself, unless that is a whiteout's */
		if (kind == LAYER_PLAIN) {
			assert(layer_path(path, again, &other) == 0 && other == LAYER_PLAIN);
			assert(strcmp(path, again) == 0);
		}
		const char *target = text + strlen(text) + 1;
		if ((size_t)(target - text) <= size + 1 && *target && layer_symlink(path, target) == 0 && *target != '/') {
			/* followed from where it lies, it never climbs over the root */
			long depth = 0;
			for (const char *p = path; (p = strchr(p, '/')); p++)
				depth++;
			for (const char *p = target; *p; p += strspn(p, "/")) {
				size_t n = strcspn(p, "/");
				depth += n == 2 && p[0] == '.' && p[1] == '.' ? -1 : n == 1 && p[0] == '.' ? 0 : 1;
				assert(depth >= 0);
				p += n;
			}
		}
	}
	free(text);
	return 0;
}
