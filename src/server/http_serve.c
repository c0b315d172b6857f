#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/http_core.h"
#include "server/http_listen.h"
#include "server/server.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS = 4,
    CONNECTIONS = 256,
    PER_ADDRESS = 64,
    LAST_SECONDS = 2,
    CONNECTION_BYTES = 32 << 10 /* of the library, a connection: headers have to fit */
};

/* Called by the library for whoever connects. */
static enum MHD_Result accept_peer(void *context, const struct sockaddr *address, socklen_t bytes)
{
    ace_http *http = context;
    (void)bytes;
    return ace_http_peers_accept(&http->peers, address) ? MHD_YES : MHD_NO;
}

static void note_connection(void *context, struct MHD_Connection *connection, void **peer,
                            enum MHD_ConnectionNotificationCode code)
{
    ace_http *http = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        ace_http_peers_remove(&http->peers, *peer);
        *peer = NULL;
        return;
    }
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    *peer = fd != NULL && address != NULL
                ? ace_http_peers_add(&http->peers, fd->connect_fd, address->client_addr)
                : NULL;
}

static size_t keep_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text); /* the exchange decodes; the library's view of a path is not used */
}

static void log_library(void *context, const char *format, va_list args)
{
    char line[512];
    (void)context;
    (void)vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\r\n")] = '\0';
    ace_log(ACE_LOG_DEBUG, "http", "%s", line);
}

/* What a server that was killed left there. */
static void empty_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        if (strncmp(e->d_name, "part.", 5) == 0) {
            (void)unlinkat(dirfd(folder), e->d_name, 0);
        }
    }
    if (folder != NULL) {
        closedir(folder);
    }
}

