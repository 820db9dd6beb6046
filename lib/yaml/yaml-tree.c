/* SPDX-License-Identifier: MIT */
#include "yaml-tree.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PROBLEMS_MAX 50U
#define PROBLEM_TEXT_MAX 320U
#define WORD_MAX 40U

struct problem {
        size_t line, column;
        char text[PROBLEM_TEXT_MAX];
};

void problems_done(struct problems *p) {
        free(p->items);
        *p = (struct problems){0};
}

void problem_add(struct problems *p, size_t line, size_t column, const char *format, ...) {
        va_list ap;

        if (p->n >= PROBLEMS_MAX) {
                p->left_off++;
                return;
        }
        if (!p->items)
                p->items = calloc(PROBLEMS_MAX, sizeof(*p->items));
        if (!p->items) {
                p->no_memory = true;
                return;
        }
        struct problem *item = &p->items[p->n++];
        item->line = line;
        item->column = column;
        va_start(ap, format);
        (void)vsnprintf(item->text, sizeof(item->text), format, ap); /* cut is fine */
        va_end(ap);
        printable(item->text, item->text, sizeof(item->text)); /* it may hold the file's own words */
}

/* Stable: problems of one place keep the order in which they were found. */
static void problems_sort(struct problems *p) {
        for (size_t i = 1; i < p->n; i++) {
                struct problem moved = p->items[i];
                size_t j = i;
                for (; j > 0; j--) {
                        const struct problem *before = &p->items[j - 1];
                        if (before->line < moved.line ||
                            (before->line == moved.line && before->column <= moved.column))
                                break;
                        p->items[j] = *before;
                }
                p->items[j] = moved;
        }
}

char *problems_text(struct problems *p, const char *name) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        if (!f)
                return NULL;

        problems_sort(p);
        for (size_t i = 0; i < p->n; i++)
                fprintf(f, "%s%s:%zu:%zu: %s", i > 0 ? "\n" : "", name, p->items[i].line, p->items[i].column,
                        p->items[i].text);
        if (p->left_off > 0)
                fprintf(f, "\n%s: and %zu more", name, p->left_off);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

void printable(const char *text, char *ret_text, size_t size) {
        size_t n = 0;

        for (; text[n] && n + 1 < size; n++) {
                unsigned char c = (unsigned char)text[n];
                ret_text[n] = c < 0x20 || c == 0x7f ? '?' : text[n];
        }
        ret_text[n] = '\0';
        if (text[n] && size > 4)
                memcpy(ret_text + size - 4, "...", 4);
}

/* Edit distance, a swap of neighbours counting as one: what a hurried hand does. Words are short. */
static unsigned word_distance(const char *a, const char *b) {
        unsigned d[WORD_MAX + 1][WORD_MAX + 1];
        size_t n = strlen(a), m = strlen(b);

        if (n > WORD_MAX || m > WORD_MAX)
                return WORD_MAX;
        for (unsigned i = 0; i <= n; i++)
                d[i][0] = i;
        for (unsigned j = 0; j <= m; j++)
                d[0][j] = j;
        for (size_t i = 1; i <= n; i++)
                for (size_t j = 1; j <= m; j++) {
                        unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
                        if (d[i - 1][j] + 1 < best)
                                best = d[i - 1][j] + 1;
                        if (d[i][j - 1] + 1 < best)
                                best = d[i][j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                            d[i - 2][j - 2] + 1 < best)
                                best = d[i - 2][j - 2] + 1;
                        d[i][j] = best;
                }
        return d[n][m];
}

const char *nearest_word(const char *text, const char *const *candidates) {
        const char *best = NULL;
        unsigned best_distance = WORD_MAX;

        for (; *candidates; candidates++) {
                unsigned distance = word_distance(text, *candidates);
                size_t length = strlen(*candidates);
                if (distance < best_distance && distance <= 1 + length / 4) {
                        best = *candidates;
                        best_distance = distance;
                }
        }
        return best;
}

