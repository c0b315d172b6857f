#define _GNU_SOURCE /* RTLD_NODELETE */
#include "device/plugin.h"

#include "base/memory.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4352 };

/* ---- where it may lie ------------------------------------------------------------------------ */

/* The folder of the running program; false where the system does not tell. */
static bool program_folder(char *out, size_t room)
{
    ssize_t n = readlink("/proc/self/exe", out, room - 1);
    if (n <= 0) {
        return false;
    }
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

/* True when there is a file. */
static bool find_in(const char *folder, const char *below, const char *name, char *path)
{
    int n = snprintf(path, PATH_BYTES, "%s%s/libacestep_%s.so", folder, below, name);
    return n > 0 && n < PATH_BYTES && access(path, F_OK) == 0;
}

static ace_status find_file(const char *folder, const char *name, char *path, ace_error *err)
{
    char beside[PATH_BYTES - 256] = ".";
    if (folder != NULL && folder[0] != '\0') {
        if (find_in(folder, "", name, path)) {
            return ACESTEP_OK;
        }
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "the plug-in folder %.400s has no libacestep_%s.so", folder, name);
    }
    if (program_folder(beside, sizeof beside) &&
        (find_in(beside, "", name, path) || find_in(beside, "/../lib/acestep", name, path))) {
        return ACESTEP_OK;
    }
    return ace_fail(
        err, ACESTEP_UNSUPPORTED,
        "libacestep_%s.so is neither beside the program nor in ../lib/acestep: build it "
        "with make %s, or say with --plugin-dir where it is",
        name, name);
}

/* ---- loading --------------------------------------------------------------------------------- */

static ace_status check_table(const ace_plugin *p, const char *path, const char *name,
                              ace_error *err)
{
    if (p == NULL || p->abi != ACE_PLUGIN_ABI) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "%s: speaks version %u of the plug-in interface, this program version %d: "
                        "build both from the same source",
                        path, p != NULL ? p->abi : 0, (int)ACE_PLUGIN_ABI);
    }
    static const uint32_t sizes[ACE_PLUGIN_SIZES] = ACE_PLUGIN_SIZE_LIST;
    if (memcmp(p->sizes, sizes, sizeof sizes) != 0) {
        return ace_fail(err, ACESTEP_UNSUPPORTED,
                        "%s: was built with other structs than this program: build both from the "
                        "same source",
                        path);
    }
    if (p->open == NULL || p->name == NULL || strcmp(p->name, name) != 0) {
        return ace_fail(err, ACESTEP_UNSUPPORTED, "%s: is no plug-in for %s", path, name);
    }
    return ACESTEP_OK;
}

ace_status ace_plugin_load(const char *folder, const char *name, const ace_plugin **out,
                           ace_error *err)
{
    char path[PATH_BYTES];
    *out = NULL;
    ace_status status = find_file(folder, name, path, err);
    if (status != ACESTEP_OK) {
        return status;
    }
    /* What a plug-in depends on may not bear being unloaded: it stays. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        const char *why = dlerror();
        return ace_fail(err, ACESTEP_UNSUPPORTED, "%s cannot be loaded: %.500s", path,
                        why != NULL ? why : "unknown reason");
    }
    void *symbol = dlsym(library, ACE_PLUGIN_ENTRY);
    if (symbol == NULL) {
        status =
            ace_fail(err, ACESTEP_UNSUPPORTED,
                     "%s: has no " ACE_PLUGIN_ENTRY ", so it is no plug-in of this program", path);
    } else {
        ace_plugin_entry *entry;
        memcpy(&entry, &symbol, sizeof entry); /* POSIX gives data pointers */
        const ace_plugin *table = entry();
        status = check_table(table, path, name, err);
        *out = status == ACESTEP_OK ? table : NULL;
    }
    (void)dlclose(library);
    return status;
}

ace_status ace_plugin_open(const ace_plugin *plugin, const ace_plugin_options *options,
                           ace_device **out, ace_error *err)
{
    static const ace_plugin_services services = {
        .allocate = ace_calloc, .release = ace_free, .log = ace_log, .run = ace_pool_run};
    *out = NULL;
    ace_status status = plugin->open(options, &services, out, err);
    if (status != ACESTEP_OK) { /* every failure has a sentence, whoever wrote the plug-in */
        return ace_fail(err, status, "the %s plug-in could not open card %d", plugin->name,
                        options->card);
    }
    return ACESTEP_OK;
}
