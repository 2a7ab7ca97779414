/* A client that calls GnuTLS in different ways. Arguments: port, number of requests, way.
 *
 * It alternates GET /small/N and PUT /upload/N with BODY bytes, on one connection to 127.0.0.1, and checks each
 * response. It prints "up" when the tracer can attach, starts at a line on stdin, prints "done" after its last
 * response, and ends at the end of stdin.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY = 2 * 1024 * 1024 + 5, PIECE = 60007 };

static const char *way;
static int fd;
static char body[BODY];

static int is(const char *name) {
    return strcmp(way, name) == 0;
}

static int is_nonblocking(void) {
    return is("again") || is("null") || is("corked-again");
}

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static int connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int made = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    check(made >= 0, "socket");
    /* Makes non-blocking writes fail often. */
    check(setsockopt(made, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0, "SO_SNDBUF");
    check(connect(made, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return made;
}

static ssize_t push(gnutls_transport_ptr_t at, const void *bytes, size_t size) {
    return write(*(int *)at, bytes, size);
}

static ssize_t pull(gnutls_transport_ptr_t at, void *bytes, size_t size) {
    return read(*(int *)at, bytes, size);
}

static int pull_timeout(gnutls_transport_ptr_t at, unsigned milliseconds) {
    struct pollfd one = {.fd = *(int *)at, .events = POLLIN};
    return poll(&one, 1, (int)milliseconds);
}

static gnutls_session_t open_connection(int port) {
    static gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    check(gnutls_certificate_allocate_credentials(&credentials) == 0, "credentials");
    check(gnutls_init(&session, GNUTLS_CLIENT) == 0, "gnutls_init");
    check(gnutls_set_default_priority(session) == 0, "priority");
    check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) == 0, "credentials");
    fd = connect_to(port);
    if (is("own")) {
        gnutls_transport_set_ptr(session, &fd);
        gnutls_transport_set_push_function(session, push);
        gnutls_transport_set_pull_function(session, pull);
        gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    } else if (is("pointer")) {
        gnutls_transport_set_ptr(session, (gnutls_transport_ptr_t)(long)fd);
    } else {
        gnutls_transport_set_int(session, fd);
    }
    int failed;
    do
        failed = gnutls_handshake(session);
    while (failed < 0 && !gnutls_error_is_fatal(failed));
    check(failed == 0, "gnutls_handshake");
    if (is_nonblocking())
        check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    return session;
}

static void wait_for(short events) {
    struct pollfd one = {.fd = fd, .events = events};
    check(poll(&one, 1, 10000) == 1, "poll");
}

/* Sends all bytes. Repeats a call that fails with GNUTLS_E_AGAIN with the same arguments, or with none, as the library
 * keeps the bytes. */
static void send_all(gnutls_session_t session, const char *bytes, size_t size) {
    int refused = 0;
    while (size > 0) {
        int without = refused && is("null");
        ssize_t sent = gnutls_record_send(session, without ? NULL : bytes, without ? 0 : size);
        refused = sent == GNUTLS_E_AGAIN || sent == GNUTLS_E_INTERRUPTED;
        if (refused) {
            wait_for(POLLOUT);
            continue;
        }
        check(sent > 0, "gnutls_record_send");
        bytes += sent;
        size -= sent;
    }
}

/* Sends corked pieces. */
static void send_corked(gnutls_session_t session, const char *head, size_t head_size, size_t body_size) {
    gnutls_record_cork(session);
    send_all(session, head, 5);
    send_all(session, head + 5, head_size - 5);
    for (size_t at = 0; at < body_size; at += PIECE)
        send_all(session, body + at, body_size - at < PIECE ? body_size - at : PIECE);
    if (is("corked")) {
        check(gnutls_record_uncork(session, GNUTLS_RECORD_WAIT) >= 0, "gnutls_record_uncork");
        return;
    }
    int result;
    while ((result = gnutls_record_uncork(session, 0)) == GNUTLS_E_AGAIN || result == GNUTLS_E_INTERRUPTED)
        wait_for(POLLOUT);
    check(result >= 0, "gnutls_record_uncork");
}

static void expect_answer(gnutls_session_t session, const char *expected) {
    char answer[4096];
    size_t got = 0;
    char *end = NULL;
    do {
        ssize_t more = gnutls_record_recv(session, answer + got, sizeof answer - 1 - got);
        if (more == GNUTLS_E_AGAIN || more == GNUTLS_E_INTERRUPTED) {
            if (is_nonblocking() && gnutls_record_check_pending(session) == 0)
                wait_for(POLLIN);
            continue;
        }
        check(more > 0, "gnutls_record_recv");
        answer[got += more] = 0;
        end = strstr(answer, "\r\n\r\n");
    } while (end == NULL || strlen(end + 4) < strlen(expected));
    check(strncmp(answer, "HTTP/1.1 20", 11) == 0 && strcmp(end + 4, expected) == 0, answer);
}

static void ask(gnutls_session_t session, int number) {
    char head[256];
    int puts = number % 2;
    size_t size = puts ? BODY : 0;
    const char *target = puts ? "PUT /upload" : "GET /small";
    int head_size = snprintf(head, sizeof head, "%s/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", target,
                             number, size);
    if (is("corked") || is("corked-again")) {
        send_corked(session, head, head_size, size);
    } else {
        send_all(session, head, head_size);
        send_all(session, body, size);
    }
    expect_answer(session, puts ? "" : "small\n");
}

int main(int argc, char **argv) {
    check(argc == 4, "port, requests, way");
    int port = atoi(argv[1]), requests = atoi(argv[2]);
    way = argv[3];
    memset(body, 'b', sizeof body);
    gnutls_session_t session = NULL;
    int first = 0;
    if (is("late")) {
        session = open_connection(port);
        ask(session, first++);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
    if (session == NULL)
        session = open_connection(port);
    for (int number = first; number < requests; number++)
        ask(session, number);
    gnutls_bye(session, GNUTLS_SHUT_WR);
    gnutls_deinit(session);
    close(fd);
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