static void place_of_offset(const char *text, size_t offset, size_t *ret_line, size_t *ret_column) {
        size_t line = 1, column = 1;

        for (size_t i = 0; i < offset; i++)
                if (text[i] == '\n') {
                        line++;
                        column = 1;
                } else if (((unsigned char)text[i] & 0xc0) != 0x80) /* not the rest of a UTF-8 character */
                        column++;
        *ret_line = line;
        *ret_column = column;
}

/* What libyaml would report in words that help nobody, or not at all. */
static int check_text(struct problems *p, const char *text, size_t size) {
        size_t line, column;
        bool indentation = true;

        if (size > YAML_TREE_SIZE_MAX) {
                problem_add(p, 1, 1, "the file is larger than %u bytes; expected a config file",
                            YAML_TREE_SIZE_MAX);
                return -EINVAL;
        }
        for (size_t i = 0; i < size; i++) {
                if (text[i] == '\0') {
                        place_of_offset(text, i, &line, &column);
                        problem_add(p, line, column, "a NUL byte; expected UTF-8 text");
                        return -EINVAL;
                }
                if (indentation && text[i] == '\t') {
                        place_of_offset(text, i, &line, &column);
                        problem_add(p, line, column, "a tab in the indentation; expected blanks");
                        return -EINVAL;
                }
                if (text[i] == '\n')
                        indentation = true;
                else if (text[i] != ' ')
                        indentation = false;
        }
        return 0;
}

static void parser_problem(struct problems *p, const yaml_parser_t *parser, const char *text, size_t size) {
        size_t line = parser->problem_mark.line + 1, column = parser->problem_mark.column + 1;

        if (parser->error == YAML_MEMORY_ERROR) {
                p->no_memory = true;
                return;
        }
        if (parser->context && strstr(parser->context, "scanning a tag")) { /* !GPIO17, most likely */
                problem_add(p, parser->context_mark.line + 1, parser->context_mark.column + 1,
                            "a YAML tag; put quotes around a value that starts with '!'");
                return;
        }
        if (parser->error == YAML_READER_ERROR)
                place_of_offset(text, parser->problem_offset < size ? parser->problem_offset : size, &line,
                                &column);
        problem_add(p, line, column, "%s: %s%s%s",
                    parser->error == YAML_READER_ERROR ? "not UTF-8 text" : "not valid YAML",
                    parser->problem ? parser->problem : "unknown error", parser->context ? " " : "",
                    parser->context ? parser->context : "");
}

static struct node *node_new(struct yaml_tree *t, enum node_kind kind, const yaml_event_t *e) {
        struct node *n = calloc(1, sizeof(*n));
        if (!n)
                return NULL;
        n->kind = kind;
        n->line = e->start_mark.line + 1;
        n->column = e->start_mark.column + 1;
        n->all = t->all;
        t->all = n;
        return n;
}

/* Anchors and tags would be silently ignored, and a reader of the file would believe they do something. */
static void refuse_decoration(struct problems *p, struct node *n, const yaml_char_t *anchor,
                              const yaml_char_t *tag) {
        char word[WORD_MAX];

        if (anchor) {
                printable((const char *)anchor, word, sizeof(word));
                problem_add(p, n->line, n->column, "an anchor (&%s); expected every value to be written out",
                            word);
                n->bad = true;
        }
        if (tag) {
                printable((const char *)tag, word, sizeof(word));
                problem_add(p, n->line, n->column,
                            "%s is a YAML tag; put quotes around a value that starts with '!'", word);
                n->bad = true;
        }
}

static struct node *scalar_new(struct yaml_tree *t, struct problems *p, const yaml_event_t *e) {
        struct node *n = node_new(t, NODE_SCALAR, e);
        if (!n)
                return NULL;
        n->text = strdup((const char *)e->data.scalar.value);
        if (!n->text)
                return NULL;
        n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        refuse_decoration(p, n, e->data.scalar.anchor, e->data.scalar.tag);
        if (strlen(n->text) != e->data.scalar.length) {
                problem_add(p, n->line, n->column, "a NUL character in a value; expected text");
                n->bad = true;
        }
        return n;
}

