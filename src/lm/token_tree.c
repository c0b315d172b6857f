#include "lm/token_tree.h"

#include "base/memory.h"

#include <string.h>

/* Index of a new node, 0 when memory is short. */
static int32_t new_node(ace_token_tree *t, int32_t token)
{
    if (t->n == t->room) {
        int32_t room = t->room == 0 ? 64 : 2 * t->room;
        ace_token_node *grown = ace_realloc_array(t->node, (size_t)room, sizeof *grown);
        if (grown == NULL) {
            return 0;
        }
        t->node = grown;
        t->room = room;
    }
    t->node[t->n] = (ace_token_node){.token = token};
    return t->n++;
}

bool ace_token_tree_add(ace_token_tree *t, const int32_t *ids, int64_t n)
{
    if (t->n == 0) {
        (void)new_node(t, -1);
    }
    int32_t at = 0;
    for (int64_t i = 0; i < n && t->n > 0; i++) {
        int32_t next = ace_token_tree_step(t, at, ids[i]);
        if (next == 0) {
            next = new_node(t, ids[i]);
            if (next == 0) {
                return false;
            }
            t->node[next].sibling = t->node[at].child;
            t->node[at].child = next;
        }
        at = next;
    }
    if (t->n > 0) {
        t->node[at].complete = true;
    }
    return t->n > 0;
}

void ace_token_tree_free(ace_token_tree *t)
{
    ace_free(t->node);
    memset(t, 0, sizeof *t);
}

int32_t ace_token_tree_step(const ace_token_tree *t, int32_t node, int32_t token)
{
    int32_t next = t->node[node].child;
    while (next != 0 && t->node[next].token != token) {
        next = t->node[next].sibling;
    }
    return next;
}

int ace_token_tree_next(const ace_token_tree *t, int32_t node, int32_t *ids, int most)
{
    int n = 0;
    for (int32_t at = t->node[node].child; at != 0 && n < most; at = t->node[at].sibling) {
        ids[n++] = t->node[at].token;
    }
    return n;
}
