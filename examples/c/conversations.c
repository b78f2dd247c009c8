/* Holds conversations with the agent in a guest in memory. What to do comes on standard input, a
 * line each (followed by N bytes where it says so); what came of it goes to standard output:
 *
 *   guest FOLDER       a new guest with a new agent
 *   pipe PATH          the guest has a pipe there
 *   lacks WORD         the table has NULL for files, write, seek, power or (wall) clock; the agent
 *                      starts anew
 *   lies               reads and writes claim more than was asked of them, seeks fail beyond
 *                      measure; the agent starts anew
 *   send N P HOW       the client sends N bytes, in pieces of P bytes (0: whole), which are copied
 *                      in (HOW = copy) or put in place (HOW = place); answers: reply M, and M bytes
 *   disconnect         the client goes, another one comes
 *   restart            the agent is killed and starts anew in the same guest
 *   power              answers: power on | powerdown | halt | reboot
 */
#include "guest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct qga_agent agent;
static struct qga_operations operations;
static struct guest guest;
static uint8_t request[1 << 20], reply[1 << 20];
static size_t reply_len;

static void check(bool holds, const char *what) {
    if (holds)
        return;
    fprintf(stderr, "conversations: %s\n", what);
    exit(1);
}

/* Puts one piece into the agent, as much as it takes; how much that was. */
static size_t put(const uint8_t *bytes, size_t len, bool in_place) {
    if (!in_place) {
        ptrdiff_t taken = qga_feed(&agent, bytes, len);
        check(taken > 0, "the agent wants bytes and takes none");
        return (size_t)taken;
    }
    size_t room = 0;
    uint8_t *space = qga_space(&agent, &room);
    check(space != NULL && room > 0, "the agent wants bytes and has no space");
    len = len < room ? len : room;
    memcpy(space, bytes, len);
    check(qga_received(&agent, room + 1) == -EINVAL, "more than the space was received");
    check(qga_received(&agent, len) == 0, "received");
    return len;
}

/* The loop of a kernel, but for the channel, which is memory; until the agent wants more bytes than
 * come. */
static void hold(const uint8_t *bytes, size_t len, bool in_place) {
    for (;;) {
        size_t pending_len = 0;
        uint64_t deadline_ms = 0;
        switch (qga_step(&agent)) {
        case QGA_STEP_RECEIVE:
            if (len == 0)
                return;
            size_t taken = put(bytes, len, in_place);
            bytes += taken, len -= taken;
            break;
        case QGA_STEP_TRANSMIT: {
            const uint8_t *pending = qga_pending(&agent, &pending_len);
            check(pending != NULL && pending_len > 0, "nothing to send");
            check(reply_len + pending_len <= sizeof reply, "a reply larger than the room for it");
            memcpy(reply + reply_len, pending, pending_len);
            reply_len += pending_len;
            check(qga_feed(&agent, bytes, len) <= 0, "bytes taken in the middle of an answer");
            check(qga_sent(&agent, pending_len + 1) == -EINVAL, "more sent than was pending");
            check(qga_sent(&agent, pending_len) == 0, "sent");
            break;
        }
        case QGA_STEP_WAIT:
            check(qga_deadline(&agent, &deadline_ms) == 0, "waiting without a deadline");
            guest.now_ms = deadline_ms > guest.now_ms ? deadline_ms : guest.now_ms + 1;
            break;
        case QGA_STEP_CONTINUE:
            break;
        case QGA_STEP_EXIT:
            return;
        default:
            check(false, "no agent");
        }
    }
}

static ptrdiff_t read_too_much(void *file, uint8_t *into, size_t len) {
    (void)file, (void)into;
    return (ptrdiff_t)len + 1;
}

static ptrdiff_t write_too_much(void *file, const uint8_t *bytes, size_t len) {
    (void)file, (void)bytes;
    return (ptrdiff_t)len + 1;
}

static int64_t seek_nowhere(void *file, int64_t offset, enum qga_whence whence) {
    (void)file, (void)offset, (void)whence;
    return INT64_MIN;
}

static void start(void) {
    guest_agent_died(&guest);
    check(qga_init(&agent, &operations, &guest) == 0, "qga_init");
}

