#include "unit.h"

#include "base/buf.h"
#include "engine/logs/logs.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
	struct loop *loop;
	struct logs *logs;
	struct arena arena;
	struct buf text;
	char dir[64];
	int left, result;
};

static void fixture_open(struct fixture *f)
{
	char why[200] = "";
	f->loop = loop_new();
	if (logs_open(&f->logs, f->loop, f->dir, true, why) < 0)
		fail_msg("%s", why);
}

static void fixture_close(struct fixture *f)
{
	logs_close(f->logs);
	loop_free(f->loop);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/engine_logs.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	arena_init(&f->arena, 0);
	buf_init(&f->text, 1 << 20);
	fixture_open(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fixture_close(f);
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	arena_done(&f->arena);
	buf_done(&f->text);
	free(f);
	return 0;
}

static void note_done(void *ctx, int result)
{
	struct fixture *f = ctx;
	f->left--;
	f->result = result;
}

static void wait_for(struct fixture *f)
{
	for (int i = 0; i < 1000 && f->left; i++)
		loop_turn(f->loop, 10000);
	assert_int_equal(f->left, 0);
	assert_int_equal(f->result, 0);
}

static void add(struct fixture *f, uint64_t group, uint64_t stream, int64_t time_ms, const char *message)
{
	const struct log_input e = {.time_ms = time_ms, .message = str_from(message)};
	f->left++;
	logs_append(f->logs, group, stream, &e, 1, 5000, note_done, f);
}

/* "time:message ..." of at most n events. */
static struct str walk(struct fixture *f, uint64_t group, uint64_t stream, struct log_position from, struct log_position to,
                       bool descending)
{
	struct logs_walk *w = logs_walk(f->logs, &f->arena, group, stream, from, to, descending);
	struct log_event e;
	buf_clear(&f->text);
	while (logs_walk_next(w, &e))
		buf_printf(&f->text, "%s%ld:%.*s", f->text.n ? " " : "", e.at.time_ms, STR_ARG(e.message));
	logs_walk_end(w);
	return buf_str(&f->text);
}

static struct str all(struct fixture *f, uint64_t group, uint64_t stream)
{
	return walk(f, group, stream, LOG_POSITION_FIRST, LOG_POSITION_LAST, false);
}

static void events_stand_in_order(void **state)
{
	struct fixture *f = *state;
	add(f, 1, 10, 300, "c");
	add(f, 1, 11, 100, "a");
	add(f, 1, 10, 200, "b");
	add(f, 1, 10, 300, "d");
	add(f, 2, 20, 150, "other group");
	wait_for(f);
	assert_str(all(f, 1, 0), "100:a 200:b 300:c 300:d");
	assert_str(all(f, 1, 10), "200:b 300:c 300:d");
	assert_str(all(f, 1, 11), "100:a");
	assert_str(all(f, 1, 12), "");
	assert_str(all(f, 2, 0), "150:other group");
	assert_str(walk(f, 1, 0, LOG_POSITION_FIRST, LOG_POSITION_LAST, true), "300:d 300:c 200:b 100:a");
	assert_str(walk(f, 1, 10, (struct log_position){200, 0}, (struct log_position){300, 0}, true), "200:b");
	assert_str(walk(f, 1, 0, (struct log_position){101, 0}, (struct log_position){301, 0}, false), "200:b 300:c 300:d");
	/* Numbers go on after a restart, so arrival still orders equal times. */
	fixture_close(f);
	fixture_open(f);
	add(f, 1, 11, 300, "e");
	wait_for(f);
	assert_str(walk(f, 1, 0, (struct log_position){300, 0}, LOG_POSITION_LAST, false), "300:c 300:d 300:e");
}

static void a_walk_goes_on_from_a_position(void **state)
{
	struct fixture *f = *state;
	for (int i = 0; i < 5; i++)
		add(f, 1, 10, 100, (const char *[]){"a", "b", "c", "d", "e"}[i]);
	wait_for(f);
	struct logs_walk *w = logs_walk(f->logs, &f->arena, 1, 0, LOG_POSITION_FIRST, LOG_POSITION_LAST, false);
	struct log_event e;
	for (int i = 0; i < 3; i++)
		assert_true(logs_walk_next(w, &e));
	logs_walk_end(w);
	assert_int_equal(e.ingested_ms, 5000);
	assert_int_equal(e.stream, 10);
	struct log_position next = {e.at.time_ms, e.at.number + 1};
	assert_str(walk(f, 1, 0, next, LOG_POSITION_LAST, false), "100:d 100:e");
	assert_str(walk(f, 1, 10, LOG_POSITION_FIRST, e.at, true), "100:b 100:a");
}

static void totals_are_kept(void **state)
{
	struct fixture *f = *state;
	struct log_stats s;
	logs_stats(f->logs, 1, 10, &s);
	assert_int_equal(s.bytes, 0);
	assert_int_equal(s.first_ms, -1);
	add(f, 1, 10, 200, "12345");
	add(f, 1, 10, 100, "1");
	add(f, 1, 11, 300, "123");
	wait_for(f);
	for (int again = 0; again < 2; again++) {
		logs_stats(f->logs, 1, 10, &s);
		assert_int_equal(s.bytes, 2 * 26 + 6);
		assert_int_equal(s.first_ms, 100);
		assert_int_equal(s.last_ms, 200);
		assert_int_equal(s.ingested_ms, 5000);
		logs_stats(f->logs, 1, 0, &s);
		assert_int_equal(s.bytes, 3 * 26 + 9);
		fixture_close(f);
		fixture_open(f);
	}
}

static void purging_removes_what_is_old(void **state)
{
	struct fixture *f = *state;
	struct log_stats s;
	static struct log_input many[5000];
	for (int i = 0; i < 5000; i++)
		many[i] = (struct log_input){.time_ms = 1000 + i, .message = S("x")};
	f->left++;
	logs_append(f->logs, 1, 10, many, 5000, 9000, note_done, f);
	add(f, 1, 11, 500, "old");
	add(f, 1, 11, 9000, "new");
	add(f, 2, 20, 500, "other");
	wait_for(f);
	f->left++;
	logs_purge(f->logs, 1, 0, 5990, note_done, f);
	wait_for(f);
	logs_stats(f->logs, 1, 10, &s);
	assert_int_equal(s.bytes, 10 * 27);
	assert_int_equal(s.first_ms, 5990);
	assert_str(all(f, 1, 11), "9000:new");
	logs_stats(f->logs, 1, 0, &s);
	assert_int_equal(s.bytes, 10 * 27 + 29);
	f->left++;
	logs_purge(f->logs, 1, 10, INT64_MAX, note_done, f);
	wait_for(f);
	assert_str(all(f, 1, 0), "9000:new");
	f->left++;
	logs_purge(f->logs, 1, 0, INT64_MAX, note_done, f);
	wait_for(f);
	assert_str(all(f, 1, 0), "");
	logs_stats(f->logs, 1, 0, &s);
	assert_int_equal(s.bytes, 0);
	assert_str(all(f, 2, 0), "500:other");
}

struct heard {
	struct fixture *f;
	struct logs_ear *ear;
	int count;
};

static void hear(void *ctx, uint64_t group, const struct log_event *e)
{
	struct heard *h = ctx;
	buf_printf(&h->f->text, "%lu/%lu:%.*s ", group, e->stream, STR_ARG(e->message));
	if (++h->count == 3)
		logs_unlisten(h->ear);
}

static void listeners_hear_what_is_durable(void **state)
{
	struct fixture *f = *state;
	struct heard h = {.f = f};
	h.ear = logs_listen(f->logs, hear, &h);
	for (int i = 0; i < 5; i++)
		add(f, 1, 10, 100 - i, "m");
	assert_int_equal(h.count, 0);
	wait_for(f);
	assert_int_equal(h.count, 3);
	assert_str(buf_str(&f->text), "1/10:m 1/10:m 1/10:m ");
	logs_unlisten(NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	        T(events_stand_in_order),       T(a_walk_goes_on_from_a_position), T(totals_are_kept),
	        T(purging_removes_what_is_old), T(listeners_hear_what_is_durable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
