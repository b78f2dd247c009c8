/* How much stack the agent takes: requests on standard input are answered on a stack of its own
 * that was painted before; how much of it lost its paint goes to standard output. */
#include "guest.h"

#include <stdio.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 1 << 16, PAINT = 0xA5 };

static struct qga_agent agent;
static struct guest guest;
static uint8_t stack[STACK_BYTES], request[1 << 20];
static size_t len;
static ucontext_t outside, inside;

static void serve(void) {
    size_t at = 0, pending_len = 0;
    if (qga_init(&agent, &guest_operations, &guest) != 0)
        return;
    for (;;) {
        switch (qga_step(&agent)) {
        case QGA_STEP_RECEIVE:
            if (at == len)
                return;
            at += (size_t)qga_feed(&agent, request + at, len - at);
            break;
        case QGA_STEP_TRANSMIT:
            qga_pending(&agent, &pending_len);
            qga_sent(&agent, pending_len);
            break;
        case QGA_STEP_WAIT:
            guest.now_ms += 1000;
            break;
        case QGA_STEP_CONTINUE:
            break;
        default:
            return;
        }
    }
}

static size_t touched(void) {
    size_t untouched = 0;
    while (untouched < sizeof stack && stack[untouched] == PAINT)
        untouched++;
    return sizeof stack - untouched;
}

int main(void) {
    guest_begin(&guest, "/run/a");
    len = fread(request, 1, sizeof request, stdin);
    memset(stack, PAINT, sizeof stack);
    if (getcontext(&inside) != 0)
        return 1;
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof stack;
    inside.uc_link = &outside;
    makecontext(&inside, serve, 0);
    if (swapcontext(&outside, &inside) != 0)
        return 1;
    printf("%zu\n", touched());
    return 0;
}