static void lacks(const char *what) {
    if (strcmp(what, "files") == 0)
        operations.open = NULL;
    else if (strcmp(what, "write") == 0)
        operations.write = NULL;
    else if (strcmp(what, "seek") == 0)
        operations.seek = NULL;
    else if (strcmp(what, "power") == 0)
        operations.shutdown = NULL;
    else if (strcmp(what, "clock") == 0)
        operations.wall_clock_ns = NULL;
    else
        check(false, "an unknown word after lacks");
    start();
}

static void send_pieces(size_t len, size_t piece, bool in_place) {
    check(len <= sizeof request && fread(request, 1, len, stdin) == len, "half a request");
    reply_len = 0;
    if (piece == 0)
        piece = len;
    for (size_t at = 0; at < len; at += piece)
        hold(request + at, len - at < piece ? len - at : piece, in_place);
    if (len == 0)
        hold(request, 0, in_place);
    printf("reply %zu\n", reply_len);
    fwrite(reply, 1, reply_len, stdout);
}

static ptrdiff_t load_nothing(void *context, uint8_t *into, size_t len) {
    (void)context, (void)into, (void)len;
    return -EIO;
}

/* What a caller can do wrong is refused, and harms nobody. */
static void misuse(void) {
    static struct qga_agent nobody;
    struct qga_operations no_clock = guest_operations, no_state = guest_operations;
    size_t len = 7;
    no_clock.now_ms = NULL;
    no_state.load_state = load_nothing;
    check(qga_step(&nobody) == -EINVAL && qga_step(NULL) == -EINVAL, "a step of no agent");
    check(qga_feed(&nobody, request, 1) == -EINVAL, "bytes for no agent");
    check(qga_space(&nobody, &len) == NULL && len == 0, "space in no agent");
    check(qga_pending(&nobody, &len) == NULL && len == 0, "bytes of no agent");
    check(qga_init(NULL, &guest_operations, NULL) == -EINVAL, "an agent nowhere");
    check(qga_init(&nobody, NULL, NULL) == -EINVAL, "an agent without a table");
    check(qga_init(&nobody, &no_clock, NULL) == -EINVAL, "an agent without a clock");
    check(qga_init(&nobody, &no_state, &guest) == -EIO, "an agent whose state cannot be loaded");
    check(qga_step(&nobody) == -EINVAL, "a step of an agent that did not start");
    check(qga_disconnected(&nobody) == -EINVAL && qga_stop(&nobody) == -EINVAL, "no agent to stop");
    check(qga_init(&nobody, &guest_operations, &guest) == 0, "an agent to stop");
    check(qga_feed(&nobody, request, 1) == 0, "bytes taken before a step asked for them");
    check(qga_stop(&nobody) == 0 && qga_step(&nobody) == QGA_STEP_EXIT, "an agent that stops");
}

int main(void) {
    static char home[128];
    char line[256], word[128], how[16];
    size_t len, piece;
    misuse();
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "guest %127s", home) == 1) {
            operations = guest_operations;
            guest_begin(&guest, home);
            start();
        } else if (sscanf(line, "pipe %127s", word) == 1) {
            check(guest_add(&guest, word, PIPE, ""), "no room for a pipe");
        } else if (sscanf(line, "lacks %127s", word) == 1) {
            lacks(word);
        } else if (strcmp(line, "lies\n") == 0) {
            operations.read = read_too_much;
            operations.write = write_too_much;
            operations.seek = seek_nowhere;
            start();
        } else if (sscanf(line, "send %zu %zu %15s", &len, &piece, how) == 3) {
            send_pieces(len, piece, strcmp(how, "place") == 0);
        } else if (strcmp(line, "disconnect\n") == 0) {
            check(qga_disconnected(&agent) == 0, "disconnected");
        } else if (strcmp(line, "restart\n") == 0) {
            start();
        } else if (strcmp(line, "power\n") == 0) {
            printf("power %s\n", guest.power);
        } else {
            check(false, "a line that means nothing");
        }
        fflush(stdout);
    }
    return 0;
}
