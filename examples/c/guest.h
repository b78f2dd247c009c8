/* A guest in memory: files in a small tree, a clock that its owner moves, power that only notes
 * what was asked of it. What the agent can do with it is in guest_operations. */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include "qga.h"

enum {
    NODES_MAX = 16,          /* files and folders of the tree */
    NAME_BYTES_MAX = 255,    /* longest name of one of them (NAME_MAX of limits.h) */
    PATH_BYTES_MAX = 64,     /* longest path that is kept; names beyond are refused, not cut */
    FILE_BYTES_MAX = 65536,  /* largest file, and how much a pipe holds */
    OPEN_MAX = 129,          /* open files: one more than the agent opens */
    STATE_BYTES_MAX = 256    /* the agent's saved state, at most */
};

enum kind { FREE, DIRECTORY, REGULAR, PIPE, FULL };

struct node {
    enum kind kind;
    char path[PATH_BYTES_MAX + 1];
    size_t len;
    uint8_t bytes[FILE_BYTES_MAX];
    int readers, writers;
};

struct guest;

struct file {
    struct guest *guest;
    struct node *node; /* NULL: this place is free */
    uint32_t flags;
    int64_t position;
};

struct guest {
    const char *home; /* where relative paths begin */
    struct node nodes[NODES_MAX];
    struct file files[OPEN_MAX];
    uint8_t state[STATE_BYTES_MAX];
    ptrdiff_t state_len; /* -1: nothing was saved yet */
    uint64_t now_ms;
    const char *power; /* what shutdown was asked for, or "on" */
    size_t log_lines, syncs;
};

/* Everything that the guest can do: the table for qga_init. */
extern const struct qga_operations guest_operations;

/* Makes the guest new: /etc/passwd, /proc/version, /dev/full and the empty folder `home`, a text
 * that stays. */
void guest_begin(struct guest *guest, const char *home);

/* Adds a file, folder or pipe with these bytes; false when there is no room for it. */
bool guest_add(struct guest *guest, const char *path, enum kind kind, const char *text);

/* Closes what an agent held open that is no more. */
void guest_agent_died(struct guest *guest);

#endif
