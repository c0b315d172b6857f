#include "run/probe_case.h"

#include "base/block_formats.h"
#include "base/memory.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- opening
 * -----------------------------------------------------------------------------------------------
 */

static void split_name(ace_probe *p, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    (void)snprintf(p->name, sizeof p->name, "%.*s", (int)strcspn(base, "."), base);
    size_t kind = strcspn(p->name, "_");
    (void)snprintf(p->kind, sizeof p->kind, "%.*s", (int)kind, p->name);
    const char *rest = p->name[kind] == '_' ? p->name + kind + 1 : "";
    /* fsq_tokenize_turbo, fsq_detokenize_base: the model stands one word later */
    if (strncmp(rest, "tokenize_", 9) == 0 || strncmp(rest, "detokenize_", 11) == 0) {
        rest += strcspn(rest, "_") + 1;
    }
    (void)snprintf(p->model, sizeof p->model, "%.*s", (int)strcspn(rest, "_"), rest);
}

/* index.json beside the case, if there is one. */
static void read_index(ace_probe *p, const char *case_path)
{
    char path[4352];
    char key[160];
    const char *slash = strrchr(case_path, '/');
    (void)snprintf(path, sizeof path, "%.*sindex.json",
                   slash != NULL ? (int)(slash - case_path + 1) : 0, case_path);
    (void)snprintf(key, sizeof key, "%s.safetensors", p->name);
    p->index = json_load_file(path, 0, NULL);
    json_t *entry = json_object_get(json_object_get(p->index, "files"), key);
    p->meta = json_incref(json_object_get(entry, "meta"));
    if (p->meta == NULL) {
        p->meta = json_object();
    }
}

ace_status ace_probe_open(ace_probe *p, const char *case_path, ace_error *err)
{
    memset(p, 0, sizeof *p);
    p->err = err;
    if (strlen(case_path) > 4096) {
        return ace_fail(err, ACESTEP_ARGUMENT, "case: the path is too long");
    }
    split_name(p, case_path);
    p->status = ace_weights_open(case_path, &p->in, err);
    if (p->status == ACESTEP_OK) {
        read_index(p, case_path);
    }
    return p->status;
}

void ace_probe_close(ace_probe *p)
{
    for (size_t i = 0; i < p->n_out; i++) {
        ace_free((void *)(uintptr_t)p->out[i].name);
        ace_free((void *)(uintptr_t)p->out[i].data);
    }
    for (size_t i = 0; i < p->n_blocks; i++) {
        ace_free(p->blocks[i]);
    }
    ace_free(p->out);
    ace_free(p->blocks);
    ace_weights_close(p->in);
    json_decref(p->meta);
    json_decref(p->index);
    memset(p, 0, sizeof *p);
}

void ace_probe_fail(ace_probe *p, ace_status status, const char *format, ...)
{
    if (p->status == ACESTEP_OK) {
        char message[600];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(message, sizeof message, format, args);
        va_end(args);
        p->status = ace_fail(p->err, status, "%s: %s", p->name, message);
    }
}

void *ace_probe_alloc(ace_probe *p, int64_t n, size_t size)
{
    static uint64_t nothing[64]; /* written by nobody: the probe has failed */
    void **grown = ace_realloc_array(p->blocks, p->n_blocks + 1, sizeof *grown);
    void *block = grown != NULL && n >= 0 ? ace_calloc((size_t)n, size) : NULL;
    p->blocks = grown != NULL ? grown : p->blocks;
    if (block == NULL) {
        ace_probe_fail(p, ACESTEP_MEMORY, "no host memory");
        return nothing;
    }
    p->blocks[p->n_blocks++] = block;
    return block;
}

/* ---- inputs
 * ------------------------------------------------------------------------------------------------
 */

const ace_weight *ace_probe_tensor(ace_probe *p, const char *name, bool optional)
{
    const ace_weight *t = ace_weights_find(p->in, name);
    if (t == NULL && !optional) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "the case has no tensor %s", name);
    }
    return t;
}

int64_t ace_probe_elements(const ace_weight *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) {
        n *= t->dim[i];
    }
    return n;
}

float *ace_probe_f32(ace_probe *p, const char *name, bool optional)
{
    const ace_weight *t = ace_probe_tensor(p, name, optional);
    if (t == NULL) {
        return NULL;
    }
    if (t->dtype != ACE_F32 && t->dtype != ACE_BF16 && t->dtype != ACE_F16) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "%s is no tensor of floats", name);
        return NULL;
    }
    int64_t n = ace_probe_elements(t);
    float *values = ace_probe_alloc(p, n, sizeof *values);
    if (p->status == ACESTEP_OK) {
        ace_decode_row(t->dtype, t->data, n, values);
    }
    return values;
}

