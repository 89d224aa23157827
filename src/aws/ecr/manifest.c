#include "aws/ecr/manifest.h"

#include "base/hash.h"
#include "base/json.h"

bool ecr_digest_good(struct str digest)
{
	if (digest.n != DIGEST_BYTES || !str_starts(digest, S("sha256:")))
		return false;
	for (size_t i = 7; i < digest.n; i++)
		if (!ascii_is_digit(digest.p[i]) && (digest.p[i] < 'a' || digest.p[i] > 'f'))
			return false;
	return true;
}

struct str ecr_digest(struct arena *a, struct str bytes)
{
	return ARENA_CAT(a, S("sha256:"), hash_hex(a, HASH_SHA256, bytes));
}

bool ecr_tag_good(struct str tag)
{
	for (size_t i = 0; i < tag.n; i++)
		if (!ascii_is_alnum(tag.p[i]) && tag.p[i] != '_' && (i == 0 || (tag.p[i] != '.' && tag.p[i] != '-')))
			return false;
	return tag.n > 0 && tag.n <= 128;
}

static bool is_small(char c)
{
	return ascii_is_digit(c) || (c >= 'a' && c <= 'z');
}

/* Parts of small letters and digits with single separators between, "__" and runs of "-" among them; slashes between parts. */
bool ecr_name_good(struct str name)
{
	if (name.n < 2 || name.n > 256)
		return false;
	for (size_t i = 0; i < name.n;) {
		if (!is_small(name.p[i]))
			return false;
		while (i < name.n && is_small(name.p[i]))
			i++;
		if (i == name.n)
			return true;
		char c = name.p[i];
		size_t run = 1;
		while (i + run < name.n && name.p[i + run] == c)
			run++;
		if ((c != '/' && c != '.' && c != '_' && c != '-') || run > (c == '-' ? name.n : c == '_' ? 2u : 1u))
			return false;
		i += run;
	}
	return false; /* ends with a separator */
}

static bool wrong(struct arena *a, struct str *ret_why, const char *what, struct str about)
{
	*ret_why = arena_printf(a, "%s%.*s", what, STR_ARG(about));
	return false;
}

static bool read_descriptor(struct arena *a, const struct json_value *v, struct ecr_descriptor *ret, struct str *ret_why)
{
	const struct json_value *size = json_get(v, S("size")), *platform = json_get(v, S("platform"));
	*ret = (struct ecr_descriptor){.digest = json_get_str(v, S("digest")), .media_type = json_get_str(v, S("mediaType"))};
	if (!json_is(v, JSON_OBJECT))
		return wrong(a, ret_why, "a descriptor is not an object", S(""));
	if (!ecr_digest_good(ret->digest))
		return wrong(a, ret_why, "a descriptor has no digest of the kind sha256: ", ret->digest);
	if (!json_is(size, JSON_NUMBER) || !json_to_int(size->text, &ret->size) || ret->size < 0)
		return wrong(a, ret_why, "a descriptor has no size: ", ret->digest);
	if (!str_set(ret->media_type) || !ret->media_type.n)
		return wrong(a, ret_why, "a descriptor has no mediaType: ", ret->digest);
	ret->elsewhere = str_is(ret->media_type, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") ||
	                 str_starts(ret->media_type, S("application/vnd.oci.image.layer.nondistributable."));
	ret->os = json_get_str(platform, S("os"));
	ret->architecture = json_get_str(platform, S("architecture"));
	ret->variant = json_get_str(platform, S("variant"));
	return true;
}

static bool read_parts(struct arena *a, const struct json_value *list, struct ecr_manifest *ret, struct str *ret_why)
{
	if (!json_is(list, JSON_ARRAY) || list->count > MANIFEST_LAYERS_MAX)
		return wrong(a, ret_why, ret->index ? "manifests" : "layers", S(" is not an array of a possible length"));
	ret->parts = arena_array(a, list->count + 1u, sizeof(*ret->parts));
	json_each(list, v) if (!read_descriptor(a, v, &ret->parts[ret->count++], ret_why)) return false;
	return true;
}

static bool read_annotations(struct arena *a, const struct json_value *v, struct ecr_manifest *ret, struct str *ret_why)
{
	if (v && !json_is(v, JSON_OBJECT))
		return wrong(a, ret_why, "annotations", S(" is not an object"));
	json_each(v, one)
	{
		if (!json_is(one, JSON_STRING))
			return wrong(a, ret_why, "an annotation is not a string: ", one->key);
		*LIST_ADD(a, &ret->annotations) = (struct str_map_entry){one->key, one->text};
	}
	return true;
}

static bool is_container_config(struct str media_type)
{
	return str_is(media_type, "application/vnd.oci.image.config.v1+json") ||
	       str_is(media_type, "application/vnd.docker.container.image.v1+json");
}

bool ecr_manifest_read(struct arena *a, struct str text, struct str media_type, struct ecr_manifest *ret, struct str *ret_why)
{
	struct str json_why = STR_NONE;
	const struct json_value *v = json_parse(a, text, &json_why), *version = json_get(v, S("schemaVersion"));
	struct str own = json_get_str(v, S("mediaType"));
	*ret = (struct ecr_manifest){0};
	if (!json_is(v, JSON_OBJECT))
		return wrong(a, ret_why, "the manifest is not a JSON object: ", json_why);
	if (!json_is(version, JSON_NUMBER) || !str_is(version->text, "2"))
		return wrong(a, ret_why, "schemaVersion", S(" is not 2"));
	if (str_set(media_type) && str_set(own) && !str_eq(own, media_type))
		return wrong(a, ret_why, "the manifest's mediaType is not the one that was given: ", own);
	ret->media_type = str_set(media_type) ? media_type : own;
	if (!str_set(ret->media_type))
		return wrong(a, ret_why, "the manifest has no mediaType", S(" and none was given with it"));
	ret->index = str_is(ret->media_type, MANIFEST_DOCKER_LIST) || str_is(ret->media_type, MANIFEST_OCI_INDEX);
	if (!ret->index && !str_is(ret->media_type, MANIFEST_DOCKER) && !str_is(ret->media_type, MANIFEST_OCI))
		return wrong(a, ret_why, "a manifest of this type is not kept here: ", ret->media_type);
	ret->artifact_type = json_get_str(v, S("artifactType"));
	if (!ret->artifact_type.n)
		ret->artifact_type = STR_NONE;
	const struct json_value *subject = json_get(v, S("subject"));
	struct ecr_descriptor about;
	if (subject && !json_is(subject, JSON_NULL)) {
		if (!read_descriptor(a, subject, &about, ret_why))
			return false;
		ret->subject = about.digest;
	}
	if (!read_annotations(a, json_get(v, S("annotations")), ret, ret_why))
		return false;
	if (ret->index)
		return read_parts(a, json_get(v, S("manifests")), ret, ret_why);
	if (!read_descriptor(a, json_get(v, S("config")), &ret->config, ret_why) ||
	    !read_parts(a, json_get(v, S("layers")), ret, ret_why))
		return false;
	ret->image = is_container_config(ret->config.media_type) && !str_set(ret->artifact_type);
	if (!str_set(ret->artifact_type) && !ret->image)
		ret->artifact_type = ret->config.media_type;
	return true;
}
