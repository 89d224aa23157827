/* The roles of the one binary. `quartet up` calls role_main(); it re-executes the binary as `quartet role NAME`, whose argv
 * the command line hands to role_enter(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define SERVICE_USER "quartet" /* whom api runs as, and whom the data directory belongs to, where root started us */

#define IMAGES_PARENT "/var/cache/quartet"
#define IMAGES_DIR IMAGES_PARENT "/images" /* machine images that tools/make-image made; api reads them */

/* What `quartet up` knows after reading flags and the configuration file. Strings live for the whole process. */
struct role_config {
	const char *data_dir;    /* absolute; made if missing */
	const char *listen_addr; /* 127.0.0.1 */
	uint16_t port;           /* 4566 */
	uint16_t tls_port;       /* 0: none */
	const char *config_file; /* NULL: none */
	const char *runtime_dir; /* the runtime clients, mounted at /var/runtime in cells; NULL: none */
	bool ephemeral;          /* data_dir is removed at exit */
	int ready_fd;            /* a byte is written to it once the cloud serves; -1: none. Of role_main() alone */
	/* engine */
	const char *cell_ipv4;  /* range for cells' links; NULL: 100.88.0.0/16 */
	uint32_t cell_uid_base; /* first host uid for cells; 0: 200000 */
	const char *instances;  /* "auto", "vm", "container": how EC2 instances run where neither request nor image says it */
	const char *kvm;        /* "auto": where a guest was seen to boot under it; "no" */
	const char *container_runtime; /* the OCI runtime of tasks; NULL: crun */
	const char *resolver;          /* nameserver address for cells; NULL: the machine's */
};

/* Runs in the foreground until SIGTERM or SIGINT; the exit status of the program. */
int role_main(const struct role_config *config);

/* Fixed descriptors that main gives to a role. */
enum {
	ROLE_FD_MAIN = 3,       /* both: message socket to main; closed when main is gone */
	ROLE_FD_PRIV = 4,       /* api: message socket to priv. priv: message socket to api */
	ROLE_FD_LISTEN = 5,     /* api: the listening socket */
	ROLE_FD_LISTEN_TLS = 6, /* api: the TLS listening socket, when there is one */
};

/* Messages on ROLE_FD_MAIN. Every role that starts gets its end of a fresh socket to its peer as ROLE_FD_PRIV; the peer gets the
 * other end in a message. */
enum role_message {
	ROLE_DRAIN = 1,    /* to api: finish what is under way and exit. To priv: remove everything and exit */
	ROLE_NEW_PRIV = 2, /* to api; carries the socket to a new priv: cells_set_priv() */
	ROLE_NEW_API = 4,  /* to priv; carries the socket to a new api: the old one's cells are destroyed */
	ROLE_READY = 3,    /* api to main: serving; main notifies systemd */
};
struct role_note {
	uint32_t what; /* enum role_message */
};

/* api ends with this status after POST /_quartet/reset: it is started again at once, on what is left of the data. */
enum { ROLE_EXIT_RESET = 70 };

/* Writes DATA/clients, what `quartet env` hands to Python clients of every age as AWS_DATA_PATH. 0 or negative errno. */
int clients_write(const struct role_config *config);

/* Tells systemd (READY=1, STOPPING=1) when it started us; else does nothing. */
void role_notify_systemd(const char *state);

/* The entries of the roles, in their own processes. Configuration arrives on the command line, see main.c. */
int role_priv(const struct role_config *config);
int role_api(const struct role_config *config);
/* `quartet role NAME ...`: argv as role_main() wrote it; dispatches to one of the above. */
int role_enter(int argc, char **argv);
