#include "http/client.h"

#include "base/buf.h"
#include "base/log.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BODY_MAX = 64 << 20, HEADERS_MAX = 256 };

/* libcurl's functions, by the types of its header. */
struct curl_calls {
	void *library;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_reset) *easy_reset;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	__typeof__(curl_easy_perform) *easy_perform;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
};

struct http_client {
	CURL *curl;
	char *unix_path, *ca_pem;
};

static struct curl_calls calls;

static bool find_calls(void)
{
	if (calls.library)
		return true;
	void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
	if (!library)
		return false;
	const struct {
		const char *name;
		void *to;
	} wanted[] = {
	        {"curl_global_init", &calls.global_init},   {"curl_easy_init", &calls.easy_init},
	        {"curl_easy_reset", &calls.easy_reset},     {"curl_easy_cleanup", &calls.easy_cleanup},
	        {"curl_easy_setopt", &calls.easy_setopt},   {"curl_easy_getinfo", &calls.easy_getinfo},
	        {"curl_easy_perform", &calls.easy_perform}, {"curl_easy_strerror", &calls.easy_strerror},
	        {"curl_slist_append", &calls.slist_append}, {"curl_slist_free_all", &calls.slist_free_all},
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		void *f = dlsym(library, wanted[i].name);
		if (!f) {
			dlclose(library);
			return false;
		}
		memcpy(wanted[i].to, &f, sizeof(f));
	}
	calls.library = library;
	calls.global_init(CURL_GLOBAL_DEFAULT);
	return true;
}

static bool calls_load(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* threads of io/work begin side by side */
	pthread_mutex_lock(&lock);
	bool there = find_calls();
	pthread_mutex_unlock(&lock);
	return there;
}

struct http_client *http_client_new(const char *unix_path, const char *ca_pem, const char **ret_why)
{
	if (!calls_load()) {
		*ret_why = "libcurl.so.4 cannot be loaded: install the package libcurl4";
		return NULL;
	}
	struct http_client *c = calloc(1, sizeof(*c));
	if (!c || !(c->curl = calls.easy_init()))
		die("out of memory (client)");
	c->unix_path = unix_path ? strdup(unix_path) : NULL;
	c->ca_pem = ca_pem ? strdup(ca_pem) : NULL;
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	calls.easy_cleanup(c->curl);
	free(c->unix_path);
	free(c->ca_pem);
	free(c);
}

/* --- what libcurl calls back */

struct exchange {
	const struct http_client_request *q;
	struct arena *arena;
	struct buf body;
	struct http_header *headers;
	unsigned header_count;
	bool interim, stopped;
};

static size_t header_take(char *p, size_t size, size_t count, void *ctx)
{
	struct exchange *x = ctx;
	struct str value = str_trim(str_of(p, size * count));
	if (str_starts(value, S("HTTP/"))) { /* another response begins */
		x->header_count = 0;
		struct str status = str_from_at(value, (size_t)(str_find_char(value, ' ') + 1));
		x->interim = str_starts(status, S("1")) && !str_starts(status, S("101"));
		return size * count;
	}
	struct str name = str_cut(&value, ':');
	if (!x->interim && str_set(value) && x->header_count < HEADERS_MAX)
		x->headers[x->header_count++] =
		        (struct http_header){.name = arena_dup(x->arena, name), .value = arena_dup(x->arena, str_trim(value))};
	return size * count;
}

static size_t body_take(char *p, size_t size, size_t count, void *ctx)
{
	struct exchange *x = ctx;
	struct str piece = str_of(p, size * count);
	if (x->q->on_body) {
		x->stopped = !x->q->on_body(x->q->ctx, piece);
		return x->stopped ? 0 : piece.n;
	}
	buf_add_str(&x->body, piece);
	return x->body.overflow ? 0 : piece.n;
}

/* Called at least once a second, whatever is waited for. */
static int look_up(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	(void)a, (void)b, (void)c, (void)d;
	return atomic_load(((const struct http_client_request *)ctx)->cancel);
}

