/* The roles of the one binary. `quartet up` calls role_main(); it re-executes the binary as `quartet role NAME`, whose argv
 * the command line hands to role_enter(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* What `quartet up` knows after reading flags and the configuration file. Strings live for the whole process. */
struct role_config {
	const char *data_dir;    /* absolute; made if missing */
	const char *listen_addr; /* 127.0.0.1 */
	uint16_t port;           /* 4566 */
	uint16_t tls_port;       /* 0: none */
	const char *config_file; /* NULL: none */
	const char *runtime_dir; /* the runtime clients, mounted at /var/runtime in cells; NULL: none */
	bool ephemeral;          /* data_dir is removed at exit */
	/* engine */
	const char *cell_ipv4;  /* range for cells' links; NULL: 100.88.0.0/16 */
	uint32_t cell_uid_base; /* first host uid for cells; 0: 200000 */
	const char *resolver;   /* nameserver address for cells; NULL: the machine's */
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

/* Messages of main to api on ROLE_FD_MAIN. */
enum role_message {
	ROLE_DRAIN = 1,    /* finish what is under way and exit */
	ROLE_NEW_PRIV = 2, /* carries the socket to a new priv: cells_set_priv() */
	ROLE_READY = 3,    /* api to main: serving; main notifies systemd */
};
struct role_note {
	uint32_t what; /* enum role_message */
};

/* The entries of the roles, in their own processes. Configuration arrives on the command line, see main.c. */
int role_priv(const struct role_config *config);
int role_api(const struct role_config *config);
/* `quartet role NAME ...`: argv as role_main() wrote it; dispatches to one of the above. */
int role_enter(int argc, char **argv);
