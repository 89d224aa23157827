/* Layers are unpacked one at a time for the whole cloud: several at once would only share the disk. Two images that want the same
 * layer ask for it once. */
#include "engine/oci/image_state.h"

#include "base/hash.h"
#include "base/log.h"
#include "engine/cell/cell.h"
#include "engine/cell/proto.h"
#include "io/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHANNEL_AGAIN_US = 200 * 1000 };
#define DEFAULT_BYTES (20ull << 30)
enum { DEFAULT_ENTRIES = 1000000 };

static struct image *wanting(struct images *s)
{
	list_each (&s->all, struct image, at, i)
		if (!i->done)
			return i;
	return NULL;
}

static void finish(struct image *i, int error, const char *why)
{
	i->done = true;
	for (size_t k = 0; k < i->count; k++) {
		if (i->layers[k].file >= 0)
			close(i->layers[k].file);
		i->layers[k].file = -1;
	}
	i->ready(i->ctx, i, error, why);
}

static void close_channel(struct images *s)
{
	loop_remove_fd(s->loop, s->watch);
	s->watch = NULL;
	if (s->channel >= 0)
		close(s->channel);
	s->channel = -1;
}

static void open_channel(void *ctx);

static void try_again(struct images *s)
{
	if (!s->again)
		s->again = loop_add_timer(s->loop, CHANNEL_AGAIN_US, open_channel, s);
}

static void answered(struct images *s, const struct steward_answer *a)
{
	struct image *i = s->asking;
	if (a->verb == STEWARD_TRIM)
		trim_answered(s, a->number);
	if (a->verb != STEWARD_UNPACK || a->number != s->asked)
		return;
	s->asked = 0;
	s->asking = NULL;
	if (i && a->error) {
		finish(i, a->error, a->why);
	} else if (i) {
		close(i->layers[i->next].file);
		i->layers[i->next++].file = -1;
	}
	images_go_on(s);
}

static void readable(void *ctx, uint32_t events)
{
	(void)events;
	struct images *s = ctx;
	struct steward_answer a;
	ssize_t n = msg_recv(s->channel, &a, sizeof(a), NULL, 0, NULL);
	if (n == -EAGAIN)
		return;
	if (n == sizeof(a)) {
		a.why[sizeof(a.why) - 1] = 0;
		answered(s, &a);
		return;
	}
	/* priv is gone, and what it unpacked with it: the next one is asked again */
	close_channel(s);
	s->asked = 0;
	s->asking = NULL;
	trim_forget(s);
	if (wanting(s))
		try_again(s);
}

static void open_channel(void *ctx)
{
	struct images *s = ctx;
	s->again = NULL;
	if (s->channel < 0) {
		int fd = s->cells ? cells_open_channel(s->cells, PRIV_CHANNEL_LAYER) : -EPIPE;
		if (fd >= 0) {
			s->channel = fd;
			s->watch = loop_add_fd(s->loop, fd, EPOLLIN, readable, s);
		}
	}
	images_go_on(s);
}

