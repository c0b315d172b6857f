/* From the tensors of an adapter file to its modules: each tensor finds its place, and each module
 * is checked to be whole. */
#include "base/block_formats.h"
#include "base/memory.h"
#include "weights/adapter_parts.h"

#include <math.h>
#include <string.h>

/* No layer is that wide: products of two dimensions stay far from overflow. */
static const int64_t LARGEST_DIM = (int64_t)1 << 30;

/* ---- of a factor ----------------------------------------------------------------------------- */

int64_t ace_adapter_rank(const ace_adapter_factor *f)
{
    return f->whole == NULL && f->b != NULL ? f->b->dim[0] : 0;
}

int64_t ace_adapter_factor_rows(const ace_adapter_factor *f)
{
    return f->whole != NULL ? f->whole->dim[0] : f->a->dim[0];
}

int64_t ace_adapter_factor_cols(const ace_adapter_factor *f)
{
    return f->whole != NULL ? f->whole->dim[1] : f->b->dim[1];
}

const ace_weight *ace_adapter_first_tensor(const ace_adapter_module *m)
{
    for (int i = 0; i < 2; i++) {
        const ace_adapter_factor *f = &m->factor[i];
        const ace_weight *found = f->whole != NULL ? f->whole : f->b != NULL ? f->b : f->a;
        if (found != NULL) {
            return found;
        }
    }
    return m->magnitude;
}

/* ---- of an adapter
 * --------------------------------------------------------------------------------
 */

const char *ace_adapter_kinds(const ace_adapter *a)
{
    ace_adapter_kind seen = ACE_ADAPTER_NONE;
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS; i++) {
        ace_adapter_kind kind = a->module[i / ACE_TARGETS][i % ACE_TARGETS].kind;
        if (kind != ACE_ADAPTER_NONE && seen != ACE_ADAPTER_NONE && kind != seen) {
            return "mixed";
        }
        seen = kind != ACE_ADAPTER_NONE ? kind : seen;
    }
    return ace_adapter_kind_name(seen);
}

bool ace_adapter_has_dora(const ace_adapter *a)
{
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS; i++) {
        if (a->module[i / ACE_TARGETS][i % ACE_TARGETS].magnitude != NULL) {
            return true;
        }
    }
    return false;
}

/* ---- tensors into their places --------------------------------------------------------------- */

/* What is needed while modules are put together. */
typedef struct collecting {
    ace_adapter *a;
    const ace_adapter_config *config;
    const ace_weight **alphas; /* [layers · targets] */
} collecting;

static const ace_weight **place_of(const collecting *c, const ace_adapter_name *name)
{
    ace_adapter_module *m = &c->a->module[name->layer][name->target];
    ace_adapter_factor *f = &m->factor[name->role.factor];
    switch (name->role.slot) {
    case ACE_SLOT_WHOLE:
        return &f->whole;
    case ACE_SLOT_A:
        return &f->a;
    case ACE_SLOT_B:
        return &f->b;
    case ACE_SLOT_MAGNITUDE:
        return &m->magnitude;
    case ACE_SLOT_ALPHA:
        break;
    }
    return &c->alphas[name->layer * ACE_TARGETS + (int)name->target];
}

static bool is_all_zeros(const ace_weight *t)
{
    const unsigned char *bytes = t->data;
    for (size_t i = 0; i < t->bytes; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool begins_so(const ace_weight *t, const char *name, size_t bytes)
{
    return strncmp(t->name, name, bytes) == 0;
}

/* Do the tensors of the module of tensor number `at` change nothing? One factor of zeros makes the
 * product zero; a magnitude changes rows all the same. In name order they lie together, perhaps
 * among those of modules inside theirs. */
static bool changes_nothing(const collecting *c, size_t at, size_t module_bytes)
{
    const ace_weights *w = c->a->weights;
    const char *module = ace_weights_at(w, at)->name;
    bool silent = false;
    while (at > 0 && begins_so(ace_weights_at(w, at - 1), module, module_bytes)) {
        at--;
    }
    for (; at < ace_weights_count(w); at++) {
        const ace_weight *t = ace_weights_at(w, at);
        ace_adapter_name name;
        if (!begins_so(t, module, module_bytes)) {
            break;
        }
        if (ace_adapter_name_read(c->a->path, t->name, &name, NULL) != ACESTEP_OK) {
            return false;
        }
        bool is_own = name.module_bytes == module_bytes;
        if (is_own && name.role.slot == ACE_SLOT_MAGNITUDE) {
            return false;
        }
        silent = silent || (is_own && name.role.slot != ACE_SLOT_ALPHA && is_all_zeros(t));
    }
    return silent;
}

static ace_status add_tensor(collecting *c, size_t at, ace_error *err)
{
    const ace_weight *t = ace_weights_at(c->a->weights, at);
    const char *path = c->a->path;
    ace_adapter_name name;
    ace_status status = ace_adapter_name_read(path, t->name, &name, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    if (name.elsewhere) {
        return changes_nothing(c, at, name.module_bytes)
                   ? ACESTEP_OK
                   : ace_adapter_refuse_module(path, t->name, err);
    }
    ace_adapter_module *m = &c->a->module[name.layer][name.target];
    const ace_weight **place = place_of(c, &name);
    if (*place != NULL) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.150s and %.150s are the same thing twice",
                        path, (*place)->name, t->name);
    }
    if (name.role.kind != ACE_ADAPTER_NONE && m->kind != ACE_ADAPTER_NONE &&
        name.role.kind != m->kind) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.150s and %.150s are of different kinds, for "
                        "the same layer",
                        path, ace_adapter_first_tensor(m)->name, t->name);
    }
    m->kind = name.role.kind != ACE_ADAPTER_NONE ? name.role.kind : m->kind;
    *place = t;
    return ACESTEP_OK;
}

