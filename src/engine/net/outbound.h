/* The way out of the sandboxes: one nftables table, the addresses that our links use, and the machine's forwarding switch.
 *
 * A sandbox may open connections to the outside, masqueraded; it reaches no address of this machine, no other sandbox, no
 * link-local service and no address of the range that links take theirs from, and nothing reaches it. The same holds for the
 * routers of VPCs, except that programs of this machine may open connections to public addresses (127/8) that lead there. Over IPv6
 * there are the routers alone: addresses are theirs up to the way out of the machine, where they become the machine's. The rules
 * name links by prefix, so that no link needs one of its own.
 * `priv` owns one `struct outbound` from its start to its end. Several clouds on one machine take different shares of the address
 * and uid ranges; a share is held by an abstract socket name, which the kernel takes back when its holder dies. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { OUTBOUND_SHARES = 16, OUTBOUND_SLOTS = 2048, OUTBOUND_NAME_MAX = 16 };

struct outbound {
	char prefix[OUTBOUND_NAME_MAX];     /* of link names: qt<instance>- */
	char vpc_prefix[OUTBOUND_NAME_MAX]; /* of links to VPCs: qv<instance>- */
	char table[32];
	unsigned share;       /* 0 .. shares - 1: also picks the part of the uid range */
	uint32_t base;        /* first address of our share */
	unsigned prefix_bits; /* of the share */
	unsigned slots;       /* /31 pairs in it */
	bool works;
	char why_not[160];
	bool works6; /* VPCs get out over IPv6 too */
	char why_not6[160];
	int lock_fd;
};

/* Takes a share of `range` ("100.88.0.0/16"), removes what an earlier process of this instance left, and sets up the table. Without
 * nftables or without an uplink `works` is false and why_not says so; that is no error. -EINVAL: range; -EBUSY: no share is free.
 */
int outbound_open(struct outbound *o, const char *instance, const char *range);
/* A link of ours that is to pass packets of IPv6 on. */
int outbound_forward6(const char *ifname);
/* Removes table and links and restores what was switched on. */
void outbound_close(struct outbound *o);

/* The two ends of slot n (0 .. slots - 1), host byte order, and the name of the host's end. */
uint32_t outbound_host_address(const struct outbound *o, unsigned slot);
uint32_t outbound_cell_address(const struct outbound *o, unsigned slot);
void outbound_link_name(const struct outbound *o, unsigned slot, char ret_name[OUTBOUND_NAME_MAX]);
void outbound_vpc_link_name(const struct outbound *o, unsigned slot, char ret_name[OUTBOUND_NAME_MAX]);

/* "a.b.c.d/n" with n from 8 to 28 and no host bits set. */
bool outbound_parse_range(const char *range, uint32_t *ret_base, unsigned *ret_bits);
