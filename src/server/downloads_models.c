/* What the server's defaults say about checkpoints. */
#include "acestep/store.h"
#include "base/log.h"
#include "base/memory.h"
#include "server/defaults.h"
#include "server/downloads.h"

#include <string.h>

char *ace_downloads_folder(ace_server *server, ace_error *err)
{
    acestep_request *request = NULL;
    acestep_error why = {.code = ACESTEP_OK};
    if (ace_server_defaults(server, &request, err) != ACESTEP_OK) {
        return NULL;
    }
    char *text = acestep_request_json(request, true);
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *models = json_string_value(json_object_get(asked, "models"));
    bool on_disk = models != NULL && strncmp(models, "embedded:", 9) != 0;
    char *folder = acestep_store_folder(on_disk ? models : NULL, &why);
    if (folder == NULL) {
        (void)ace_fail(err, why.code, "%s", why.message);
    }
    json_decref(asked);
    acestep_free(text);
    acestep_request_free(request);
    return folder;
}

char *ace_downloads_recommended(ace_server *server, ace_error *err)
{
    acestep_request *request = NULL;
    acestep_error why = {.code = ACESTEP_OK};
    if (ace_server_defaults(server, &request, err) != ACESTEP_OK) {
        return NULL;
    }
    char *text = acestep_info_json(request, &why);
    json_t *info = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const char *lm = json_string_value(
        json_object_get(json_object_get(info, "defaults"), "recommended_lm_model"));
    char *copy = text != NULL ? ace_strdup(lm != NULL ? lm : "") : NULL;
    if (copy == NULL) {
        (void)ace_fail(err, text != NULL ? ACESTEP_MEMORY : why.code, "%s",
                       text != NULL ? "downloads: no host memory" : why.message);
    }
    json_decref(info);
    acestep_free(text);
    acestep_request_free(request);
    return copy;
}

void ace_downloads_use(ace_server *server, const char *folder)
{
    acestep_request *request = NULL;
    ace_error err = {.code = ACESTEP_OK};
    if (ace_server_defaults(server, &request, &err) != ACESTEP_OK || !acestep_store_ready(folder)) {
        acestep_request_free(request);
        return;
    }
    char *text = acestep_request_json(request, true);
    json_t *asked = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (asked != NULL && json_string_length(json_object_get(asked, "models")) == 0 &&
        json_string_length(json_object_get(asked, "weights")) == 0) {
        json_t *change = json_pack("{s:s}", "models", folder);
        if (change == NULL || ace_settings_change(server->settings, change, &err) != ACESTEP_OK) {
            ace_log(ACE_LOG_WARNING, "downloads", "%s", err.message);
        }
        json_decref(change);
    }
    json_decref(asked);
    acestep_free(text);
    acestep_request_free(request);
}
