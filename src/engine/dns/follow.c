/* A CNAME that leads out of what an answerer knows: the rest is asked for under the new name, and both are told as one answer. */
#include "engine/dns/internal.h"

#include "engine/dns/name.h"

#include <stdlib.h>
#include <string.h>

enum { DESIRED_BYTE = 2, DESIRED = 1, QUESTIONS_BYTE = 5, TAIL = 4 };

void dns_tell_whole(const struct dns_asker *asker, const struct dns_half *half, const uint8_t *answer, size_t n)
{
	static uint8_t whole[DNS_MESSAGE_MAX];
	struct dns_writer w;
	dns_begin(&w, whole, asker->connection ? sizeof(whole) : half->query.limit, half->bytes, &half->query);
	memcpy(w.p + w.n, half->bytes + half->query_n, half->answer_n); /* it fitted before */
	w.n += half->answer_n;
	w.counts[DNS_ANSWER] = half->count;
	w.authoritative = half->authoritative;
	int code = dns_merge(&w, answer, n);
	dns_tell(asker, whole, dns_end(&w, code < 0 ? DNS_SERVER_FAILED : (enum dns_code)code));
}

static struct dns_half *half_new(const uint8_t *query, size_t n, const struct dns_writer *w)
{
	size_t answer_n = w->n - w->end_of_question;
	struct dns_half *h = malloc(sizeof(*h) + n + answer_n);
	if (!h)
		abort();
	*h = (struct dns_half){.query = *w->query,
	                       .query_n = n,
	                       .answer_n = answer_n,
	                       .authoritative = w->authoritative,
	                       .count = w->counts[DNS_ANSWER]};
	memcpy(h->bytes, query, n);
	memcpy(h->bytes + n, w->p + w->end_of_question, answer_n);
	return h;
}

void dns_follow(const struct dns_asker *asker, const uint8_t *query, size_t n, const struct dns_writer *first)
{
	static uint8_t answer[DNS_MESSAGE_MAX];
	uint8_t next[DNS_HEAD + DNS_NAME_MAX + TAIL] = {0};
	struct dns_half *half = half_new(query, n, first);
	struct dns_query q;
	struct dns_writer w;
	size_t name = dns_name_size(first->out), next_n = DNS_HEAD + name + TAIL;
	memcpy(next, query, 2);
	next[DESIRED_BYTE] = DESIRED;
	next[QUESTIONS_BYTE] = 1;
	memcpy(next + DNS_HEAD, first->out, name);
	memcpy(next + DNS_HEAD + name, query + DNS_HEAD + half->query.question_n - TAIL, TAIL);
	if (dns_query_read(next, next_n, &q) != DNS_OK)
		abort(); /* it was written just now */
	dns_begin(&w, answer, sizeof(answer), next, &q);
	enum dns_said said = dns_ask_table(asker, &q, &w);
	if (said == DNS_NOT_MINE || said == DNS_SENT) {
		dns_forward(asker, next, next_n, &q, half, w.way);
		return;
	}
	dns_tell_whole(asker, half, answer, dns_end(&w, said == DNS_ABSENT ? DNS_NO_NAME : DNS_OK));
	free(half);
}
