/* Forwarding. A packet from a sandbox comes in by our link, whose own forwarding switch we set; its answer comes in by the uplink,
 * whose switch must be on too. Where it was off we turn on that one switch (not the machine-wide one), drop what it would newly let
 * through, and remember it in /run/quartet/uplink-<name>, so that the last cloud that goes, or the next one after a crash, turns it
 * off again. IPv6 has had such switches only since Linux 6.17 (force_forwarding; /run/quartet/uplink6-<name>). Before that the one
 * for the whole machine has to be on already: to turn it on would make the machine deaf to its own router's advertisements. */
#include "engine/net/outbound.h"
#include "engine/net/link.h"
#include "engine/net/network_proto.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char mark_dir[] = "/run/quartet";

bool outbound_parse_range(const char *range, uint32_t *ret_base, unsigned *ret_bits)
{
	char text[INET_ADDRSTRLEN];
	const char *slash = strchr(range, '/');
	if (!slash || (size_t)(slash - range) >= sizeof(text))
		return false;
	memcpy(text, range, (size_t)(slash - range));
	text[slash - range] = 0;
	struct in_addr a;
	char *end;
	unsigned long bits = strtoul(slash + 1, &end, 10);
	if (inet_pton(AF_INET, text, &a) != 1 || end == slash + 1 || *end || bits < 8 || bits > 28 ||
	    (ntohl(a.s_addr) & (~0u >> bits)))
		return false;
	*ret_base = ntohl(a.s_addr);
	*ret_bits = (unsigned)bits;
	return true;
}

uint32_t outbound_host_address(const struct outbound *o, unsigned slot)
{
	return o->base + 2 * slot;
}

uint32_t outbound_cell_address(const struct outbound *o, unsigned slot)
{
	return o->base + 2 * slot + 1;
}

void outbound_link_name(const struct outbound *o, unsigned slot, char ret_name[OUTBOUND_NAME_MAX])
{
	snprintf(ret_name, OUTBOUND_NAME_MAX, "%.11s%u", o->prefix, slot % 10000);
}

void outbound_vpc_link_name(const struct outbound *o, unsigned slot, char ret_name[OUTBOUND_NAME_MAX])
{
	snprintf(ret_name, OUTBOUND_NAME_MAX, "%.11s%u", o->vpc_prefix, slot % 10000);
}

/* The lock of share n, or negative errno: -EADDRINUSE when another cloud holds it. */
static int lock_share(unsigned n)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int length = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "quartet-share-%u", n);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static bool another_cloud_lives(const struct outbound *o)
{
	for (unsigned i = 0; i < OUTBOUND_SHARES; i++) {
		if (i == o->share)
			continue;
		int fd = lock_share(i);
		if (fd == -EADDRINUSE)
			return true;
		if (fd >= 0)
			close(fd);
	}
	return false;
}

/* Runs `nft -f -` with the text; 0 or negative errno. */
static int run_nft(const char *text)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	int pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (dup2(p[0], 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
			_exit(126);
		execle("/usr/sbin/nft", "nft", "-f", "-", (char *)NULL, (char *const[]){path, NULL});
		_exit(127);
	}
	close(p[0]);
	if (pid < 0) {
		close(p[1]);
		return -EAGAIN;
	}
	size_t n = strlen(text);
	bool written = write(p[1], text, n) == (ssize_t)n;
	close(p[1]);
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return -ENOENT;
	return written && status == 0 ? 0 : -EPERM;
}

static const struct family {
	bool ipv6;
	const char *conf, *setting; /* the switch of a link */
	const char *mark;
} families[] = {{false, "ipv4", "forwarding", "uplink"}, {true, "ipv6", "force_forwarding", "uplink6"}};

static void switch_path(char out[96], const struct family *f, const char *ifname)
{
	snprintf(out, 96, "/proc/sys/net/%s/conf/%s/%s", f->conf, ifname, f->setting);
}

static int path_read(const char *path, bool *ret_on)
{
	char c = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, &c, 1);
	close(fd);
	if (n != 1)
		return -EIO;
	*ret_on = c == '1';
	return 0;
}

static int sysctl_read(const struct family *f, const char *ifname, bool *ret_on)
{
	char path[96];
	switch_path(path, f, ifname);
	return path_read(path, ret_on);
}

static int sysctl_write(const struct family *f, const char *ifname, bool on)
{
	char path[96];
	switch_path(path, f, ifname);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = write(fd, on ? "1" : "0", 1) == 1 ? 0 : -errno;
	close(fd);
	return error;
}

struct uplinks {
	char names[8][IF_NAMESIZE];
	unsigned count;
};

static void note_uplink(void *ctx, unsigned ifindex, const char *name)
{
	struct uplinks *u = ctx;
	(void)name;
	char text[IF_NAMESIZE];
	if (u->count == 8 || !if_indextoname(ifindex, text))
		return;
	for (unsigned i = 0; i < u->count; i++)
		if (strcmp(u->names[i], text) == 0)
			return;
	memcpy(u->names[u->count++], text, sizeof(text));
}