static struct node *alias_new(struct yaml_tree *t, struct problems *p, const yaml_event_t *e) {
        char word[WORD_MAX];
        struct node *n = node_new(t, NODE_SCALAR, e);
        if (!n || !(n->text = strdup("")))
                return NULL;
        printable((const char *)e->data.alias.anchor, word, sizeof(word));
        problem_add(p, n->line, n->column, "an alias (*%s); expected every value to be written out", word);
        n->bad = true;
        return n;
}

/* The node that begins with this event; *ret NULL for events that begin none. */
static int event_node(struct yaml_tree *t, struct problems *p, const yaml_event_t *e, struct node **ret) {
        struct node *n = NULL;

        switch (e->type) {
        case YAML_SCALAR_EVENT:
                n = scalar_new(t, p, e);
                break;
        case YAML_ALIAS_EVENT:
                n = alias_new(t, p, e);
                break;
        case YAML_MAPPING_START_EVENT:
                n = node_new(t, NODE_MAP, e);
                if (n)
                        refuse_decoration(p, n, e->data.mapping_start.anchor, e->data.mapping_start.tag);
                break;
        case YAML_SEQUENCE_START_EVENT:
                n = node_new(t, NODE_LIST, e);
                if (n)
                        refuse_decoration(p, n, e->data.sequence_start.anchor, e->data.sequence_start.tag);
                break;
        default:
                *ret = NULL;
                return 0;
        }
        if (!n)
                return -ENOMEM;
        *ret = n;
        return 0;
}

struct builder {
        struct yaml_tree *tree;
        struct problems *problems;
        struct node *open[YAML_TREE_DEPTH_MAX];
        size_t depth;
        unsigned documents;
};

static int builder_add(struct builder *b, struct node *n) {
        struct node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;

        if (!parent)
                b->tree->root = n;
        else if (!parent->child)
                parent->child = parent->last = n;
        else
                parent->last = parent->last->next = n;
        if (n->kind == NODE_SCALAR)
                return 0;
        if (b->depth >= YAML_TREE_DEPTH_MAX) {
                problem_add(b->problems, n->line, n->column, "nested deeper than %u levels",
                            YAML_TREE_DEPTH_MAX);
                return -EINVAL;
        }
        b->open[b->depth++] = n;
        return 0;
}

/* 1: the stream has ended. */
static int builder_event(struct builder *b, const yaml_event_t *e) {
        struct node *n = NULL;
        int r;

        switch (e->type) {
        case YAML_STREAM_END_EVENT:
                return 1;
        case YAML_DOCUMENT_START_EVENT:
                if (++b->documents == 1)
                        return 0;
                problem_add(b->problems, e->start_mark.line + 1, e->start_mark.column + 1,
                            "a second document; expected one");
                return -EINVAL;
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT:
                b->depth--;
                return 0;
        default:
                r = event_node(b->tree, b->problems, e, &n);
                return r < 0 || !n ? r : builder_add(b, n);
        }
}

int yaml_tree_parse(struct yaml_tree *t, struct problems *p, const char *text, size_t size) {
        struct builder b = {.tree = t, .problems = p};
        yaml_parser_t parser;
        yaml_event_t event;
        int r;

        *t = (struct yaml_tree){0};
        r = check_text(p, text, size);
        if (r < 0)
                return r;
        if (!yaml_parser_initialize(&parser))
                return -ENOMEM;
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
        do {
                if (!yaml_parser_parse(&parser, &event)) {
                        parser_problem(p, &parser, text, size);
                        r = -EINVAL;
                        break;
                }
                r = builder_event(&b, &event);
                yaml_event_delete(&event);
        } while (r == 0);
        yaml_parser_delete(&parser);
        if (p->no_memory)
                return -ENOMEM;
        return r < 0 ? r : 0;
}

void yaml_tree_done(struct yaml_tree *t) {
        while (t->all) {
                struct node *n = t->all;
                t->all = n->all;
                free(n->text);
                free(n);
        }
        t->root = NULL;
}
