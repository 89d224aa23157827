/* The pages of the program and its libraries that are mapped from their files: what a role has read of them. */
#pragma once

/* Lets go of them all; whatever is used again comes back from the page cache at its next use, 16 pages at a time. For the moment
 * after a role has started: relocating, reading configurations and opening databases have touched much that nothing needs again. */
void pages_release(void);