/* ---- modules, whole -------------------------------------------------------------------------- */

static bool is_matrix(const ace_weight *t)
{
    return t->rank == 2 && t->dim[0] > 0 && t->dim[1] > 0 && t->dim[0] <= LARGEST_DIM &&
           t->dim[1] <= LARGEST_DIM &&
           (t->dtype == ACE_F32 || t->dtype == ACE_BF16 || t->dtype == ACE_F16);
}

static ace_status check_whole(const char *path, const ace_adapter_factor *f, ace_error *err)
{
    if (f->a != NULL || f->b != NULL) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.150s is there whole, and in halves as %.150s", path,
                        f->whole->name, (f->a != NULL ? f->a : f->b)->name);
    }
    if (!is_matrix(f->whole)) {
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.200s is no matrix of f32, bf16 or f16", path,
                        f->whole->name);
    }
    return ACESTEP_OK;
}

static ace_status check_halves(const char *path, const ace_adapter_factor *f, ace_error *err)
{
    if (!is_matrix(f->a) || !is_matrix(f->b) || f->a->dim[1] != f->b->dim[0]) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.150s and %.150s are no pair of matrices [out, rank] and [rank, "
                        "in]",
                        path, f->a->name, f->b->name);
    }
    int64_t rank = f->b->dim[0];
    if (rank > f->a->dim[0] + f->b->dim[1]) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.200s has rank %lld for a matrix [%lld, %lld]", path, f->b->name,
                        (long long)rank, (long long)f->a->dim[0], (long long)f->b->dim[1]);
    }
    return ACESTEP_OK;
}

static ace_status check_factor(const ace_adapter *a, const ace_adapter_module *m, int i,
                               const ace_weight *any, ace_error *err)
{
    const ace_adapter_factor *f = &m->factor[i];
    if (f->whole != NULL) {
        return check_whole(a->path, f, err);
    }
    if (f->a == NULL || f->b == NULL) {
        const ace_weight *half = f->a != NULL ? f->a : f->b;
        return ace_fail(err, ACESTEP_MODEL, "%.400s: %.200s lacks its other half", a->path,
                        half != NULL ? half->name : any->name);
    }
    return check_halves(a->path, f, err);
}

static ace_status find_shape(const ace_adapter *a, ace_adapter_module *m, ace_error *err)
{
    const ace_adapter_factor *first = &m->factor[0];
    const ace_adapter_factor *second = &m->factor[1];
    m->rows = ace_adapter_factor_rows(first);
    m->cols = ace_adapter_factor_cols(first);
    if (m->kind == ACE_ADAPTER_LOKR) {
        m->rows *= ace_adapter_factor_rows(second);
        m->cols *= ace_adapter_factor_cols(second);
    }
    if (m->kind == ACE_ADAPTER_LOHA && (m->rows != ace_adapter_factor_rows(second) ||
                                        m->cols != ace_adapter_factor_cols(second))) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%.400s: %.150s and %.150s do not make matrices of one shape", a->path,
                        first->a->name, second->a->name);
    }
    return ACESTEP_OK;
}

/* One number for each row: [out] or [out, 1]. LyCORIS has also stretched columns, [1, in]: that
 * would change what a fused product of several layers reads. */
