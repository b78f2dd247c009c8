/* The agent for kernels written in C. See docs/embedding.md.
 *
 * Written from core-c/src by core-c/header, not by hand.
 *
 * An agent is memory (struct qga_agent), a table of what the guest can do (struct qga_operations),
 * and a loop: qga_step says what it needs next. No function allocates, waits, or touches other
 * memory. An agent may be used from one place at a time only; several agents have nothing to do
 * with each other. Link with libqga.a; it wants memcpy, memmove, memset, memcmp and bcmp, which
 * compilers expect in any kernel.
 */

#ifndef QGA_H
#define QGA_H

#include <stddef.h>
#include <stdint.h>

/**
 * Longest request, in bytes; a longer one is answered with an error that names the limit.
 */
#define QGA_FRAME_BYTES (16 * 1024)

/**
 * Most bytes that wait for the channel at one time.
 */
#define QGA_WINDOW_BYTES (4 * 1024)

/**
 * Longest line that `log` is given; what is beyond is cut.
 */
#define QGA_LOG_BYTES 160

/**
 * Flag of `open`: for reading.
 */
#define QGA_OPEN_READ 1

/**
 * Flag of `open`: for writing.
 */
#define QGA_OPEN_WRITE 2

/**
 * Flag of `open`: make the file if it is missing.
 */
#define QGA_OPEN_CREATE 4

/**
 * Flag of `open`: empty it.
 */
#define QGA_OPEN_TRUNCATE 8

/**
 * Flag of `open`: each write goes to the end.
 */
#define QGA_OPEN_APPEND 16

/**
 * What an agent takes, on 32 and 64 bits: the frame, the window and 4 KiB for everything else.
 */
#define QGA_STATE_BYTES (24 * 1024)

/**
 * The same in words of 64 bits, which is how it is aligned.
 */
#define QGA_STATE_WORDS (QGA_STATE_BYTES / 8)

/**
 * How much a line of the log matters.
 */
enum qga_level {
    /**
     * What the operator must know.
     */
    QGA_LEVEL_ERROR = 0,
    /**
     * What is unusual and was handled.
     */
    QGA_LEVEL_WARNING = 1,
    /**
     * What happened.
     */
    QGA_LEVEL_INFO = 2,
};

/**
 * From where `seek` counts, as in stdio.h.
 */
enum qga_whence {
    /**
     * The beginning.
     */
    QGA_WHENCE_SET = 0,
    /**
     * The present position.
     */
    QGA_WHENCE_CURRENT = 1,
    /**
     * The end.
     */
    QGA_WHENCE_END = 2,
};

/**
 * How `shutdown` ends the guest.
 */
enum qga_mode {
    /**
     * Power off.
     */
    QGA_MODE_POWERDOWN = 0,
    /**
     * Stop the processor, power stays on.
     */
    QGA_MODE_HALT = 1,
    /**
     * Start again.
     */
    QGA_MODE_REBOOT = 2,
};

/**
 * What the agent needs next.
 */
enum qga_step {
    /**
     * Bytes of the channel: qga_feed, or qga_space and qga_received.
     */
    QGA_STEP_RECEIVE = 0,
    /**
     * Room in the channel: write some of qga_pending and say qga_sent.
     */
    QGA_STEP_TRANSMIT = 1,
    /**
     * Time: step again at qga_deadline.
     */
    QGA_STEP_WAIT = 2,
    /**
     * Nothing: step again.
     */
    QGA_STEP_CONTINUE = 3,
    /**
     * To end: it was asked to stop, or the guest is going down.
     */
    QGA_STEP_EXIT = 4,
};

/**
 * The memory of an agent. Make it static and leave it alone: its content is the agent's, and must
 * not be copied elsewhere.
 */
struct qga_agent {
    /**
     * Not for you.
     */
    uint64_t opaque[QGA_STATE_WORDS];
};

/**
 * What the guest can do. A NULL pointer means "cannot": the commands that would need it are left
 * out of guest-info and answer CommandNotFound. `guest` is what qga_init was given; functions
 * return 0 or a count when they worked, else a negative errno (Linux's numbers). None may wait for
 * data that may never come (-EAGAIN instead), and none may call into the agent.
 *
 * Texts are not terminated by a NUL; their length stands beside them.
 */
