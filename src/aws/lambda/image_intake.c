/* What CreateFunction and UpdateFunctionCode make of an image's name: its digest, and what its manifest and configuration say. The
 * files stay pinned in the registry until the layers are unpacked, because function_image holds them from here on. */
#include "aws/lambda/image.h"

#include "aws/ecr/ecr.h"
#include "base/json.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { CONFIG_BYTES = 1 << 20, ENVIRONMENT_BYTES = 32 << 10, ARGUMENT_BYTES = 16 << 10, ARGUMENTS_MAX = 200, VARIABLES_MAX = 400 };
#define IMAGE_BYTES (INT64_C(10) << 30)

struct image_job {
	struct lambda *lambda;
	struct call *call; /* NULL: the client has left */
	struct ecr_reference ref;
	struct str uri;
	bool as_lambda; /* the caller may not read it: perhaps we may */
	struct arena arena;
};

static void job_free(struct image_job *job)
{
	arena_done(&job->arena);
	free(job);
}

static void refuse(struct image_intake *i, struct arena *a, const char *code, const char *what, struct str uri, const char *rest)
{
	i->error_code = code;
	i->error_text = ARENA_CAT(a, str_from(what), uri, str_from(rest));
}

static void refuse_content(struct image_intake *i, struct arena *a, struct str uri)
{
	refuse(i, a, "InvalidParameterValueException", "The image manifest, config or layer media type for the source image ", uri,
	       " is not supported.");
}

/* --- the image's configuration */

static bool read_file(struct arena *a, const struct ecr_file *f, struct str *ret)
{
	if (f->size > CONFIG_BYTES)
		return false;
	int fd = open(f->path.p, O_RDONLY | O_CLOEXEC);
	char *bytes = arena_alloc(a, f->size + 1);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, f->size);
	if (fd >= 0)
		close(fd);
	*ret = str_of(bytes, f->size);
	return n >= 0 && (uint64_t)n == f->size;
}

static bool take_texts(struct arena *a, const struct json_value *list, uint32_t max, size_t max_bytes, struct str_list *ret)
{
	size_t bytes = 0;
	if (list && list->kind == JSON_NULL)
		return true;
	if (list && list->kind != JSON_ARRAY)
		return false;
	json_each(list, v)
	{
		if (v->kind != JSON_STRING || ret->n == max || memchr(v->text.p, 0, v->text.n))
			return false;
		bytes += v->text.n + 1;
		*LIST_ADD(a, ret) = arena_dup(a, v->text);
	}
	return bytes <= max_bytes;
}

static struct str hex_of(struct str digest)
{
	return str_starts(digest, S("sha256:")) ? str_from_at(digest, 7) : STR_NONE;
}

static bool take_layers(struct arena *a, const struct ecr_pulled *p, const struct json_value *config,
                        struct state_lambda_image_record *r)
{
	const struct json_value *ids = json_get(json_get(config, S("rootfs")), S("diff_ids"));
	uint64_t sum = 0;
	json_each(ids, id)
	{
		uint32_t k = r->layers.n;
		if (k == p->layer_count || id->kind != JSON_STRING || hex_of(id->text).n != 64 ||
		    hex_of(p->layers[k].digest).n != 64)
			return false;
		*LIST_ADD(a, &r->layers) =
		        (struct state_lambda_image_layer_record){.digest = arena_dup(a, hex_of(p->layers[k].digest)),
		                                                 .diff_id = arena_dup(a, hex_of(id->text)),
		                                                 .bytes = OPT_INT((int64_t)p->layers[k].size)};
		sum += p->layers[k].size;
	}
	return r->layers.n > 0 && r->layers.n == p->layer_count && sum <= (uint64_t)IMAGE_BYTES;
}

/* False: it is no image that can run here. */
static bool take_config(struct arena *a, const struct ecr_pulled *p, struct image_intake *i)
{
	struct str text;
	if (!read_file(a, &p->config, &text))
		return false;
	const struct json_value *config = json_parse(a, text, NULL), *run = json_get(config, S("config"));
	struct str directory = json_get_str(run, S("WorkingDir")), os = json_get_str(config, S("os"));
	struct state_lambda_image_record *r = i->record;
	if (!config || (str_set(os) && !str_is(os, "linux")))
		return false;
	i->architecture = json_get_str(config, S("architecture"));
	if (str_set(directory) && directory.n && directory.p[0] == '/' && !memchr(directory.p, 0, directory.n))
		r->working_directory = arena_dup(a, directory);
	return take_layers(a, p, config, r) &&
	       take_texts(a, json_get(run, S("Entrypoint")), ARGUMENTS_MAX, ARGUMENT_BYTES, &r->entry_point) &&
	       take_texts(a, json_get(run, S("Cmd")), ARGUMENTS_MAX, ARGUMENT_BYTES, &r->command) &&
	       take_texts(a, json_get(run, S("Env")), VARIABLES_MAX, ENVIRONMENT_BYTES, &r->environment);
}

/* --- looking up */

static void look_up(struct image_job *job);

