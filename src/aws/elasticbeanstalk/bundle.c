/* Bytes that strangers send, so all that is taken of them is bounded: how many files, how long, how many options. */
#include "bundle.h"

#include "base/json.h"
#include "base/zip_read.h"

#include <stdlib.h>

#define EXTENSIONS ".ebextensions/"
#define MANIFEST "env.yaml"
#define PROPERTIES "aws:elasticbeanstalk:application:environment"
#define MANIFEST_VERSION "1.1.0.0"

static void wrong(struct bundle *b, struct str text)
{
	if (!str_set(b->wrong))
		b->wrong = text;
}

/* --- options */

static struct str as_text(struct arena *a, const struct yaml_value *v)
{
	struct str all = S("");
	if (v->kind == YAML_TEXT)
		return v->text;
	for (uint32_t i = 0; v->kind == YAML_LIST && i < v->n; i++)
		all = ARENA_CAT(a, all, i ? S(",") : S(""), v->items[i]->kind == YAML_TEXT ? v->items[i]->text : S(""));
	return all;
}

/* RESOURCE.NAMESPACE is an option of a resource. */
static bool add(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l, struct str space, struct str name,
                struct str resource, const struct yaml_value *value)
{
	uint32_t at = 0;
	ptrdiff_t dot = str_find(space, S(".aws:"));
	if (dot > 0) {
		resource = str_sub(space, 0, (size_t)dot);
		space = str_from_at(space, (size_t)dot + 1);
	}
	while (at < l->n && !(str_eq(l->v[at].namespace, space) && str_eq(l->v[at].option_name, name) &&
	                      str_eq(l->v[at].resource_name, resource)))
		at++;
	if (at >= BUNDLE_OPTIONS_MAX)
		return false;
	if (at == l->n)
		LIST_ADD(a, l);
	l->v[at] = (struct elasticbeanstalk_configuration_option_setting){
	        .resource_name = resource, .namespace = space, .option_name = name, .value = as_text(a, value)};
	l->set = true;
	return true;
}

/* By namespaces, or as a list of entries. NULL, or what is wrong with it. */
static const char *take_options(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l,
                                const struct yaml_value *said)
{
	if (said->kind == YAML_NULL)
		return NULL;
	if (said->kind == YAML_TEXT)
		return "are neither a map nor a list";
	for (uint32_t i = 0; i < said->n; i++) {
		const struct yaml_value *one = said->items[i], *value = yaml_get(one, "value");
		if (one->kind == YAML_NULL && said->kind == YAML_MAP)
			continue;
		if (one->kind != YAML_MAP)
			return said->kind == YAML_MAP ? "are no map of namespaces" : "have an entry that is no map";
		if (said->kind == YAML_LIST) {
			struct str space = yaml_get_text(one, "namespace"), name = yaml_get_text(one, "option_name");
			if (!str_set(name) || !value)
				return "have an entry without option_name and value";
			if (!add(a, l, str_set(space) ? space : S(PROPERTIES), name, yaml_get_text(one, "resource_name"), value))
				return "are too many";
			continue;
		}
		for (uint32_t k = 0; k < one->n; k++)
			if (!add(a, l, said->keys[i], one->keys[k], STR_NONE, one->items[k]))
				return "are too many";
	}
	return NULL;
}

/* --- .ebextensions */

static const struct yaml_value *of_json(struct arena *a, const struct json_value *j)
{
	struct yaml_value *v = arena_new(a, struct yaml_value);
	bool list = j->kind == JSON_ARRAY || j->kind == JSON_OBJECT;
	v->kind = j->kind == JSON_ARRAY    ? YAML_LIST
	          : j->kind == JSON_OBJECT ? YAML_MAP
	          : j->kind == JSON_NULL   ? YAML_NULL
	                                   : YAML_TEXT;
	v->text = j->kind == JSON_TRUE ? S("true") : j->kind == JSON_FALSE ? S("false") : j->text;
	if (!list)
		return v;
	v->items = arena_array(a, j->count, sizeof(struct yaml_value *));
	v->keys = arena_array(a, j->count, sizeof(struct str));
	json_each(j, one)
	{
		v->keys[v->n] = one->key;
		v->items[v->n++] = (struct yaml_value *)(uintptr_t)of_json(a, one);
	}
	return v;
}

/* As either of both. NULL: the error is written down. */
static const struct yaml_value *parse(struct arena *a, struct bundle *b, struct str path, struct str text, struct str label)
{
	struct str no_yaml = STR_NONE, no_json = STR_NONE;
	const struct yaml_value *v = yaml_parse(a, text, &no_yaml);
	const struct json_value *j = v ? NULL : json_parse(a, text, &no_json);
	if (j)
		v = of_json(a, j);
	if (!v)
		wrong(b, arena_printf(a,
		                      "The configuration file %.*s in application version %.*s contains invalid YAML or JSON. YAML "
		                      "exception: Invalid Yaml: %.*s, JSON exception: Invalid JSON: %.*s. Update the configuration "
		                      "file.",
		                      STR_ARG(path), STR_ARG(label), STR_ARG(no_yaml), STR_ARG(no_json)));
	return v;
}