int64_t *ace_probe_i64(ace_probe *p, const char *name, bool optional)
{
    const ace_weight *t = ace_probe_tensor(p, name, optional);
    if (t == NULL) {
        return NULL;
    }
    if (t->dtype != ACE_I64) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "%s is no tensor of int64", name);
        return NULL;
    }
    int64_t n = ace_probe_elements(t);
    int64_t *values = ace_probe_alloc(p, n, sizeof *values);
    if (p->status == ACESTEP_OK) {
        memcpy(values, t->data, (size_t)n * sizeof *values);
    }
    return values;
}

int ace_probe_sequences(ace_probe *p, int most, int64_t least, int64_t more, int64_t *length,
                        int32_t **ids)
{
    const ace_weight *shape = ace_probe_tensor(p, "in.input_ids", false);
    int64_t *wide = ace_probe_i64(p, "in.input_ids", false);
    int64_t *mask = ace_probe_i64(p, "in.attention_mask", true);
    if (p->status != ACESTEP_OK || shape->rank != 2 || shape->dim[0] < 1 || shape->dim[0] > most) {
        ace_probe_fail(p, ACESTEP_ARGUMENT, "in.input_ids is not [at most %d, length]", most);
        return 0;
    }
    for (int b = 0; b < (int)shape->dim[0]; b++) {
        length[b] = 0;
        ids[b] = ace_probe_alloc(p, shape->dim[1] + more, sizeof *ids[b]);
        for (int64_t i = 0; i < shape->dim[1] && p->status == ACESTEP_OK; i++) {
            int64_t at = b * shape->dim[1] + i;
            if (mask == NULL || mask[at] != 0) {
                ids[b][length[b]++] = (int32_t)wide[at];
            }
        }
        if (length[b] < least) {
            ace_probe_fail(p, ACESTEP_ARGUMENT, "row %d of in.input_ids is too short", b);
        }
    }
    return (int)shape->dim[0];
}

double ace_probe_number(const ace_probe *p, const char *key, double absent)
{
    json_t *v = json_object_get(p->meta, key);
    return json_is_number(v) ? json_number_value(v) : absent;
}

const char *ace_probe_text(const ace_probe *p, const char *key)
{
    const char *text = json_string_value(json_object_get(p->meta, key));
    return text != NULL ? text : "";
}

/* ---- outputs
 * -----------------------------------------------------------------------------------------------
 */

static ace_weight *output_slot(ace_probe *p, const char *name)
{
    for (size_t i = 0; i < p->n_out; i++) {
        if (strcmp(p->out[i].name, name) == 0) {
            ace_free((void *)(uintptr_t)p->out[i].data);
            p->out[i].data = NULL;
            return &p->out[i];
        }
    }
    ace_weight *grown = ace_realloc_array(p->out, p->n_out + 1, sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    p->out = grown;
    char *copy = ace_strdup(name);
    if (copy == NULL) {
        return NULL;
    }
    memset(&grown[p->n_out], 0, sizeof *grown);
    grown[p->n_out].name = copy;
    return &grown[p->n_out++];
}

static void put(ace_probe *p, const char *name, ace_dtype dtype, const void *data, int rank,
                const int64_t *dim)
{
    if (p->status != ACESTEP_OK) {
        return;
    }
    ace_weight *t = output_slot(p, name);
    if (t == NULL) {
        ace_probe_fail(p, ACESTEP_MEMORY, "no host memory");
        return;
    }
    t->dtype = dtype;
    t->rank = rank;
    memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
    t->bytes = (size_t)ace_probe_elements(t) * ace_dtype_bytes(dtype);
    void *copy = ace_malloc_array(t->bytes, 1);
    if (copy == NULL) {
        t->bytes = 0;
        ace_probe_fail(p, ACESTEP_MEMORY, "no host memory");
        return;
    }
    memcpy(copy, data, t->bytes);
    t->data = copy;
}

void ace_probe_put(ace_probe *p, const char *name, const float *data, int rank, const int64_t *dim)
{
    put(p, name, ACE_F32, data, rank, dim);
}

void ace_probe_put_i64(ace_probe *p, const char *name, const int64_t *data, int rank,
                       const int64_t *dim)
{
    put(p, name, ACE_I64, data, rank, dim);
}

void ace_probe_observe(void *context, ace_stream *s, const char *name, ace_tensor t)
{
    ace_probe *p = context;
    char full[96];
    const int64_t dim[] = {1, t.rows, t.cols};
    float *values = ace_probe_alloc(p, t.rows * t.cols, sizeof *values);
    if (p->status == ACESTEP_OK) {
        (void)snprintf(full, sizeof full, "out.mid.%s", name);
        ace_download(s, values, t);
        ace_probe_put(p, full, values, 3, dim);
    }
}

void ace_transpose(const float *in, int64_t rows, int64_t cols, float *out)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++) {
            out[c * rows + r] = in[r * cols + c];
        }
    }
}
