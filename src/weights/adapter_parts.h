/* Inside of ace_adapter, shared by its files. */
#ifndef ACE_WEIGHTS_ADAPTER_PARTS_H
#define ACE_WEIGHTS_ADAPTER_PARTS_H

#include "weights/adapter.h"

typedef enum ace_adapter_role {
    ACE_ADAPTER_DOWN, /* A, lora_down */
    ACE_ADAPTER_UP,   /* B, lora_up */
    ACE_ADAPTER_ALPHA
} ace_adapter_role;

typedef struct ace_adapter_name {
    int layer;
    ace_adapter_target target;
    ace_adapter_role role;
} ace_adapter_name;

/* What a tensor of an adapter file is. UNSUPPORTED with its name when it is nothing that can be
 * applied. */
ace_status ace_adapter_name_read(const char *path, const char *key, ace_adapter_name *out,
                                 ace_error *err);

/* adapter_config.json */
typedef struct ace_adapter_config ace_adapter_config;

ace_status ace_adapter_config_parse(const char *text, size_t bytes, const char *path,
                                    ace_adapter_config **out, ace_error *err);
void ace_adapter_config_free(ace_adapter_config *config); /* NULL is fine */
/* alpha / r of one module, or alpha / √r. MODEL when the file's rank is not the config's. */
ace_status ace_adapter_config_scale(const ace_adapter_config *config, const char *path, int layer,
                                    ace_adapter_target target, int64_t rank, float *out,
                                    ace_error *err);

#endif
