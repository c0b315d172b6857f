/* GGUF version 2 and 3: magic, version, counts, typed metadata, tensor table, aligned data.
 * Dimensions are stored innermost first. */
#include "base/block_formats.h"
#include "base/checked.h"
#include "base/memory.h"
#include "weights/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64
};
enum {
    LONGEST_NAME = 200,
    MOST_TENSORS = 65536,
    LONGEST_STRING = 16 << 20,
    MOST_ITEMS = 1 << 24,
    LARGEST_ALIGNMENT = 1 << 20
};

typedef struct cursor {
    const unsigned char *data;
    size_t bytes, at;
    bool overrun; /* a read went past the end; values are 0 from then on */
} cursor;

static uint64_t read_int(cursor *c, size_t n)
{
    uint64_t value = 0;
    if (c->overrun || n > c->bytes - c->at) {
        c->overrun = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)c->data[c->at + i] << (8 * i);
    }
    c->at += n;
    return value;
}

static void skip(cursor *c, uint64_t n)
{
    if (c->overrun || n > c->bytes - c->at) {
        c->overrun = true;
        return;
    }
    c->at += (size_t)n;
}

static size_t scalar_bytes(uint64_t type)
{
    static const unsigned char bytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

/* A string stays where it is: pointer and length. */
static const char *read_string(cursor *c, size_t *length)
{
    uint64_t n = read_int(c, 8);
    const char *text = (const char *)c->data + c->at;
    if (n > LONGEST_STRING) {
        c->overrun = true;
    }
    skip(c, n);
    *length = c->overrun ? 0 : (size_t)n;
    return c->overrun ? "" : text;
}

/* Arrays of strings are remembered where they lie; others are of no use here. */
static ace_status read_array(ace_weights *w, cursor *c, const char *key, ace_error *err)
{
    uint64_t type = read_int(c, 4);
    uint64_t n = read_int(c, 8);
    size_t bytes = scalar_bytes(type);
    if (n > MOST_ITEMS || (bytes == 0 && type != GGUF_STRING)) {
        c->overrun = true;
        return ACESTEP_OK;
    }
    if (bytes != 0) {
        skip(c, n * bytes);
        return ACESTEP_OK;
    }
    const unsigned char *first = c->data + c->at;
    for (uint64_t i = 0; i < n && !c->overrun; i++) {
        size_t length = 0;
        (void)read_string(c, &length);
    }
    return c->overrun ? ACESTEP_OK : ace_weights_add_strings(w, key, first, (size_t)n, err);
}

void ace_gguf_texts(const ace_metadata_strings *strings, ace_weights_text *out)
{
    cursor c = {.data = strings->first, .bytes = SIZE_MAX}; /* bounds were checked by read_array */
    for (size_t i = 0; i < strings->n; i++) {
        out[i].data = read_string(&c, &out[i].bytes);
    }
}

static ace_status read_text(ace_weights *w, cursor *c, const char *key, ace_error *err)
{
    size_t n = 0;
    const char *text = read_string(c, &n);
    char *copy = ace_malloc_array(n + 1, 1);
    if (copy == NULL) {
        return ace_fail(err, ACESTEP_MEMORY, "%s: no host memory", w->path);
    }
    memcpy(copy, text, n);
    copy[n] = '\0';
    ace_status status = ace_weights_add_metadata(w, key, copy, err);
    ace_free(copy);
    return status;
}

static void print_scalar(uint64_t type, uint64_t bits, char *out, size_t bytes)
{
    double wide = 0;
    switch (type) {
    case GGUF_F32:
        (void)snprintf(out, bytes, "%.9g", (double)ace_f32_from_bits((uint32_t)bits));
        break;
    case GGUF_F64:
        memcpy(&wide, &bits, sizeof wide);
        (void)snprintf(out, bytes, "%.17g", wide);
        break;
    case GGUF_BOOL:
        (void)snprintf(out, bytes, "%s", bits != 0 ? "true" : "false");
        break;
    case GGUF_I8:
        (void)snprintf(out, bytes, "%d", (int8_t)bits);
        break;
    case GGUF_I16:
        (void)snprintf(out, bytes, "%d", (int16_t)bits);
        break;
    case GGUF_I32:
        (void)snprintf(out, bytes, "%" PRId32, (int32_t)bits);
        break;
    case GGUF_I64:
        (void)snprintf(out, bytes, "%" PRId64, (int64_t)bits);
        break;
    default:
        (void)snprintf(out, bytes, "%" PRIu64, bits);
    }
}

/* A name in the file as a string of its own; false for one longer than any known. */
static bool copy_name(cursor *c, char *out, size_t room)
{
    size_t length = 0;
    const char *text = read_string(c, &length);
    bool fits = length < room && memchr(text, '\0', length) == NULL;
    (void)snprintf(out, room, "%.*s", (int)(length < room ? length : room - 1), text);
    return fits && !c->overrun;
}

static ace_status read_pair(ace_weights *w, cursor *c, ace_error *err)
{
    char key[LONGEST_NAME + 1];
    if (!copy_name(c, key, sizeof key)) {
        c->overrun = true;
        return ACESTEP_OK;
    }
    uint64_t type = read_int(c, 4);
    if (type == GGUF_ARRAY) {
        return read_array(w, c, key, err);
    }
    if (type == GGUF_STRING) {
        return read_text(w, c, key, err);
    }
    size_t bytes = scalar_bytes(type);
    uint64_t bits = read_int(c, bytes);
    if (bytes == 0 || c->overrun) {
        c->overrun = true;
        return ACESTEP_OK;
    }
    char value[64];
    print_scalar(type, bits, value, sizeof value);
    return ace_weights_add_metadata(w, key, value, err);
}

static bool parse_type(uint64_t type, ace_dtype *out)
{
    static const struct {
        uint64_t type;
        ace_dtype dtype;
    } known[] = {{0, ACE_F32},   {1, ACE_F16},   {8, ACE_Q8_0}, {12, ACE_Q4_K},
                 {13, ACE_Q5_K}, {14, ACE_Q6_K}, {26, ACE_I32}, {30, ACE_BF16}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].type == type) {
            *out = known[i].dtype;
            return true;
        }
    }
    return false;
}

