/* A guest in memory; see guest.h. Each function of the table at the end is one of struct
 * qga_operations: it returns 0 or a count, or a negative errno. */
#include "guest.h"

#include <errno.h>
#include <string.h>

static struct node *find(struct guest *guest, const char *path) {
    for (size_t at = 0; at < NODES_MAX; at++)
        if (guest->nodes[at].kind != FREE && strcmp(guest->nodes[at].path, path) == 0)
            return &guest->nodes[at];
    return NULL;
}

bool guest_add(struct guest *guest, const char *path, enum kind kind, const char *text) {
    size_t path_len = strlen(path), len = strlen(text);
    if (path_len > PATH_BYTES_MAX || len > FILE_BYTES_MAX)
        return false;
    for (size_t at = 0; at < NODES_MAX; at++) {
        struct node *node = &guest->nodes[at];
        if (node->kind != FREE)
            continue;
        node->kind = kind;
        memcpy(node->path, path, path_len + 1);
        memcpy(node->bytes, text, len);
        node->len = len;
        return true;
    }
    return false;
}

void guest_begin(struct guest *guest, const char *home) {
    memset(guest, 0, sizeof *guest);
    guest->state_len = -1;
    guest->now_ms = 1000;
    guest->power = "on";
    const char *folders[] = {"/", "/dev", "/etc", "/proc", "/run", "/tmp", home};
    for (size_t at = 0; at < sizeof folders / sizeof *folders; at++)
        guest_add(guest, folders[at], DIRECTORY, "");
    guest->home = home;
    guest_add(guest, "/dev/full", FULL, "");
    guest_add(guest, "/etc/passwd", REGULAR, "root:x:0:0:root:/root:/bin/sh\n");
    guest_add(guest, "/proc/version", REGULAR, "Linux version 6.1.0\n");
}

/* Brings a path into the form that nodes have: absolute, without empty names. Relative ones begin
 * at home. Errors: -ENOENT, -ENOTDIR, -ENAMETOOLONG on the way. */
static int walk(struct guest *guest, const char *path, size_t len, char *into) {
    size_t at = 0, out = 0;
    if (len == 0 || memchr(path, 0, len) != NULL)
        return -ENOENT;
    if (path[0] != '/') {
        out = strlen(guest->home);
        memcpy(into, guest->home, out);
    }
    into[out] = 0;
    while (at < len) {
        size_t name = 0;
        while (at + name < len && path[at + name] != '/')
            name++;
        struct node *here = find(guest, out == 0 ? "/" : into);
        if (here == NULL)
            return -ENOENT;
        if (here->kind != DIRECTORY)
            return -ENOTDIR;
        if (name > NAME_BYTES_MAX || (name > 0 && out + 1 + name > PATH_BYTES_MAX))
            return -ENAMETOOLONG;
        if (name > 0) {
            into[out] = '/';
            memcpy(into + out + 1, path + at, name);
            out += 1 + name;
            into[out] = 0;
        }
        at += name + 1;
    }
    if (out == 0)
        memcpy(into, "/", 2);
    return 0;
}

static struct file *unused(struct guest *guest) {
    for (size_t at = 0; at < OPEN_MAX; at++)
        if (guest->files[at].node == NULL)
            return &guest->files[at];
    return NULL;
}

static int open_file(void *context, const char *path, size_t len, uint32_t flags, void **opened) {
    struct guest *guest = context;
    char whole[PATH_BYTES_MAX + 1];
    int error = walk(guest, path, len, whole);
    if (error != 0)
        return error;
    struct file *file = unused(guest);
    if (file == NULL)
        return -ENFILE;
    struct node *node = find(guest, whole);
    if (node == NULL) {
        if ((flags & QGA_OPEN_CREATE) == 0)
            return -ENOENT;
        if (!guest_add(guest, whole, REGULAR, ""))
            return -ENOSPC;
        node = find(guest, whole);
    }
    if (node->kind == DIRECTORY && (flags & (QGA_OPEN_WRITE | QGA_OPEN_CREATE)) != 0)
        return -EISDIR;
    if (node->kind == PIPE && (flags & QGA_OPEN_READ) == 0 && node->readers == 0)
        return -ENXIO;
    if (node->kind == REGULAR && (flags & QGA_OPEN_TRUNCATE) != 0)
        node->len = 0;
    node->readers += (flags & QGA_OPEN_READ) != 0;
    node->writers += (flags & QGA_OPEN_WRITE) != 0;
    *file = (struct file){guest, node, flags, 0};
    *opened = file;
    return 0;
}

static int close_file(void *opened) {
    struct file *file = opened;
    file->node->readers -= (file->flags & QGA_OPEN_READ) != 0;
    file->node->writers -= (file->flags & QGA_OPEN_WRITE) != 0;
    file->node = NULL;
    return 0;
}

