/* Questions to this machine's own name servers. Each has a socket of its own, connected to one server, so its port is the kernel's
 * random choice and only that server is heard; the id is random, the asker's comes back into the answer. Datagrams are asked for
 * again of the next server after two seconds, at most three times; a connection is tried once a server. A question that goes
 * another way (dns_way) waits for a socket first, within the time of its try. */
#include "engine/dns/internal.h"

#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct list link;    /* of its place */
	struct list opening; /* of those that wait for a socket, under `tag` */
	uint32_t tag;        /* 0: it does not */
	struct dns_way *way; /* NULL: this machine's name servers are asked */
	unsigned first;      /* server and door of its way, at random */
	struct dns_asker asker;
	struct dns_query query;
	uint16_t id; /* ours */
	unsigned tries;
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	size_t sent, got; /* over TCP: of the framed question, of the framed answer */
	size_t n;         /* of the question; two bytes of length lie in front */
	struct dns_half *half;
	uint8_t *answer; /* over TCP */
	uint8_t bytes[];
};

static bool over_tcp(const struct question *q)
{
	return q->asker.connection != NULL;
}

static void hang_up(struct question *q)
{
	struct loop *l = q->asker.place->dns->loop;
	loop_remove_fd(l, q->watch);
	loop_remove_timer(l, q->timer);
	q->watch = NULL;
	q->timer = NULL;
	if (q->tag)
		list_remove(&q->opening);
	q->tag = 0;
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
	q->sent = q->got = 0;
}

static void drop(struct question *q)
{
	hang_up(q);
	list_remove(&q->link);
	q->asker.place->question_count--;
	q->asker.place->dns->under_way--;
	free(q->half);
	free(q->way);
	free(q->answer);
	free(q);
}

static void fail(struct question *q)
{
	uint8_t answer[DNS_PLAIN_MAX];
	struct dns_asker asker = q->asker;
	const struct dns_half *half = q->half;
	size_t n = dns_refuse(answer, sizeof(answer), half ? half->bytes : q->bytes + 2, half ? &half->query : &q->query,
	                      DNS_SERVER_FAILED);
	drop(q);
	dns_tell(&asker, answer, n);
}

static void finish(struct question *q, uint8_t *answer, size_t n)
{
	struct dns_asker asker = q->asker;
	struct dns *d = asker.place->dns;
	answer[0] = (uint8_t)(q->query.id >> 8);
	answer[1] = (uint8_t)q->query.id;
	if (d->server_count && !q->way)
		d->first_server = (d->first_server + q->tries - 1) % d->server_count;
	uint8_t *held = q->answer;
	struct dns_half *half = q->half;
	q->answer = NULL;
	q->half = NULL;
	drop(q);
	if (half)
		dns_tell_whole(&asker, half, answer, n);
	else
		dns_tell(&asker, answer, n);
	free(half);
	free(held);
}

static void try_next(struct question *q);

static void too_late(void *ctx)
{
	struct question *q = ctx;
	q->timer = NULL;
	try_next(q);
}

/* --- by datagram */

static void datagram_came(void *ctx, uint32_t events)
{
	struct question *q = ctx;
	static uint8_t answer[DNS_MESSAGE_MAX];
	(void)events;
	ssize_t n = recv(q->fd, answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0) /* nobody listens there */
		try_next(q);
	else if (dns_answers(q->bytes + 2, &q->query, q->id, answer, (size_t)n))
		finish(q, answer, (size_t)n);
	/* else it is a guess of somebody's: the true one may still come */
}

/* --- over a connection */

