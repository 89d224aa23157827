/* Any text is refused with a sentence or is a manifest whose descriptors all have a digest that names a file, whatever media type a
 * client says it has; what can be said in the other format means the same there; and the name of any image is refused or split into
 * parts that a registry takes. */
#include "aws/ecr/ecr.h"
#include "aws/ecr/manifest.h"

#include <assert.h>
#include <stdint.h>

static void check_descriptor(const struct ecr_descriptor *d)
{
	assert(ecr_digest_good(d->digest));
	assert(d->size >= 0);
}

static void check_translated(struct arena *a, struct str text, const struct ecr_manifest *m)
{
	struct str translated = ecr_manifest_translate(a, text, m->media_type), why = STR_NONE;
	struct ecr_manifest other = {0};
	if (!str_set(translated))
		return;
	assert(ecr_manifest_read(a, translated, ecr_manifest_other_type(m->media_type), &other, &why));
	assert(other.image && other.count == m->count && str_eq(other.config.digest, m->config.digest));
	for (unsigned k = 0; k < m->count; k++)
		assert(str_eq(other.parts[k].digest, m->parts[k].digest));
}

static void check_reference(struct str image)
{
	struct ecr_reference r;
	if (!ecr_reference_read(image, &r))
		return;
	assert(ecr_name_good(r.repository));
	assert(!str_set(r.tag) || ecr_tag_good(r.tag));
	assert(!str_set(r.digest) || ecr_digest_good(r.digest));
	assert(!str_set(r.account) || r.account.n == 12);
	assert(str_set(r.account) == str_set(r.region));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct str types[] = {{0},
	                                   S_INIT(MANIFEST_DOCKER),
	                                   S_INIT(MANIFEST_DOCKER_LIST),
	                                   S_INIT(MANIFEST_OCI),
	                                   S_INIT(MANIFEST_OCI_INDEX),
	                                   S_INIT("application/json")};
	struct str text = str_of(data, size);
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct ecr_manifest m = {0};
		struct str why = STR_NONE;
		if (!ecr_manifest_read(&a, text, types[i], &m, &why)) {
			assert(why.n > 0);
			continue;
		}
		assert(m.count <= MANIFEST_LAYERS_MAX && str_set(m.media_type));
		assert(!m.index || !m.image);
		if (!m.index)
			check_descriptor(&m.config);
		for (unsigned k = 0; k < m.count; k++)
			check_descriptor(&m.parts[k]);
		assert(!str_set(m.subject) || ecr_digest_good(m.subject));
		check_translated(&a, text, &m);
	}
	check_reference(text);
	return 0;
}
