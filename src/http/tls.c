#include "http/tls.h"

#include "base/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct http_tls {
	SSL_CTX *ctx;
};

struct tls_conn {
	SSL *ssl;
	bool wants_write, failed;
};

static int alpn_choose(SSL *ssl, const unsigned char **ret, unsigned char *ret_n, const unsigned char *offered, unsigned n,
                       void *ctx)
{
	(void)ssl;
	(void)ctx;
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;
	if (SSL_select_next_proto(&chosen, ret_n, ours, sizeof(ours) - 1, offered, n) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

int http_tls_new(const char *cert_pem, const char *key_pem, struct http_tls **ret_tls)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct http_tls *t = calloc(1, sizeof(*t));
	if (!ctx || !t)
		die("out of memory (TLS)");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	/* Released buffers keep an idle connection near 10 KiB; moving write buffers suit a queue that grows between two tries. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets resume sessions without memory of ours */
	SSL_CTX_set_alpn_select_cb(ctx, alpn_choose, NULL);
	if (SSL_CTX_use_certificate_chain_file(ctx, cert_pem) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key_pem, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		ERR_clear_error();
		SSL_CTX_free(ctx);
		free(t);
		return -EINVAL;
	}
	t->ctx = ctx;
	*ret_tls = t;
	return 0;
}

void http_tls_free(struct http_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

struct tls_conn *tls_conn_new(struct http_tls *t, int fd)
{
	struct tls_conn *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->ssl = SSL_new(t->ctx);
	if (!c->ssl || SSL_set_fd(c->ssl, fd) != 1) {
		tls_conn_free(c);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_accept_state(c->ssl);
	return c;
}

void tls_conn_free(struct tls_conn *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

/* What a result <= 0 of OpenSSL means to us. */
static ssize_t tls_failure(struct tls_conn *t, int result)
{
	int why = SSL_get_error(t->ssl, result);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		t->wants_write = why == SSL_ERROR_WANT_WRITE;
		return -EAGAIN;
	}
	if (why == SSL_ERROR_ZERO_RETURN)
		return 0;
	t->failed = true; /* nothing may be called on it any more but SSL_free */
	bool plain = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
	ERR_clear_error();
	return plain ? -EPROTO : -ECONNRESET;
}

ssize_t tls_read(struct tls_conn *t, void *p, size_t n)
{
	if (t->failed)
		return -ECONNRESET;
	t->wants_write = false;
	size_t got;
	ERR_clear_error();
	int result = SSL_read_ex(t->ssl, p, n, &got);
	return result == 1 ? (ssize_t)got : tls_failure(t, result);
}

ssize_t tls_write(struct tls_conn *t, const void *p, size_t n)
{
	if (t->failed)
		return -ECONNRESET;
	size_t put;
	ERR_clear_error();
	int result = SSL_write_ex(t->ssl, p, n, &put);
	if (result == 1)
		return (ssize_t)put;
	ssize_t failure = tls_failure(t, result);
	t->wants_write = false; /* the queue is not empty: its owner waits for the socket anyway */
	return failure == 0 ? -ECONNRESET : failure;
}

bool tls_wants_write(const struct tls_conn *t)
{
	return t->wants_write;
}

bool tls_has_pending(const struct tls_conn *t)
{
	return !t->failed && SSL_has_pending(t->ssl);
}

void tls_close(struct tls_conn *t)
{
	if (!t->failed && SSL_is_init_finished(t->ssl)) {
		ERR_clear_error();
		SSL_shutdown(t->ssl);
		ERR_clear_error();
		t->failed = true;
	}
}