/* Name, shape, type; data still holds the offset. */
static ace_status read_tensor(ace_weights *w, cursor *c, const char *path, ace_error *err)
{
    char name[LONGEST_NAME + 1];
    ace_weight t = {.name = name};
    bool named = copy_name(c, name, sizeof name);
    uint64_t rank = read_int(c, 4);
    if (!named || c->overrun || rank > 4) {
        return ace_fail(err, ACESTEP_MODEL, "%s: damaged tensor table at %.100s", path, name);
    }
    t.rank = (int)rank;
    for (int i = 0; i < t.rank; i++) {
        uint64_t dim = read_int(c, 8);
        if (dim > INT64_MAX) {
            c->overrun = true;
        }
        t.dim[t.rank - 1 - i] = (int64_t)dim;
    }
    uint64_t type = read_int(c, 4);
    uint64_t offset = read_int(c, 8);
    size_t elements = 0;
    if (c->overrun || !ace_weights_elements(&t, &elements)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: damaged tensor table at %.100s", path, name);
    }
    if (!parse_type(type, &t.dtype)) {
        return ace_fail(
            err, ACESTEP_MODEL,
            "%s: %.100s has type %llu; F32, F16, BF16, Q8_0, Q4_K, Q5_K and Q6_K are read", path,
            name, (unsigned long long)type);
    }
    int64_t per = ace_block_elements(t.dtype);
    bool whole = per == 1 || (t.rank > 0 && t.dim[t.rank - 1] % per == 0);
    if (!whole || ace_mul_overflows(elements / (size_t)per, ace_block_bytes(t.dtype), &t.bytes)) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %.100s: rows are no whole blocks", path, name);
    }
    t.data = (const void *)(uintptr_t)offset;
    return ace_weights_add(w, &t, err);
}

/* Where tensor t ends in the file; its data still holds the offset. False on overflow. */
static bool tensor_end(const ace_weight *t, size_t start, size_t *end)
{
    return !ace_add_overflows(start, (size_t)(uintptr_t)t->data, end) &&
           !ace_add_overflows(*end, t->bytes, end);
}

/* From offsets to addresses, for the tensors from `first` on. */
static ace_status place_tensors(ace_weights *w, size_t first, const cursor *c, size_t alignment,
                                const char *path, ace_error *err)
{
    size_t start = (c->at + alignment - 1) / alignment * alignment;
    size_t whole = 0;
    for (size_t i = first; i < w->count; i++) {
        size_t end = 0;
        if (!tensor_end(&w->tensor[i], start, &end)) {
            return ace_fail(err, ACESTEP_MODEL, "%s: damaged tensor table at %.100s", path,
                            w->tensor[i].name);
        }
        whole = end > whole ? end : whole;
    }
    if (whole > c->bytes) {
        return ace_fail(err, ACESTEP_MODEL,
                        "%s: cut short: %zu bytes are expected, %zu are there; download it again",
                        path, whole, c->bytes);
    }
    for (size_t i = first; i < w->count; i++) {
        w->tensor[i].data = c->data + start + (uintptr_t)w->tensor[i].data;
    }
    return ACESTEP_OK;
}

ace_status ace_gguf_parse(ace_weights *w, const unsigned char *data, size_t bytes, const char *path,
                          ace_error *err)
{
    cursor c = {.data = data, .bytes = bytes};
    uint64_t magic = read_int(&c, 4);
    uint64_t version = read_int(&c, 4);
    uint64_t n_tensors = read_int(&c, 8);
    uint64_t n_pairs = read_int(&c, 8);
    if (c.overrun || magic != 0x46554747u || version < 2 || version > 3) {
        return ace_fail(err, ACESTEP_MODEL, "%s: not a GGUF file of version 2 or 3", path);
    }
    if (n_tensors > MOST_TENSORS || n_pairs > MOST_TENSORS) {
        return ace_fail(err, ACESTEP_MODEL, "%s: %llu tensors are too many to be true", path,
                        (unsigned long long)n_tensors);
    }
    size_t first = w->count;
    ace_status status = ACESTEP_OK;
    for (uint64_t i = 0; i < n_pairs && status == ACESTEP_OK && !c.overrun; i++) {
        status = read_pair(w, &c, err);
    }
    if (status == ACESTEP_OK && c.overrun) {
        status =
            ace_fail(err, ACESTEP_MODEL, "%s: damaged or cut metadata; download it again", path);
    }
    for (uint64_t i = 0; i < n_tensors && status == ACESTEP_OK; i++) {
        status = read_tensor(w, &c, path, err);
    }
    if (status != ACESTEP_OK) {
        return status;
    }
    double alignment = 32;
    bool given = ace_weights_metadata(w, "general.alignment") != NULL;
    if (given && (!ace_weights_metadata_number(w, "general.alignment", &alignment) ||
                  !(alignment >= 1 && alignment <= LARGEST_ALIGNMENT))) {
        return ace_fail(err, ACESTEP_MODEL, "%s: impossible alignment", path);
    }
    return place_tensors(w, first, &c, (size_t)alignment, path, err);
}
