/* The smallest agent: a clock and nothing else. It answers guest-sync, guest-ping and guest-info on
 * standard input and output, which stand for a kernel's console port. */
#include "qga.h"

#include <stdio.h>
#include <time.h>

static struct qga_agent agent; /* QGA_STATE_BYTES, zero */

static uint64_t now_ms(void *guest) {
    struct timespec now;
    (void)guest;
    timespec_get(&now, TIME_UTC);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct qga_operations operations = {.now_ms = now_ms}; /* all others are NULL */

int main(void) {
    if (qga_init(&agent, &operations, NULL) != 0)
        return 1;
    for (;;) {
        size_t len = 0;
        switch (qga_step(&agent)) {
        case QGA_STEP_RECEIVE: {
            int byte = getchar(); /* a kernel halts here until its port has bytes */
            if (byte == EOF)
                return 0;
            qga_feed(&agent, &(uint8_t){(uint8_t)byte}, 1);
            break;
        }
        case QGA_STEP_TRANSMIT: {
            const uint8_t *bytes = qga_pending(&agent, &len);
            qga_sent(&agent, fwrite(bytes, 1, len, stdout));
            fflush(stdout);
            break;
        }
        case QGA_STEP_EXIT:
            return 0;
        default: /* QGA_STEP_CONTINUE, or QGA_STEP_WAIT: see qga_deadline */
            break;
        }
    }
}
