/* What a role's log says of its own end by a fault of ours: where it was. For roles that parse what comes from outside. */
#pragma once

/* From now on a fatal signal writes the stack to standard error, as offsets into the program (addr2line names them), before it ends
 * the process. Opens the unwinder's library, so it comes before a role gives up its rights. Does nothing under sanitizers, which
 * do the same. */
void crash_report(void);
