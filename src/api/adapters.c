/* What an adapter is, before any model has seen it. */
#include "api/api.h"
#include "base/file_map.h"
#include "weights/adapter.h"

#include <stdlib.h>

static json_t *targets_of(const ace_adapter *a)
{
    json_t *names = json_array();
    for (int t = 0; t < ACE_TARGETS; t++) {
        bool has = false;
        for (int layer = 0; layer < ACE_ADAPTER_LAYERS; layer++) {
            has = has || a->module[layer][t].kind != ACE_ADAPTER_NONE;
        }
        if (has) {
            json_array_append_new(names,
                                  json_string(ace_adapter_target_name((ace_adapter_target)t)));
        }
    }
    return names;
}

/* Of all modules. */
typedef struct sums {
    int64_t least, most; /* ranks of products; 0: there are whole matrices alone */
    int64_t parameters;
    int layers;
} sums;

static int64_t numbers_of(const ace_weight *t)
{
    int64_t n = t != NULL ? 1 : 0;
    for (int i = 0; t != NULL && i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

static void add_factor(const ace_adapter_factor *f, sums *s)
{
    int64_t rank = ace_adapter_rank(f);
    s->least = rank > 0 && (s->least == 0 || rank < s->least) ? rank : s->least;
    s->most = rank > s->most ? rank : s->most;
    s->parameters += numbers_of(f->whole) + numbers_of(f->a) + numbers_of(f->b);
}

static void add_layer(const ace_adapter *a, int layer, sums *s)
{
    bool has = false;
    for (int t = 0; t < ACE_TARGETS; t++) {
        const ace_adapter_module *m = &a->module[layer][t];
        if (m->kind == ACE_ADAPTER_NONE) {
            continue;
        }
        add_factor(&m->factor[0], s);
        add_factor(&m->factor[1], s);
        s->parameters += numbers_of(m->magnitude);
        has = true;
    }
    s->layers += has;
}

static char *describe(const ace_adapter *a, bool peft)
{
    sums s = {0};
    for (int layer = 0; layer < ACE_ADAPTER_LAYERS; layer++) {
        add_layer(a, layer, &s);
    }
    json_t *root = json_pack(
        "{s:s, s:b, s:s, s:{s:I, s:I}, s:i, s:i, s:o, s:I}", "kind", ace_adapter_kinds(a), "dora",
        (int)ace_adapter_has_dora(a), "form", peft ? "peft" : "single file", "rank", "least",
        (json_int_t)s.least, "most", (json_int_t)s.most, "layers", s.layers, "modules",
        a->n_modules, "targets", targets_of(a), "parameters", (json_int_t)s.parameters);
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

/* weights and its config by their own names, wherever they lie */
static ace_status open_pair(const char *path, const char *config_path, ace_adapter **out,
                            ace_error *err)
{
    ace_weights *weights = NULL;
    ace_file config;
    ace_status status = ace_file_open(config_path, &config, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    status = ace_weights_open(path, &weights, err);
    if (status == ACESTEP_OK) {
        status = ace_adapter_read(weights, path, (const char *)config.data, config.bytes, out, err);
    }
    ace_file_close(&config);
    return status;
}

char *acestep_adapter_json(const char *path, const char *config, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    ace_adapter *adapter = NULL;
    ace_status status = config != NULL ? open_pair(path, config, &adapter, inner)
                                       : ace_adapter_open(path, &adapter, inner);
    if (status != ACESTEP_OK) {
        return NULL;
    }
    char *text = describe(adapter, config != NULL || ace_directory_exists(path));
    if (text == NULL) {
        (void)ace_fail(inner, ACESTEP_MEMORY, "adapter: no host memory");
    }
    ace_adapter_close(adapter);
    return text;
}