static bool receive(struct question *q)
{
	size_t want = q->got < 2 ? 2 : 2u + ((size_t)q->answer[0] << 8 | q->answer[1]);
	ssize_t n = recv(q->fd, q->answer + q->got, want - q->got, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	q->got += (size_t)n;
	if (q->got < 2 || q->got < 2u + ((size_t)q->answer[0] << 8 | q->answer[1]))
		return true;
	if (!dns_answers(q->bytes + 2, &q->query, q->id, q->answer + 2, q->got - 2))
		return false;
	finish(q, q->answer + 2, q->got - 2);
	return true;
}

static void connection_happened(void *ctx, uint32_t events)
{
	struct question *q = ctx;
	size_t whole = 2 + q->n;
	(void)events;
	if (q->sent == whole) {
		if (!receive(q))
			try_next(q);
		return;
	}
	ssize_t n = send(q->fd, q->bytes + q->sent, whole - q->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		try_next(q);
		return;
	}
	q->sent += (size_t)n;
	if (q->sent == whole)
		loop_set_fd(q->asker.place->dns->loop, q->watch, EPOLLIN);
}

/* --- both */

/* By its socket. */
static bool ask(struct question *q, const struct sockaddr_in *server)
{
	struct dns *d = q->asker.place->dns;
	if (q->fd < 0 ||
	    (connect(q->fd, (const struct sockaddr *)server, sizeof(*server)) < 0 && (!over_tcp(q) || errno != EINPROGRESS)))
		return false;
	if (!over_tcp(q) && send(q->fd, q->bytes + 2, q->n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)q->n)
		return false;
	q->watch = over_tcp(q) ? loop_add_fd(d->loop, q->fd, EPOLLOUT, connection_happened, q)
	                       : loop_add_fd(d->loop, q->fd, EPOLLIN, datagram_came, q);
	if (q->watch && !q->timer)
		q->timer = loop_add_timer(d->loop, DNS_TRY_US, too_late, q);
	return q->watch != NULL;
}

static struct sockaddr_in way_server(const struct question *q)
{
	const struct dns_way *w = q->way;
	unsigned at = (q->first + q->tries - 1) % w->server_count;
	return (struct sockaddr_in){
	        .sin_family = AF_INET, .sin_port = htons(w->servers[at].port), .sin_addr = {htonl(w->servers[at].address)}};
}

/* Begins to ask the next one of its way. */
static bool ask_for_socket(struct question *q)
{
	struct dns *d = q->asker.place->dns;
	uint32_t tag = ++d->next_tag ? d->next_tag : ++d->next_tag;
	if (!d->open || !d->open(d->open_ctx, q->way->doors[(q->first + q->tries) % q->way->door_count], over_tcp(q), tag))
		return false;
	q->tag = tag;
	list_push(&d->opening, &q->opening);
	q->timer = loop_add_timer(d->loop, DNS_WAY_TRY_US, too_late, q);
	return true;
}

static void try_next(struct question *q)
{
	struct dns *d = q->asker.place->dns;
	for (;;) {
		unsigned servers = q->way ? q->way->server_count : d->server_count;
		hang_up(q);
		if (!servers || (q->way && !q->way->door_count) ||
		    q->tries >= (q->way && servers > DNS_TRIES ? servers : DNS_TRIES)) {
			fail(q);
			return;
		}
		unsigned server = (d->first_server + q->tries++) % servers;
		if (q->way && ask_for_socket(q))
			return;
		if (q->way)
			continue;
		q->fd = socket(AF_INET, (over_tcp(q) ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (ask(q, &d->servers[server]))
			return;
	}
}

void dns_open_with(struct dns *d, dns_open_fn *open, void *ctx)
{
	d->open = open;
	d->open_ctx = ctx;
}

void dns_opened(struct dns *d, uint32_t tag, int fd)
{
	list_each (&d->opening, struct question, opening, q) {
		if (q->tag != tag)
			continue;
		struct sockaddr_in server = way_server(q);
		list_remove(&q->opening);
		q->tag = 0;
		q->fd = fd;
		if (!ask(q, &server))
			try_next(q);
		return;
	}
	if (fd >= 0) /* it came too late */
		close(fd);
}

void dns_forward(const struct dns_asker *asker, const uint8_t *query, size_t n, const struct dns_query *query_read,
                 struct dns_half *half, const struct dns_way *way)
{
	struct dns_place *p = asker->place;
	if (p->question_count == DNS_PLACE_UNDER_WAY_MAX || p->dns->under_way == DNS_UNDER_WAY_MAX) {
		uint8_t answer[DNS_PLAIN_MAX];
		dns_tell(asker, answer,
		         dns_refuse(answer, sizeof(answer), half ? half->bytes : query, half ? &half->query : query_read,
		                    DNS_REFUSED));
		free(half);
		return;
	}
	struct question *q = calloc(1, sizeof(*q) + 2 + n);
	if (!q)
		abort();
	q->asker = *asker;
	q->query = *query_read;
	q->half = half;
	if (way) {
		q->way = malloc(sizeof(*q->way));
		if (!q->way)
			abort();
		*q->way = *way;
		q->first = (unsigned)rand_below(DNS_WAY_SERVERS_MAX * DNS_WAY_DOORS_MAX);
	}
	q->fd = -1;
	q->n = n;
	q->id = (uint16_t)rand_u64();
	q->bytes[0] = (uint8_t)(n >> 8);
	q->bytes[1] = (uint8_t)n;
	memcpy(q->bytes + 2, query, n);
	q->bytes[2] = (uint8_t)(q->id >> 8);
	q->bytes[3] = (uint8_t)q->id;
	if (over_tcp(q) && !(q->answer = malloc(2 + DNS_MESSAGE_MAX)))
		abort();
	list_push(&p->questions, &q->link);
	p->question_count++;
	p->dns->under_way++;
	if (!way)
		dns_read_servers(p->dns);
	try_next(q);
}

void dns_forget(struct dns_place *place, const struct dns_connection *connection)
{
	for (struct list *l = place->questions.next, *next; l != &place->questions; l = next) {
		struct question *q = (struct question *)(void *)l; /* link is its first member */
		next = l->next;
		if (!connection || q->asker.connection == connection)
			drop(q);
	}
}
