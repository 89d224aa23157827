/* What a listener refuses before any rule is asked, and what becomes of the Host header. Sizes are AWS's: 16 K for the request line
 * and for a header, 64 K for all headers (the buffer's size), 32 K for a response's. */
#include "config.h"

enum { LINE_BYTES = 16 * 1024, RESPONSE_HEADERS_BYTES = 32 * 1024, FORWARDED_MAX = 30 };

/* Kinds that are counted. Before anything is refused for being of one; only who is of a kind costs more than being looked at. */
static void put_kinds(struct buf *out, const struct lb_balancer *b)
{
	bool grpc = false;
	for (size_t i = 0; i < b->group_count; i++)
		grpc |= b->groups[i].version == LB_GRPC;
	buf_add_lit(out, "  acl odd_name req.hdr_names -m reg [^-a-zA-Z0-9,]\n  acl bodiless method GET HEAD\n"
	                 "  acl ambiguous req.hdr(content_length) -m found\n  acl ambiguous req.hdr(transfer_encoding) -m found\n"
	                 "  acl framed req.hdr(content-length) -m found\n  acl framed req.hdr(transfer-encoding) -m found\n");
	if (grpc)
		buf_printf(out, "  http-request set-var(txn.kinds) int(%d) if { req.hdr(content-type) -m beg application/grpc }\n",
		           LB_KIND_GRPC);
	if (b->ipv6) /* not by the source: HAProxy takes an address of IPv4 for one of ::ffff:0:0/96 */
		buf_printf(out, "  http-request set-var(txn.kinds) var(txn.kinds,0),or(%d) if { so_name six }\n", LB_KIND_IPV6);
	buf_printf(
	        out,
	        "  http-request set-var(txn.kinds) var(txn.kinds,0),or(%d) if odd_name\n"
	        "  http-request set-var(txn.kinds) var(txn.kinds,0),or(%d) if bodiless framed or { var(txn.kinds) -m found } ambiguous\n"
	        "  http-request track-sc1 var(txn.kinds),add(%d) if { var(txn.kinds) -m found }\n",
	        b->drop_invalid_headers ? LB_KIND_DROPPED : LB_KIND_FORWARDED, LB_KIND_DESYNC, LB_TALLY_KINDS);
}

/* Requests that are not clear about their bodies, as far as they come through HAProxy's own parser: it answers 400 to severe ones
 * in every mode, and a Content-Length beside Transfer-Encoding is gone before anybody can look at it. */
static void put_desync(struct buf *out, const struct lb_balancer *b)
{
	if (b->desync != LB_DESYNC_STRICTEST)
		return;
	buf_printf(out, LB_REFUSE(400) " hdr Connection close if ambiguous or bodiless framed\n");
}

void lb_guard_put(struct buf *out, const struct lb_balancer *b)
{
	buf_printf(
	        out,
	        "  http-request set-var(txn.begun) date(0,ms)\n" LB_REFUSE(405) " if { method TRACE CONNECT }\n" LB_REFUSE(463) " if { req.hdr_cnt(x-forwarded-for) gt %d }\n" LB_REFUSE(505) " hdr Connection close if !{ req.ver 1.0 1.1 2.0 }\n" LB_REFUSE(
	                400) " hdr Connection close if { req.hdrs -m reg '[\\x00]' }\n" LB_REFUSE(414) " if { url -m len gt %d }\n" LB_REFUSE(400) " hdr Connection close if { req.hdrs -m len gt %d } { req.hdrs -m reg [^\\n]{%d} }\n",
	        FORWARDED_MAX, LINE_BYTES, LINE_BYTES, LINE_BYTES + 1);
	put_kinds(out, b);
	put_desync(out, b);
	/* of responses: a client's connection lives as long as it may, and ends with the answer after that */
	buf_printf(out,
	           "  http-response return status 502 content-type text/html file 502.html " LB_OWN
	           " if { res.hdrs -m len gt %d }\n",
	           RESPONSE_HEADERS_BYTES);
	buf_printf(out, "  http-after-response set-header Connection close if { date,sub(sess.since) gt %u }\n",
	           b->client_keep_alive_s ? b->client_keep_alive_s : 3600);
}

/* The port that everybody assumes is left out, and another one is added, unless the header shall stay as it is. */
void lb_guard_put_host(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l)
{
	if (b->preserve_host)
		return;
	if (l->port == 80 || l->port == 443)
		buf_printf(out, "  http-request set-header Host %%[req.hdr(host),regsub(:%u$,)] if { req.hdr(host) -m end :%u }\n",
		           l->port, l->port);
	else
		buf_printf(
		        out,
		        "  http-request set-header Host %%[req.hdr(host)]:%u if { req.hdr(host) -m found } !{ req.hdr(host) -m reg "
		        ":[0-9]+$ }\n",
		        l->port);
}

/* In a backend: HTTP/2 and gRPC targets hear nothing else, and others no gRPC. */
void lb_guard_put_version(struct buf *out, const struct lb_group *g)
{
	if (g->function)
		return;
	if (g->version == LB_HTTP1)
		buf_printf(out, LB_REFUSE(464) " if { req.hdr(content-type) -m beg application/grpc }\n");
	else
		buf_printf(out, LB_REFUSE(464) " if !{ req.ver -m beg 2 }\n");
	if (g->version == LB_GRPC)
		buf_printf(out, LB_REFUSE(464) " if !{ method POST }\n");
}
