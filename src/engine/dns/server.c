#include "engine/dns/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROUNDS_MAX = 4 }; /* batches before others have their turn */

/* Queries as they were read together, and answers that are to leave together. One serves all places: it is empty between turns. */
struct dns_batch {
	struct mmsghdr in[DNS_BATCH], out[DNS_BATCH];
	struct iovec in_at[DNS_BATCH], out_at[DNS_BATCH];
	struct sockaddr_in from[DNS_BATCH], to[DNS_BATCH];
	unsigned out_n;
	uint8_t queries[DNS_BATCH][DNS_LARGE_MAX], answers[DNS_BATCH][DNS_LARGE_MAX];
};
static struct dns_batch batch;

/* --- one query */

enum dns_said dns_ask_table(const struct dns_asker *asker, const struct dns_query *q, struct dns_writer *w)
{
	struct dns *d = asker->place->dns;
	for (size_t i = 0; i < d->answerer_count; i++) {
		const struct dns_answerer *a = &d->answerers[i];
		enum dns_said said = a->ask(a->ctx, asker->place->id, ntohl(asker->peer.sin_addr.s_addr), q, w);
		if (said != DNS_NOT_MINE)
			return said;
	}
	return DNS_NOT_MINE;
}

void dns_take(const struct dns_asker *asker, const uint8_t *query, size_t n)
{
	static uint8_t answer[DNS_MESSAGE_MAX];
	struct dns_query q;
	struct dns_writer w;
	int code = dns_query_read(query, n, &q);
	if (code < 0)
		return;
	q.over_tcp = asker->connection != NULL;
	size_t limit = asker->connection ? sizeof(answer) : q.limit;
	if (code != DNS_OK) {
		dns_tell(asker, answer, dns_refuse(answer, limit, query, &q, (enum dns_code)code));
		return;
	}
	dns_begin(&w, answer, limit, query, &q);
	switch (dns_ask_table(asker, &q, &w)) {
	case DNS_ANSWERED:
		if (w.leads_out && q.recursion && !w.overflow)
			dns_follow(asker, query, n, &w);
		else
			dns_tell(asker, answer, dns_end(&w, DNS_OK));
		break;
	case DNS_ABSENT:
		dns_tell(asker, answer, dns_end(&w, DNS_NO_NAME));
		break;
	case DNS_SILENT:
		break;
	case DNS_SENT:
	case DNS_NOT_MINE:
		if (q.recursion)
			dns_forward(asker, query, n, &q, NULL, w.way);
		else
			dns_tell(asker, answer, dns_refuse(answer, limit, query, &q, DNS_REFUSED));
	}
}

/* What does not leave is asked for again. */
static void send_batch(struct dns_place *p)
{
	for (unsigned at = 0; at < batch.out_n;) {
		int sent = p->datagrams < 0 ? -1
		                            : sendmmsg(p->datagrams, batch.out + at, batch.out_n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && (p->datagrams < 0 || errno == EAGAIN))
			break;
		at += sent > 0 ? (unsigned)sent : 1; /* one that cannot leave holds up no other */
	}
	batch.out_n = 0;
}

static void add_answer(const struct dns_asker *asker, const uint8_t *answer, size_t n)
{
	unsigned i = batch.out_n++;
	memcpy(batch.answers[i], answer, n);
	batch.to[i] = asker->peer;
	batch.out_at[i] = (struct iovec){batch.answers[i], n};
	batch.out[i].msg_hdr = (struct msghdr){
	        .msg_name = &batch.to[i], .msg_namelen = sizeof(batch.to[i]), .msg_iov = &batch.out_at[i], .msg_iovlen = 1};
	if (batch.out_n == DNS_BATCH)
		send_batch(asker->place);
}

void dns_tell(const struct dns_asker *asker, const uint8_t *answer, size_t n)
{
	if (asker->connection)
		dns_connection_tell(asker->connection, answer, n);
	else if (asker->place->batch && n <= DNS_LARGE_MAX)
		add_answer(asker, answer, n);
	else if (asker->place->datagrams >= 0)
		/* What does not leave is asked for again. */
		(void)sendto(asker->place->datagrams, answer, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&asker->peer,
		             sizeof(asker->peer));
}

