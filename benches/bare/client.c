/*
 * An independent load client, to check the other one's figures: written apart from it, in another
 * language, and as plain as can be.
 *
 * Usage: client -p PORT [-c CONNECTIONS] [-P IN_FLIGHT] [-s SECONDS] [-m MESSAGE]
 *
 * Closed loop on one thread. Counts the replies of SECONDS after half a second of warm-up and checks the
 * form of each: the message, a comma, five letters or digits, a comma, 64 lowercase hex digits, a newline.
 * Prints one line, `replies=N seconds=S replies_per_s=R bad=B errors=E`; exit 1 when B or E is not 0.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 512, BUFFER = 1 << 20, MOST_IN_FLIGHT = 4096, MOST_MESSAGE = 128 };

struct connection {
    int fd;
    size_t kept; /* bytes of an unfinished line */
    char line[MOST_MESSAGE + 80];
};

static char requests[MOST_IN_FLIGHT * (MOST_MESSAGE + 1)];
static char input[BUFFER];
static const char *message = "bench0";
static size_t message_bytes;
static unsigned long long replies, bad, errors;

static void die(const char *what) {
    perror(what);
    exit(2);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/*
 * Whether a byte may stand in a hash, or in a seed. Tables, not comparisons: whether a random hex digit is
 * below 'a' is a coin toss that costs a mispredicted branch each time, 64 times a reply.
 */
static unsigned char is_hex[256], is_alphanumeric[256];

static void fill_tables(void) {
    for (int c = 0; c < 256; c++) {
        is_hex[c] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        is_alphanumeric[c] = isalnum(c) != 0;
    }
}

static int well_formed(const char *line, size_t bytes) {
    if (bytes != message_bytes + 72 || memcmp(line, message, message_bytes)) return 0;
    line += message_bytes;
    if (line[0] != ',' || line[6] != ',') return 0;
    unsigned char good = 1;
    for (int i = 1; i < 6; i++) good &= is_alphanumeric[(unsigned char)line[i]];
    for (int i = 7; i < 71; i++) good &= is_hex[(unsigned char)line[i]];
    return good;
}

static int send_all(int fd, const char *data, size_t bytes) {
    while (bytes) {
        ssize_t sent = write(fd, data, bytes);
        if (sent < 0 && errno == EAGAIN) continue;
        if (sent < 0) return -1;
        data += sent;
        bytes -= sent;
    }
    return 0;
}

/* Reads what is there, checks each whole line, asks again as many times. -1 when the connection is lost. */
static int serve(struct connection *c) {
    memcpy(input, c->line, c->kept);
    ssize_t got = read(c->fd, input + c->kept, BUFFER - c->kept);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) return -1;
    char *at = input, *end = input + c->kept + got, *newline;
    size_t lines = 0;
    while ((newline = memchr(at, '\n', end - at))) {
        lines++;
        if (!well_formed(at, newline + 1 - at)) bad++;
        at = newline + 1;
    }
    replies += lines;
    c->kept = end - at;
    if (c->kept > sizeof c->line) return -1;
    memcpy(c->line, at, c->kept);
    return send_all(c->fd, requests, lines * (message_bytes + 1));
}

int main(int count, char **arguments) {
    int port = 20000, connections = 100, in_flight = 1, option;
    double seconds = 3;
    while ((option = getopt(count, arguments, "p:c:P:s:m:")) != -1) {
        switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': connections = atoi(optarg); break;
        case 'P': in_flight = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'm': message = optarg; break;
        default: return 2;
        }
    }
    message_bytes = strlen(message);
    fill_tables();
    /* A server that closed is counted as an error, not the end of the client. */
    signal(SIGPIPE, SIG_IGN);
    if (connections < 1 || in_flight < 1 || in_flight > MOST_IN_FLIGHT || message_bytes > MOST_MESSAGE) {
        fprintf(stderr, "client: at least 1 connection, 1 to %d in flight, a message of at most %d bytes\n",
                MOST_IN_FLIGHT, MOST_MESSAGE);
        return 2;
    }
    for (int i = 0; i < MOST_IN_FLIGHT; i++) {
        memcpy(requests + i * (message_bytes + 1), message, message_bytes);
        requests[i * (message_bytes + 1) + message_bytes] = '\n';
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int poll = epoll_create1(0), on = 1;
    struct connection *all = calloc(connections, sizeof *all);
    if (!all) die("calloc");
    for (int i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0) die("socket");
        if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (send_all(c->fd, requests, in_flight * (message_bytes + 1))) die("write");
        /* Edge-triggered: one read takes all there is, and a level would be looked at twice. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = c};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
    }

    double start = now() + 0.5, end = 0;
    int measuring = 0;
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(poll, events, EVENTS, 10);
        double t = now();
        if (!measuring && t >= start) {
            measuring = 1;
            start = t;
            end = t + seconds;
            replies = 0;
        } else if (measuring && t >= end) {
            end = t;
            break;
        }
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (serve(c)) {
                errors++;
                close(c->fd);
            }
        }
    }
    printf("replies=%llu seconds=%.3f replies_per_s=%.0f bad=%llu errors=%llu\n", replies, end - start,
           replies / (end - start), bad, errors);
    return bad || errors ? 1 : 0;
}
