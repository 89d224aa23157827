/* The event loop of a role: descriptors, timers, and work posted by other threads.
 *
 * One thread runs a loop and owns everything reachable from its callbacks. Only loop_post() may be called
 * from another thread. A callback may add and remove anything, its own registration included. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_fd;
struct loop_timer;

struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Runs until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One round: waits at most timeout_us (-1: for ever) for events and delivers them. For tests and for draining. */
void loop_turn(struct loop *l, int64_t timeout_us);
/* Monotonic microseconds as of the start of this round: cheap. */
int64_t loop_now_us(const struct loop *l);

/* Watches fd for EPOLLIN, EPOLLOUT, EPOLLET, ...; `events` in the callback are epoll's. The fd stays the caller's.
 * NULL with errno set when the kernel refuses. */
typedef void loop_fd_fn(void *ctx, uint32_t events);
struct loop_fd *loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn *fn, void *ctx);
void loop_set_fd(struct loop *l, struct loop_fd *f, uint32_t events);
/* NULL is harmless. No callback comes after it. */
void loop_remove_fd(struct loop *l, struct loop_fd *f);

/* Calls fn once, delay_us from now (or at once with 0, but never from inside this call). */
typedef void loop_fn(void *ctx);
struct loop_timer *loop_add_timer(struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx);
/* The same for what waits by the cloud's clock: when that is moved (`quartet clock`), what is left of the delay moves with it. */
struct loop_timer *loop_add_clock_timer(struct loop *l, int64_t delay_us, loop_fn *fn, void *ctx);
/* The clock was moved forward by so much. */
void loop_skip(struct loop *l, int64_t us);
/* Before it has fired: forgets it. NULL is harmless. A timer frees itself when it fires; its owner forgets the pointer then. */
void loop_remove_timer(struct loop *l, struct loop_timer *t);

/* Runs fn(ctx) on the loop's thread soon. Safe from any thread; in order per calling thread. */
void loop_post(struct loop *l, loop_fn *fn, void *ctx);
/* Runs fn(ctx) at the end of every round, before waiting again: where batches are flushed. */
void loop_on_round(struct loop *l, loop_fn *fn, void *ctx);
/* Ends that. Not from inside such a call. */
void loop_off_round(struct loop *l, loop_fn *fn, void *ctx);
/* Delivers signals to fn(ctx, signo) on the loop; blocks them for the process. At most once a signal. */
typedef void loop_signal_fn(void *ctx, int signo);
int loop_add_signal(struct loop *l, int signo, loop_signal_fn *fn, void *ctx);
/* Calls fn(ctx, wait status) when the child exits, having reaped it. 0 or negative errno. */
typedef void loop_child_fn(void *ctx, int status);
int loop_add_child(struct loop *l, int pid, loop_child_fn *fn, void *ctx);
