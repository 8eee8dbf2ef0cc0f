/* An OpenAI-compatible endpoint that costs next to nothing: one thread, epoll, loopback only, ready-made answers.
 *
 *   upstream PORT EVENTS TICK_US FIRST_US
 *
 * A plain answer comes after FIRST_US. A streamed one has EVENTS deltas, each in a chunk and a system call of its
 * own, the first after FIRST_US, then one every TICK_US (0: all at once). It lives as long as its parent. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 8192
#define SAME "\"created\":1760000000,\"model\":\"mock-model\",\"system_fingerprint\":\"fp_mock\""
#define CHUNK(delta, reason) "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\"," SAME \
    ",\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":" reason "}]}\n\n"
#define USAGE "\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":64,\"total_tokens\":184}"
#define PLAIN "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\"," SAME ",\"choices\":[{\"index\":0,\"message\":" \
    "{\"role\":\"assistant\",\"content\":\"def add(a: int, b: int) -> int:\\n    \\\"\\\"\\\"Return the sum of a and b." \
    "\\\"\\\"\\\"\\n    return a + b\\n\\n\\ndef mul(a: int, b: int) -> int:\\n    return a * b\\n\",\"refusal\":null}," \
    "\"logprobs\":null,\"finish_reason\":\"stop\"}]," USAGE "}"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

enum state { IDLE, PLAIN_DUE, STREAM_DUE, STREAMING };
struct connection { char *buffer; size_t length, capacity; enum state state; int left, usage; int64_t due; };

static struct connection all[MAX_FD];
static int active[MAX_FD], active_count, events_per_answer;
static int64_t tick, first;
static char plain[4096], opening[2048], delta[1024], ending[2048], ending_with_usage[2048];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void write_all(int fd, const char *bytes) {
    for (size_t left = strlen(bytes); left;) {
        ssize_t n = send(fd, bytes, left, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) { usleep(50); continue; }
        if (n < 0) return;
        bytes += n, left -= n;
    }
}

static void chunked(char *out, const char *data) { sprintf(out + strlen(out), "%zx\r\n%s\r\n", strlen(data), data); }

static void wait_for(int fd, enum state state, int64_t due) {
    if (all[fd].state == IDLE) active[active_count++] = fd;
    all[fd].state = state, all[fd].due = due;
}

static void forget(int fd) {
    for (int i = 0; i < active_count; i++)
        if (active[i] == fd) { active[i] = active[--active_count]; break; }
    all[fd].state = IDLE;
}

static void finish(int fd) { write_all(fd, all[fd].usage ? ending_with_usage : ending); }

static void begin_stream(int fd) {
    write_all(fd, HEAD);
    write_all(fd, opening);
    if (tick) { wait_for(fd, STREAMING, now() + tick); return; }
    while (all[fd].left--) write_all(fd, delta);
    finish(fd);
    forget(fd);
}

static void answer(int fd, const char *body, size_t length) {
    int streams = memmem(body, length, "\"stream\":true", 13) || memmem(body, length, "\"stream\": true", 14);
    all[fd].usage = memmem(body, length, "include_usage", 13) != NULL;
    all[fd].left = events_per_answer;
    if (first) wait_for(fd, streams ? STREAM_DUE : PLAIN_DUE, now() + first);
    else if (streams) begin_stream(fd);
    else write_all(fd, plain);
}

static void parse(int fd) {
    struct connection *c = &all[fd];
    while (c->length && c->state == IDLE) {
        char *end = memmem(c->buffer, c->length, "\r\n\r\n", 4);
        if (!end) return;
        size_t head = end + 4 - c->buffer, body = 0;
        end[2] = 0;
        char *given = strcasestr(c->buffer, "\r\ncontent-length:");
        if (given) body = strtoul(given + 17, NULL, 10);
        end[2] = '\r';
        if (c->length < head + body) return;
        answer(fd, c->buffer + head, body);
        memmove(c->buffer, c->buffer + head + body, c->length - head - body);
        c->length -= head + body;
    }
}

static void do_what_is_due(void) {
    int64_t t = now();
    for (int i = active_count - 1; i >= 0; i--) {
        int fd = active[i];
        struct connection *c = &all[fd];
        if (c->due > t) continue;
        if (c->state == PLAIN_DUE) { forget(fd); write_all(fd, plain); parse(fd); continue; }
        if (c->state == STREAM_DUE) { begin_stream(fd); if (c->state == IDLE) parse(fd); continue; }
        write_all(fd, delta);
        c->due += tick;
        if (c->due < t - 20 * tick) c->due = t; /* too slow a reader is not made up for by a burst */
        if (--c->left <= 0) { finish(fd); forget(fd); parse(fd); }
    }
}

static int pause_ms(void) {
    int64_t t = now(), soonest = t + 1000000;
    for (int i = 0; i < active_count; i++) if (all[active[i]].due < soonest) soonest = all[active[i]].due;
    if (!active_count) return 1000;
    return soonest <= t ? 0 : (int)((soonest - t + 999) / 1000);
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    events_per_answer = atoi(argv[2]), tick = atoll(argv[3]), first = atoll(argv[4]);
    sprintf(plain, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(PLAIN), PLAIN);
    chunked(opening, CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null"));
    chunked(delta, CHUNK("{\"content\":\" token\"}", "null"));
    chunked(ending, CHUNK("{}", "\"stop\""));
    strcpy(ending_with_usage, ending);
    chunked(ending_with_usage, "data: {\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\"," SAME ",\"choices\":[]," USAGE "}\n\n");
    chunked(ending, "data: [DONE]\n\n"), strcat(ending, "0\r\n\r\n");
    chunked(ending_with_usage, "data: [DONE]\n\n"), strcat(ending_with_usage, "0\r\n\r\n");
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listening, (void *)&at, sizeof at) || listen(listening, 1024)) { perror("bind"); return 1; }
    int poll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listening}, found[256];
    epoll_ctl(poll, EPOLL_CTL_ADD, listening, &wanted);
    for (;;) {
        int count = epoll_wait(poll, found, 256, pause_ms());
        for (int i = 0; i < count; i++) {
            int fd = found[i].data.fd;
            if (fd == listening) {
                for (int k; (k = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
                    if (k >= MAX_FD) { close(k); continue; }
                    setsockopt(k, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    struct connection *c = &all[k];
                    if (!c->buffer) c->buffer = malloc((c->capacity = 1 << 16) + 1);
                    c->length = 0, c->state = IDLE;
                    struct epoll_event reads = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = k};
                    epoll_ctl(poll, EPOLL_CTL_ADD, k, &reads);
                }
                continue;
            }
            struct connection *c = &all[fd];
            if (c->capacity - c->length < 32768) c->buffer = realloc(c->buffer, (c->capacity *= 2) + 1);
            ssize_t n = recv(fd, c->buffer + c->length, c->capacity - c->length, 0);
            if (n < 0 && errno == EAGAIN) continue;
            if (n <= 0) { forget(fd); close(fd); continue; }
            c->length += n;
            parse(fd);
        }
        do_what_is_due();
    }
}
