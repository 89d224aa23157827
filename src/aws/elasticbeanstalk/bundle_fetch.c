/* Fetches source bundles from S3 through the gate, and has threads read them: they may be large, and nothing but a zip file's
 * directory and a few small files of it are looked at. */
#include "bundle.h"
#include "environment.h"

#include "core/cloud.h"
#include "gen/s3.h"
#include "io/work.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct fetched {
	struct fetched *next;
	struct str application, label;
	struct bundle bundle;
	char code[64]; /* why it cannot be had */
	bool saved;    /* a saved configuration, by its name */
};

/* All that one operation has fetched, and what it is fetching. */
struct fetching {
	struct call_errand errand;
	struct cloud *cloud;
	struct arena arena;
	struct fetched *done, *now;
	int fd; /* of the bundle that is read; -1: it is in memory */
	uint64_t offset;
	struct str bytes;
	size_t length;
};

static void drop(struct call_errand *e)
{
	struct fetching *f = (struct fetching *)e;
	arena_done(&f->arena);
	free(f);
}

static void read_it(void *ctx)
{
	struct fetching *f = ctx;
	size_t lead = (size_t)f->offset % (size_t)sysconf(_SC_PAGESIZE);
	void *map = MAP_FAILED;
	if (f->fd >= 0 && f->length) {
		map = mmap(NULL, f->length + lead, PROT_READ, MAP_PRIVATE, f->fd, (off_t)(f->offset - lead));
		if (map == MAP_FAILED) {
			snprintf(f->now->code, sizeof(f->now->code), "InternalError");
			return;
		}
		f->bytes = str_of((char *)map + lead, f->length);
	}
	if (f->now->saved)
		bundle_take_manifest(&f->arena, &f->now->bundle, f->bytes, f->now->label);
	else
		bundle_read(&f->arena, f->bytes, f->now->label, &f->now->bundle);
	if (map != MAP_FAILED)
		munmap(map, f->length + lead);
}

static void over(struct fetching *f)
{
	f->now->next = f->done;
	f->done = f->now;
	f->now = NULL;
	call_over(&f->errand);
}

static void have_read(void *ctx)
{
	struct fetching *f = ctx;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	over(f);
}

static void answered(void *ctx, struct call *sub)
{
	struct fetching *f = ctx;
	snprintf(f->now->code, sizeof(f->now->code), "%.*s", STR_ARG(sub->error.code));
	f->fd = -1;
	f->bytes = S("");
	if (!f->now->code[0] && sub->reply.kind == REPLY_MEMORY)
		f->bytes = arena_dup(&f->arena, sub->reply.memory);
	else if (!f->now->code[0] && sub->reply.kind == REPLY_FILE)
		f->fd = fcntl(sub->reply.fd, F_DUPFD_CLOEXEC, 0);
	else if (!f->now->code[0])
		snprintf(f->now->code, sizeof(f->now->code), "InternalError");
	f->offset = sub->reply.offset;
	f->length = (size_t)sub->reply.length;
	if (f->now->code[0])
		over(f);
	else
		work_add(f->cloud->work, read_it, have_read, f);
}

static struct fetched *find(const struct fetching *f, struct str application, struct str label, bool saved)
{
	for (struct fetched *one = f->done; one; one = one->next)
		if (str_eq(one->application, application) && str_eq(one->label, label) && one->saved == saved)
			return one;
	return NULL;
}

static struct fetching *fetching_of(struct call *c)
{
	struct fetching *f = c->state;
	if (f)
		return f;
	f = calloc(1, sizeof(*f));
	if (!f)
		abort();
	f->errand.drop = drop;
	f->cloud = c->cloud;
	return f;
}

static int fetch(struct call *c, struct fetching *f, struct str application, struct str label, bool saved,
                 const struct elasticbeanstalk_s3_location *place)
{
	const struct s3_get_object_request in = {.bucket = place->s3_bucket, .key = place->s3_key};
	f->now = arena_new(&f->arena, struct fetched);
	f->now->application = arena_dup(&f->arena, application);
	f->now->label = arena_dup(&f->arena, label);
	f->now->saved = saved;
	call_op(c->cloud, c->caller, c->region, &s3_api, "GetObject", &in, answered, f);
	return call_wait_for(c, &f->errand);
}

int bundle_saved(struct call *c, struct str application, struct str name, const struct elasticbeanstalk_s3_location *place,
                 const struct bundle **ret)
{
	struct fetching *f = fetching_of(c);
	const struct fetched *had = find(f, application, name, true);
	if (!had)
		return fetch(c, f, application, name, true, place);
	*ret = had->code[0] ? NULL : &had->bundle;
	return CALL_OK;
}

int bundle_missing(struct call *c, const struct elasticbeanstalk_s3_location *b, const char *code)
{
	bool denied = strcmp(code, "AccessDenied") == 0 || strcmp(code, "Forbidden") == 0;
	if (strcmp(code, "AuthorizationHeaderMalformed") == 0 || strcmp(code, "PermanentRedirect") == 0)
		return call_fail(c, "S3LocationNotInServiceRegionException", 400,
		                 "The specified S3 bucket is not in the service region: %.*s", STR_ARG(b->s3_bucket));
	return beanstalk_combination(c, "Unable to download from S3 location (Bucket: %.*s  Key: %.*s). Reason: %s",
	                             STR_ARG(b->s3_bucket), STR_ARG(b->s3_key), denied ? "Forbidden" : "Not Found");
}

int bundle_of(struct call *c, const struct elasticbeanstalk_application_version_description *v, const struct bundle **ret)
{
	struct fetching *f = fetching_of(c);
	const struct elasticbeanstalk_s3_location *b = v->source_bundle;
	const struct fetched *had = find(f, v->application_name, v->version_label, false);
	if (!had)
		return fetch(c, f, v->application_name, v->version_label, false, b);
	if (had->code[0])
		return bundle_missing(c, b, had->code);
	*ret = &had->bundle;
	return CALL_OK;
}

void bundle_options(struct arena *a, const struct bundle *b, struct elasticbeanstalk_configuration_option_settings_list *to)
{
	options_set(a, to, &b->options);
	options_set(a, to, &b->manifest_options);
}

bool bundle_faults(struct call *c, const struct bundle *b, struct str_list *ret)
{
	struct elasticbeanstalk_configuration_option_settings_list all = {0};
	if (str_set(b->wrong)) {
		*LIST_ADD(c->arena, ret) = b->wrong;
		return true;
	}
	bundle_options(c->arena, b, &all);
	for (uint32_t i = 0; i < all.n; i++) {
		struct str why = option_fault(c, &all.v[i]);
		if (!str_set(why))
			continue;
		if (!ret->n)
			*LIST_ADD(c->arena, ret) = S(
			        "\"option_settings\" in one of the configuration files failed validation. More details to follow.");
		*LIST_ADD(c->arena, ret) = why;
	}
	return ret->n > 0;
}
