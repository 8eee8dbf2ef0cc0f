/* A load client for one server on loopback: every connection sends its next request when the last is answered.
 *
 *   load PORT BODY_FILE CONNECTIONS SECONDS KEY
 *
 * Prints one line of JSON: requests, errors, what the first error said, streamed events, seconds, and the quantiles of
 * latency to the end and to the first event (the first byte of a body), in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct connection {
    int fd, busy, status, chunked, has_head;
    char *buffer;
    size_t length, capacity, scanned, head, chunk;
    long expected, events;
    int64_t began, first;
};
struct quantiles { int64_t *values; size_t count, capacity; };

static char *request;
static size_t request_length;
static int port, poll_fd;
static long errors, answered, events;
static struct quantiles whole, begun;
static char said[300];

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void keep(struct quantiles *q, int64_t value) {
    if (q->count == q->capacity) q->values = realloc(q->values, (q->capacity = q->capacity * 2 + 1024) * sizeof value);
    q->values[q->count++] = value;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static long quantile(const struct quantiles *q, double at) { return q->count ? q->values[(size_t)((q->count - 1) * at)] : 0; }

static int open_connection(struct connection *c) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&at, sizeof at)) { close(c->fd); c->fd = -1; return 0; }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event reads = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &reads);
    return 1;
}

static void lose(struct connection *c) { close(c->fd); c->fd = -1; c->busy = 0; errors++; }

static void ask(struct connection *c) {
    if (c->fd < 0 && !open_connection(c)) { errors++; usleep(1000); return; }
    c->length = c->scanned = c->head = c->chunk = 0;
    c->has_head = c->chunked = 0, c->expected = -1, c->events = 0, c->first = 0, c->busy = 1, c->began = now();
    for (size_t sent = 0; sent < request_length;) {
        ssize_t n = send(c->fd, request + sent, request_length - sent, MSG_NOSIGNAL);
        if (n < 0) { lose(c); return; }
        sent += n;
    }
}

static void finish(struct connection *c) {
    keep(&whole, now() - c->began);
    keep(&begun, c->first - c->began);
    answered++, events += c->events, c->busy = 0;
    if (c->status == 200) return;
    errors++;
    if (!said[0]) snprintf(said, sizeof said, "%d %.200s", c->status, c->buffer + c->head);
}

static void take(struct connection *c) {
    c->buffer[c->length] = 0;
    if (!c->has_head) {
        char *end = memmem(c->buffer, c->length, "\r\n\r\n", 4);
        if (!end) return;
        c->has_head = 1, c->head = c->scanned = c->chunk = end + 4 - c->buffer;
        c->status = atoi(c->buffer + 9);
        *end = 0;
        char *given = strcasestr(c->buffer, "\r\ncontent-length:");
        if (given) c->expected = strtol(given + 17, NULL, 10);
        c->chunked = strcasestr(c->buffer, "\r\ntransfer-encoding: chunked") != NULL;
        *end = '\r';
    }
    if (!c->first && c->length > c->head) c->first = now();
    for (char *at; (at = memmem(c->buffer + c->scanned, c->length - c->scanned, "data: ", 6));) c->events++, c->scanned = at - c->buffer + 6;
    if (c->length > c->scanned + 5) c->scanned = c->length - 5;
    if (!c->chunked) { if (c->expected >= 0 && (long)(c->length - c->head) >= c->expected) finish(c); return; }
    for (char *end; (end = memmem(c->buffer + c->chunk, c->length - c->chunk, "\r\n", 2));) {
        long size = strtol(c->buffer + c->chunk, NULL, 16);
        size_t next = (end - c->buffer) + 2 + size + 2;
        if (next > c->length) return;
        if (!size) { finish(c); return; }
        c->chunk = next;
    }
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    port = atoi(argv[1]);
    int count = atoi(argv[3]);
    FILE *file = fopen(argv[2], "rb");
    if (!file) return 2;
    char *body = malloc(8 << 20);
    size_t length = fread(body, 1, 8 << 20, file);
    request = malloc(length + 2048);
    request_length = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\nAuthorization: Bearer %s\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", port, argv[5], length);
    memcpy(request + request_length, body, length);
    request_length += length;
    poll_fd = epoll_create1(0);
    struct connection *all = calloc(count, sizeof *all);
    for (int i = 0; i < count; i++) all[i].fd = -1, all[i].buffer = malloc((all[i].capacity = 1 << 16) + 1);
    struct epoll_event found[256];
    int64_t began = now(), end = began + (int64_t)(atof(argv[4]) * 1e6);
    for (;;) {
        int64_t t = now();
        int busy = 0;
        for (int i = 0; i < count; i++) {
            if (!all[i].busy && t < end) ask(&all[i]);
            busy += all[i].busy;
        }
        if ((t >= end && !busy) || t > end + 30000000 || errors > 2000) break;
        int ready = epoll_wait(poll_fd, found, 256, 50);
        for (int i = 0; i < ready; i++) {
            struct connection *c = found[i].data.ptr;
            if (c->capacity - c->length < 32768) c->buffer = realloc(c->buffer, (c->capacity *= 2) + 1);
            ssize_t n = recv(c->fd, c->buffer + c->length, c->capacity - c->length, 0);
            if (n <= 0) { if (c->busy) lose(c); else { close(c->fd); c->fd = -1; } continue; }
            c->length += n;
            take(c);
        }
    }
    double seconds = (now() - began) / 1e6;
    qsort(whole.values, whole.count, sizeof(int64_t), compare);
    qsort(begun.values, begun.count, sizeof(int64_t), compare);
    for (char *at = said; *at; at++) if (*at == '"' || *at == '\\' || (unsigned char)*at < ' ') *at = '\'';
    printf("{\"requests\":%ld,\"errors\":%ld,\"said\":\"%s\",\"events\":%ld,\"seconds\":%.3f,\"p50\":%ld,\"p99\":%ld,\"first_p50\":%ld,\"first_p99\":%ld}\n",
        answered, errors, said, events, seconds, quantile(&whole, .5), quantile(&whole, .99), quantile(&begun, .5), quantile(&begun, .99));
    return 0;
}