static bool is_here(struct images *s, const uint8_t *diff_id)
{
	char name[2 * STEWARD_DIGEST_BYTES + 1];
	struct stat st;
	if (s->dir < 0)
		s->dir = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC); /* priv's, who makes it */
	hex_encode(diff_id, STEWARD_DIGEST_BYTES, name);
	return s->dir >= 0 && fstatat(s->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void ask(struct images *s, struct image *i)
{
	const struct held_layer *l = &i->layers[i->next];
	struct steward_unpack r = {.verb = STEWARD_UNPACK,
	                           .number = ++s->last_number ? s->last_number : ++s->last_number,
	                           .file_bytes = l->bytes,
	                           .max_bytes = s->limits.layer_bytes,
	                           .max_entries = s->limits.layer_entries};
	memcpy(r.digest, l->digest, sizeof(r.digest));
	memcpy(r.diff_id, l->diff_id, sizeof(r.diff_id));
	if (msg_send(s->channel, &r, sizeof(r), &l->file, 1) < 0) {
		try_again(s);
		return;
	}
	s->asking = i;
	s->asked = r.number;
}

/* The next thing that can be done. */
void images_go_on(struct images *s)
{
	for (struct image *i; !s->asked && !s->trim.number && (i = wanting(s));) {
		if (i->error) {
			finish(i, i->error, i->why);
		} else if (i->next == i->count) {
			finish(i, 0, "");
		} else if (is_here(s, i->layers[i->next].diff_id)) {
			/* it was here when the image was prepared, or has come meanwhile */
			i->next++;
		} else if (i->layers[i->next].file < 0) {
			finish(i, -ENOENT, "a layer of the image was removed from the disk");
		} else if (!s->cells) {
			finish(i, -ENOTSUP, "sandboxes do not work on this machine");
		} else if (s->channel < 0) {
			try_again(s);
			return;
		} else {
			ask(s, i);
			return;
		}
	}
}

bool images_reach_priv(struct images *s)
{
	if (s->channel < 0 && s->cells)
		open_channel(s);
	return s->channel >= 0;
}

static void begin(void *ctx)
{
	struct images *s = ctx;
	s->start = NULL;
	if (s->channel < 0 && s->cells)
		open_channel(s);
	else
		images_go_on(s);
}

struct images *images_new(struct loop *l, struct cells *cells, const char *data_dir, const struct image_limits *limits)
{
	struct images *s = calloc(1, sizeof(*s));
	if (!s)
		die("out of memory");
	*s = (struct images){.loop = l, .cells = cells, .channel = -1, .dir = -1};
	if (limits)
		s->limits = *limits;
	if (!s->limits.layer_bytes)
		s->limits.layer_bytes = DEFAULT_BYTES;
	if (!s->limits.layer_entries)
		s->limits.layer_entries = DEFAULT_ENTRIES;
	list_init(&s->all);
	snprintf(s->path, sizeof(s->path), "%s/layers", data_dir);
	return s;
}

static void forget(struct image *i)
{
	for (size_t k = 0; k < i->count; k++)
		if (i->layers[k].file >= 0)
			close(i->layers[k].file);
	if (i->owner->asking == i)
		i->owner->asking = NULL;
	list_remove(&i->at);
	free(i);
}

void images_free(struct images *s)
{
	if (!s)
		return;
	list_each (&s->all, struct image, at, i)
		forget(i);
	loop_remove_timer(s->loop, s->again);
	loop_remove_timer(s->loop, s->start);
	trim_forget(s);
	close_channel(s);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
}

static int fill(struct image *i, const struct image_layer *layers, size_t count, image_open_fn *open_file, void *ctx)
{
	if (count < 1 || count > IMAGE_LAYERS_MAX)
		return -EINVAL;
	for (size_t k = 0; k < count; k++) {
		struct held_layer *l = &i->layers[k];
		*l = (struct held_layer){.bytes = layers[k].bytes, .file = -1};
		i->count = k + 1;
		if (!hex_decode(str_from(layers[k].digest), l->digest, sizeof(l->digest)) ||
		    !hex_decode(str_from(layers[k].diff_id), l->diff_id, sizeof(l->diff_id)))
			return -EINVAL;
		/* while layers are removed, one that is here may not be any more when its turn comes */
		bool here = is_here(i->owner, l->diff_id);
		if (here && !i->owner->trim.number)
			continue;
		int file = open_file(ctx, k);
		if (file < 0 && !here)
			return file;
		l->file = file < 0 ? -1 : file;
	}
	return 0;
}

struct image *image_prepare(struct images *s, const struct image_layer *layers, size_t count, image_open_fn *open_file,
                            image_ready_fn *ready, void *ctx)
{
	struct image *i = calloc(1, sizeof(*i));
	if (!i)
		die("out of memory");
	*i = (struct image){.owner = s, .ready = ready, .ctx = ctx};
	list_push(&s->all, &i->at);
	i->error = fill(i, layers, count, open_file, ctx);
	if (i->error)
		snprintf(i->why, sizeof(i->why), "a layer of the image cannot be read: %s", strerror(-i->error));
	if (!s->start)
		s->start = loop_add_timer(s->loop, 0, begin, s);
	return i;
}

void image_release(struct image *i)
{
	if (i)
		forget(i);
}
