#include "core/chaos.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>

struct chaos {
	struct loop *loop;
	struct loop_timer *timer;
	struct chaos_fault faults[CHAOS_FAULTS_MAX]; /* in the order of their numbers */
	unsigned count, last_number;
	loop_fn *changed;
	void *changed_ctx;
};

struct chaos *chaos_new(struct loop *l)
{
	struct chaos *c = calloc(1, sizeof(*c));
	if (!c)
		die("out of memory (chaos)");
	c->loop = l;
	return c;
}

void chaos_free(struct chaos *c)
{
	if (!c)
		return;
	loop_remove_timer(c->loop, c->timer);
	free(c);
}

static void look(struct chaos *c);

static void due(void *ctx)
{
	struct chaos *c = ctx;
	c->timer = NULL;
	look(c);
}

static void remove_at(struct chaos *c, unsigned i)
{
	c->count--;
	memmove(&c->faults[i], &c->faults[i + 1], (c->count - i) * sizeof(c->faults[0]));
}

/* Drops what is over, and wakes again for the next one. */
static void look(struct chaos *c)
{
	int64_t now_us = clock_mono_us(), next_us = INT64_MAX;
	for (unsigned i = 0; i < c->count;) {
		if (c->faults[i].until_us <= now_us) {
			log_info("chaos: fault %u is over", c->faults[i].number);
			remove_at(c, i);
			continue;
		}
		if (c->faults[i].until_us < next_us)
			next_us = c->faults[i].until_us;
		i++;
	}
	loop_remove_timer(c->loop, c->timer);
	c->timer = c->count ? loop_add_timer(c->loop, next_us - now_us, due, c) : NULL;
	if (c->changed)
		c->changed(c->changed_ctx);
}

unsigned chaos_begin(struct chaos *c, enum chaos_kind kind, struct str target, unsigned amount, int64_t duration_us)
{
	if (c->count == CHAOS_FAULTS_MAX || target.n >= CHAOS_TARGET_MAX)
		return 0;
	struct chaos_fault *f = &c->faults[c->count++];
	*f = (struct chaos_fault){
	        .number = ++c->last_number, .kind = kind, .amount = amount, .until_us = clock_mono_us() + duration_us};
	memcpy(f->target, target.p, target.n);
	unsigned number = f->number;
	look(c);
	return number;
}

unsigned chaos_end(struct chaos *c, unsigned number)
{
	unsigned ended = 0;
	for (unsigned i = 0; i < c->count;) {
		if (number && c->faults[i].number != number) {
			i++;
			continue;
		}
		remove_at(c, i);
		ended++;
	}
	if (ended)
		look(c);
	return ended;
}

const struct chaos_fault *chaos_after(const struct chaos *c, unsigned number)
{
	for (unsigned i = 0; i < c->count; i++)
		if (c->faults[i].number > number)
			return &c->faults[i];
	return NULL;
}

const struct chaos_fault *chaos_find(const struct chaos *c, enum chaos_kind kind, struct str target)
{
	const struct chaos_fault *found = NULL;
	for (unsigned i = 0; c && i < c->count; i++) {
		const struct chaos_fault *f = &c->faults[i];
		bool hits = f->kind == kind && (str_is(target, f->target) || strcmp(f->target, "all") == 0);
		if (hits && (!found || f->amount > found->amount || (f->amount == found->amount && f->until_us > found->until_us)))
			found = f;
	}
	return found;
}

void chaos_listen(struct chaos *c, loop_fn *fn, void *ctx)
{
	c->changed = fn;
	c->changed_ctx = ctx;
}
