/* Service Connect: tasks reach services by names, through a proxy of their own. Private to aws/ecs.
 *
 * A service with ports to offer has a service of Cloud Map for each, in a namespace, and its tasks are instances of them
 * (announce.c). A task of a service in the namespace gets one more container, which runs HAProxy: connections to 127.255.0.N come
 * to it, an address for every name that there was when the task was made, and asks at the metadata's address who serves it now; the
 * answer waits until that changes. */
#pragma once
#include "crew.h"

#include "aws/servicediscovery/servicediscovery.h"

struct http_request;

enum { CONNECT_NAMES_MAX = 250 }; /* that one task has */

/* --- connect.c: what services ask for. given: NULL or what a request says; *ret gets what holds from now on, with the namespace's
 * ARN (untouched when nothing is given), *ret_resources its names in Cloud Map, which are made in the transaction. */
int connect_take(struct call *c, const struct ecs_cluster *cluster, struct str service, struct str definition,
                 const struct ecs_service_connect_configuration *given, struct ecs_service_connect_configuration **ret,
                 struct ecs_service_connect_service_resource_list *ret_resources);
/* What is asked for as registries of its tasks, behind those that it has. */
void connect_registries(const struct ecs_scope *s, const struct ecs_service_connect_configuration *conf,
                        const struct ecs_service_connect_service_resource_list *resources, struct str definition,
                        struct ecs_service_registries *to);
/* Names in Cloud Map that the service has made and does not use any more go; all: every one. */
void connect_clean(const struct ecs_scope *s, struct state_ecs_service_record *r, bool all);
ecs_list_services_by_namespace_handler ecs_list_services_by_namespace;

/* --- connect_join.c: the proxy of a task. Puts it behind the containers of `d`, which wait for it. */
void connect_join(const struct ecs_scope *s, const struct state_ecs_run *run, struct str task, struct ecs_task_definition *d,
                  struct state_ecs_connect_record **ret);
/* Is this container of a task the proxy? */
bool connect_is_proxy(const struct state_ecs_task_record *r, uint32_t index);
/* How the engine starts it. */
void connect_container(struct arena *a, const struct state_ecs_task_record *r, struct task_container *ret);
/* connect_text.c: HAProxy's configuration, and the program in it that asks. */
struct str connect_text(struct arena *a, const struct state_ecs_connect_record *r);
extern const char connect_program[];
/* Packet rules that lead to it. It does not listen at the names' own ports, which the task's programs may want everywhere. */
struct str connect_rules(struct arena *a, const struct state_ecs_connect_record *r);

/* --- connect_serve.c: who serves what, for the proxy of one task */
struct connect_desk;
struct connect_desk *connect_desk_new(struct duty *i);
void connect_desk_free(struct connect_desk *d); /* NULL is harmless */
void connect_answer(struct connect_desk *d, struct http_request *r);

/* connect_count.c: the proxy says what it has counted, in the body; it becomes metrics of AWS/ECS. */
void connect_count(struct duty *i, struct http_request *r);

/* "version V", then a line a name of the task with its endpoints. Of many each task has some, and not all tasks the same. */
struct str connect_endpoints(const struct ecs_scope *s, const struct state_ecs_task_record *r);

/* All servers of a namespace: services that offer something in it. */
struct connect_server {
	const struct state_ecs_service_record *service;
	const struct ecs_service_connect_service *of;
	struct str discovery_name, discovery_arn, protocol; /* protocol: "tcp", "http", "http2", "grpc" */
	struct str alias;                                   /* the name; absent: it has none */
	int64_t alias_port, port, container_port;           /* port: where its tasks are reached */
	int64_t idle_s, request_s;                          /* 0: no limit */
};
struct connect_servers {
	struct connect_server *v;
	uint32_t n;
	bool set;
};
struct connect_servers connect_servers(const struct ecs_scope *s, struct str namespace_arn);
