/* A package comes in three steps: a worker hashes it, the loop holds the blob of that name, a worker unpacks and stores it. Holding
 * before writing is what keeps a removal of the same content, going on for another function, from taking the files away in between.
 * Removals are renames on the loop's thread, so they happen wholly before or wholly after. */
#include "aws/lambda/code.h"

#include "aws/lambda/files.h"
#include "aws/lambda/zip.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/id.h"
#include "base/log.h"
#include "core/listen.h"
#include "gen/s3.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

struct code_store {
	struct lambda *lambda;
	struct map holds; /* blob name -> struct hold */
	struct store_watch *watch;
	char root[PATH_BYTES - 200];  /* DATA/lambda */
	char trees[PATH_BYTES - 200]; /* DATA/code */
	char boot[40];
};
struct hold {
	unsigned count;
};

static void path_of(const struct code_store *s, char out[static PATH_BYTES], const char *kind, struct str name)
{
	if (!strcmp(kind, "zip"))
		snprintf(out, PATH_BYTES, "%s/zip/%.*s.zip", s->root, STR_ARG(name));
	else
		snprintf(out, PATH_BYTES, "%s/%s/%s/%.*s", s->trees, s->boot, kind, STR_ARG(name));
}

static void path_temporary(const struct code_store *s, char out[static PATH_BYTES])
{
	char id[37];
	id_uuid_to(id);
	snprintf(out, PATH_BYTES, "%s/tmp/%s", s->root, id);
}

/* --- removal */

struct removal {
	char path[PATH_BYTES];
};
static void removal_run(void *job)
{
	files_remove_tree(((struct removal *)job)->path);
}

static void move_away(struct code_store *s, const char *path)
{
	struct removal *job = malloc(sizeof(*job));
	if (!job)
		abort();
	path_temporary(s, job->path);
	if (rename(path, job->path) < 0) {
		free(job);
		return;
	}
	work_add(s->lambda->cloud->work, removal_run, free, job);
}

static bool has_record(struct code_store *s, struct str code)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->lambda->cloud->store, &a);
	struct store_value value;
	bool found = store_get(t, lambda_code_key(&a, code), &value);
	store_abort(t);
	return found;
}

static void remove_unused(struct code_store *s, struct str code)
{
	if (map_get(&s->holds, code) || has_record(s, code))
		return;
	char path[PATH_BYTES];
	path_of(s, path, "zip", code);
	move_away(s, path);
	path_of(s, path, "task", code);
	move_away(s, path);
	/* Merged layers carry the beginnings of their blobs' names. */
	path_of(s, path, "opt", S("."));
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (str_find(str_from(e->d_name), str_sub(code, 0, 16)) < 0)
			continue;
		path_of(s, path, "opt", str_from(e->d_name));
		move_away(s, path);
	}
	if (d)
		closedir(d);
}

void code_hold(struct code_store *s, struct str code)
{
	struct hold *h = map_get(&s->holds, code);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			abort();
		map_put(&s->holds, code, h);
	}
	h->count++;
}

void code_unhold(struct code_store *s, struct str code)
{
	struct hold *h = map_get(&s->holds, code);
	if (!h || --h->count)
		return;
	free(map_remove(&s->holds, code));
	remove_unused(s, code);
}

static void on_record(void *ctx, const struct store_event *e)
{
	struct code_store *s = ctx;
	if (str_set(e->value))
		return;
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n == 3)
		remove_unused(s, parts.v[2]);
}

/* --- taking in */

struct intake_job {
	struct code_store *store;
	struct call *call; /* NULL: the client has left */
	struct code_intake *intake;
	char *zip;
	size_t zip_bytes;
	int fd; /* -1, or where the zip is to be read from */
	uint64_t offset;
	unsigned char digest[HASH_MAX_BYTES];
	char code[65];
	struct zip_facts facts;
	enum zip_result result;
};
static void job_free(struct intake_job *job)
{
	free(job->zip);
	if (job->fd >= 0)
		close(job->fd);
	free(job);
}

