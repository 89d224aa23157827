/* The interfaces by which functions are in VPCs, as they are in the kernel: which are in place, who uses them, when they go. One
 * belongs to a subnet and a set of groups; records of them (vpc.c) are followed here, EC2 makes their ports.
 *
 * A port that is not the one of before (its process was killed with its heir) leaves environments that lead nowhere: they take no
 * invocation any more. Everything belongs to the loop's thread. */
#pragma once
#include "aws/lambda/lambda.h"

struct interfaces *interfaces_open(struct lambda *l);
void interfaces_close(struct interfaces *s);

/* One of those of a configuration with subnets, the least used one; it does not go before interface_release() (NULL is harmless).
 * NULL: none is in place. */
struct interface;
struct interface *interface_take(struct interfaces *s, struct str account, struct str region,
                                 const struct lambda_function_configuration *f);
void interface_release(struct interface *i);
/* Its namespace as it is now, as cells take it (cell_spec.shared_fd); stays the interface's. And a number for that: when it is
 * another one, so is the namespace. */
int interface_fd(const struct interface *i);
unsigned interface_device(const struct interface *i);

/* fn is called, from the loop and once, when `all` of them or one at least are in place, or with -ETIMEDOUT. */
struct interface_wait;
typedef void interface_fn(void *ctx, int error);
struct interface_wait *interface_await(struct interfaces *s, struct str account, struct str region,
                                       const struct lambda_function_configuration *f, bool all, interface_fn *fn, void *ctx);
void interface_forget(struct interface_wait *w); /* NULL is harmless */
