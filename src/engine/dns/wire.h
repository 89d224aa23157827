/* DNS messages: what a query asks, and the writing of answers (RFC 1035, RFC 6891). Pure; bytes come from instances and from other
 * name servers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_HEAD = 12,
	DNS_MESSAGE_MAX = 65535,
	DNS_PLAIN_MAX = 512,  /* of a datagram, to who does not say that it takes more */
	DNS_LARGE_MAX = 4096, /* to who says so */
	DNS_NAME_MAX = 255,   /* on the wire; as text less, with the NUL */
	DNS_LABEL_MAX = 63,
};
enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_NAPTR = 35,
	DNS_OPT = 41,
	DNS_DS = 43,
	DNS_SSHFP = 44,
	DNS_TLSA = 52,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_SPF = 99,
	DNS_ANY = 255,
	DNS_CAA = 257
};
enum { DNS_IN = 1 };
enum dns_code { DNS_OK, DNS_FORMAT_ERROR, DNS_SERVER_FAILED, DNS_NO_NAME, DNS_NOT_IMPLEMENTED, DNS_REFUSED };

struct dns_query {
	uint16_t id, type, class;
	bool recursion; /* desired */
	bool extended;  /* it has an OPT record */
	bool over_tcp;  /* whoever read it says so */
	/* Lower case, without the dot at its end: "example.com"; the root is "". */
	char name[DNS_NAME_MAX + 1];
	bool plain;        /* its labels have nothing but letters, digits, '-', '_' and '*': else `name` stands for no name */
	size_t question_n; /* bytes of the question behind the head */
	size_t limit;      /* of an answer in a datagram */
	/* The name as it lies on the wire, in lower case: question_n - 4 bytes. */
	uint8_t wire[DNS_NAME_MAX];
	/* Whom a resolver asks for (RFC 7871): IPv4 in host byte order, IPv6 as it lies on the wire. */
	bool has_subnet, subnet_is_6;
	uint8_t subnet_bits;
	uint32_t subnet;
	uint8_t subnet6[16];
};
/* Reads a query. DNS_OK; another code to refuse it with, with id, recursion and question_n (0: not understood) set; -1: nothing is
 * to be answered (an answer, or shorter than a head). */
int dns_query_read(const uint8_t *p, size_t n, struct dns_query *ret);

/* Is this the answer to the query whose bytes those are, sent under `id`? Names are compared without case. */
bool dns_answers(const uint8_t *query, const struct dns_query *q, uint16_t id, const uint8_t *answer, size_t n);

/* A name as it lies on the wire, without compression. The size; 0: it is none. */
size_t dns_name_write(const char *text, uint8_t out[static DNS_NAME_MAX]);

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL, DNS_SECTIONS };
/* An answer that grows. Sections are written in their order. */
struct dns_writer {
	uint8_t *p;
	size_t n, max, end_of_question;
	bool overflow;
	bool authoritative; /* whoever answers says so */
	uint8_t scope_bits; /* of the asker's subnet: for how much of it the answer holds */
	/* The answer ends with a CNAME to this name, which another one has to be asked for: whoever asked for recursion gets both.
	 */
	bool leads_out;
	uint8_t out[DNS_NAME_MAX];
	uint16_t counts[DNS_SECTIONS];
	const struct dns_query *query;
	const struct dns_way *way; /* of an answer that somebody else is asked for (dns.h) */
};
/* `max` is at least DNS_PLAIN_MAX and holds room for all: `limit` is what may be sent. */
void dns_begin(struct dns_writer *w, uint8_t *p, size_t limit, const uint8_t *query, const struct dns_query *q);
/* owner NULL: the question's name. A record that does not fit makes the answer a truncated one. */
void dns_put(struct dns_writer *w, enum dns_section section, const char *owner, enum dns_type type, uint32_t ttl, const void *data,
             size_t n);
/* The same with an owner as it lies on the wire. */
void dns_put_record(struct dns_writer *w, enum dns_section section, const uint8_t *owner, size_t owner_n, uint16_t type,
                    uint32_t ttl, const void *data, size_t n);
void dns_put_address(struct dns_writer *w, enum dns_section section, const char *owner, uint32_t ttl, uint32_t address);
/* PTR, CNAME, NS. */
void dns_put_name(struct dns_writer *w, enum dns_section section, const char *owner, enum dns_type type, uint32_t ttl,
                  const char *name);
/* SRV. */
void dns_put_service(struct dns_writer *w, enum dns_section section, const char *owner, uint32_t ttl, uint16_t priority,
                     uint16_t weight, uint16_t port, const char *target);
/* The start of authority that says how long a "no" may be kept. */
void dns_put_soa(struct dns_writer *w, const char *zone, const char *server, uint32_t ttl);
/* The size of the whole. */
size_t dns_end(struct dns_writer *w, enum dns_code code);
/* Adds the answers of another message, whose names may be compressed. Its code; -1: it makes no sense. merge.c. */
int dns_merge(struct dns_writer *w, const uint8_t *message, size_t n);
/* A query that is refused without being understood further. */
size_t dns_refuse(uint8_t *p, size_t max, const uint8_t *query, const struct dns_query *q, enum dns_code code);
