#include "role/admin.h"
#include "role/chaos.h"
#include "role/clock.h"
#include "role/exec.h"
#include "role/retire.h"
#include "role/use.h"

#include "aws/route53/route53.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"
#include "engine/cell/cell.h"
#include "http/http.h"
#include "io/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RESET_GRACE_US = 20 * 1000 }; /* for requests under way */

struct admin {
	struct cloud *cloud;
	const struct role_config *config;
};

/* What a reset moves out of the way; the rest of the data directory (keys, TLS, the run file) belongs to the installation. */
static const char *const resettable[] = {"state", "blobs", "logs", "lambda", "metrics", "elb-logs", "queues", "events"};

/* What lies in it, and not the directory: the next reset may be about to put something there. */
static void trash_remove(void *arg)
{
	DIR *d = opendir(arg);
	struct dirent *e;
	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			tree_remove(dirfd(d), e->d_name);
	if (d)
		closedir(d);
}

static void trash_removed(void *arg)
{
	free(arg);
}

struct admin *admin_new(struct cloud *cloud, const struct role_config *config)
{
	struct admin *a = calloc(1, sizeof(*a));
	char *trash = NULL;
	if (!a || asprintf(&trash, "%s/trash", config->data_dir) < 0)
		die("out of memory (admin)");
	a->cloud = cloud;
	a->config = config;
	if (access(trash, F_OK) == 0)
		work_add(cloud->work, trash_remove, trash_removed, trash);
	else
		free(trash);
	return a;
}

static void reply_text(struct http_request *r, unsigned status, const char *type, struct str body)
{
	struct http_header h[] = {{S("content-type"), str_from(type)}};
	http_reply(r, status, h, 1, body);
}

/* Where there are no sandboxes, the reason. */
static struct str sandboxes_json(struct admin *a, struct arena *arena)
{
	struct cells_stats n;
	if (!a->cloud->cells)
		return S("{\"known\":true,\"work\":false,\"why_not\":\"the cloud was not started by root\"}");
	const struct cells_facts *f = cells_facts(a->cloud->cells);
	cells_stats(a->cloud->cells, &n);
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	struct json_out o = json_out(&b);
	const struct {
		const char *name;
		bool v;
	} flags[] = {
	        {"known", f->known},
	        {"work", f->works},
	        {"memory_limit", f->memory_limit},
	        {"cpu_limit", f->cpu_limit},
	        {"pids_limit", f->pids_limit},
	        {"freezer", f->freezer},
	        {"outbound_network", f->network},
	        {"user_namespace", f->user_namespace},
	        {"seccomp", f->seccomp},
	        {"snapshots", f->snapshots},
	};
	const struct {
		const char *name;
		int64_t v;
	} numbers[] = {
	        {"cgroup", f->cgroup_version}, {"claimed", n.claimed}, {"stems", n.ready_stems},
	        {"blanks", n.ready_blanks},    {"making", n.making},
	};
	json_open(&o, '{');
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		json_key(&o, str_from(flags[i].name));
		json_bool(&o, flags[i].v);
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		json_key(&o, str_from(numbers[i].name));
		json_int(&o, numbers[i].v);
	}
	json_key(&o, S("why_not"));
	json_string(&o, str_from(f->why_not));
	json_key(&o, S("why_no_network"));
	json_string(&o, str_from(f->why_no_network));
	json_key(&o, S("why_no_snapshots"));
	json_string(&o, str_from(f->why_no_snapshots));
	json_close(&o, '}');
	return arena_dup(arena, buf_str(&b));
}

/* Where names of hosted zones are answered to this machine. */
static struct str names_json(struct admin *a, struct arena *arena)
{
	struct buf CLEAN_BUF b;
	const char *why, *at = route53_responder(a->cloud, &why);
	buf_init(&b, 1024);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("answered_at"));
	json_string(&o, str_from(at ? at : ""));
	json_key(&o, S("why_not"));
	json_string(&o, str_from(at ? "" : why));
	json_close(&o, '}');
	return arena_dup(arena, buf_str(&b));
}

static void health(struct admin *a, struct http_request *r)
{
	struct str sandboxes = sandboxes_json(a, http_arena(r)), names = names_json(a, http_arena(r));
	struct str body = arena_printf(
	        http_arena(r),
	        "{\"status\":\"running\",\"version\":\"%s\",\"revision\":%llu,\"connections\":%zu,\"sandboxes\":%.*s,\"names\":%.*s}\n",
	        QUARTET_VERSION, (unsigned long long)store_revision(a->cloud->store), http_connections(a->cloud->http),
	        STR_ARG(sandboxes), STR_ARG(names));
	reply_text(r, 200, "application/json", body);
}

static void reset_end(void *ctx)
{
	(void)ctx;
	_exit(ROLE_EXIT_RESET);
}

