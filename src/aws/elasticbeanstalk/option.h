/* One configuration option as this service knows it. Private to option*.c; all of it is constant. */
#pragma once
#include "environment.h"

enum option_kind { TEXT, NUMBER, CHOICE };
struct option {
	const char *namespace, *name, *value; /* value: by default; NULL: none */
	const char *severity;                 /* of a change */
	enum option_kind kind;
	int64_t least, most;
	const char *choices; /* with commas between them */
	bool of_classic;     /* what tools say along of balancers that are none of ours: taken, as AWS does */
	bool fixed;          /* what it is about does not exist here: its default alone is supported */
};

/* --- option_list.c */
const struct option *option_at(uint32_t i); /* NULL: there are no more */
/* What is true of the usual listener is of one of any port. NULL: there is none. */
const struct option *option_find(struct str space, struct str name);
bool option_of_platform(const struct option *o, struct str stack); /* those of containers are their platform's alone */

#define OPTION_SERVER "RestartApplicationServer"
#define OPTION_ALL "RestartEnvironment"
