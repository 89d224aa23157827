/* Records of VPCs -> networks in the kernel. Level-triggered: whatever changed in an account and region, what the networks should
 * have there is worked out anew and what differs from the last time is put. A VPC is in the kernel while an interface in it is up
 * and some minutes longer, so that one without machines costs nothing. Private to aws/ec2. */
#pragma once
#include "aws/ec2/kind.h"
#include "base/map.h"
#include "core/chaos.h"
#include "engine/net/network.h"
#include "store/store.h"

struct ec2_sync;
/* Puts what is recorded, says networks_settled(), and follows changes from then on. */
struct ec2_sync *ec2_sync_new(struct store *store, struct loop *loop, struct networks *networks);
/* From now on the faults of zones hit their interfaces. */
void ec2_sync_chaos(struct ec2_sync *s, struct chaos *chaos);
void ec2_sync_free(struct ec2_sync *s); /* NULL is harmless */
/* What these VPCs come to, put into networks that only hold it (for network_explain()): interfaces that are not up too. */
void ec2_sync_copy(const struct ec2_scope *scope, const struct str_list *vpcs, struct networks *to);
/* Of every VPC that is in the kernel, or was until a moment ago. */
typedef void ec2_sync_vpc_fn(void *ctx, struct str account, struct str region, struct str vpc);
void ec2_sync_each_vpc(const struct ec2_sync *s, ec2_sync_vpc_fn *fn, void *ctx);
/* sync_find.c. Records that say nothing about networks lie beside the others: tokens, instances, images. */
bool ec2_sync_is_about(struct str kind);
enum { EC2_SYNC_LINGER_US = 5 * 60 * 1000 * 1000 };
/* A VPC whose last interface has just gone is likely to get another, and making its router takes longer than most of a launch. Adds
 * what was wanted (ids are the keys) a short while ago, and keeps in `seen` when that was, in memory that free() takes. Has any
 * been added? */
bool ec2_sync_linger(struct map *seen, struct map *wanted, int64_t now_us);
/* A block of either family, into the one or the other; is it of IPv6? */
struct network_prefix ec2_sync_prefix4(struct str text);
bool ec2_sync_prefix(struct str text, struct network_prefix *ret, struct network_prefix6 *ret6);
/* A block, or every block of a prefix list's newest version. */
struct str_list ec2_sync_blocks(const struct ec2_scope *s, struct str block, struct str list);
/* The zone's place among those of its region, for the network's counters; 0: what passes between it and others costs nothing. */
unsigned ec2_sync_zone(const struct ec2_network_interface *eni);
/* What is wrong now with the links of a zone. */
struct network_fault ec2_sync_fault(const struct chaos *chaos, struct str zone);
/* What an interface is in the network. */
enum network_port_kind ec2_sync_kind(const struct state_vpc_interface_record *r);
struct str ec2_sync_acl_of(const struct ec2_scope *s, struct str subnet);
/* The route table of a subnet: its own, else the VPC's main one. */
bool ec2_sync_table_of(const struct ec2_scope *s, const struct ec2_subnet *subnet, struct ec2_route_table *ret);