static void datagrams_came(void *ctx, uint32_t events)
{
	struct dns_place *p = ctx;
	int n = DNS_BATCH;
	(void)events;
	p->batch = &batch;
	for (int round = 0; round < ROUNDS_MAX && n == DNS_BATCH; round++) {
		for (unsigned i = 0; i < DNS_BATCH; i++) {
			batch.in_at[i] = (struct iovec){batch.queries[i], DNS_LARGE_MAX};
			batch.in[i].msg_hdr = (struct msghdr){.msg_name = &batch.from[i],
			                                      .msg_namelen = sizeof(batch.from[i]),
			                                      .msg_iov = &batch.in_at[i],
			                                      .msg_iovlen = 1};
		}
		n = recvmmsg(p->datagrams, batch.in, DNS_BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			const struct msghdr *h = &batch.in[i].msg_hdr;
			struct dns_asker asker = {.place = p, .peer = batch.from[i]};
			if (!(h->msg_flags & MSG_TRUNC) && h->msg_namelen == sizeof(asker.peer) && asker.peer.sin_family == AF_INET)
				dns_take(&asker, batch.queries[i], batch.in[i].msg_len);
		}
		send_batch(p);
	}
	p->batch = NULL;
}

static void connection_came(void *ctx, uint32_t events)
{
	(void)events;
	dns_accept(ctx);
}

/* --- places */

static struct dns_place *place_of(struct dns *d, const char *id)
{
	struct dns_place *p = map_get(&d->places, str_from(id));
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p || !(p->id = strdup(id)))
		abort();
	p->dns = d;
	p->datagrams = p->listening = -1;
	list_init(&p->connections);
	list_init(&p->questions);
	map_put(&d->places, str_from(id), p);
	return p;
}

static void close_socket(struct dns_place *p, int *fd, struct loop_fd **watch)
{
	loop_remove_fd(p->dns->loop, *watch);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	*watch = NULL;
}

void dns_serve_datagrams(struct dns *d, const char *place, int fd)
{
	struct dns_place *p = place_of(d, place);
	close_socket(p, &p->datagrams, &p->datagrams_watch);
	p->datagrams = fd;
	p->datagrams_watch = loop_add_fd(d->loop, fd, EPOLLIN, datagrams_came, p);
	if (!p->datagrams_watch)
		close_socket(p, &p->datagrams, &p->datagrams_watch);
}

void dns_serve_connections(struct dns *d, const char *place, int fd)
{
	struct dns_place *p = place_of(d, place);
	dns_connections_close(p);
	close_socket(p, &p->listening, &p->listening_watch);
	p->listening = fd;
	p->listening_watch = loop_add_fd(d->loop, fd, EPOLLIN, connection_came, p);
	if (!p->listening_watch)
		close_socket(p, &p->listening, &p->listening_watch);
}

struct dns *dns_new(struct loop *l, const struct dns_answerer *answerers, size_t count, const char *server,
                    const char *servers_file)
{
	struct dns *d = calloc(1, sizeof(*d));
	if (!d || count > DNS_ANSWERERS_MAX)
		abort();
	d->loop = l;
	list_init(&d->opening);
	d->server = server;
	d->servers_file = servers_file;
	d->answerer_count = count;
	if (count)
		memcpy(d->answerers, answerers, count * sizeof(*answerers));
	return d;
}

static void place_free(struct dns_place *p)
{
	dns_connections_close(p);
	dns_forget(p, NULL);
	close_socket(p, &p->datagrams, &p->datagrams_watch);
	close_socket(p, &p->listening, &p->listening_watch);
	free(p->id);
	free(p);
}

void dns_leave(struct dns *d, const char *place)
{
	struct dns_place *p = map_remove(&d->places, str_from(place));
	if (p)
		place_free(p);
}

void dns_free(struct dns *d)
{
	size_t at = 0;
	struct str id;
	void *place;
	if (!d)
		return;
	while (map_next(&d->places, &at, &id, &place))
		place_free(place);
	map_done(&d->places);
	free(d);
}
