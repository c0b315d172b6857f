/* What hosts, manifests and tensor files say of themselves. The first byte chooses the reader; any
 * bytes give a list whose names stay in their folder and whose sizes add up without overflow, or
 * one error. Corpus: tests/fuzz/corpus/store_list. */
#include "store/address.h"
#include "store/file_list.h"
#include "store/tensors.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void check_digest(const char *text, size_t digits)
{
    require(text[0] == '\0' ||
            (strlen(text) == digits && strspn(text, "0123456789abcdef") == digits));
}

static void check_list(const ace_store_files *list)
{
    uint64_t sum = 0;
    require(list->n > 0 && list->n <= ACE_STORE_FILES);
    require(strlen(list->revision) < ACE_STORE_REVISION_BYTES &&
            strchr(list->revision, '/') == NULL);
    for (size_t i = 0; i < list->n; i++) {
        const ace_store_file *f = &list->file[i];
        require(ace_store_is_wanted(f->name) && f->name[0] != '.' && strchr(f->name, '/') == NULL);
        require(strcmp(f->name, ACE_STORE_MANIFEST) != 0);
        check_digest(f->sha256, ACE_STORE_SHA256_BYTES - 1);
        check_digest(f->git_sha1, ACE_STORE_SHA1_BYTES - 1);
        require(!__builtin_add_overflow(sum, f->bytes, &sum));
        for (size_t k = 0; k < i; k++) {
            require(strcmp(f->name, list->file[k].name) != 0);
        }
    }
}

static void check_address(const char *text)
{
    char base[ACE_STORE_ADDRESS_BYTES];
    ace_error err = {.code = ACESTEP_OK};
    if (ace_store_address_base(text, base, &err) == ACESTEP_OK) {
        size_t n = strlen(base);
        require(n > 0 && base[n - 1] != '/');
        (void)ace_store_address_allowed(base, text);
    }
    if (ace_store_address_allowed("https://huggingface.co", text)) {
        char host[256];
        ace_store_address_host(text, host);
        require(strncasecmp(host, "https:", 6) == 0);
    }
    require(!ace_store_address_trusted("http://192.0.2.1", text)); /* never unencrypted to others */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ace_store_files list;
    ace_error err = {.code = ACESTEP_OK};
    ace_status status = ACESTEP_OK;
    uint64_t bytes = 0;
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t n = size - 1;
    char *address = NULL;
    switch (data[0] % 6) {
    case 0:
        status = ace_store_parse_huggingface(text, n, "vae", "input", &list, &err);
        break;
    case 1:
        status = ace_store_parse_huggingface(text, n, "", "input", &list, &err);
        break;
    case 2:
        status = ace_store_parse_modelscope(text, n, "vae", "input", &list, &err);
        break;
    case 3:
        status = ace_store_parse_manifest(text, n, "input", &list, &err);
        break;
    case 4:
        (void)ace_store_tensors_bytes(text, n, "input", &bytes, &err);
        return 0;
    default:
        address = strndup(text, n);
        check_address(address != NULL ? address : "");
        free(address);
        return 0;
    }
    if (status == ACESTEP_OK) {
        check_list(&list);
    } else {
        require(err.message[0] != '\0' && strchr(err.message, '\n') == NULL);
    }
    return 0;
}
