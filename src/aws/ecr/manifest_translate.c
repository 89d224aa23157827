/* Image manifests in the other of the two formats that clients know: they differ in the names of media types alone. */
#include "aws/ecr/manifest.h"

#include "base/json.h"

static const struct {
	const char *docker, *oci;
} pairs[] = {
        {MANIFEST_DOCKER, MANIFEST_OCI},
        {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"},
        {"application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.oci.image.layer.v1.tar+gzip"},
        {"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
         "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
};

static struct str other_name(struct str type)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (str_is(type, pairs[i].docker))
			return str_from(pairs[i].oci);
		if (str_is(type, pairs[i].oci))
			return str_from(pairs[i].docker);
	}
	return STR_NONE;
}

struct str ecr_manifest_other_type(struct str media_type)
{
	bool image = str_is(media_type, MANIFEST_DOCKER) || str_is(media_type, MANIFEST_OCI);
	return image ? other_name(media_type) : STR_NONE;
}

/* The tree is our own: its texts may be changed. */
static bool rename_type(const struct json_value *descriptor)
{
	struct json_value *type = (struct json_value *)(uintptr_t)json_get(descriptor, S("mediaType"));
	struct str other = json_is(type, JSON_STRING) ? other_name(type->text) : STR_NONE;
	if (str_set(other))
		type->text = other;
	return str_set(other);
}

struct str ecr_manifest_translate(struct arena *a, struct str text, struct str media_type)
{
	struct json_value *v = json_parse(a, text, NULL);
	struct str other = ecr_manifest_other_type(media_type);
	if (!json_is(v, JSON_OBJECT) || !str_set(other) || json_get(v, S("subject")) || json_get(v, S("artifactType")) ||
	    !rename_type(json_get(v, S("config"))))
		return STR_NONE;
	json_each(json_get(v, S("layers")), layer) if (!rename_type(layer)) return STR_NONE;
	if (!json_get(v, S("mediaType"))) {
		struct json_value *type = arena_new(a, struct json_value);
		*type = (struct json_value){.kind = JSON_STRING, .key = S("mediaType"), .next = v->first};
		v->first = type;
		v->count++;
	}
	((struct json_value *)(uintptr_t)json_get(v, S("mediaType")))->text = other;
	struct buf CLEAN_BUF b;
	buf_init(&b, 2 * MANIFEST_BYTES_MAX);
	json_put_value(&b, v);
	return b.overflow ? STR_NONE : arena_dup(a, buf_str(&b));
}