static void skip(struct arena *a, struct bundle *b, struct str name, struct str why)
{
	*LIST_ADD(a, &b->skipped) = ARENA_CAT(a, S("Error processing file (Skipping): '" EXTENSIONS), name, S("' - "), why);
}

static bool is_key(struct str key)
{
	static const char *const all[] = {"packages",        "groups",   "users",    "sources",
	                                  "files",           "commands", "services", "container_commands",
	                                  "option_settings", "Resources"};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_is(key, all[i]))
			return true;
	return false;
}

void bundle_take(struct arena *a, struct bundle *b, struct str name, struct str text, struct str label)
{
	struct str path = ARENA_CAT(a, S(EXTENSIONS), name);
	const struct yaml_value *said = parse(a, b, path, text, label), *resources = yaml_get(said, "Resources");
	if (!said || said->kind == YAML_NULL)
		return;
	if (said->kind != YAML_MAP) {
		skip(a, b, name, S("it is no map"));
		return;
	}
	for (uint32_t i = 0; i < said->n; i++)
		if (!is_key(said->keys[i])) {
			skip(a, b, name, arena_printf(a, "Contains invalid key: '%.*s'.", STR_ARG(said->keys[i])));
			return;
		}
	if (resources && (resources->kind == YAML_TEXT || resources->n))
		wrong(b, ARENA_CAT(a, path, S(" declares Resources: templates of CloudFormation are not supported")));
	const struct yaml_value *options = yaml_get(said, "option_settings");
	const char *why = options ? take_options(a, &b->options, options) : NULL;
	if (why)
		wrong(b, ARENA_CAT(a, S("option_settings of "), path, S(" "), str_from(why)));
}

/* --- env.yaml */

static const char *take_tier(struct manifest *m, const struct yaml_value *tier)
{
	m->tier_name = yaml_get_text(tier, "Name");
	m->tier_type = yaml_get_text(tier, "Type");
	return tier && (tier->kind != YAML_MAP || !str_set(m->tier_name)) ? "EnvironmentTier has no Name" : NULL;
}

static const char *take_tags(struct arena *a, struct manifest *m, const struct yaml_value *tags)
{
	if (tags && tags->kind != YAML_MAP && tags->kind != YAML_NULL)
		return "Tags is no map";
	if (yaml_is(tags, YAML_MAP) && tags->n > TAGS_MAX)
		return "Tags are too many";
	for (uint32_t i = 0; yaml_is(tags, YAML_MAP) && i < tags->n; i++)
		*LIST_ADD(a, &m->tags) = (struct elasticbeanstalk_tag){tags->keys[i], as_text(a, tags->items[i])};
	return NULL;
}

static const char *take_links(struct arena *a, struct manifest *m, const struct yaml_value *links)
{
	if (links && links->kind != YAML_MAP && links->kind != YAML_NULL)
		return "EnvironmentLinks is no map";
	if (yaml_is(links, YAML_MAP) && links->n > BUNDLE_LINKS_MAX)
		return "EnvironmentLinks are too many";
	for (uint32_t i = 0; yaml_is(links, YAML_MAP) && i < links->n; i++) {
		if (links->items[i]->kind != YAML_TEXT || !links->items[i]->text.n || !links->keys[i].n)
			return "EnvironmentLinks names no environment";
		*LIST_ADD(a, &m->links) = (struct elasticbeanstalk_environment_link){links->keys[i], links->items[i]->text};
	}
	return NULL;
}

static bool known_in_manifest(struct str key)
{
	static const char *const all[] = {"AWSConfigurationTemplateVersion",
	                                  "SolutionStack",
	                                  "Platform",
	                                  "OptionSettings",
	                                  "Tags",
	                                  "EnvironmentTier",
	                                  "EnvironmentName",
	                                  "CName",
	                                  "EnvironmentLinks",
	                                  "Description",
	                                  "DateCreated",
	                                  "DateModified",
	                                  "EnvironmentConfigurationMetadata"};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_is(key, all[i]))
			return true;
	return false;
}

