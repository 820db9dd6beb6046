/* SPDX-License-Identifier: MIT */
#pragma once

/* A YAML file as a small tree that remembers line and column of everything, and a list of problems found in
 * it. Takes only what a config file needs: one document of mappings, lists and scalars; anchors, aliases,
 * tags, tabs as indentation and NUL are problems. Knows nothing of smartbms. */

#include <stdbool.h>
#include <stddef.h>

#define YAML_TREE_SIZE_MAX (64U * 1024U) /* a config is a page or two: more is the wrong file */
#define YAML_TREE_DEPTH_MAX 8U           /* the deepest of ours is 4 */

enum node_kind { NODE_SCALAR, NODE_MAP, NODE_LIST };

struct node {
        enum node_kind kind;
        size_t line, column; /* from 1 */
        char *text;          /* scalar */
        bool quoted;         /* scalar in quotes */
        bool bad;            /* a problem was already reported for it: say no more */
        struct node *child;  /* map: key, value, key, value...; list: items */
        struct node *last;
        struct node *next; /* brother */
        struct node *all;  /* every node of the tree, for freeing */
};

struct yaml_tree {
        struct node *root; /* NULL: no document at all */
        struct node *all;
};

struct problem;
struct problems {
        struct problem *items;
        size_t n, left_off;
        bool no_memory;
};

void problems_done(struct problems *p);
void problem_add(struct problems *p, size_t line, size_t column, const char *format, ...)
        __attribute__((format(printf, 4, 5)));

/* All of them, by line and column: "name:line:column: text", one a line, no newline at the end. NULL without
 * memory. */
char *problems_text(struct problems *p, const char *name);

/* Reads the text whole. 0; -EINVAL: problems say why (the tree may be partly filled); -ENOMEM. Always free it
 * with yaml_tree_done(). */
int yaml_tree_parse(struct yaml_tree *t, struct problems *p, const char *text, size_t size);
void yaml_tree_done(struct yaml_tree *t);

/* The word of candidates (NULL-terminated) that was most likely meant, or NULL if none is near. */
const char *nearest_word(const char *text, const char *const *candidates);

/* Text of a file, fit for a one-line message: control characters as '?', at most size - 1 bytes, "..." if
 * cut. */
void printable(const char *text, char *ret_text, size_t size);
