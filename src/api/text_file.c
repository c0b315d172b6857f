/* Reports in files. */
#include "api/api.h"
#include "base/file_write.h"

#include <string.h>

acestep_status acestep_file_write(const char *path, const char *text, acestep_error *err)
{
    ace_error *inner = ace_inner_error(err);
    if (text == NULL) { /* of a report that found no memory */
        return ace_fail(inner, ACESTEP_MEMORY, "%s: no host memory for the report", path);
    }
    return ace_file_write(path, text, strlen(text), inner);
}
