/* Device plug-ins: shared libraries that bring a device of their own. The program never links what
 * they need; it looks for libacestep_NAME.so at run time.
 *
 * A plug-in exports one function, ACE_PLUGIN_ENTRY, which returns a table. Program and plug-in
 * share the structs of device/device.h, so the loader refuses a plug-in that was built with other
 * ones: the number of the interface and the sizes of the structs must agree. */
#ifndef ACE_DEVICE_PLUGIN_H
#define ACE_DEVICE_PLUGIN_H

#include "base/log.h"
#include "base/thread_pool.h"
#include "device/device.h"

#define ACE_PLUGIN_ENTRY "acestep_device_plugin"

/* ACE_PLUGIN_ABI is raised when the meaning of anything below or of device/device.h changes. */
enum { ACE_PLUGIN_ABI = 4, ACE_PLUGIN_SIZES = 12 };

/* Tells structs of other shape apart, whoever forgot to raise the number. */
#define ACE_PLUGIN_SIZE_LIST                                                                       \
    {                                                                                              \
        sizeof(ace_plugin), sizeof(ace_plugin_options), sizeof(ace_device),                        \
            sizeof(ace_device_ops), sizeof(ace_tensor), sizeof(ace_matrix_part),                   \
            sizeof(ace_attention), sizeof(ace_epilogue), sizeof(ace_conv_transpose),               \
            sizeof(ace_choice), sizeof(ace_scatter), sizeof(ace_mix)                               \
    }

/* What a plug-in asks of the program. */
typedef struct ace_plugin_services {
    void *(*allocate)(size_t count, size_t size); /* zeroed host memory, as ace_calloc */
    void (*release)(void *block);
    void (*log)(ace_log_level level, const char *area, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
    void (*run)(ace_pool *pool, int64_t n_tasks, ace_pool_task *task, void *context);
} ace_plugin_services;

typedef struct ace_plugin_options {
    int card;          /* the driver's number */
    size_t cap_bytes;  /* most that the device may hold; SIZE_MAX: what the card has */
    size_t free_bytes; /* what the driver called free before the device was opened; 0: unknown */
    bool vendor_libraries; /* may be loaded for products, where they are installed */
    ace_pool *pool;        /* for the thread that drives the device; must outlive it; NULL: none */
    bool flash_attention;  /* false: attention by its general kernel alone */
} ace_plugin_options;

typedef struct ace_plugin {
    uint32_t abi;                     /* ACE_PLUGIN_ABI */
    uint32_t sizes[ACE_PLUGIN_SIZES]; /* ACE_PLUGIN_SIZE_LIST */
    const char *name;                 /* "cuda" */
    const char *about;                /* one line: built with what, for which cards */
    int min_capability;               /* 10 · major + minor of the oldest card it has code for */
    /* Errors name the card and what to do. The services must outlive the device. */
    ace_status (*open)(const ace_plugin_options *, const ace_plugin_services *, ace_device **out,
                       ace_error *);
} ace_plugin;

typedef const ace_plugin *ace_plugin_entry(void);

/* Loads libacestep_NAME.so from `folder`; where that is NULL or "", from the folder of the running
 * program or ../lib/acestep beside it. The table stays valid as long as the process lives. On
 * failure the one line in *err says what is missing: UNSUPPORTED for a file that is not there or
 * cannot be loaded, or was built for another version of the program. */
ace_status ace_plugin_load(const char *folder, const char *name, const ace_plugin **out,
                           ace_error *err);

/* The plug-in's device. ace_device_close closes it. */
ace_status ace_plugin_open(const ace_plugin *plugin, const ace_plugin_options *options,
                           ace_device **out, ace_error *err);

#endif
