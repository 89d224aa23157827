/* TLS for the HTTP server and client certificates' authority: contexts, and one connection's reads and writes, on OpenSSL.
 *
 * A context is made from PEM files at start and lives until its server is freed. Connections belong to the HTTP server. */
#pragma once
#include "base/str.h"

#include <sys/types.h>

struct http_tls;
struct tls_conn;

/* TLS 1.2 and 1.3 with ALPN http/1.1. Negative errno: -EINVAL for files that are no certificate and matching key. */
int http_tls_new(const char *cert_pem, const char *key_pem, struct http_tls **ret_tls);
void http_tls_free(struct http_tls *t);

/* The server's side of one connection; the fd stays the caller's. The handshake happens inside the first reads. */
struct tls_conn *tls_conn_new(struct http_tls *t, int fd);
void tls_conn_free(struct tls_conn *t);
/* Bytes read or written; 0: the client has ended the stream; -EAGAIN: wait for tls_wants_write() ? EPOLLOUT : EPOLLIN; -ECONNRESET;
 * -EPROTO: the client speaks plain HTTP. */
ssize_t tls_read(struct tls_conn *t, void *p, size_t n);
ssize_t tls_write(struct tls_conn *t, const void *p, size_t n);
/* Did the last -EAGAIN of tls_read() come because it must write first? */
bool tls_wants_write(const struct tls_conn *t);
/* Are decrypted bytes waiting that the kernel does not know of? */
bool tls_has_pending(const struct tls_conn *t);
/* Says goodbye, as far as the socket takes it. */
void tls_close(struct tls_conn *t);

/* A certificate authority of this machine's own and a server certificate by it, in dir: ca.pem, cert.pem, key.pem (the last 0600).
 * Files that are there and good for more than 30 days are kept. 0 or negative errno. The names: localhost, *.localhost, the
 * loopback addresses, and the AWS endpoint names that a client may be pointed here with. */
int tls_make_ca(const char *dir);
