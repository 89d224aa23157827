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

/* What targets hear of the client's certificate; what a client says of one itself is taken away. */
static void put_mutual(struct buf *out, const struct lb_listener *l)
{
	static const struct {
		const char *name, *value;
	} headers[LB_MUTUAL_HEADERS] = {
	        [LB_MUTUAL_CHAIN] = {"X-Amzn-Mtls-Clientcert", "%[ssl_c_der,hex,lua.pem]%[ssl_c_chain_der,hex,lua.pem]"},
	        [LB_MUTUAL_SERIAL] = {"X-Amzn-Mtls-Clientcert-Serial-Number", "%[ssl_c_serial,hex]"},
	        [LB_MUTUAL_ISSUER] = {"X-Amzn-Mtls-Clientcert-Issuer", "%[ssl_c_i_dn(,0,rfc2253)]"},
	        [LB_MUTUAL_SUBJECT] = {"X-Amzn-Mtls-Clientcert-Subject", "%[ssl_c_s_dn(,0,rfc2253)]"},
	        [LB_MUTUAL_VALIDITY] = {"X-Amzn-Mtls-Clientcert-Validity",
	                                "NotBefore=%[ssl_c_notbefore,lua.day];NotAfter=%[ssl_c_notafter,lua.day]"},
	        [LB_MUTUAL_LEAF] = {"X-Amzn-Mtls-Clientcert-Leaf", "%[ssl_c_der,hex,lua.pem]"},
	};
	for (size_t i = 0; l->mutual && i < LB_MUTUAL_HEADERS; i++) {
		const char *name = l->mutual_headers[i] ? l->mutual_headers[i] : headers[i].name;
		buf_printf(out, "  http-request del-header %s\n", name);
		if ((i == LB_MUTUAL_CHAIN) == (l->mutual == LB_MUTUAL_PASS))
			buf_printf(out, "  http-request set-header %s \"%s\" if { ssl_c_used }\n", name, headers[i].value);
	}
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
	put_mutual(out, l);
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
