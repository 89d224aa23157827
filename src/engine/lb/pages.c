/* Pages that the balancer answers itself. HAProxy says 503 for a target that cannot be connected to; AWS says 502 when it refused
 * and 504 when it kept silent for ten seconds. A backend without usable targets answers before one is looked for, so within a
 * backend a 503 of HAProxy's own is always such a failure, and the time says which. */
#include "config.h"

#include <stdio.h>

static const struct {
	unsigned status;
	const char *title;
} pages[] = {{400, "400 Bad Request"},
             {401, "401 Authorization Required"},
             {403, "403 Forbidden"},
             {404, "404 Not Found"},
             {405, "405 Not Allowed"},
             {408, "408 Request Time-out"},
             {413, "413 Request Entity Too Large"},
             {500, "500 Internal Server Error"},
             {501, "501 Not Implemented"},
             {502, "502 Bad Gateway"},
             {503, "503 Service Temporarily Unavailable"},
             {504, "504 Gateway Time-out"}};

#define SILENT "date(0,ms),sub(txn.begun),div(10000),bool"
#define CONNECT_TITLE "%[" SILENT ",iif(504 Gateway Time-out,502 Bad Gateway)]"

static void page(struct buf *out, const char *title)
{
	buf_printf(out,
	           "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n</body>\r\n</html>\r\n",
	           title, title);
}

static void file(struct buf *bundle, const char *name, const char *title)
{
	CLEAN_BUF struct buf b = {0};
	buf_init(&b, 1024);
	page(&b, title);
	lb_config_file(bundle, name, buf_str(&b));
}

void lb_pages_files(struct buf *bundle)
{
	char name[16];
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		snprintf(name, sizeof(name), "%u.html", pages[i].status);
		file(bundle, name, pages[i].title);
	}
	file(bundle, "connect.html", CONNECT_TITLE);
	file(bundle, "414.html", "414 Request-URI Too Large");
	file(bundle, "463.html", "463 ");
	file(bundle, "505.html", "505 HTTP Version Not Supported");
	file(bundle, "464.html", "464 ");
}

void lb_pages_put(struct buf *out)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
		buf_printf(out, "  http-error status %u content-type text/html file %u.html " LB_OWN "\n", pages[i].status,
		           pages[i].status);
}

void lb_pages_put_backend(struct buf *out)
{
	buf_printf(out, "  http-request return status 503 content-type text/html file 503.html " LB_OWN " if { connslots eq 0 }\n"
	                "  http-error status 503 content-type text/html lf-file connect.html " LB_OWN "\n"
	                "  http-response set-var(txn.answered) bool(1)\n"
	                "  http-after-response set-status 504 if { status 503 } !{ var(txn.answered) -m found } "
	                "{ srv_name -m found } { " SILENT " }\n"
	                "  http-after-response set-status 502 if { status 503 } !{ var(txn.answered) -m found } "
	                "{ srv_name -m found }\n");
}
