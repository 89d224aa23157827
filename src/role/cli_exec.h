/* Between cli_exec.c, which makes the connection, and cli_session.c, which carries a session of an instance over it. */
#pragma once
#include "base/str.h"

/* Carries this process's input and output until the program inside has ended; *ret_status is its exit status then. `early` is what
 * came with the head of the answer. 0; -EPIPE: the connection broke before; -EPROTO: what came is no session. */
int cli_session_carry(int sock, bool terminal, struct str early, int *ret_status);
