#include "aws/lambda/image.h"

#include "aws/ecr/ecr.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/oci/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct waiter {
	struct list at;
	image_ready_for_fn *done;
	void *ctx;
};

struct function_image {
	unsigned refs;
	struct lambda *lambda;
	struct arena arena;
	struct str code;
	struct state_lambda_image_record *record;
	const char **layers; /* diff ids */
	struct image *image; /* holds the layers once they are unpacked */
	struct ecr_pulled *pulled;
	bool ready, busy;
	struct list waiters;
};

/* --- counting */

static struct str_list copy_list(struct arena *a, const struct str_list *from)
{
	struct str_list to = {0};
	for (uint32_t k = 0; k < from->n; k++)
		*LIST_ADD(a, &to) = arena_dup(a, from->v[k]);
	return to;
}

static struct state_lambda_image_record *copy_record(struct arena *a, const struct state_lambda_image_record *from)
{
	struct state_lambda_image_record *r = arena_new(a, struct state_lambda_image_record);
	r->uri = arena_dup(a, from->uri);
	r->resolved_uri = arena_dup(a, from->resolved_uri);
	r->working_directory = str_set(from->working_directory) ? arena_dup(a, from->working_directory) : STR_NONE;
	r->entry_point = copy_list(a, &from->entry_point);
	r->command = copy_list(a, &from->command);
	r->environment = copy_list(a, &from->environment);
	for (uint32_t k = 0; k < from->layers.n; k++)
		*LIST_ADD(a, &r->layers) =
		        (struct state_lambda_image_layer_record){.digest = arena_dup(a, from->layers.v[k].digest),
		                                                 .diff_id = arena_dup(a, from->layers.v[k].diff_id),
		                                                 .bytes = from->layers.v[k].bytes};
	return r;
}

struct function_image *image_ref(struct lambda *l, struct str code, const struct state_lambda_image_record *record)
{
	struct function_image *i = map_get(&l->images, code);
	if (!i) {
		i = calloc(1, sizeof(*i));
		if (!i)
			die("out of memory");
		i->lambda = l;
		arena_init(&i->arena, 0);
		list_init(&i->waiters);
		i->code = arena_dup(&i->arena, code);
		i->record = copy_record(&i->arena, record);
		i->layers = arena_array(&i->arena, i->record->layers.n + 1, sizeof(*i->layers));
		for (uint32_t k = 0; k < i->record->layers.n; k++)
			i->layers[k] = i->record->layers.v[k].diff_id.p;
		map_put(&l->images, i->code, i);
	}
	i->refs++;
	return i;
}

struct function_image *image_take(struct lambda *l, struct str code, const struct state_lambda_image_record *record,
                                  struct ecr_pulled *pulled)
{
	struct function_image *i = image_ref(l, code, record);
	if (i->pulled || i->ready)
		ecr_pulled_free(pulled);
	else
		i->pulled = pulled;
	return i;
}

void image_unref(struct function_image *i)
{
	if (!i || --i->refs)
		return;
	map_remove(&i->lambda->images, i->code);
	image_release(i->image);
	ecr_pulled_free(i->pulled);
	arena_done(&i->arena);
	free(i);
}

const char *const *image_layers(const struct function_image *i, size_t *ret_count)
{
	*ret_count = i->record->layers.n;
	return i->layers;
}

const struct state_lambda_image_record *image_record(const struct function_image *i)
{
	return i->record;
}

/* --- unpacking */

static void finish(struct function_image *i, int error, const char *why)
{
	i->busy = false;
	i->ready = !error;
	if (error) {
		image_release(i->image);
		i->image = NULL;
	} else {
		ecr_pulled_free(i->pulled);
		i->pulled = NULL;
	}
	struct list waiters;
	list_init(&waiters);
	list_each (&i->waiters, struct waiter, at, w) {
		list_remove(&w->at);
		list_push(&waiters, &w->at);
	}
	list_each (&waiters, struct waiter, at, w) {
		list_remove(&w->at);
		w->done(w->ctx, error, why);
		free(w);
		image_unref(i);
	}
}

