/* A GnuTLS client that begins to flush corked data while the table of calls is full. Argument: port.
 *
 * The table must have two entries: a flush takes one, and each send in it the other. Two threads hold both entries,
 * each inside gnutls_record_recv, when gnutls_record_uncork begins, so that tlscope does not see the flush end. The
 * threads return before the second record of the flush is sent, so that tlscope sees that send.
 *
 * All requests go to 127.0.0.1 over one connection: GET /small/1; corked, PUT /upload/2 and GET /small/3, where the PUT
 * fills the first record; corked, GET /small/4; GET /small/5 and GET /small/6. Prints and waits as the other programs
 * do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOLDERS = 2, RECORD = 16384 };

struct connection {
    gnutls_session_t session;
    int fd;
    int is_held; /* Whether reads wait until `leave` is posted. */
};

static int port, is_flushing;
static sem_t inside, leave;
static pthread_t holders[HOLDERS];

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "full_gnutls.c: %s\n", what);
        exit(1);
    }
}

static void release_holders(void) {
    for (int holder = 0; holder < HOLDERS; holder++)
        sem_post(&leave);
    for (int holder = 0; holder < HOLDERS; holder++)
        check(pthread_join(holders[holder], NULL) == 0, "pthread_join");
}

/* The first record of the flush makes room in the table. */
static ssize_t push(gnutls_transport_ptr_t at, const void *bytes, size_t size) {
    if (is_flushing) {
        is_flushing = 0;
        release_holders();
    }
    return write(((struct connection *)at)->fd, bytes, size);
}

static ssize_t pull(gnutls_transport_ptr_t at, void *bytes, size_t size) {
    struct connection *connection = at;
    if (connection->is_held) {
        sem_post(&inside);
        sem_wait(&leave);
        gnutls_transport_set_errno(connection->session, EAGAIN);
        return -1;
    }
    return read(connection->fd, bytes, size);
}

static int pull_timeout(gnutls_transport_ptr_t at, unsigned milliseconds) {
    struct pollfd one = {.fd = ((struct connection *)at)->fd, .events = POLLIN};
    return poll(&one, 1, (int)milliseconds);
}

static void open_connection(struct connection *connection) {
    static gnutls_certificate_credentials_t credentials;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->is_held = 0;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    check(connection->fd >= 0 && connect(connection->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    check(credentials != NULL || gnutls_certificate_allocate_credentials(&credentials) == 0, "credentials");
    check(gnutls_init(&connection->session, GNUTLS_CLIENT) == 0, "gnutls_init");
    gnutls_session_t session = connection->session;
    check(gnutls_set_default_priority(session) == 0, "priority");
    check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials) == 0, "credentials");
    gnutls_transport_set_ptr(session, connection);
    gnutls_transport_set_push_function(session, push);
    gnutls_transport_set_pull_function(session, pull);
    gnutls_transport_set_pull_timeout_function(session, pull_timeout);
    int failed;
    do
        failed = gnutls_handshake(session);
    while (failed < 0 && !gnutls_error_is_fatal(failed));
    check(failed == 0, "gnutls_handshake");
}

static void *hold_a_call(void *at) {
    struct connection *connection = at;
    char byte;
    check(gnutls_record_recv(connection->session, &byte, 1) == GNUTLS_E_AGAIN, "gnutls_record_recv");
    return NULL;
}

static void send_bytes(struct connection *connection, const char *bytes, size_t size) {
    check(gnutls_record_send(connection->session, bytes, size) == (ssize_t)size, "gnutls_record_send");
}

static void send_get(struct connection *connection, int number) {
    char text[256];
    int size = snprintf(text, sizeof text, "GET /small/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);
    send_bytes(connection, text, size);
}

/* Fills one record with the head and the body. */
static void send_put(struct connection *connection, int number) {
    char text[RECORD], head[256];
    const char *form = "PUT /upload/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %5d\r\n\r\n";
    int size = snprintf(head, sizeof head, form, number, 0);
    snprintf(head, sizeof head, form, number, RECORD - size);
    memset(text, 'b', sizeof text);
    memcpy(text, head, size);
    send_bytes(connection, text, sizeof text);
}

static void flush(struct connection *connection) {
    check(gnutls_record_uncork(connection->session, GNUTLS_RECORD_WAIT) >= 0, "gnutls_record_uncork");
}

/* Reads up to the end of the response to a GET. */
static void receive(struct connection *connection) {
    char answer[4096];
    size_t got = 0;
    do {
        ssize_t more = gnutls_record_recv(connection->session, answer + got, sizeof answer - 1 - got);
        if (more == GNUTLS_E_AGAIN || more == GNUTLS_E_INTERRUPTED)
            continue;
        check(more > 0, "gnutls_record_recv");
        got += more;
        answer[got] = 0;
    } while (got == 0 || strstr(answer, "\r\n\r\nsmall\n") == NULL);
}

int main(int argc, char **argv) {
    static struct connection connection, held[HOLDERS];
    check(argc == 2, "port");
    port = atoi(argv[1]);
    check(sem_init(&inside, 0, 0) == 0 && sem_init(&leave, 0, 0) == 0, "sem_init");
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
    open_connection(&connection);
    for (int holder = 0; holder < HOLDERS; holder++)
        open_connection(&held[holder]);
    send_get(&connection, 1);
    receive(&connection);

    gnutls_record_cork(connection.session);
    send_put(&connection, 2);
    send_get(&connection, 3);
    for (int holder = 0; holder < HOLDERS; holder++) {
        held[holder].is_held = 1;
        check(pthread_create(&holders[holder], NULL, hold_a_call, &held[holder]) == 0, "pthread_create");
        sem_wait(&inside);
    }
    is_flushing = 1;
    flush(&connection);
    check(!is_flushing, "the flush sends");
    receive(&connection);

    gnutls_record_cork(connection.session);
    send_get(&connection, 4);
    flush(&connection);
    receive(&connection);
    for (int number = 5; number < 7; number++) {
        send_get(&connection, number);
        receive(&connection);
    }
    gnutls_bye(connection.session, GNUTLS_SHUT_WR);
    gnutls_deinit(connection.session);
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
