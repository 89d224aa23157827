/* What a function and the platform write to its log: lines from the cell's pipe and START, END, REPORT lines, kept for LogType=Tail
 * and sent to CloudWatch Logs in batches as the execution role (which must be allowed to). One per environment; it lives on after
 * the environment until all is sent. */
#pragma once
#include "aws/lambda/lambda.h"

struct output;

/* group and stream are copied. */
struct output *output_new(struct lambda *l, struct str region, struct str group, struct str stream);
/* The role that writes; a reference is taken. NULL: nothing is sent. */
void output_set_principal(struct output *o, const struct principal *principal);
/* Sends what is left, then frees. NULL is harmless. */
void output_close(struct output *o);

/* Reads the pipe until it is empty. Each line is an event, and so is each frame (a 16-byte head: a5 5a 00, a type, 4 bytes of
 * length, 8 of time, as AWS's runtime clients write them), whatever lines it has. */
void output_drain(struct output *o, int fd);
/* The one who wrote is gone; what he began is an event as it is. */
void output_cut(struct output *o);
/* Is so much waiting that the pipe should be left alone? Then room(ctx) comes once, when half of it has gone (NULL: forget it). Its
 * writer meanwhile blocks, as it does before AWS's log, and nothing is lost. */
bool output_is_full(const struct output *o);
void output_when_room(struct output *o, loop_fn *room, void *ctx);
/* fn(ctx, line) comes with each event out of the pipe; NULL: nobody wants to know. */
typedef void output_tap_fn(void *ctx, struct str line);
void output_set_tap(struct output *o, output_tap_fn *fn, void *ctx);
/* A line that an extension printed. */
void output_extension_line(struct output *o, struct str line);
/* A platform line (with its newline). */
__attribute__((format(printf, 2, 3))) void output_line(struct output *o, const char *fmt, ...);
/* A part of a line that has no newline yet becomes an event: at the end of an invocation. */
void output_end_line(struct output *o);
/* Begins a new tail. */
void output_begin_tail(struct output *o);
/* The tail: valid until the next line. */
struct str output_tail(struct output *o);
struct str output_stream(const struct output *o);