struct qga_operations {
    /**
     * Milliseconds of a clock that never jumps; where it starts does not matter. Must not be NULL.
     */
    uint64_t (*now_ms)(void *guest);
    /**
     * Nanoseconds since 1970, UTC, into `*ns`.
     */
    int (*wall_clock_ns)(void *guest, int64_t *ns);
    /**
     * Takes one line of the agent's log, without a newline. NULL: there is no log.
     */
    void (*log)(void *guest, enum qga_level level, const char *text, size_t len);
    /**
     * Opens a file, and puts whatever stands for it into `*file`. `flags` are QGA_OPEN_*. NULL: no
     * file commands at all.
     */
    int (*open)(void *guest, const char *path, size_t path_len, uint32_t flags, void **file);
    /**
     * Closes a file; whatever it returns, the file is closed. NULL: nothing to do.
     */
    int (*close)(void *file);
    /**
     * Reads up to `len` bytes; returns how many, 0 at the end only.
     */
    ptrdiff_t (*read)(void *file, uint8_t *into, size_t len);
    /**
     * Writes up to `len` bytes; returns how many.
     */
    ptrdiff_t (*write)(void *file, const uint8_t *bytes, size_t len);
    /**
     * Moves the position; returns it. Errors: -EINVAL (before the beginning), -ESPIPE.
     */
    int64_t (*seek)(void *file, int64_t offset, enum qga_whence whence);
    /**
     * Reads the agent's saved state (at most 256 bytes) into `into`; returns its length, -ENOENT
     * when nothing was saved yet. NULL, as for `save_state`: file handles are counted anew after a
     * restart.
     */
    ptrdiff_t (*load_state)(void *guest, uint8_t *into, size_t len);
    /**
     * Replaces the saved state, at once: after a crash the old or the new one is there.
     */
    int (*save_state)(void *guest, const uint8_t *bytes, size_t len);
    /**
     * Ends the guest. May return 0 when that takes a moment: the agent says nothing any more.
     */
    int (*shutdown)(void *guest, enum qga_mode mode);
    /**
     * Writes everything back, before `shutdown`. NULL: nothing to write back.
     */
    void (*sync)(void *guest);
};

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Begins an agent in `agent`, whatever is in there, that runs in the guest of this table. The
 * table must stay where it is, and as it is, for as long as the agent is used; `guest` is handed
 * to its functions. Files that an agent in there had open stay open: close them first. Returns 0.
 * Errors: -EINVAL (a NULL pointer, or `now_ms` is one), and nothing is touched; those of
 * `load_state`, and no agent is in there.
 */
int qga_init(struct qga_agent *agent, const struct qga_operations *operations, void *guest);

/**
 * Does one unit of work, at most one command or one window of a long answer, and returns what the
 * agent needs next (enum qga_step). Errors: -EINVAL (no agent here).
 */
int qga_step(struct qga_agent *agent);

/**
 * Copies bytes of the channel into the agent and returns how many of them: at least one of some
 * after QGA_STEP_RECEIVE, none after anything else. Errors: -EINVAL (no agent here, or `bytes` is
 * NULL).
 */
ptrdiff_t qga_feed(struct qga_agent *agent, const uint8_t *bytes, size_t len);

/**
 * Where bytes of the channel may be put without a copy, and into `*len` how many: some after
 * QGA_STEP_RECEIVE; after anything else none and NULL. It holds until the next call but this one.
 */
uint8_t *qga_space(struct qga_agent *agent, size_t *len);

/**
 * The first `len` bytes of qga_space are filled. Returns 0. Errors: -EINVAL (no agent here, or
 * there is not so much space), and nothing is taken over.
 */
int qga_received(struct qga_agent *agent, size_t len);

/**
 * Bytes for the channel, and into `*len` how many; NULL when there are none. They hold until the
 * next call but this one.
 */
const uint8_t *qga_pending(struct qga_agent *agent, size_t *len);

/**
 * The channel took the first `len` bytes of qga_pending. Returns 0. Errors: -EINVAL (no agent
 * here, or not so many are pending), and nothing is dropped.
 */
int qga_sent(struct qga_agent *agent, size_t len);

/**
 * After QGA_STEP_WAIT: the time of `now_ms` by which to step again, into `*deadline_ms`. Returns
 * 0. Errors: -EINVAL (no agent here, or a NULL pointer), -ENOENT (there is none).
 */
int qga_deadline(struct qga_agent *agent, uint64_t *deadline_ms);

/**
 * The channel has lost its client: half a request and half an answer are dropped, open files stay.
 * Returns 0. Errors: -EINVAL (no agent here).
 */
int qga_disconnected(struct qga_agent *agent);

/**
 * Asks the agent to end: the next steps return QGA_STEP_EXIT. Returns 0. Errors: -EINVAL (no agent
 * here).
 */
int qga_stop(struct qga_agent *agent);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* QGA_H */

#if !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
_Static_assert(sizeof(struct qga_agent) == QGA_STATE_BYTES, "not what libqga.a was built for");
#endif