static void mark_path(char *out, size_t cap, const struct family *f, const char *ifname)
{
	snprintf(out, cap, "%s/%s-%s", mark_dir, f->mark, ifname);
}

/* Turns the uplink's switch on; true when it is ours (turned on by this or another cloud). */
static int open_uplink(const struct family *f, const char *name, bool *ret_ours)
{
	bool on = false;
	char path[64];
	mark_path(path, sizeof(path), f, name);
	int error = sysctl_read(f, name, &on);
	if (error)
		return error;
	if (on) {
		*ret_ours = access(path, F_OK) == 0;
		return 0;
	}
	if (mkdir(mark_dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	close(fd);
	*ret_ours = true;
	return sysctl_write(f, name, true);
}

static void restore_uplinks(void)
{
	DIR *d = opendir(mark_dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		char path[320];
		const struct family *f = NULL;
		for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
			size_t n = strlen(families[i].mark);
			if (strncmp(e->d_name, families[i].mark, n) == 0 && e->d_name[n] == '-')
				f = &families[i];
		}
		if (!f)
			continue;
		sysctl_write(f, e->d_name + strlen(f->mark) + 1, false);
		snprintf(path, sizeof(path), "%s/%s", mark_dir, e->d_name);
		unlink(path);
	}
	closedir(d);
	rmdir(mark_dir);
}

struct text {
	char p[6144];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(t->p + t->n, sizeof(t->p) - t->n, fmt, ap);
	va_end(ap);
	if (n > 0 && t->n + (size_t)n < sizeof(t->p))
		t->n += (size_t)n;
}

/* whole: the range of which all clouds take their shares */
static int install_table(struct outbound *o, const char *whole, const struct uplinks ours[2])
{
	struct in_addr a = {htonl(o->base)};
	char range[INET_ADDRSTRLEN];
	inet_ntop(AF_INET, &a, range, sizeof(range));
	struct text t = {.n = 0};
	add(&t, "add table inet %s\ndelete table inet %s\ntable inet %s {\n", o->table, o->table, o->table);
	/* every link of ours */
	add(&t, "define ours = { \"%s*\", \"%s*\" }\n", o->prefix, o->vpc_prefix);
	add(&t, "chain forward { type filter hook forward priority filter; policy accept;\n");
	add(&t, "iifname $ours oifname $ours drop\n");
	if (o->works6) {
		/* not to addresses that are good on a link or in a private network alone, this machine's and other VPCs' among them
		 */
		add(&t,
		    "iifname \"%s*\" ip6 saddr fd00::/8 ip6 daddr != { ::/96, ::ffff:0:0/96, fc00::/7, fe80::/9, ff00::/8 } "
		    "goto leave\n",
		    o->vpc_prefix);
	}
	add(&t, "iifname $ours meta nfproto != ipv4 drop\n");
	add(&t, "iifname $ours ip saddr != %s/%u drop\n", range, o->prefix_bits);
	add(&t, "iifname $ours ip daddr { 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/3 } drop\n");
	/* links come and go: what is asked of one that is not there must not be asked of whoever has its address outside */
	add(&t, "iifname $ours ip daddr %s drop\n", whole);
	add(&t, "iifname $ours goto leave\n");
	add(&t, "oifname $ours ct state established,related accept\noifname $ours drop\n");
	/* what the uplink's switch, which was off, would newly let in */
	for (int f = 0; f < 2; f++)
		for (unsigned i = 0; i < ours[f].count; i++)
			add(&t, "iifname \"%s\" meta nfproto %s ct state new ct status & dnat == 0 drop\n", ours[f].names[i],
			    families[f].conf);
	/* the uplink's packets may be smaller than our links': say so to both ends of a connection */
	add(&t, "}\nchain leave {\ntcp flags syn tcp option maxseg size set rt mtu\naccept\n}\n");
	add(&t, "chain input { type filter hook input priority filter; policy accept;\n");
	/* answers to programs that have asked a public address */
	add(&t, "iifname \"%s*\" ct state established,related accept\niifname $ours drop\n}\n", o->vpc_prefix);
	add(&t, "chain output { type filter hook output priority filter; policy accept;\n");
	add(&t, "oifname \"%s*\" ip daddr 127.0.0.0/8 accept\n", o->vpc_prefix);
	/* addresses of VPCs over IPv6 are their own */
	add(&t, "oifname \"%s*\" ip6 daddr fd00::/8 accept\noifname $ours ct state new drop\n}\n", o->vpc_prefix);
	add(&t, "chain postrouting { type nat hook postrouting priority srcnat; policy accept;\n");
	/* a program that has bound itself to a loopback address asks under the link's */
	add(&t, "oifname \"%s*\" ip saddr != %s/%u masquerade\n", o->vpc_prefix, range, o->prefix_bits);
	add(&t, "oifname \"%s*\" ip6 saddr != " NETWORK_OUTSIDE6 " masquerade\n", o->vpc_prefix);
	if (o->works6)
		add(&t, "iifname \"%s*\" ip6 saddr fd00::/8 oifname != $ours masquerade\n", o->vpc_prefix);
	add(&t, "ip saddr %s/%u oifname != $ours masquerade\n}\n}\n", range, o->prefix_bits);
	return run_nft(t.p);
}

static void remove_link(void *ctx, unsigned ifindex, const char *name)
{
	(void)name;
	link_remove(*(int *)ctx, ifindex);
}

static void remove_links(const struct outbound *o)
{
	int list = link_socket(), change = link_socket();
	if (list >= 0 && change >= 0) {
		link_each(list, o->prefix, remove_link, &change);
		link_each(list, o->vpc_prefix, remove_link, &change);
	}
	if (list >= 0)
		close(list);
	if (change >= 0)
		close(change);
}

static int take_share(struct outbound *o, const char *instance, uint32_t base, unsigned bits)
{
	o->prefix_bits = bits < 20 ? 20 : bits;
	unsigned shares = 1u << (o->prefix_bits - bits);
	if (shares > OUTBOUND_SHARES)
		shares = OUTBOUND_SHARES;
	o->slots = 1u << (31 - o->prefix_bits);
	int sock = link_socket();
	int error = -EBUSY;
	unsigned first = (unsigned)strtoul(instance, NULL, 16) % shares;
	for (unsigned i = 0; i < shares && error; i++) {
		o->share = (first + i) % shares;
		o->base = base + (o->share << (32 - o->prefix_bits));
		o->lock_fd = lock_share(o->share);
		if (o->lock_fd < 0)
			continue;
		if (sock >= 0 && link_range_in_use(sock, o->base, o->prefix_bits) == 1) {
			close(o->lock_fd);
			o->lock_fd = -1;
			continue;
		}
		error = 0;
	}
	if (sock >= 0)
		close(sock);
	return error;
}

/* Can this machine pass on what the links of its default routes bring? */
static bool open_uplinks(const struct family *f, struct uplinks *ours, char *why_not, size_t cap)
{
	struct uplinks all = {.count = 0};
	bool everywhere = false;
	int sock = link_socket();
	if (sock >= 0) {
		link_each_uplink(sock, f->ipv6, note_uplink, &all);
		close(sock);
	}
	if (!all.count) {
		snprintf(why_not, cap, "this machine has no default route%s", f->ipv6 ? " of IPv6" : "");
		return false;
	}
	if (f->ipv6 && path_read("/proc/sys/net/ipv6/conf/all/forwarding", &everywhere) == 0 && everywhere)
		return true;
	for (unsigned i = 0; i < all.count; i++) {
		bool mine = false;
		int error = open_uplink(f, all.names[i], &mine);
		if (error == -ENOENT && f->ipv6) {
			snprintf(why_not, cap,
			         "net.ipv6.conf.all.forwarding is off, and this kernel has no switch for a single link");
			return false;
		}
		if (error) {
			snprintf(why_not, cap, "forwarding on %s cannot be switched on: %s", all.names[i], strerror(-error));
			return false;
		}
		if (mine)
			memcpy(ours->names[ours->count++], all.names[i], IF_NAMESIZE);
	}
	return true;
}

int outbound_forward6(const char *ifname)
{
	int error = sysctl_write(&families[1], ifname, true);
	return error == -ENOENT ? 0 : error; /* the machine's own switch is on, or there is no way out */
}

int outbound_open(struct outbound *o, const char *instance, const char *range)
{
	*o = (struct outbound){.lock_fd = -1};
	uint32_t base;
	unsigned bits;
	if (!outbound_parse_range(range, &base, &bits))
		return -EINVAL;
	snprintf(o->prefix, sizeof(o->prefix), "qt%.8s-", instance);
	snprintf(o->vpc_prefix, sizeof(o->vpc_prefix), "qv%.8s-", instance);
	snprintf(o->table, sizeof(o->table), "quartet_%.8s", instance);
	remove_links(o);
	int error = take_share(o, instance, base, bits);
	if (error)
		return error;

	struct uplinks ours[2] = {{.count = 0}, {.count = 0}};
	if (!open_uplinks(&families[0], &ours[0], o->why_not, sizeof(o->why_not)))
		return 0;
	o->works6 = open_uplinks(&families[1], &ours[1], o->why_not6, sizeof(o->why_not6));
	error = install_table(o, range, ours);
	if (error == -ENOENT)
		snprintf(o->why_not, sizeof(o->why_not), "/usr/sbin/nft is not there (package nftables)");
	else if (error)
		snprintf(o->why_not, sizeof(o->why_not), "nftables refused our table: %s", strerror(-error));
	o->works = !error;
	o->works6 = o->works && o->works6;
	if (error && !another_cloud_lives(o))
		restore_uplinks();
	return 0;
}

void outbound_close(struct outbound *o)
{
	if (o->lock_fd < 0)
		return;
	remove_links(o);
	char text[128];
	snprintf(text, sizeof(text), "add table inet %s\ndelete table inet %s\n", o->table, o->table);
	if (o->works)
		run_nft(text);
	if (!another_cloud_lives(o))
		restore_uplinks();
	close(o->lock_fd);
	o->lock_fd = -1;
	o->works = false;
}
