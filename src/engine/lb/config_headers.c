/* Headers that the balancer adds: to requests, who asked and under which number it is found again; to responses, what the
 * listener's owner wants in all of them, its own answers too. */
#include "config.h"

#define RANDOM "%%[rand,hex,lower,bytes(8,8)]"

/* AWS's way of noting the client, as far as the owner lets it. */
static void put_forwarded_for(struct buf *out, const struct lb_balancer *b)
{
	const char *client = b->xff_client_port ? "%[src]:%[src_port]" : "%[src]";
	if (b->xff == LB_XFF_APPEND)
		buf_printf(
		        out,
		        "  http-request set-var-fmt(txn.via) \"%%[req.fhdr(x-forwarded-for)], \" if { req.hdr(x-forwarded-for) -m found }\n"
		        "  http-request set-header X-Forwarded-For \"%%[var(txn.via)]%s\"\n",
		        client);
	else if (b->xff == LB_XFF_REMOVE)
		buf_add_lit(out, "  http-request del-header X-Forwarded-For\n");
}

void lb_headers_put_request(struct buf *out, const struct lb_balancer *b, const struct lb_listener *l)
{
	bool tls = l->protocol == LB_HTTPS;
	put_forwarded_for(out, b);
	buf_printf(
	        out,
	        "  http-request set-header X-Forwarded-Proto %s\n  http-request set-header X-Forwarded-Port %%[dst_port]\n"
	        "  http-request set-var-fmt(txn.number) \"1-%%[date,hex,lower,bytes(8,8)]-" RANDOM RANDOM RANDOM "\"\n"
	        "  http-request set-var(txn.trace) req.fhdr(x-amzn-trace-id)\n"
	        "  http-request set-header X-Amzn-Trace-Id \"Root=%%[var(txn.number)]\" if !{ var(txn.trace) -m sub Root= }\n"
	        "  http-request set-var(txn.rest) var(txn.trace),regsub(Self=[^;]*;?,),regsub(;$,) if { var(txn.trace) -m found }\n"
	        "  http-request set-header X-Amzn-Trace-Id \"Self=%%[var(txn.number)];%%[var(txn.rest)]\" "
	        "if { var(txn.trace) -m sub Root= }\n",
	        tls ? "https" : "http");
	if (tls && b->tls_headers)
		buf_printf(out,
		           "  http-request set-header %s %%[ssl_fc_protocol]\n  http-request set-header %s %%[ssl_fc_cipher]\n",
		           l->tls_version_header ? l->tls_version_header : "X-Amzn-Tls-Version",
		           l->tls_cipher_header ? l->tls_cipher_header : "X-Amzn-Tls-Cipher-Suite");
}

void lb_headers_put_response(struct buf *out, const struct lb_listener *l)
{
	for (size_t i = 0; i < l->header_count; i++) {
		buf_printf(out, "  http-after-response set-header %s \"", l->headers[i].name);
		lb_config_format(out, str_from(l->headers[i].value));
		buf_add_lit(out, "\"\n");
	}
	if (l->nameless)
		buf_add_lit(out, "  http-after-response del-header Server if { res.hdr(server) -m str awselb/2.0 }\n");
}
