/* Instances: from records to machines. A machine is started when its volumes are made and its ports are there, asked to end when
 * its record says so, found again after a restart of the role, and started anew when it should run and does not. desk.c calls the
 * step; the networks' port() event is handed on by ec2_start()'s callbacks. Private to aws/ec2. */
#pragma once
#include "aws/ec2/desk.h"

/* Where machines are started with what was put in spec but for its id, size, disks and ports: how the image boots. */
void instances_start(struct desk *d, struct cells *cells);
void instances_stop(struct desk *d);
/* The instance that has this port, and as which of its ports (may be NULL). NULL: none. */
struct desk_item *instances_item_with_port(struct desk *d, struct str port_id, uint32_t *ret_index);
/* A port has come: the tap is the instance's from now on. */
void instances_port(struct desk *d, struct str port_id, int tap_fd);
struct machine_port;
/* instances_port.c: an item's tap of an interface; make: a place for it if there is none. NULL: none. */
struct instances_tap *instances_tap(struct desk_item *i, struct str port_id, bool make);
void instances_drop_tap(struct instances_tap *t);
bool instances_port_of(const struct ec2_scope *s, const struct ec2_network_interface *n, int tap_fd, struct machine_port *ret);
/* Of an instance whose machine runs: interfaces that are attaching or detaching. */
void instances_step_ports(struct desk_item *i, const struct ec2_scope *s);
void instances_port_answered(void *ctx, struct machine *m, const char *port, int error);
/* The guest was heard of: its metadata were asked for. */
void instances_reached(struct desk *d, struct str instance_id);
/* MiB of memory and vCPUs that instances have that run or are about to. */
void instances_usage(const struct desk *d, uint64_t *ret_memory_mib, unsigned *ret_vcpus);
/* The console of the instance's running machine; absent: none runs. Valid until the loop goes on. */
struct str instances_console(struct desk *d, struct str instance_id);

/* compute_start.c: the desk, machines, and the metadata service on what networks open. 0 or negative errno. ec2_start() calls it
 * after the networks are made, ec2_stop() before they go. */
int compute_start(struct ec2_state *s);
void compute_stop(struct ec2_state *s);
/* A VPC has been deleted: the sockets in it, which keep its namespace, are closed. */
void compute_vpc_gone(struct ec2_state *s, struct str vpc);
