/* Layers are only removed when all that may stay has been named, so that names which did not fit are sent later and not left out.
 */
#include "engine/oci/image_state.h"

#include "base/hash.h"
#include "base/log.h"
#include "io/msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_US = 5000 };

static void add(struct image_trim *t, const uint8_t *digest)
{
	if (t->count == t->room) {
		t->room = t->room ? 2 * t->room : 256;
		t->keep = realloc(t->keep, t->room * sizeof(*t->keep));
		if (!t->keep)
			die("out of memory");
	}
	memcpy(t->keep[t->count++], digest, STEWARD_DIGEST_BYTES);
}

static void send_names(void *ctx)
{
	static struct steward_trim r;
	struct images *s = ctx;
	struct image_trim *t = &s->trim;
	t->again = NULL;
	while (t->sending) {
		size_t n = t->count - t->sent < STEWARD_TRIM_MAX ? t->count - t->sent : STEWARD_TRIM_MAX;
		r = (struct steward_trim){.verb = STEWARD_TRIM, .number = t->number, .count = (uint32_t)n};
		r.more = t->sent + n < t->count;
		if (n)
			memcpy(r.keep, t->keep[t->sent], n * sizeof(*t->keep));
		int error = msg_send(s->channel, &r, sizeof(r), NULL, 0);
		if (error == -EAGAIN) {
			t->again = loop_add_timer(s->loop, AGAIN_US, send_names, s);
			return;
		}
		if (error)
			return; /* the channel's end is heard of, and is the end of this */
		t->sent += n;
		t->sending = r.more;
	}
}

static bool begin(struct images *s)
{
	if (s->trim.number || !images_reach_priv(s))
		return false;
	s->trim.number = ++s->last_number ? s->last_number : ++s->last_number;
	s->trim.sending = true;
	return true;
}

void images_keep(struct images *s, struct str digest)
{
	uint8_t bytes[STEWARD_DIGEST_BYTES];
	if (hex_decode(digest, bytes, sizeof(bytes)))
		add(&s->trim, bytes);
}

static void send_all(struct images *s)
{
	list_each (&s->all, struct image, at, i)
		for (size_t k = 0; k < i->count; k++)
			add(&s->trim, i->layers[k].diff_id);
	send_names(s);
}

void images_trim(struct images *s, const char *const *keep, size_t count)
{
	if (!begin(s))
		return;
	for (size_t i = 0; i < count; i++)
		images_keep(s, str_from(keep[i]));
	send_all(s);
}

void images_keep_by(struct images *s, images_keeper_fn *keeper, void *ctx)
{
	if (s->keeper_count == sizeof(s->keepers) / sizeof(s->keepers[0]))
		die("more keepers of layers than there is room for");
	s->keepers[s->keeper_count++] = (struct image_keeper){keeper, ctx};
}

bool images_trim_all(struct images *s)
{
	if (!begin(s))
		return false;
	for (size_t i = 0; i < s->keeper_count; i++)
		s->keepers[i].keeps(s->keepers[i].ctx, s);
	send_all(s);
	return true;
}

void trim_forget(struct images *s)
{
	loop_remove_timer(s->loop, s->trim.again);
	free(s->trim.keep);
	s->trim = (struct image_trim){0};
}

void trim_answered(struct images *s, uint32_t number)
{
	if (number != s->trim.number)
		return;
	trim_forget(s);
	images_go_on(s);
}