static ace_status check_magnitude(const ace_adapter *a, const ace_adapter_module *m, ace_error *err)
{
    const ace_weight *t = m->magnitude;
    if (t == NULL) {
        return ACESTEP_OK;
    }
    bool is_float = t->dtype == ACE_F32 || t->dtype == ACE_BF16 || t->dtype == ACE_F16;
    if (is_float && t->rank == 2 && t->dim[0] == 1 && t->dim[1] == m->cols && m->rows > 1) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "%.400s: %.200s is DoRA over the columns; only DoRA over the rows can be "
                        "applied: train with wd_on_output, or merge it into the model",
                        a->path, t->name);
    }
    bool fits = is_float && t->rank >= 1 && t->dim[0] == m->rows;
    for (int i = 1; i < t->rank; i++) {
        fits = fits && t->dim[i] == 1;
    }
    return fits ? ACESTEP_OK
                : ace_fail(err, ACESTEP_MODEL,
                           "%.400s: %.200s is no vector with a number for each of %lld rows",
                           a->path, t->name, (long long)m->rows);
}

/* A single number. */
static ace_status read_alpha(const ace_adapter *a, const ace_weight *alpha, float *value,
                             ace_error *err)
{
    int64_t elements = 1;
    for (int i = 0; i < alpha->rank; i++) {
        elements *= alpha->dim[i];
    }
    bool readable = elements == 1 && (alpha->dtype == ACE_F32 || alpha->dtype == ACE_BF16 ||
                                      alpha->dtype == ACE_F16 || alpha->dtype == ACE_F64);
    if (readable) {
        ace_decode_row(alpha->dtype, alpha->data, 1, value);
    }
    return readable && isfinite(*value)
               ? ACESTEP_OK
               : ace_fail(err, ACESTEP_MODEL, "%.400s: %.200s is no number", a->path, alpha->name);
}

/* The rank that alpha is measured by: of a LoKr, that of its first product; 0: there is none. */
static int64_t rank_of(const ace_adapter_module *m)
{
    int64_t rank = ace_adapter_rank(&m->factor[0]);
    return rank == 0 ? ace_adapter_rank(&m->factor[1]) : rank;
}

static ace_status find_scale(const collecting *c, int at, ace_adapter_module *m, ace_error *err)
{
    const ace_weight *alpha = c->alphas[at];
    int64_t rank = rank_of(m);
    float value = 0;
    m->scale = 1;
    if (alpha != NULL) {
        ace_status status = read_alpha(c->a, alpha, &value, err);
        if (status == ACESTEP_OK && rank > 0 && value != 0) {
            m->scale = value / (float)rank;
        }
        return status;
    }
    return c->config != NULL
               ? ace_adapter_config_scale(c->config, c->a->path, at / ACE_TARGETS,
                                          (ace_adapter_target)(at % ACE_TARGETS), rank, m, err)
               : ACESTEP_OK;
}

static bool is_silent_factor(const ace_adapter_factor *f)
{
    return f->whole != NULL ? is_all_zeros(f->whole)
                            : f->a != NULL && (is_all_zeros(f->a) || is_all_zeros(f->b));
}

/* All factors are there and fit together; shape and scale are known. */
static ace_status complete(collecting *c, int at, ace_error *err)
{
    ace_adapter *a = c->a;
    ace_adapter_module *m = &a->module[at / ACE_TARGETS][at % ACE_TARGETS];
    const ace_weight *any = ace_adapter_first_tensor(m);
    any = any != NULL ? any : c->alphas[at];
    if (any == NULL) {
        return ACESTEP_OK;
    }
    ace_status status = check_factor(a, m, 0, any, err);
    if (status == ACESTEP_OK && m->kind != ACE_ADAPTER_LORA) {
        status = check_factor(a, m, 1, any, err);
    }
    if (status == ACESTEP_OK) {
        status = find_shape(a, m, err);
    }
    if (status == ACESTEP_OK) {
        status = check_magnitude(a, m, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    a->n_modules++;
    m->silent = m->magnitude == NULL &&
                (is_silent_factor(&m->factor[0]) || is_silent_factor(&m->factor[1]));
    return find_scale(c, at, m, err);
}

ace_status ace_adapter_collect(ace_adapter *a, const ace_adapter_config *config, ace_error *err)
{
    collecting c = {a, config,
                    ace_calloc((size_t)ACE_ADAPTER_LAYERS * ACE_TARGETS, sizeof *c.alphas)};
    if (c.alphas == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%.400s: no host memory", a->path);
    }
    ace_status status = ACESTEP_OK;
    for (size_t i = 0; i < ace_weights_count(a->weights) && status == ACESTEP_OK; i++) {
        status = add_tensor(&c, i, err);
    }
    for (int i = 0; i < ACE_ADAPTER_LAYERS * ACE_TARGETS && status == ACESTEP_OK; i++) {
        status = complete(&c, i, err);
    }
    if (status == ACESTEP_OK && a->n_modules == 0) {
        status = ace_fail(err, ACESTEP_MODEL, "%.400s: holds no adapter", a->path);
    }
    ace_free(c.alphas);
    return status;
}
