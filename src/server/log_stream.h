/* The log as server-sent events. */
#ifndef ACE_SERVER_LOG_STREAM_H
#define ACE_SERVER_LOG_STREAM_H

#include "server/log_tail.h"
#include "server/server.h"

#include <stdio.h>

/* Writes one line as an event, the empty line after it included. */
typedef void ace_log_stream_writer(FILE *out, const ace_log_line *line);

/* Answers with the lines after number `after`, and with what comes. area NULL: all. */
void ace_log_stream_reply(ace_http_request *request, ace_server *server, const char *area,
                          uint64_t after, ace_log_stream_writer *write);

#endif