void bundle_take_manifest(struct arena *a, struct bundle *b, struct str text, struct str label)
{
	struct manifest *m = &b->manifest;
	struct str why = STR_NONE;
	const struct yaml_value *said = yaml_parse(a, text, &why), *platform = yaml_get(said, "Platform"),
	                        *version = yaml_get(said, "AWSConfigurationTemplateVersion"),
	                        *options = yaml_get(said, "OptionSettings");
	const char *fault = !said ? NULL : said->kind != YAML_MAP ? "it is no map" : NULL;
	for (uint32_t i = 0; yaml_is(said, YAML_MAP) && !fault && i < said->n; i++)
		if (!known_in_manifest(said->keys[i]))
			fault = arena_printf(a, "Contains invalid key: '%.*s'", STR_ARG(said->keys[i])).p;
	if (said && !fault && !(yaml_is(version, YAML_TEXT) && str_is(version->text, MANIFEST_VERSION)))
		fault = "AWSConfigurationTemplateVersion is not " MANIFEST_VERSION;
	if (!fault && options)
		fault = options->kind == YAML_LIST ? "OptionSettings is no map" : take_options(a, &b->manifest_options, options);
	if (!fault)
		fault = take_tier(m, yaml_get(said, "EnvironmentTier"));
	if (!fault)
		fault = take_tags(a, m, yaml_get(said, "Tags"));
	if (!fault)
		fault = take_links(a, m, yaml_get(said, "EnvironmentLinks"));
	if (fault)
		why = str_from(fault);
	if (str_set(why)) {
		wrong(b, arena_printf(a, "The environment manifest " MANIFEST " in application version %.*s is invalid: %.*s.",
		                      STR_ARG(label), STR_ARG(why)));
		return;
	}
	m->there = true;
	m->name = yaml_get_text(said, "EnvironmentName");
	m->cname = yaml_get_text(said, "CName");
	m->stack = yaml_get_text(said, "SolutionStack");
	m->platform = yaml_get_text(platform, "PlatformArn");
}

/* --- the zip file */

struct found {
	struct str name; /* below .ebextensions/; absent: the manifest */
	struct zip_entry entry;
};

static int by_name(const void *one, const void *other)
{
	return str_cmp(((const struct found *)one)->name, ((const struct found *)other)->name);
}

/* False: it cannot be read, *ret says why. */
static bool content(struct arena *a, struct bundle *b, const struct zip_entry *e, struct str *ret)
{
	struct zip_content c;
	size_t n = 0;
	ptrdiff_t got = 1;
	*ret = S("it is too long");
	if (e->size_bytes > BUNDLE_FILE_BYTES_MAX || b->bytes + e->size_bytes > BUNDLE_BYTES_MAX)
		return false;
	b->bytes += e->size_bytes;
	char *text = arena_alloc(a, e->size_bytes + 1);
	bool open = zip_content_open(&c, e);
	while (open && got > 0) { /* never more than the entry claims */
		got = zip_content_read(&c, text + n, e->size_bytes + 1 - n);
		n += got > 0 ? (size_t)got : 0;
	}
	*ret = open && got == 0 ? str_of(text, n) : str_from(c.why ? c.why : "it is damaged");
	zip_content_close(&c);
	return open && got == 0;
}

static bool is_config(struct str name, struct str *ret)
{
	while (str_starts(name, S("./")))
		name = str_from_at(name, 2);
	if (!str_starts(name, S(EXTENSIONS)) || !str_ends(name, S(".config")))
		return false;
	*ret = str_from_at(name, strlen(EXTENSIONS));
	return str_find_char(*ret, '/') < 0;
}

void bundle_read(struct arena *a, struct str data, struct str label, struct bundle *ret)
{
	struct zip_reader z;
	struct zip_entry e;
	struct found *files = arena_array(a, BUNDLE_FILES_MAX, sizeof(*files)), manifest = {0};
	uint32_t n = 0;
	int more = 1;
	*ret = (struct bundle){0};
	ret->is_zip = zip_open(&z, data);
	while (ret->is_zip && (more = zip_next(&z, &e)) > 0) {
		struct str name;
		if (e.kind != ZIP_FILE)
			continue;
		if (str_is(e.name, MANIFEST)) {
			manifest = (struct found){.name = e.name, .entry = e};
		} else if (is_config(e.name, &name)) {
			if (n == BUNDLE_FILES_MAX) {
				wrong(ret, arena_printf(a, "There are more than %d files in " EXTENSIONS, BUNDLE_FILES_MAX));
				return;
			}
			files[n++] = (struct found){name, e};
		}
	}
	if (more < 0)
		wrong(ret, arena_printf(a, "The source bundle of application version %.*s is damaged: %s.", STR_ARG(label), z.why));
	qsort(files, n, sizeof(*files), by_name);
	for (uint32_t i = 0; i < n && !str_set(ret->wrong); i++) {
		struct str text;
		if (content(a, ret, &files[i].entry, &text))
			bundle_take(a, ret, files[i].name, text, label);
		else
			wrong(ret, arena_printf(a, "The file " EXTENSIONS "%.*s cannot be read: %.*s.", STR_ARG(files[i].name),
			                        STR_ARG(text)));
	}
	struct str text;
	if (str_set(manifest.name) && content(a, ret, &manifest.entry, &text))
		bundle_take_manifest(a, ret, text, label);
	else if (str_set(manifest.name))
		wrong(ret, arena_printf(a, "The file " MANIFEST " cannot be read: %.*s.", STR_ARG(text)));
}
