#include "log.h"

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "io/work.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PERIOD_S = 300, LOOK_US = 5000000, FILE_BYTES_MAX = 64 << 20, GZIP_BITS = 15 + 16 };

/* What a kind is called in the names of files here and of objects. */
static const struct {
	const char *word, *object;
} kinds[ELB_LOG_KINDS] = {[ELB_LOG_ACCESS] = {"access", ""},
                          [ELB_LOG_CONNECTION] = {"connection", "conn_log."},
                          [ELB_LOG_HEALTH] = {"health", "health_check_log_"}};

/* One node's lines of one period: DATA/elb-logs/BALANCER.KIND.ADDRESS.END.RANDOM */
struct file {
	int fd;
	int64_t end_s;
	uint64_t bytes;
	char name[160];
};

struct elb_log {
	struct elb_item *item;
	bool on[ELB_LOG_KINDS];
	char *bucket[ELB_LOG_KINDS], *prefix[ELB_LOG_KINDS], *arn;
	struct file files[LB_NODES_MAX][ELB_LOG_KINDS]; /* by the node's place in `nodes` */
	char nodes[LB_NODES_MAX][LB_ID_MAX];
	struct loop_timer *timer;
};

/* --- delivery */

struct delivery {
	struct cloud *cloud;
	struct arena arena;
	struct str account, region, arn, bucket, key, path, packed;
};

static void delivery_free(struct delivery *d)
{
	arena_done(&d->arena);
	free(d);
}

/* What S3 refuses is lost, as AWS says of these logs; what we could not do is found at the next start. */
static void delivered(void *ctx, struct str error, bool ours)
{
	struct delivery *d = ctx;
	if (str_set(error))
		log_warn("elbv2: a log file could not be written to %.*s: %.*s", STR_ARG(d->bucket), STR_ARG(error));
	if (!str_set(error) || !ours)
		unlink(d->path.p);
	delivery_free(d);
}

static void packed(void *ctx)
{
	struct delivery *d = ctx;
	if (!d->packed.n) {
		unlink(d->path.p);
		delivery_free(d);
		return;
	}
	elb_log_put(d->cloud, d->account, d->region, d->arn, d->bucket, d->key, d->packed, delivered, d);
}

/* On a thread. */
static void pack(void *ctx)
{
	struct delivery *d = ctx;
	struct stat st;
	z_stream z = {0};
	int fd = open(d->path.p, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !st.st_size ||
	    deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
		if (fd >= 0)
			close(fd);
		return;
	}
	size_t room = deflateBound(&z, (size_t)st.st_size) + 64;
	char piece[65536], *to = arena_alloc(&d->arena, room);
	ssize_t n;
	int said = Z_OK;
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	while (said == Z_OK && (n = read(fd, piece, sizeof(piece))) > 0) {
		z.next_in = (unsigned char *)piece;
		z.avail_in = (unsigned)n;
		said = deflate(&z, Z_NO_FLUSH);
	}
	if (said == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END)
		d->packed = str_of(to, room - z.avail_out);
	deflateEnd(&z);
	close(fd);
}

/* [prefix/]AWSLogs/ACCOUNT/elasticloadbalancing/REGION/2024/01/31/[KIND]ACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_20240131T2355Z_
 * ADDRESS_RANDOM.log.gz; name: the file's */
static void deliver(struct elb_log *l, enum elb_log_kind kind, const char *name)
{
	struct elb_item *i = l->item;
	struct delivery *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	struct arena *a = &d->arena;
	struct str rest = str_from(name), id = str_cut(&rest, '.'), kind_word = str_cut(&rest, '.'), address = str_cut(&rest, '.'),
	           end = str_cut(&rest, '.');
	int64_t end_s = 0;
	(void)id;
	(void)kind_word;
	str_to_i64(end, &end_s);
	char *dotted = arena_dupz(a, address), *balancer = arena_dupz(a, i->path);
	for (char *p = dotted; *p; p++)
		*p = *p == '-' ? '.' : *p;
	for (char *p = balancer; *p; p++)
		*p = *p == '/' ? '.' : *p;
	struct str when = time_format(a, end_s * 1000, TIME_BASIC), prefix = str_from(l->prefix[kind]); /* 20240131T235500Z */
	d->cloud = i->desk->cloud;
	d->account = arena_dup(a, i->account);
	d->region = arena_dup(a, i->region);
	d->arn = arena_dup(a, str_from(l->arn));
	d->bucket = arena_dup(a, str_from(l->bucket[kind]));
	d->path = arena_printf(a, "%s/elb-logs/%s", d->cloud->data_dir, name);
	d->key = arena_printf(
	        a,
	        "%.*s%sAWSLogs/%.*s/elasticloadbalancing/%.*s/%.4s/%.2s/%.2s/%s%.*s_elasticloadbalancing_%.*s_%s_%.13sZ_%s_%.*s.log.gz",
	        STR_ARG(prefix), prefix.n ? "/" : "", STR_ARG(d->account), STR_ARG(d->region), when.p, when.p + 4, when.p + 6,
	        kinds[kind].object, STR_ARG(d->account), STR_ARG(d->region), balancer, when.p, dotted, STR_ARG(rest));
	work_add(d->cloud->work, pack, packed, d);
}

