/* Inside of ace_adapter, shared by its files. */
#ifndef ACE_WEIGHTS_ADAPTER_PARTS_H
#define ACE_WEIGHTS_ADAPTER_PARTS_H

#include "weights/adapter.h"

/* What a tensor is to its module. */
typedef enum ace_adapter_slot {
    ACE_SLOT_WHOLE, /* of a factor */
    ACE_SLOT_A,
    ACE_SLOT_B,
    ACE_SLOT_ALPHA, /* of any kind, and so is the next */
    ACE_SLOT_MAGNITUDE
} ace_adapter_slot;

typedef struct ace_adapter_role {
    ace_adapter_kind kind; /* NONE: of any */
    int factor;            /* 0 or 1 */
    ace_adapter_slot slot;
} ace_adapter_role;

typedef struct ace_adapter_name {
    bool elsewhere; /* of no layer that an adapter can change: layer and target say nothing */
    int layer;
    ace_adapter_target target;
    ace_adapter_role role;
    size_t module_bytes; /* of the name, up to the role, with the dot between */
} ace_adapter_name;

/* What a tensor of an adapter file is. UNSUPPORTED with its name when it is of no kind that can be
 * applied. */
ace_status ace_adapter_name_read(const char *path, const char *key, ace_adapter_name *out,
                                 ace_error *err);
ace_status ace_adapter_refuse_module(const char *path, const char *key, ace_error *err);

/* adapter_config.json */
typedef struct ace_adapter_config ace_adapter_config;

ace_status ace_adapter_config_parse(const char *text, size_t bytes, const char *path,
                                    ace_adapter_config **out, ace_error *err);
void ace_adapter_config_free(ace_adapter_config *config); /* NULL is fine */
/* The scale of one module. MODEL when kind or rank (0: not known) of the file are not the
 * config's. */
ace_status ace_adapter_config_scale(const ace_adapter_config *config, const char *path, int layer,
                                    ace_adapter_target target, int64_t rank, ace_adapter_module *m,
                                    ace_error *err);

/* All tensors of a->weights into a->module. config: NULL for a single file. */
ace_status ace_adapter_collect(ace_adapter *a, const ace_adapter_config *config, ace_error *err);

#endif