static int open_layer(void *ctx, size_t index)
{
	const struct function_image *i = ctx;
	int fd = i->pulled ? open(i->pulled->layers[index].path.p, O_RDONLY | O_CLOEXEC) : -1;
	return i->pulled ? fd < 0 ? -errno : fd : -ENOENT;
}

static void unpack(struct function_image *i);

/* The layers were removed from the disk since: the registry may still have them. */
static void pulled_again(void *ctx, struct ecr_pulled *image, struct str code, struct str message)
{
	struct function_image *i = ctx;
	if (image && image->layer_count == i->record->layers.n) {
		i->pulled = image;
		unpack(i);
		return;
	}
	ecr_pulled_free(image);
	log_error("lambda: image %.*s is gone: %.*s: %.*s", STR_ARG(i->record->resolved_uri), STR_ARG(code), STR_ARG(message));
	finish(i, -ENOENT, "The image was deleted.");
}

static void pull_again(struct function_image *i)
{
	struct ecr_reference ref;
	if (!ecr_reference_read(i->record->resolved_uri, &ref)) {
		finish(i, -EINVAL, "The image has no name.");
		return;
	}
	/* Whether Lambda may read it was asked when the function was made; its layers were Lambda's own from then on. */
	struct principal *root = principal_new(PRINCIPAL_ROOT, ref.account);
	ecr_pull(i->lambda->cloud, root, &ref, STR_NONE, pulled_again, i);
	principal_unref(root);
}

static void unpacked(void *ctx, struct image *image, int error, const char *why)
{
	struct function_image *i = ctx;
	if (error == -ENOENT && !i->pulled) {
		image_release(image);
		i->image = NULL;
		pull_again(i);
		return;
	}
	finish(i, error, why);
}

static void unpack(struct function_image *i)
{
	struct image_layer layers[IMAGE_LAYERS_MAX];
	for (uint32_t k = 0; k < i->record->layers.n && k < IMAGE_LAYERS_MAX; k++) {
		const struct state_lambda_image_layer_record *l = &i->record->layers.v[k];
		layers[k] = (struct image_layer){.digest = l->digest.p, .diff_id = l->diff_id.p, .bytes = (uint64_t)l->bytes.v};
	}
	i->image = image_prepare(i->lambda->cloud->images, layers, i->record->layers.n, open_layer, unpacked, i);
}

void image_make_ready(struct function_image *i, image_ready_for_fn *done, void *ctx)
{
	if (i->ready || !i->lambda->cloud->images) {
		done(ctx, i->ready ? 0 : -ENOTSUP, i->ready ? "" : "sandboxes do not work on this machine");
		return;
	}
	struct waiter *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory");
	*w = (struct waiter){.done = done, .ctx = ctx};
	list_push(&i->waiters, &w->at);
	i->refs++;
	if (i->busy)
		return;
	i->busy = true;
	unpack(i);
}

/* Versions that nobody has called since this process was started hold nothing else. */
static void keep_layers(void *ctx, struct images *images)
{
	const struct lambda *l = ctx;
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&l->images, &at, &key, &value)) {
		const struct function_image *i = value;
		for (uint32_t k = 0; k < i->record->layers.n; k++)
			images_keep(images, i->record->layers.v[k].diff_id);
	}
}

void images_keep_for_functions(struct lambda *l)
{
	if (l->cloud->images)
		images_keep_by(l->cloud->images, keep_layers, l);
}

/* --- what is in it */

/* The highest layer that has the name says what it is. */
static bool find_directory(const struct function_image *i, const char *name, char path[static 5000])
{
	for (uint32_t k = i->record->layers.n; k > 0; k--) {
		struct stat st;
		snprintf(path, 5000, "%s/layers/%s/fs/%s", i->lambda->cloud->data_dir, i->layers[k - 1], name);
		if (lstat(path, &st) == 0)
			return S_ISDIR(st.st_mode);
	}
	return false;
}

struct str image_default_directory(const struct function_image *i)
{
	char path[5000];
	if (str_set(i->record->working_directory))
		return i->record->working_directory;
	return find_directory(i, "var/task", path) ? S("/var/task") : S("/");
}
