/* What one running cloud consists of, as services reach it. Made by the api role (or by a simulation), one per process. */
#pragma once
#include "base/arena.h"
#include "core/identity.h"
#include "io/loop.h"
#include "io/work.h"
#include "store/store.h"

struct service;
struct api;
struct gate;
struct blobs;
struct cells;
struct images;
struct http_server;
struct meter;
struct metrics;
struct price_book;
struct chaos;
struct http_tls;
struct call;
struct seal;

struct cloud {
	struct loop *loop;
	struct work *work;
	struct store *store;
	struct blobs *blobs; /* content files: DATA/blobs */
	struct gate *gate;
	struct meter *meter;             /* what is used; NULL: nothing is counted */
	const struct price_book *prices; /* the user's own (aws/pricing/pricing.h); NULL: AWS's list prices */
	struct metrics *metrics;         /* numbers over time (engine/metrics); NULL: none are kept */
	struct cells *cells;             /* sandboxes; NULL where the machine cannot */
	struct images *images;           /* unpacked layers of images (engine/oci); NULL where there are no cells */
	struct http_server *http;        /* so that cells' listeners can be served */
	struct chaos *chaos;             /* faults in force (chaos.h); NULL: there can be none */
	struct http_tls *tls;            /* the cloud's own certificate; NULL: it has none */
	const struct seal
	        *seal; /* what secrets are kept with (seal.h); set by aws/ssm when it starts, and open where there is a key */
	struct identity_source identity;
	const char *data_dir;          /* absolute */
	bool ephemeral;                /* data_dir is thrown away: nothing needs to be durable */
	const char *endpoint;          /* "http://127.0.0.1:4566": how clients on this machine reach us */
	const char *runtime_dir;       /* our runtime clients: .../runtimes */
	const char *resolver;          /* the name server that instances ask through us; NULL: this machine's */
	const char *instances;         /* "auto", "vm", "container": how EC2 instances run; NULL: auto */
	const char *container_runtime; /* the OCI runtime of tasks; NULL: crun */
	const char *upstreams;         /* URLs of registries that pull-through caches may ask; NULL: none */
	const char *dns_listen;        /* where names of hosted zones are answered to this machine; NULL, "none": nowhere */
	const char *issue_at_once;     /* names that ACM issues without validation, with spaces between; NULL: its own */
	unsigned vcpus, spot_vcpus;    /* that an account may run in a region, by EC2's buckets of types; 0: as many as fit */
	unsigned task_mib;             /* of memory that Fargate's tasks may have; 0: as much as the machine has */
	bool kvm;                      /* instances' guests may run under it, where one was seen to boot */
	void (*counted)(void *ctx, const struct call *c); /* of every call that ends; NULL: nobody counts */
	void *counted_ctx;
	void **service_state; /* by position in cloud_services */
};

/* The state that a service's start() returned. NULL: not started. */
void *cloud_state(const struct cloud *cloud, const struct service *service);