static void read_image(struct image_job *job, struct ecr_pulled *p)
{
	struct call *c = job->call;
	struct image_intake *i = &lambda_work(c)->image;
	i->record = arena_new(c->arena, struct state_lambda_image_record);
	i->record->uri = arena_dup(c->arena, job->uri);
	i->record->resolved_uri = arena_printf(c->arena, "%.*s.dkr.ecr.%.*s.amazonaws.com/%.*s@%.*s", STR_ARG(p->account),
	                                       STR_ARG(p->region), STR_ARG(p->repository), STR_ARG(p->digest));
	/* Lambda takes one image, not an index of several, even where one of them would fit. */
	if (!str_eq(p->digest, p->manifest_digest) || hex_of(p->digest).n != 64 || !take_config(c->arena, p, i)) {
		refuse_content(i, c->arena, job->uri);
		ecr_pulled_free(p);
		return;
	}
	i->code = arena_dup(c->arena, hex_of(p->digest));
	i->held = image_take(job->lambda, i->code, i->record, p);
}

static void looked_up(void *ctx, struct ecr_pulled *p, struct str code, struct str message)
{
	struct image_job *job = ctx;
	struct call *c = job->call;
	if (!c) {
		ecr_pulled_free(p);
		job_free(job);
		return;
	}
	bool denied = !p && str_is(code, "AccessDeniedException");
	if (denied && !job->as_lambda) {
		job->as_lambda = true;
		look_up(job);
		return;
	}
	struct lambda_work *w = lambda_work(c);
	struct image_intake *i = &w->image;
	if (p)
		read_image(job, p);
	else if (denied)
		refuse(i, c->arena, "AccessDeniedException", "Lambda does not have permission to access the ECR image.", S(""),
		       " Check the ECR permissions.");
	else if (str_is(code, "RepositoryNotFoundException") || str_is(code, "ImageNotFoundException"))
		refuse(i, c->arena, "InvalidParameterValueException", "Source image ", job->uri,
		       " does not exist. Provide a valid source image.");
	else if (str_is(code, "UnsupportedImageTypeException") || str_is(code, "LayersNotFoundException"))
		refuse_content(i, c->arena, job->uri);
	else
		refuse(i, c->arena, "ServiceException", "", message, "");
	w->image_job = NULL;
	w->image_taken = true;
	job_free(job);
	call_resume(c);
}

static void look_up(struct image_job *job)
{
	ecr_pull(job->lambda->cloud, job->as_lambda ? job->lambda->self : job->call->caller, &job->ref, STR_NONE, looked_up, job);
}

static void intake_gone(struct call *c)
{
	struct image_job *job = lambda_work(c)->image_job;
	if (job)
		job->call = NULL;
}

static void intake_free(struct call *c)
{
	image_unref(lambda_work(c)->image.held);
}

int image_take_in(struct call *c, struct str uri, call_resume_fn *again)
{
	struct ecr_reference ref;
	bool good = ecr_reference_read(uri, &ref) && (str_set(ref.tag) != str_set(ref.digest)) &&
	            (!str_set(ref.region) || str_eq(ref.region, c->region));
	if (!good)
		return lambda_invalid(c, "Source image %.*s is not valid. Provide a valid source image.", STR_ARG(uri));
	struct image_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	arena_init(&job->arena, 0);
	job->lambda = lambda_of(c->cloud);
	job->call = c;
	job->uri = arena_dup(&job->arena, uri);
	ecr_reference_read(job->uri, &job->ref);
	job->ref.account = arena_dup(&job->arena, str_set(ref.account) ? ref.account : c->account);
	job->ref.region = arena_dup(&job->arena, c->region);
	lambda_work(c)->image_job = job;
	call_on_free(c, intake_free);
	look_up(job);
	return call_wait(c, again, intake_gone);
}

int image_intake_check(struct call *c, struct str architecture)
{
	const struct image_intake *i = &lambda_work(c)->image;
	if (i->error_code)
		return call_fail(c, i->error_code, str_is(str_from(i->error_code), "AccessDeniedException") ? 403 : 0, "%.*s",
		                 STR_ARG(i->error_text));
	bool fits = str_is(architecture, "arm64") ? str_is(i->architecture, "arm64") : str_is(i->architecture, "amd64");
	if (!str_set(i->architecture) || !fits)
		return lambda_invalid(c, "The architecture of the source image %.*s, %.*s, is not the function's, %.*s.",
		                      STR_ARG(i->record->uri), STR_ARG(str_set(i->architecture) ? i->architecture : S("unknown")),
		                      STR_ARG(architecture));
	return CALL_OK;
}

static bool fits_in(const struct str_list *list)
{
	size_t bytes = 0;
	for (uint32_t k = 0; k < list->n; k++) {
		if (memchr(list->v[k].p, 0, list->v[k].n))
			return false;
		bytes += list->v[k].n + 1;
	}
	return bytes <= ARGUMENT_BYTES && list->n <= ARGUMENTS_MAX;
}

int image_check_config(struct call *c, const struct lambda_image_config *config)
{
	if (!fits_in(&config->entry_point) || !fits_in(&config->command))
		return lambda_invalid(c, "ImageConfig is too large: EntryPoint and Command may each have %d entries and %d bytes.",
		                      ARGUMENTS_MAX, ARGUMENT_BYTES);
	if (str_set(config->working_directory) && config->working_directory.n && config->working_directory.p[0] != '/')
		return lambda_invalid(c, "ImageConfig.WorkingDirectory must be an absolute path.");
	return CALL_OK;
}