static ptrdiff_t read_file(void *opened, uint8_t *into, size_t len) {
    struct file *file = opened;
    struct node *node = file->node;
    if ((file->flags & QGA_OPEN_READ) == 0)
        return -EBADF;
    if (node->kind == DIRECTORY)
        return -EISDIR;
    if (node->kind == FULL) {
        memset(into, 0, len);
        return (ptrdiff_t)len;
    }
    size_t start = node->kind == PIPE ? 0 : (size_t)file->position;
    if (node->kind == PIPE && node->len == 0 && node->writers > 0)
        return -EAGAIN;
    size_t left = start < node->len ? node->len - start : 0;
    len = len < left ? len : left;
    memcpy(into, node->bytes + start, len);
    if (node->kind == PIPE) {
        memmove(node->bytes, node->bytes + len, node->len - len);
        node->len -= len;
    } else {
        file->position += (int64_t)len;
    }
    return (ptrdiff_t)len;
}

static ptrdiff_t write_file(void *opened, const uint8_t *bytes, size_t len) {
    struct file *file = opened;
    struct node *node = file->node;
    if ((file->flags & QGA_OPEN_WRITE) == 0)
        return -EBADF;
    if (node->kind == DIRECTORY)
        return -EISDIR;
    if (node->kind == FULL)
        return -ENOSPC;
    bool at_end = node->kind == PIPE || (file->flags & QGA_OPEN_APPEND) != 0;
    size_t start = at_end ? node->len : (size_t)file->position;
    if (start >= FILE_BYTES_MAX)
        return node->kind == PIPE ? -EAGAIN : -EFBIG;
    len = len < FILE_BYTES_MAX - start ? len : FILE_BYTES_MAX - start;
    if (start > node->len)
        memset(node->bytes + node->len, 0, start - node->len);
    memcpy(node->bytes + start, bytes, len);
    if (start + len > node->len)
        node->len = start + len;
    file->position = (int64_t)(start + len);
    return (ptrdiff_t)len;
}

static int64_t seek_file(void *opened, int64_t offset, enum qga_whence whence) {
    struct file *file = opened;
    if (file->node->kind == PIPE)
        return -ESPIPE;
    if (file->node->kind == FULL)
        return 0;
    int64_t from = 0;
    if (whence == QGA_WHENCE_CURRENT)
        from = file->position;
    if (whence == QGA_WHENCE_END && file->node->kind == REGULAR)
        from = (int64_t)file->node->len;
    if (offset > INT64_MAX - from || from + offset < 0)
        return -EINVAL;
    file->position = from + offset;
    return file->position;
}

static ptrdiff_t load_state(void *context, uint8_t *into, size_t len) {
    struct guest *guest = context;
    if (guest->state_len < 0)
        return -ENOENT;
    len = len < (size_t)guest->state_len ? len : (size_t)guest->state_len;
    memcpy(into, guest->state, len);
    return (ptrdiff_t)len;
}

static int save_state(void *context, const uint8_t *bytes, size_t len) {
    struct guest *guest = context;
    if (len > STATE_BYTES_MAX)
        return -ENOSPC;
    memcpy(guest->state, bytes, len);
    guest->state_len = (ptrdiff_t)len;
    return 0;
}

static uint64_t now_ms(void *context) {
    return ((struct guest *)context)->now_ms;
}

static int wall_clock_ns(void *context, int64_t *ns) {
    int64_t ms = (int64_t)((struct guest *)context)->now_ms;
    *ns = (INT64_C(1704067200000) + ms) * 1000000; /* booted when 2024 began */
    return 0;
}

static void note(void *context, enum qga_level level, const char *text, size_t len) {
    (void)level, (void)text;
    ((struct guest *)context)->log_lines += len > 0;
}

static int end_guest(void *context, enum qga_mode mode) {
    static const char *const names[] = {"powerdown", "halt", "reboot"};
    ((struct guest *)context)->power = names[mode];
    return 0;
}

static void write_back(void *context) {
    ((struct guest *)context)->syncs++;
}

void guest_agent_died(struct guest *guest) {
    for (size_t at = 0; at < OPEN_MAX; at++)
        if (guest->files[at].node != NULL)
            close_file(&guest->files[at]);
}

const struct qga_operations guest_operations = {
    .now_ms = now_ms,
    .wall_clock_ns = wall_clock_ns,
    .log = note,
    .open = open_file,
    .close = close_file,
    .read = read_file,
    .write = write_file,
    .seek = seek_file,
    .load_state = load_state,
    .save_state = save_state,
    .shutdown = end_guest,
    .sync = write_back,
};