static void refuse(struct arena *a, struct code_intake *i, const char *code, struct str text)
{
	i->error_code = code;
	i->error_text = arena_dup(a, text);
}

static void hash_run(void *ctx)
{
	struct intake_job *job = ctx;
	if (job->fd >= 0) {
		int error = files_read(job->fd, job->offset, job->zip_bytes, &job->zip);
		if (error) {
			job->result = ZIP_IO;
			job->facts.error = -error;
			return;
		}
	}
	hash_of(HASH_SHA256, str_of(job->zip, job->zip_bytes), job->digest);
	hex_encode(job->digest, 32, job->code);
}

/* A tree is unpacked under a temporary name, from begin_tree() to end_tree(), and renamed into place; a racing twin that was first
 * wins. */
static enum zip_result begin_tree(struct code_store *s, char temporary[static PATH_BYTES], int *ret_fd, struct zip_facts *facts)
{
	path_temporary(s, temporary);
	if (mkdir(temporary, 0755) < 0 || (*ret_fd = open(temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		facts->error = errno;
		return ZIP_IO;
	}
	fchmod(*ret_fd, 0755); /* whatever the umask was: the function's user reads it */
	return ZIP_OK;
}

static enum zip_result end_tree(const char *temporary, int fd, const char *final, enum zip_result result, struct zip_facts *facts)
{
	close(fd);
	if (result == ZIP_OK && rename(temporary, final) < 0 && errno != EEXIST && errno != ENOTEMPTY) {
		facts->error = errno;
		result = ZIP_IO;
	}
	files_remove_tree(temporary);
	return result;
}

static enum zip_result unpack_to(struct code_store *s, struct str zip, const char *final, struct zip_facts *facts)
{
	char temporary[PATH_BYTES];
	int fd;
	enum zip_result result = begin_tree(s, temporary, &fd, facts);
	if (result != ZIP_OK)
		return result;
	result = zip_unpack(zip, fd, LAMBDA_UNZIPPED_BYTES, false, facts);
	return end_tree(temporary, fd, final, result, facts);
}

static void store_run(void *ctx)
{
	struct intake_job *job = ctx;
	struct code_store *s = job->store;
	struct str zip = str_of(job->zip, job->zip_bytes), code = str_from(job->code);
	char final[PATH_BYTES], temporary[PATH_BYTES];
	path_of(s, final, "task", code);
	job->result = access(final, F_OK) == 0 ? zip_unpack(zip, -1, LAMBDA_UNZIPPED_BYTES, false, &job->facts)
	                                       : unpack_to(s, zip, final, &job->facts);
	if (job->result != ZIP_OK)
		return;
	path_of(s, final, "zip", code);
	if (access(final, F_OK) == 0)
		return;
	path_temporary(s, temporary);
	int error = files_write_durably(final, temporary, zip);
	if (error) {
		job->result = ZIP_IO;
		job->facts.error = -error;
	}
}

static void intake_gone(struct call *c)
{
	struct lambda_work *w = c->state;
	if (w->job)
		w->job->call = NULL;
}

static void intake_free(struct call *c)
{
	struct lambda_work *w = c->state;
	if (w->code_held)
		code_unhold(lambda_of(c->cloud)->code, w->intake.code);
}

static void store_done_job(void *ctx)
{
	struct intake_job *job = ctx;
	struct call *c = job->call;
	if (!c) {
		code_unhold(job->store, str_from(job->code));
		job_free(job);
		return;
	}
	struct lambda_work *w = c->state;
	struct code_intake *i = &w->intake;
	w->job = NULL;
	w->code_taken = w->code_held = true;
	i->code = arena_dup(c->arena, str_from(job->code));
	i->sha256_base64 = base64_encode(c->arena, str_of(job->digest, 32));
	i->bytes = (int64_t)job->zip_bytes;
	i->unzipped_bytes = job->facts.unzipped_bytes;
	switch (job->result) {
	case ZIP_OK:
		break;
	case ZIP_EMPTY:
		refuse(c->arena, i, "InvalidParameterValueException", S("Uploaded file must be a non-empty zip"));
		break;
	case ZIP_BAD:
		refuse(c->arena, i, "InvalidParameterValueException",
		       S("Could not unzip uploaded file. Please check your file, then try to upload again."));
		break;
	case ZIP_TOO_LARGE:
		refuse(c->arena, i, "InvalidParameterValueException", S("Unzipped size must be smaller than 262144000 bytes"));
		break;
	case ZIP_IO:
		log_error("lambda: storing a deployment package: %s", strerror(job->facts.error));
		refuse(c->arena, i, "ServiceException", S("The deployment package could not be stored."));
		break;
	}
	job_free(job);
	call_resume(c);
}

static void hash_done_job(void *ctx)
{
	struct intake_job *job = ctx;
	code_hold(job->store, str_from(job->code));
	if (job->result == ZIP_IO)
		store_done_job(job);
	else
		work_add(job->store->lambda->cloud->work, store_run, store_done_job, job);
}

static void object_read(void *ctx, struct call *sub)
{
	struct intake_job *job = ctx;
	struct call *c = job->call;
	if (!c) {
		job_free(job);
		return;
	}
	struct lambda_work *w = c->state;
	struct code_intake *i = &w->intake;
	uint64_t length = sub->reply.kind == REPLY_MEMORY ? sub->reply.memory.n : sub->reply.length;
	if (str_set(sub->error.code)) {
		const struct s3_get_object_request *asked = sub->in;
		bool denied = str_eq(sub->error.code, S("AccessDenied"));
		struct str what =
		        denied ? arena_printf(
		                         c->arena,
		                         "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for %.*s/%.*s",
		                         STR_ARG(asked->bucket), STR_ARG(asked->key))
		               : S("Error occurred while GetObject");
		struct str text = arena_printf(c->arena, "%.*s. S3 Error Code: %.*s. S3 Error Message: %.*s", STR_ARG(what),
		                               STR_ARG(sub->error.code), STR_ARG(sub->error.message));
		refuse(c->arena, i, denied ? "AccessDeniedException" : "InvalidParameterValueException", text);
	} else if (length > (uint64_t)LAMBDA_S3_ZIP_BYTES) {
		refuse(c->arena, i, "InvalidParameterValueException", S("Unzipped size must be smaller than 262144000 bytes"));
	} else if (sub->reply.kind == REPLY_MEMORY) {
		job->zip_bytes = length;
		job->zip = malloc(length + 1);
		if (!job->zip)
			abort();
		memcpy(job->zip, sub->reply.memory.p, length);
	} else if (sub->reply.kind == REPLY_FILE) {
		job->zip_bytes = length;
		job->offset = sub->reply.offset;
		job->fd = fcntl(sub->reply.fd, F_DUPFD_CLOEXEC, 0);
	} else {
		refuse(c->arena, i, "ServiceException", S("The deployment package could not be read from S3."));
	}
	if (i->error_code) {
		w->job = NULL;
		w->code_taken = true;
		job_free(job);
		call_resume(c);
		return;
	}
	work_add(c->cloud->work, hash_run, hash_done_job, job);
}

int code_take_in(struct call *c, const struct code_source *source, call_resume_fn *resume)
{
	bool direct = str_set(source->zip);
	if (!direct && (!str_set(source->bucket) || !str_set(source->key)))
		return lambda_invalid(c, "Please provide a source for function code.");
	if (direct && (str_set(source->bucket) || str_set(source->key) || str_set(source->version)))
		return lambda_invalid(c, "Please do not provide other FunctionCode parameters when providing a ZipFile.");
	if (direct && str_empty(source->zip))
		return lambda_invalid(c, "Uploaded file must be a non-empty zip");
	if (direct && (int64_t)source->zip.n > LAMBDA_ZIP_BYTES) {
		return call_fail(c, "RequestTooLargeException", 413, "Zipped size must be smaller than 52428800 bytes");
	}
	struct lambda_work *w = lambda_work(c);
	struct intake_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	job->store = lambda_of(c->cloud)->code;
	job->call = c;
	job->fd = -1;
	w->job = job;
	call_on_free(c, intake_free);
	if (direct) {
		job->zip_bytes = source->zip.n;
		job->zip = malloc(source->zip.n);
		if (!job->zip)
			abort();
		memcpy(job->zip, source->zip.p, source->zip.n);
		work_add(c->cloud->work, hash_run, hash_done_job, job);
	} else {
		struct s3_get_object_request in = {.bucket = source->bucket, .key = source->key, .version_id = source->version};
		call_op(c->cloud, c->caller, c->region, &s3_api, "GetObject", &in, object_read, job);
	}
	return call_wait(c, resume, intake_gone);
}

int code_intake_check(struct call *c, const struct code_intake *i)
{
	if (!i->error_code)
		return CALL_OK;
	return call_fail(c, i->error_code, str_is(str_from(i->error_code), "AccessDeniedException") ? 403 : 0, "%.*s",
	                 STR_ARG(i->error_text));
}

/* --- preparing */

struct prepare_job {
	struct code_store *store;
	struct arena arena;
	struct str code;
	struct str_list layers;
	struct str code_dir, opt_dir;
	int error;
	code_ready_fn *done;
	void *ctx;
};

static enum zip_result unpack_layers(struct prepare_job *job, struct zip_facts *facts)
{
	char temporary[PATH_BYTES], path[PATH_BYTES];
	int fd;
	enum zip_result result = begin_tree(job->store, temporary, &fd, facts);
	if (result != ZIP_OK)
		return result;
	for (uint32_t i = 0; i < job->layers.n && result == ZIP_OK; i++) {
		struct str zip;
		path_of(job->store, path, "zip", job->layers.v[i]);
		int error = files_map(path, &zip);
		if (error) {
			facts->error = -error;
			result = ZIP_IO;
			break;
		}
		result = zip_unpack(zip, fd, LAMBDA_UNZIPPED_BYTES, true, facts);
		files_unmap(zip);
	}
	return end_tree(temporary, fd, job->opt_dir.p, result, facts);
}

static void prepare_run(void *ctx)
{
	struct prepare_job *job = ctx;
	struct zip_facts facts = {0};
	enum zip_result result = ZIP_OK;
	if (access(job->code_dir.p, F_OK) < 0) {
		char path[PATH_BYTES];
		struct str zip;
		path_of(job->store, path, "zip", job->code);
		int error = files_map(path, &zip);
		if (error) {
			job->error = error;
			return;
		}
		result = unpack_to(job->store, zip, job->code_dir.p, &facts);
		files_unmap(zip);
	}
	if (result == ZIP_OK && str_set(job->opt_dir) && access(job->opt_dir.p, F_OK) < 0)
		result = unpack_layers(job, &facts);
	if (result != ZIP_OK)
		job->error = result == ZIP_IO && facts.error ? -facts.error : -EBADMSG;
}

static void prepare_done(void *ctx)
{
	struct prepare_job *job = ctx;
	size_t skip = strlen(job->store->trees) + 1;
	job->done(job->ctx, job->error, str_from_at(job->code_dir, skip),
	          str_set(job->opt_dir) ? str_from_at(job->opt_dir, skip) : STR_NONE);
	arena_done(&job->arena);
	free(job);
}

void code_prepare(struct code_store *s, struct str code, const struct str_list *layers, code_ready_fn *done, void *ctx)
{
	char path[PATH_BYTES], opt[PATH_BYTES] = "";
	path_of(s, path, "task", code);
	if (layers->n) {
		char name[17 * LAMBDA_LAYERS_MAX + 1] = "";
		for (uint32_t i = 0; i < layers->n && i < LAMBDA_LAYERS_MAX; i++)
			snprintf(name + strlen(name), sizeof(name) - strlen(name), "%s%.16s", i ? "-" : "", layers->v[i].p);
		path_of(s, opt, "opt", str_from(name));
	}
	if (access(path, F_OK) == 0 && (!*opt || access(opt, F_OK) == 0)) {
		size_t skip = strlen(s->trees) + 1;
		done(ctx, 0, str_from(path + skip), *opt ? str_from(opt + skip) : STR_NONE);
		return;
	}
	struct prepare_job *job = calloc(1, sizeof(*job));
	if (!job)
		abort();
	arena_init(&job->arena, 0);
	job->store = s;
	job->code = arena_dup(&job->arena, code);
	job->layers.v = arena_array(&job->arena, layers->n + 1, sizeof(struct str));
	for (uint32_t i = 0; i < layers->n; i++)
		job->layers.v[job->layers.n++] = arena_dup(&job->arena, layers->v[i]);
	job->code_dir = arena_dup(&job->arena, str_from(path));
	job->opt_dir = *opt ? arena_dup(&job->arena, str_from(opt)) : STR_NONE;
	job->done = done;
	job->ctx = ctx;
	work_add(s->lambda->cloud->work, prepare_run, prepare_done, job);
}

/* --- opening */

/* Trees of earlier boots, and merged layers, whose users are all gone. */
static void remove_old_trees(struct code_store *s)
{
	char path[PATH_BYTES];
	DIR *d = opendir(s->trees);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		bool current = !strcmp(e->d_name, s->boot);
		if (current)
			path_of(s, path, "opt", S("."));
		else
			snprintf(path, sizeof(path), "%s/%.100s", s->trees, e->d_name);
		if (current)
			path[strlen(path) - 2] = 0;
		move_away(s, path);
	}
	if (d)
		closedir(d);
}

struct code_store *code_store_open(struct lambda *l, int *ret_error)
{
	struct code_store *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->lambda = l;
	snprintf(s->root, sizeof(s->root), "%s/lambda", l->cloud->data_dir);
	snprintf(s->trees, sizeof(s->trees), "%s/code", l->cloud->data_dir);
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s->boot, 36);
	if (n != 36)
		snprintf(s->boot, sizeof(s->boot), "boot");
	if (fd >= 0)
		close(fd);
	char path[PATH_BYTES];
	/* What a crash left half done goes first. */
	snprintf(path, sizeof(path), "%s/tmp", s->root);
	files_remove_tree(path);
	int error = files_make_dirs(path);
	if (!error)
		error = files_make_dirs(s->trees);
	if (!error)
		remove_old_trees(s);
	snprintf(path, sizeof(path), "%s/zip", s->root);
	if (!error)
		error = files_make_dirs(path);
	for (const char *const *kind = (const char *const[]){"task", "opt", NULL}; *kind && !error; kind++) {
		snprintf(path, sizeof(path), "%s/%s/%s", s->trees, s->boot, *kind);
		error = files_make_dirs(path);
	}
	if (error) {
		free(s);
		*ret_error = error;
		return NULL;
	}
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str prefix = KEY_UNDER(&a, S("lambda"), S("code"));
	s->watch =
	        store_watch(l->cloud->store, prefix, store_prefix_end(&a, prefix), store_revision(l->cloud->store), on_record, s);
	/* Packages that were stored but never came into use before a crash. */
	snprintf(path, sizeof(path), "%s/zip", s->root);
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct str name = str_from(e->d_name);
		if (str_ends(name, S(".zip")))
			remove_unused(s, str_sub(name, 0, name.n - 4));
	}
	if (d)
		closedir(d);
	return s;
}

void code_store_close(struct code_store *s)
{
	if (!s)
		return;
	store_unwatch(s->watch);
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&s->holds, &at, &key, &value))
		free(value);
	map_done(&s->holds);
	free(s);
}
