/* A process that commits without pause and says through a pipe what was acknowledged is killed at random moments. Each time, all
 * that it had said must be there, and no transaction may be there by half. */
#include "unit.h"

#include "base/rand.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 48, KILLS = 30, KEEP = 20 };

/* Writer i's n-th transaction puts n under last/i and twin/i, makes log/i/n and deletes log/i/(n - KEEP). */
struct writer {
	struct store *store;
	struct arena arena;
	int id, pipe;
	int64_t n;
};
struct ack {
	int32_t id;
	int64_t n;
};

static struct str log_key(struct arena *a, int id, int64_t n)
{
	return arena_printf(a, "log/%d/%010ld", id, n);
}

static int64_t number_at(struct store_txn *t, struct str key)
{
	struct store_value v;
	int64_t n = 0;
	if (store_get(t, key, &v) && !str_to_i64(v.value, &n))
		fail_msg("%.*s holds %.*s", STR_ARG(key), STR_ARG(v.value));
	return n;
}

static void writer_done(void *ctx, int result, uint64_t revision);

static void writer_next(struct writer *w)
{
	arena_reset(&w->arena);
	struct store_txn *t = store_begin(w->store, &w->arena);
	struct str last = arena_printf(&w->arena, "last/%d", w->id);
	w->n = number_at(t, last) + 1;
	struct str value = arena_printf(&w->arena, "%ld", w->n);
	store_put(t, last, value);
	store_put(t, arena_printf(&w->arena, "twin/%d", w->id), value);
	store_put(t, log_key(&w->arena, w->id, w->n), value);
	store_delete(t, log_key(&w->arena, w->id, w->n - KEEP));
	store_commit(t, writer_done, w);
}

static void writer_done(void *ctx, int result, uint64_t revision)
{
	struct writer *w = ctx;
	(void)revision;
	if (result < 0)
		_exit(2);
	const struct ack ack = {.id = w->id, .n = w->n};
	if (write(w->pipe, &ack, sizeof(ack)) != sizeof(ack))
		_exit(3);
	writer_next(w);
}

static void child_run(const char *dir, int pipe)
{
	static struct writer writers[WRITERS];
	rand_forget();
	struct loop *l = loop_new();
	struct store *s;
	char why[200];
	const struct store_config config = {.path = dir, .history = 500};
	if (store_open(&s, l, &config, why) < 0)
		_exit(4);
	for (int i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.store = s, .id = i, .pipe = pipe};
		writer_next(&writers[i]);
	}
	loop_run(l);
	_exit(5);
}

static void check(const char *dir, const int64_t acked[WRITERS])
{
	struct loop *l = loop_new();
	struct store *s;
	char why[200];
	const struct store_config config = {.path = dir, .history = 500};
	if (store_open(&s, l, &config, why) < 0)
		fail_msg("%s", why);
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s, &a);
	int64_t total = 0;
	for (int i = 0; i < WRITERS; i++) {
		int64_t last = number_at(t, arena_printf(&a, "last/%d", i));
		if (last < acked[i])
			fail_msg("writer %d: %ld was acknowledged, %ld is there", i, acked[i], last);
		assert_int_equal(number_at(t, arena_printf(&a, "twin/%d", i)), last);
		int64_t n = last > KEEP ? last - KEEP + 1 : 1;
		struct str from = arena_printf(&a, "log/%d/", i), key;
		struct store_iter *walk = store_scan(t, from, store_prefix_end(&a, from), false);
		struct store_value v;
		for (; store_next(walk, &key, &v); n++)
			assert_true(str_eq(key, log_key(&a, i, n)));
		assert_int_equal(n, last + 1);
		total += last;
	}
	store_abort(t);
	assert_int_equal(store_revision(s), total); /* each one counted once */
	store_close(s);
	loop_free(l);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads acknowledgements until the pipe ends, killing the child once when it is due. Says how many there were. */
static int collect(int fd, int pid, int64_t kill_at_ms, int64_t acked[WRITERS])
{
	int count = 0;
	bool killed = false;
	for (;;) {
		int64_t left = kill_at_ms - now_ms();
		if (!killed && left <= 0) {
			kill(pid, SIGKILL);
			killed = true;
		}
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, killed ? -1 : (int)left) <= 0)
			continue;
		struct ack acks[256];
		ssize_t n = read(fd, acks, sizeof(acks));
		if (n <= 0)
			return count;
		assert_int_equal((size_t)n % sizeof(acks[0]), 0);
		for (size_t i = 0; i < (size_t)n / sizeof(acks[0]); i++, count++)
			acked[acks[i].id] = acks[i].n;
	}
}

static void nothing_acknowledged_is_lost(void **state)
{
	(void)state;
	char dir[] = "/tmp/store_crash.XXXXXX", command[64];
	assert_non_null(mkdtemp(dir));
	int64_t acked[WRITERS] = {0};
	int count = 0;
	for (int i = 0; i < KILLS; i++) {
		int fds[2], status;
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		int pid = fork();
		if (pid == 0) {
			close(fds[0]);
			child_run(dir, fds[1]);
		}
		close(fds[1]);
		count += collect(fds[0], pid, now_ms() + (int64_t)rand_below(200), acked);
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			fail_msg("the writing process ended by itself: status %x", (unsigned)status);
		check(dir, acked);
	}
	print_message("%d transactions acknowledged in %d lives\n", count, KILLS);
	assert_true(count > KILLS);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
