/* A prefix tree over token ids: the values that a field can take, each as the tokens that spell it.
 */
#ifndef ACE_LM_TOKEN_TREE_H
#define ACE_LM_TOKEN_TREE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ace_token_node {
    int32_t token;
    int32_t child, sibling; /* indices of nodes; 0: none */
    bool complete;          /* a value ends here */
} ace_token_node;

/* Node 0 is the root, before the first token. */
typedef struct ace_token_tree {
    ace_token_node *node; /* owned */
    int32_t n, room;
} ace_token_tree;

/* False when memory is short. */
bool ace_token_tree_add(ace_token_tree *t, const int32_t *ids, int64_t n);
void ace_token_tree_free(ace_token_tree *t); /* a zeroed one is fine */

/* The node after one more token; 0 where the tree has none. */
int32_t ace_token_tree_step(const ace_token_tree *t, int32_t node, int32_t token);
/* Tokens that can follow, at most `most`; their number. */
int ace_token_tree_next(const ace_token_tree *t, int32_t node, int32_t *ids, int most);

#endif