static void finish(struct elb_log *l, enum elb_log_kind kind, struct file *f)
{
	if (f->fd < 0)
		return;
	close(f->fd);
	f->fd = -1;
	deliver(l, kind, f->name);
}

static void finish_all(struct elb_log *l, enum elb_log_kind kind)
{
	for (size_t k = 0; k < LB_NODES_MAX; k++)
		finish(l, kind, &l->files[k][kind]);
}

/* --- files */

static void look(void *ctx)
{
	struct elb_log *l = ctx;
	int64_t now_s = clock_wall_ms() / 1000;
	l->timer = loop_add_timer(l->item->desk->cloud->loop, LOOK_US, look, l);
	for (size_t k = 0; k < LB_NODES_MAX; k++)
		for (int kind = 0; kind < ELB_LOG_KINDS; kind++)
			if (l->files[k][kind].fd >= 0 && l->files[k][kind].end_s <= now_s)
				finish(l, kind, &l->files[k][kind]);
}

static struct file *file_of(struct elb_log *l, const struct elb_item_node *n, enum elb_log_kind kind)
{
	struct arena CLEAN_ARENA a = {0};
	size_t at = 0;
	int64_t now_s = clock_wall_ms() / 1000;
	while (at < LB_NODES_MAX && l->nodes[at][0] && strcmp(l->nodes[at], n->interface) != 0)
		at++;
	at = at == LB_NODES_MAX ? 0 : at;
	struct file *f = &l->files[at][kind];
	if (f->fd >= 0 && f->end_s > now_s && f->bytes < FILE_BYTES_MAX)
		return f;
	finish(l, kind, f);
	memcpy(l->nodes[at], n->interface, sizeof(l->nodes[at]));
	uint32_t address = n->public ? n->public : n->private;
	f->end_s = (now_s / PERIOD_S + 1) * PERIOD_S;
	f->bytes = 0;
	snprintf(f->name, sizeof(f->name), "%s.%s.%u-%u-%u-%u.%lld.%.8s", l->item->id, kinds[kind].word, address >> 24,
	         address >> 16 & 255, address >> 8 & 255, address & 255, (long long)f->end_s, id_hex(&a, 8).p);
	f->fd = open(arena_printf(&a, "%s/elb-logs/%s", l->item->desk->cloud->data_dir, f->name).p,
	             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	return f->fd < 0 ? NULL : f;
}

static void add(struct elb_log *l, const struct elb_item_node *n, enum elb_log_kind kind, struct str line)
{
	struct file *f = file_of(l, n, kind);
	struct arena CLEAN_ARENA a = {0};
	struct str whole = ARENA_CAT(&a, line, S("\n"));
	if (f && write(f->fd, whole.p, whole.n) == (ssize_t)whole.n)
		f->bytes += whole.n;
}

void elb_log_request(struct elb_item *i, struct elb_item_node *n, const struct lb_log *line)
{
	struct arena CLEAN_ARENA a = {0};
	if (!i->log)
		return;
	if (i->log->on[ELB_LOG_ACCESS] && !line->broken && (str_set(line->method) || line->status > 0))
		add(i->log, n, ELB_LOG_ACCESS, elb_log_access_line(&a, i, line));
	if (i->log->on[ELB_LOG_CONNECTION] && line->first)
		add(i->log, n, ELB_LOG_CONNECTION, elb_log_connection_line(&a, i, line));
}

void elb_log_checked(struct elb_item *i, struct elb_item_node *n, const char *group, const char *target, const struct lb_check *c)
{
	struct arena CLEAN_ARENA a = {0};
	if (i->log && i->log->on[ELB_LOG_HEALTH])
		add(i->log, n, ELB_LOG_HEALTH, elb_log_health_line(&a, group, target, c));
}

/* --- life */

/* Files of a life before. */
static void find_files(struct elb_log *l)
{
	struct arena CLEAN_ARENA a = {0};
	const char *dir = arena_printf(&a, "%s/elb-logs", l->item->desk->cloud->data_dir).p;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		log_error("elbv2: %s: %s", dir, strerror(errno));
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		struct str rest = str_from(e->d_name), id = str_cut(&rest, '.'),
		           kind = str_set(rest) ? str_cut(&rest, '.') : STR_NONE;
		for (int k = 0; k < ELB_LOG_KINDS && str_is(id, l->item->id); k++)
			if (str_is(kind, kinds[k].word) && l->bucket[k])
				deliver(l, (enum elb_log_kind)k, e->d_name);
	}
	if (d)
		closedir(d);
}