static void reset(struct admin *a, struct http_request *r)
{
	struct arena *arena = http_arena(r);
	struct str trash = arena_printf(arena, "%s/trash", a->config->data_dir);
	struct str aside = arena_printf(arena, "%s/%s", trash.p, id_hex(arena, 16).p);
	mkdir(trash.p, 0700);
	if (mkdir(aside.p, 0700) < 0) {
		reply_text(r, 500, "text/plain", arena_printf(arena, "%s: %s\n", aside.p, strerror(errno)));
		return;
	}
	for (size_t i = 0; i < sizeof(resettable) / sizeof(*resettable); i++) {
		struct str from = arena_printf(arena, "%s/%s", a->config->data_dir, resettable[i]);
		struct str to = arena_printf(arena, "%s/%s", aside.p, resettable[i]);
		if (rename(from.p, to.p) < 0 && errno != ENOENT)
			die("%s: %s", from.p, strerror(errno)); /* half moved: start again and see what is there */
	}
	/* Other connections end before the reply goes out: whoever has read it meets nobody who still knows the old state. New
	 * connections wait in the backlog for the new process. */
	http_server_drain(a->cloud->http, HTTP_DRAIN_LEAVE, RESET_GRACE_US, reset_end, NULL);
	reply_text(r, 200, "application/json", S("{\"status\":\"reset\"}\n"));
}

static void metrics(struct admin *a, struct http_request *r)
{
	struct buf CLEAN_BUF out;
	struct cells_stats n = {0};
	buf_init(&out, 4 << 20);
	gate_metrics(a->cloud->gate, &out);
	if (a->cloud->cells)
		cells_stats(a->cloud->cells, &n);
	struct mallinfo2 heap = mallinfo2();
	buf_printf(&out, "quartet_heap_bytes %zu\n", heap.uordblks + heap.hblkhd);
	buf_printf(&out, "quartet_connections %zu\nquartet_store_revision %llu\n", http_connections(a->cloud->http),
	           (unsigned long long)store_revision(a->cloud->store));
	buf_printf(&out,
	           "quartet_cells{state=\"claimed\"} %u\nquartet_cells{state=\"stem\"} %u\nquartet_cells{state=\"blank\"} %u\n",
	           n.claimed, n.ready_stems, n.ready_blanks);
	buf_printf(
	        &out,
	        "quartet_cells_made_total %llu\nquartet_cells_claimed_total %llu\nquartet_cells_claimed_stem_total %llu\nquartet_cells_failed_total %llu\n",
	        (unsigned long long)n.made_total, (unsigned long long)n.claimed_total, (unsigned long long)n.claimed_stem_total,
	        (unsigned long long)n.failed_total);
	reply_text(r, 200, "text/plain; version=0.0.4", buf_str(&out));
}

static void why(struct admin *a, struct http_request *r, struct str id)
{
	struct str lines = gate_why(a->cloud->gate, http_arena(r), id);
	if (str_set(lines))
		reply_text(r, 200, "text/plain", lines);
	else
		reply_text(r, 404, "text/plain",
		           S("No decision is kept for that request id: it was the root user's, or is too old, or never was.\n"));
}

static bool from_this_machine(const struct http_head *head)
{
	if (head->peer.ss_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *)(const void *)&head->peer)->sin_addr.s_addr) >> 24) == 127;
	if (head->peer.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)&head->peer)->sin6_addr);
	return head->peer.ss_family == AF_UNIX;
}

bool admin_take(struct admin *a, struct http_request *r)
{
	const struct http_head *head = http_head(r);
	struct str path = head->path;
	bool ours = str_starts(path, S("/_quartet/")), is_metrics = str_is(path, "/metrics") && str_is(head->method, "GET") &&
	                                                            !str_set(head->query) &&
	                                                            !str_set(http_header(r, S("authorization")));
	if (!ours && !is_metrics)
		return false;
	bool get = str_is(head->method, "GET"), post = str_is(head->method, "POST");
	if (!from_this_machine(head) || !gate_host_is_local(head->host) || str_set(http_header(r, S("origin"))))
		reply_text(r, 403, "text/plain", S("Only for this machine.\n"));
	else if (is_metrics)
		metrics(a, r);
	else if (get && str_is(path, "/_quartet/health"))
		health(a, r);
	else if (post && str_is(path, "/_quartet/reset"))
		reset(a, r);
	else if (post && str_starts(path, S("/_quartet/exec/")))
		exec_take(a->cloud, r);
	else if ((get && str_is(path, "/_quartet/chaos")) || (post && str_starts(path, S("/_quartet/chaos/"))))
		chaos_take(a->cloud, r);
	else if ((get || post) && str_is(path, "/_quartet/clock"))
		clock_take(a->cloud, r);
	else if (post && str_starts(path, S("/_quartet/retire/")))
		retire_take(a->cloud, r);
	else if (get && str_starts(path, S("/_quartet/use/")))
		use_take(a->cloud, r);
	else if (get && str_starts(path, S("/_quartet/why/")))
		why(a, r, str_from_at(path, sizeof("/_quartet/why/") - 1));
	else
		reply_text(r, 404, "text/plain", S("There is no such page.\n"));
	return true;
}
