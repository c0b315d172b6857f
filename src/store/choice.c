#include "store/choice.h"

ace_status ace_store_dump(json_t *root, char **text, ace_error *err)
{
    *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    return *text != NULL ? ACESTEP_OK : ace_fail(err, ACESTEP_MEMORY, "store: no host memory");
}

ace_status ace_store_choose_all(ace_store_choice *choice, const char *const *names, size_t n,
                                const char *recommended_lm, bool alone, ace_error *err)
{
    ace_status status = ACESTEP_OK;
    choice->n = 0;
    for (size_t i = 0; i < n && status == ACESTEP_OK; i++) {
        status = ace_store_choose(choice, names[i], err);
    }
    if (n == 0) {
        status = ace_store_choose(choice, "acestep-v15-turbo", err);
    }
    if (n == 0 && recommended_lm != NULL && recommended_lm[0] != '\0' && status == ACESTEP_OK) {
        status = ace_store_choose(choice, recommended_lm, err);
    }
    if (!alone) {
        ace_store_choose_shared(choice);
    }
    return status;
}