static struct elb_log *make(struct elb_item *i)
{
	struct elb_log *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->item = i;
	for (size_t k = 0; k < LB_NODES_MAX; k++)
		for (int kind = 0; kind < ELB_LOG_KINDS; kind++)
			l->files[k][kind].fd = -1;
	l->timer = loop_add_timer(i->desk->cloud->loop, LOOK_US, look, l);
	return l;
}

static void set(char **to, struct str value)
{
	free(*to);
	*to = strndup(value.n ? value.p : "", value.n);
	if (!*to)
		abort();
}

void elb_log_take(struct elb_item *i, struct arena *a, const struct state_elbv2_balancer_record *r)
{
	bool any = false, began = false;
	(void)a;
	for (int kind = 0; kind < ELB_LOG_KINDS && !i->network; kind++)
		any |= elb_on(elb_balancer_attribute(r, elb_log_attribute(kind, "enabled")));
	if (!any && !i->log)
		return;
	if (!i->log) {
		i->log = make(i);
		began = true;
	}
	struct elb_log *l = i->log;
	set(&l->arn, r->balancer->load_balancer_arn);
	for (int kind = 0; kind < ELB_LOG_KINDS; kind++) {
		bool on = elb_on(elb_balancer_attribute(r, elb_log_attribute(kind, "enabled")));
		struct str bucket = elb_balancer_attribute(r, elb_log_attribute(kind, "bucket")),
		           prefix = elb_balancer_attribute(r, elb_log_attribute(kind, "prefix"));
		bool same = l->bucket[kind] && str_is(bucket, l->bucket[kind]) && str_is(prefix, l->prefix[kind]);
		if (l->on[kind] && (!on || !same))
			finish_all(l, kind);
		l->on[kind] = on;
		if (on && !same) {
			set(&l->bucket[kind], bucket);
			set(&l->prefix[kind], prefix);
		}
	}
	if (began)
		find_files(l);
	if (!any)
		elb_log_end(i);
}

void elb_log_end(struct elb_item *i)
{
	for (int kind = 0; kind < ELB_LOG_KINDS && i->log; kind++)
		finish_all(i->log, kind);
	elb_log_forget(i);
}

void elb_log_forget(struct elb_item *i)
{
	struct elb_log *l = i->log;
	if (!l)
		return;
	loop_remove_timer(i->desk->cloud->loop, l->timer);
	for (size_t k = 0; k < LB_NODES_MAX; k++)
		for (int kind = 0; kind < ELB_LOG_KINDS; kind++)
			if (l->files[k][kind].fd >= 0)
				close(l->files[k][kind].fd);
	for (int kind = 0; kind < ELB_LOG_KINDS; kind++) {
		free(l->bucket[kind]);
		free(l->prefix[kind]);
	}
	free(l->arn);
	free(l);
	i->log = NULL;
}

void elb_log_sweep(struct elb_desk *d)
{
	struct arena CLEAN_ARENA a = {0};
	DIR *dir = opendir(arena_printf(&a, "%s/elb-logs", d->cloud->data_dir).p);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		struct str rest = str_from(e->d_name), id = str_cut(&rest, '.');
		if (id.n && !map_get(&d->by_id, id))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}
