#include "io/work.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct job {
	struct job *next;
	struct work *work;
	void (*run)(void *);
	void (*done)(void *);
	void *arg;
};

enum { THREADS_MAX = 16 };

struct work {
	struct loop *loop;
	unsigned limit, started, idle;
	pthread_t threads[THREADS_MAX];
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *first, **last;
	size_t pending;
	bool stop;
};

struct work *work_new(struct loop *l, unsigned threads)
{
	struct work *w = calloc(1, sizeof(*w));
	if (!w)
		die("out of memory (work)");
	w->loop = l;
	w->limit = threads < THREADS_MAX ? threads : THREADS_MAX;
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	return w;
}

static void job_done(void *arg)
{
	struct job *j = arg;
	j->work->pending--;
	j->done(j->arg);
	free(j);
}

static void *work_thread(void *arg)
{
	struct work *w = arg;
	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->stop) {
			w->idle++;
			pthread_cond_wait(&w->more, &w->lock);
			w->idle--;
		}
		if (w->stop)
			break;
		struct job *j = w->first;
		w->first = j->next;
		if (!w->first)
			w->last = &w->first;
		pthread_mutex_unlock(&w->lock);
		j->run(j->arg);
		loop_post(w->loop, job_done, j);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Signals belong to the loop's thread. */
static void work_start_thread(struct work *w)
{
	sigset_t all, was;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &was);
	if (pthread_create(&w->threads[w->started], NULL, work_thread, w) == 0)
		w->started++;
	else if (w->started == 0)
		die("cannot start a worker thread");
	pthread_sigmask(SIG_SETMASK, &was, NULL);
}

void work_add(struct work *w, void (*run)(void *), void (*done)(void *), void *arg)
{
	struct job *j = malloc(sizeof(*j));
	if (!j)
		die("out of memory (work)");
	*j = (struct job){.work = w, .run = run, .done = done, .arg = arg};
	w->pending++;
	pthread_mutex_lock(&w->lock);
	*w->last = j;
	w->last = &j->next;
	if (w->idle == 0 && w->started < w->limit)
		work_start_thread(w);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

size_t work_pending(const struct work *w)
{
	return w->pending;
}

void work_free(struct work *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->started; i++)
		pthread_join(w->threads[i], NULL);
	for (struct job *j = w->first; j;) {
		struct job *next = j->next;
		free(j);
		j = next;
	}
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
