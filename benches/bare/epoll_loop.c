/*
 * The bare epoll loop: what a line server on one core can reach when it computes nothing.
 *
 * Usage: epoll_loop [PORT]      (default 0: any free port)
 *
 * Prints `listening on 127.0.0.1:PORT` to standard output, then serves until it is killed. Every `\n` it
 * reads is answered with the same 78 bytes, whatever stands before it: one epoll_wait per batch of ready
 * connections, one read and one write per ready connection. No parsing, no hashing, no check of the
 * request, no buffer of its own per connection.
 *
 * The 78 bytes are the right reply, at difficulty 0, to the message "bench0". So a client that sends only
 * that message can check every reply in full, and spends here exactly what it spends on a real server.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 16384, EVENTS = 512, REPLY_BYTES = 78 };

/* sha256("aaaaa" "bench0"); a test computes it anew. */
static const char REPLY[] =
    "bench0,aaaaa,b1059d8451685eddda0f172a96fa61818c528563d403cc58a5ba44f7746238d5\n";

static char input[READ_BYTES];
/* As many replies as one read can hold newlines. */
static char output[READ_BYTES * REPLY_BYTES];

/* What a full socket did not take yet: rare, so a list searched from the front will do. */
struct rest {
    struct rest *next;
    int fd;
    size_t bytes;
    char data[];
};
static struct rest *rests;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void forget_rest(int fd) {
    for (struct rest **at = &rests; *at;) {
        struct rest *rest = *at;
        if (rest->fd == fd) {
            *at = rest->next;
            free(rest);
        } else {
            at = &rest->next;
        }
    }
}

static void keep_rest(int fd, const char *data, size_t bytes) {
    struct rest *rest = malloc(sizeof *rest + bytes);
    if (!rest) die("malloc");
    rest->next = NULL;
    rest->fd = fd;
    rest->bytes = bytes;
    memcpy(rest->data, data, bytes);
    struct rest **at = &rests;
    while (*at) at = &(*at)->next;
    *at = rest;
}

/* What became of the bytes kept for a socket: all gone, still some, or nobody will take them. */
enum flushed { ALL, SOME, LOST };

static enum flushed flush_rest(int fd) {
    for (struct rest **at = &rests; *at;) {
        struct rest *rest = *at;
        if (rest->fd != fd) {
            at = &rest->next;
            continue;
        }
        ssize_t sent = write(fd, rest->data, rest->bytes);
        if (sent < 0) return errno == EAGAIN || errno == EINTR ? SOME : LOST;
        if ((size_t)sent < rest->bytes) {
            memmove(rest->data, rest->data + sent, rest->bytes - sent);
            rest->bytes -= sent;
            return SOME;
        }
        *at = rest->next;
        free(rest);
    }
    return ALL;
}

static void watch(int poll, int operation, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(poll, operation, fd, &event)) die("epoll_ctl");
}

static void accept_all(int poll, int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(poll, EPOLL_CTL_ADD, fd, EPOLLIN);
    }
}

static void hang_up(int fd) {
    forget_rest(fd);
    close(fd);
}

static void flush(int poll, int fd) {
    switch (flush_rest(fd)) {
    case ALL: watch(poll, EPOLL_CTL_MOD, fd, EPOLLIN); break;
    case SOME: break;
    case LOST: hang_up(fd); break;
    }
}

static void answer(int poll, int fd) {
    ssize_t got = read(fd, input, sizeof input);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        hang_up(fd);
        return;
    }
    size_t replies = 0;
    for (const char *at = input, *end = input + got; (at = memchr(at, '\n', end - at)); at++) replies++;
    size_t bytes = replies * REPLY_BYTES;
    if (bytes == 0) return;
    ssize_t sent = write(fd, output, bytes);
    if (sent < 0) sent = 0;
    if ((size_t)sent < bytes) {
        /* A full socket is not read from until it took everything. */
        keep_rest(fd, output + sent, bytes - sent);
        watch(poll, EPOLL_CTL_MOD, fd, EPOLLOUT);
    }
}

int main(int count, char **arguments) {
    /* A client that left is an error of its write, not the end of the server. */
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    for (size_t i = 0; i < READ_BYTES; i++) memcpy(output + i * REPLY_BYTES, REPLY, REPLY_BYTES);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(count > 1 ? atoi(arguments[1]) : 0),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t bytes = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, bytes)) die("bind");
    if (listen(listener, 4096)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &bytes);
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    int poll = epoll_create1(0);
    watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(poll, listener);
            } else if (events[i].events & EPOLLOUT) {
                flush(poll, fd);
            } else {
                answer(poll, fd);
            }
        }
    }
}
