/* The store of checkpoints: which are published, which are here, how to get, check and remove them.
 *
 * Nothing is ever downloaded but by acestep_store_download. Texts that are returned are freed with
 * acestep_free. Functions may be called from several threads at once; two downloads of the same set
 * wait for each other, across processes too. */
#ifndef ACESTEP_STORE_H
#define ACESTEP_STORE_H

#include "acestep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How to download. All of it may be zero. Texts are borrowed for the call. */
typedef struct acestep_store_options {
    const char *folder; /* of the models; NULL: acestep_store_folder */
    const char *source; /* auto, huggingface, modelscope, or folder (a web server with a copy of a
                         * models folder, named by mirror); NULL: auto */
    const char
        *mirror; /* address instead of the host's own, https://…; no other host is asked then */
    const char *hf_endpoint; /* address of Hugging Face, where mirror is NULL */
    const char *revision;    /* instead of the one that this release was made with */
    const char *token;       /* for the host alone, never shown, never sent elsewhere */
    const char *offline;     /* what forbids the network, as "--offline"; NULL: nothing does */
    int parallel;            /* files at once, 1 … 4; 0: 2 */
    int retries;             /* in a row without a byte of progress; 0: 6; -1: none */
    double retry_wait;       /* s before the first of them, doubled each time up to 60; 0: 1 */
    double timeout;          /* s of silence after which a connection counts as lost; 0: 30 */
    double max_rate;         /* bytes per second; 0: any */
    bool skip_main;          /* without what a diffusion model needs beside it */
    bool force;              /* also what is here already */
} acestep_store_options;

/* Fills what is NULL from the environment: ACESTEP_DOWNLOAD_SOURCE, ACESTEP_MIRROR, HF_ENDPOINT,
 * HF_TOKEN, ACESTEP_OFFLINE, HF_HUB_OFFLINE. */
void acestep_store_options_environment(acestep_store_options *options);

/* Where models are kept: asked where it is not empty, else ACESTEP_MODELS, else
 * $XDG_DATA_HOME/acestep/models, else ~/.local/share/acestep/models. NULL with err set where none
 * of these is there to tell. The folder itself may not exist yet. */
char *acestep_store_folder(const char *asked, acestep_error *err);

/* True where the folder holds what a song needs: a diffusion model, vae and text encoder, complete.
 */
bool acestep_store_ready(const char *folder);

/* {"folder", "installed_bytes", "free_bytes", "sets": [{"name", "kind", "about", "state": "absent",
 * "partial", "complete" or "damaged", "reason", "bytes" (here), "size" (published, about; 0 for
 * others), "revision", "recommended"}]}: everything published and whatever else lies in the folder.
 * recommended_lm: the language model for this machine (acestep_info_json knows), NULL or "" for
 * none. */
char *acestep_store_list_json(const char *folder, const char *recommended_lm, acestep_error *err);
char *acestep_store_list_text(const char *folder, const char *recommended_lm, acestep_error *err);

/* Which sets a download of these names comes to: {"folder", "sets": [{"name", "size", "state"}],
 * "size" (of what is not here), "free_bytes"}. No names: what this machine is advised to have.
 * ARGUMENT for a name that nobody publishes. Without the network. */
acestep_status acestep_store_plan(const acestep_store_options *options, const char *const *names,
                                  size_t n, const char *recommended_lm, char **json,
                                  acestep_error *err);

/* Where a download or a check stands. */
typedef struct acestep_store_state {
    const char *set;  /* "" before the first */
    const char *file; /* the one of the set that something has just been done for; "" for none */
    const char *note; /* what is waited for, or why something is tried again; "" */
    uint64_t done, total; /* bytes of all sets */
    double bytes_per_second;
} acestep_store_state;

/* Several times a second. Return false to stop: what has come stays, the next download goes on from
 * there. */
typedef bool acestep_store_progress(void *context, const acestep_store_state *state);

/* Gets the sets of acestep_store_plan. *json, where json is not NULL: {"folder", "sets": [{"name",
 * "source", "revision", "files", "bytes", "downloaded"}], "downloaded", "seconds"}. NETWORK: host
 * out of reach, or what it sends is not what it should be, or offline and a set is missing; IO:
 * disk; CANCELLED. */
acestep_status acestep_store_download(const acestep_store_options *options,
                                      const char *const *names, size_t n,
                                      const char *recommended_lm, acestep_store_progress *progress,
                                      void *context, char **json, acestep_error *err);

/* Reads every file of these sets (no names: all that are here) and compares it with the manifest,
 * with the published digests where there is none; tensors must lie within their files. *json:
 * {"folder", "sets": [{"name", "state": "complete" or "damaged" or "unknown", "reason", "files":
 * [{"name", "bytes", "sha256", "state"}]}]}. MODEL where anything is damaged; *json is there then
 * too. */
acestep_status acestep_store_verify(const char *folder, const char *const *names, size_t n,
                                    acestep_store_progress *progress, void *context, char **json,
                                    acestep_error *err);

/* Removes the files that the manifests of these sets name, unfinished downloads, and folders that
 * are empty then. dry_run: says only what would go. *json: {"folder", "sets": [{"name", "files",
 * "bytes"}], "bytes"}. ARGUMENT for a set that is not here or was not put here by a download. */
acestep_status acestep_store_remove(const char *folder, const char *const *names, size_t n,
                                    bool dry_run, char **json, acestep_error *err);

#ifdef __cplusplus
}
#endif

#endif