static ace_status prepare(ace_http *http, const ace_http_config *c, ace_error *err)
{
    size_t room = strlen(c->folder) + 16;
    http->spool = ace_malloc_array(room, 1);
    if (http->spool == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    (void)snprintf(http->spool, room, "%s/receiving", c->folder);
    if (mkdir(http->spool, 0700) != 0 && errno != EEXIST) {
        return ace_fail(err, ACESTEP_IO, "%s: %s", http->spool, strerror(errno));
    }
    empty_folder(http->spool);
    ace_status status = ace_http_guard_init(&http->guard, c->host, c->hosts, c->origins, err);
    return status == ACESTEP_OK
               ? ace_http_keys_load(&http->keys, c->keys, c->key_file, c->folder, err)
               : status;
}

/* An address that a browser takes: not one that stands for all. */
static ace_status name_address(ace_http *http, const char *host, ace_error *err)
{
    bool all = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 || host[0] == '\0';
    bool v6 = strchr(host, ':') != NULL;
    size_t room = strlen(host) + 32;
    http->address = ace_malloc_array(room, 1);
    if (http->address == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    (void)snprintf(http->address, room,
                   all  ? "http://127.0.0.1%.0s:%d"
                   : v6 ? "http://[%s]:%d"
                        : "http://%s:%d",
                   host, http->port);
    return ACESTEP_OK;
}

static ace_status start_library(ace_http *http, const ace_http_config *c, ace_error *err)
{
    int fd = -1;
    ace_status status = ace_http_listen(c->host, c->port, &fd, &http->port, err);
    if (status == ACESTEP_OK) {
        status = name_address(http, c->host, err);
    }
    if (status != ACESTEP_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    double idle = c->idle_seconds > 0 ? c->idle_seconds : 60;
    http->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        accept_peer, http, ace_http_exchange_step, http,                                //
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,                                  //
        MHD_OPTION_LISTEN_SOCKET, fd,                                                   //
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,                                 //
        MHD_OPTION_CONNECTION_LIMIT, c->connections > 0 ? c->connections : CONNECTIONS, //
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,                   //
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(idle + 0.999),                        //
        MHD_OPTION_STRICT_FOR_CLIENT, 1,                                                //
        MHD_OPTION_URI_LOG_CALLBACK, ace_http_exchange_open, http,                      //
        MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL,                               //
        MHD_OPTION_NOTIFY_COMPLETED, ace_http_exchange_end, http,                       //
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, http,                            //
        MHD_OPTION_END);
    if (http->daemon == NULL) {
        close(fd);
        return ace_fail(err, ACESTEP_IO, "%s: the HTTP server does not start", http->address);
    }
    return ACESTEP_OK;
}

static void release(ace_http *http)
{
    ace_http_guard_free(&http->guard);
    ace_http_keys_free(&http->keys);
    ace_http_peers_free(&http->peers);
    ace_http_counter_free(&http->counter);
    ace_free(http->address);
    ace_free(http->spool);
    ace_free(http);
}

ace_status ace_http_start(const ace_http_config *c, ace_server *server, ace_error *err)
{
    ace_http *http = ace_calloc(1, sizeof *http);
    if (http == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "server: no host memory");
    }
    http->server = server;
    http->tables = c->tables;
    http->page = c->page;
    http->max_upload = c->max_upload;
    ace_http_peers_init(&http->peers, c->per_address > 0 ? c->per_address : PER_ADDRESS,
                        c->header_seconds > 0 ? c->header_seconds : 20,
                        c->idle_seconds > 0 ? c->idle_seconds : 60,
                        c->body_seconds > 0 ? c->body_seconds : 30);
    ace_http_counter_init(&http->counter);
    ace_status status = prepare(http, c, err);
    bool waits = status == ACESTEP_OK && ace_http_wait_start(&http->waiting, &http->peers) == 0;
    bool works = waits && ace_http_work_start(&http->work) == 0;
    if (status == ACESTEP_OK && !works) {
        status = ace_fail(err, ACESTEP_FAILED, "server: no further threads can be had");
    }
    server->http = http;
    if (status == ACESTEP_OK) {
        status = start_library(http, c, err);
    }
    if (status == ACESTEP_OK) {
        return ACESTEP_OK;
    }
    if (works) {
        ace_http_work_stop(&http->work);
    }
    if (waits) {
        ace_http_wait_stop(&http->waiting);
    }
    server->http = NULL;
    release(http);
    return status;
}

static void pause_briefly(void)
{
    struct timespec pause = {.tv_nsec = 2000000};
    (void)nanosleep(&pause, NULL);
}

/* Until nothing sleeps: the library takes its end badly while a connection is suspended. */
static void wait_for_sleepers(ace_http *http)
{
    bool any = true;
    while (any) {
        pthread_mutex_lock(&http->waiting.lock);
        any = http->waiting.first != NULL;
        pthread_mutex_unlock(&http->waiting.lock);
        if (any) {
            pause_briefly();
        }
    }
}

/* The last answers are sent; not for ever, as a client may be slow to take them. */
static void wait_for_answers(ace_http *http)
{
    double start = ace_clock_seconds();
    while (ace_http_peers_served(&http->peers) > 0 && ace_clock_seconds() - start < LAST_SECONDS) {
        pause_briefly();
    }
}

void ace_http_stop(ace_http *http)
{
    if (http == NULL) {
        return;
    }
    int fd = MHD_quiesce_daemon(http->daemon);
    if (fd >= 0) {
        close(fd);
    }
    ace_http_wait_end(&http->waiting);
    ace_http_work_stop(&http->work);
    wait_for_sleepers(http);
    wait_for_answers(http);
    MHD_stop_daemon(http->daemon);
    ace_http_wait_stop(&http->waiting);
    http->server->http = NULL;
    release(http);
}

int ace_http_port(const ace_http *http)
{
    return http->port;
}

const char *ace_http_address(const ace_http *http)
{
    return http->address;
}

bool ace_http_has_keys(const ace_http *http)
{
    return http->keys.count > 0;
}

unsigned ace_http_key_rights(const ace_http *http, const char *key)
{
    return ace_http_keys_rights(&http->keys, key);
}

unsigned ace_http_connections(const ace_http *http)
{
    return ace_http_peers_count((ace_http_peers *)(uintptr_t)&http->peers); /* its lock moves */
}

void ace_http_wake(ace_server *server)
{
    if (server->http != NULL) {
        ace_http_wait_wake(&server->http->waiting);
    }
}

char *ace_http_sign(ace_server *server, const char *target)
{
    const ace_http *http = server->http;
    if (http == NULL || http->keys.count == 0) {
        return ace_strdup(target);
    }
    ace_http_target parts;
    char *signed_target = NULL;
    size_t room = strlen(target) + 128;
    if (ace_http_target_parse(target, &parts, NULL) == ACESTEP_OK &&
        (signed_target = ace_malloc_array(room, 1)) != NULL) {
        char signature[2 * ACE_KEY_DIGEST_BYTES + 1];
        uint64_t expires = (uint64_t)time(NULL) + ACE_SIGNED_SECONDS;
        ace_http_keys_sign(&http->keys, parts.path,
                           json_string_value(json_object_get(parts.query, "path")), expires,
                           signature);
        (void)snprintf(signed_target, room, "%s%cexp=%llu&sig=%s", target,
                       strchr(target, '?') != NULL ? '&' : '?', (unsigned long long)expires,
                       signature);
    }
    ace_http_target_free(&parts);
    return signed_target;
}