static curl_socket_t socket_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	const struct http_client_request *q = ctx;
	(void)purpose;
	if (!q->may(q->ctx, &to->addr))
		return CURL_SOCKET_BAD;
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int error_from(CURLcode code, const struct exchange *x)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	case CURLE_WRITE_ERROR:
		return x->stopped ? -ECANCELED : -EMSGSIZE;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return -EINVAL;
	default:
		return -EPROTO;
	}
}

static void options_set(struct http_client *c, struct exchange *x, struct curl_slist *headers, char *why)
{
	CURL *curl = c->curl;
	const struct http_client_request *q = x->q;
	calls.easy_reset(curl); /* options go, connections stay */
	calls.easy_setopt(curl, CURLOPT_URL, q->url);
	calls.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	calls.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	calls.easy_setopt(curl, CURLOPT_PROXY, ""); /* our clouds are near: never through a proxy of the environment */
	calls.easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	calls.easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	calls.easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	calls.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	calls.easy_setopt(curl, CURLOPT_HEADERFUNCTION, header_take);
	calls.easy_setopt(curl, CURLOPT_HEADERDATA, x);
	calls.easy_setopt(curl, CURLOPT_WRITEFUNCTION, body_take);
	calls.easy_setopt(curl, CURLOPT_WRITEDATA, x);
	if (str_set(q->body)) {
		calls.easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
		calls.easy_setopt(curl, CURLOPT_POSTFIELDS, q->body.p);
	}
	if (strcmp(q->method, "HEAD") == 0)
		calls.easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else
		calls.easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
	if (q->cancel) {
		calls.easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
		calls.easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, look_up);
		calls.easy_setopt(curl, CURLOPT_XFERINFODATA, q);
	}
	if (q->may) {
		calls.easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, socket_open);
		calls.easy_setopt(curl, CURLOPT_OPENSOCKETDATA, q);
	}
	if (q->timeout_us > 0)
		calls.easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(q->timeout_us / 1000));
	if (c->unix_path)
		calls.easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->unix_path);
	if (c->ca_pem)
		calls.easy_setopt(curl, CURLOPT_CAINFO, c->ca_pem);
}

int http_client_send(struct http_client *c, struct arena *a, const struct http_client_request *q,
                     struct http_client_reply *ret_reply, struct str *ret_why)
{
	struct exchange x = {.q = q, .arena = a, .headers = arena_array(a, HEADERS_MAX, sizeof(struct http_header))};
	buf_init(&x.body, q->max_body ? q->max_body : BODY_MAX);
	struct curl_slist *headers = NULL;
	bool has_type = false;
	for (unsigned i = 0; i < q->header_count; i++) {
		const struct http_header *h = &q->headers[i];
		/* libcurl takes "Name;" for a header with an empty value and "Name:" for none. */
		const char *line = arena_printf(a, h->value.n ? "%.*s: %.*s" : "%.*s;%.*s", STR_ARG(h->name), STR_ARG(h->value)).p;
		headers = calls.slist_append(headers, line);
		has_type |= str_ieq(h->name, S("content-type"));
	}
	if (!has_type) /* otherwise libcurl makes one up */
		headers = calls.slist_append(headers, "Content-Type:");
	headers = calls.slist_append(headers, "Expect:");
	char why[CURL_ERROR_SIZE] = "";
	options_set(c, &x, headers, why);
	CURLcode code = calls.easy_perform(c->curl);
	calls.slist_free_all(headers);
	int failed = error_from(code, &x);
	if (failed) {
		*ret_why = arena_dup(a, str_from(why[0] ? why : calls.easy_strerror(code)));
	} else {
		long status = 0;
		calls.easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
		*ret_reply = (struct http_client_reply){.status = (unsigned)status,
		                                        .headers = x.headers,
		                                        .header_count = x.header_count,
		                                        .body = arena_dup(a, buf_str(&x.body))};
	}
	buf_done(&x.body);
	return failed;
}
