/* A client that connects SSL objects and sockets in misleading ways. Arguments: kind, trick, number of connections, and
 * the ports of two HTTPS servers, which it uses in turn, with two requests on each connection.
 *
 * The kind is `fd`, `own` (a custom BIO over the socket) or `mem` (memory BIOs, and the socket after each call). It
 * logs each exchange as support/exchange_log.rs parses it, and prints how often an object or a descriptor was reused.
 */
#include "common.h"

#include <pthread.h>
#include <sys/uio.h>

struct link {
    SSL *ssl;
    int fd;
};

static const char *kind, *trick;
static SSL_CTX *context;
static int plain, ports[2], same_objects, same_descriptors;

static int is_kind(const char *name) {
    return strcmp(kind, name) == 0;
}

static int is(const char *name) {
    return strcmp(trick, name) == 0;
}

/* --- a plaintext echo server in the same process --- */

static void *echo(void *listener) {
    char bytes[64];
    int fd = accept((int)(long)listener, NULL, NULL), got;
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        check(write(fd, bytes, got) == got, "echo");
    return NULL;
}

static int connect_to_echo(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof own;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(bind(listener, (struct sockaddr *)&own, size) == 0 && listen(listener, 1) == 0, "listen");
    check(getsockname(listener, (struct sockaddr *)&own, &size) == 0, "getsockname");
    pthread_t thread;
    check(pthread_create(&thread, NULL, echo, (void *)(long)listener) == 0, "pthread_create");
    return connect_to(ntohs(own.sin_port));
}

/* Sends bytes that look like a TLS record of the connection. */
static void ask_plain(void) {
    static char question[32] = "\x17\x03\x03";
    char answer[sizeof question];
    question[5]++;
    check(write(plain, question, sizeof question) == sizeof question, "write to the plain server");
    for (size_t got = 0; got < sizeof answer;)
        got += read(plain, answer + got, sizeof answer - got);
    check(memcmp(question, answer, sizeof answer) == 0, "the plain server's answer");
}

/* --- from the library to the socket --- */

struct piece {
    int fd, size;
    const char *bytes;
};

static void *send_piece(void *given) {
    struct piece *piece = given;
    check(write(piece->fd, piece->bytes, piece->size) == piece->size, "write");
    return NULL;
}

static void send_ciphertext(int fd, const char *bytes, int size) {
    struct piece piece = {fd, size, bytes};
    if (is("plain"))
        ask_plain();
    if (is("thread")) {
        pthread_t thread;
        check(pthread_create(&thread, NULL, send_piece, &piece) == 0 && pthread_join(thread, NULL) == 0, "a thread");
    } else if (is("split") && size > 6) {
        struct iovec parts[] = {{(void *)bytes, 5}, {(void *)(bytes + 5), 1}, {(void *)(bytes + 6), size - 6}};
        check(writev(fd, parts, 3) == size, "writev");
    } else {
        send_piece(&piece);
    }
    if (is("plain"))
        ask_plain();
}

static int own_write(BIO *bio, const char *bytes, int size) {
    send_ciphertext((int)(long)BIO_get_data(bio), bytes, size);
    return size;
}

static int own_read(BIO *bio, char *bytes, int size) {
    if (is("plain"))
        ask_plain();
    return read((int)(long)BIO_get_data(bio), bytes, size);
}

static void flush(struct link *link) {
    char bytes[32768];
    int size = is_kind("mem") ? BIO_read(SSL_get_wbio(link->ssl), bytes, sizeof bytes) : 0;
    if (size > 0)
        send_ciphertext(link->fd, bytes, size);
}

/* Handles the result of a call of the library. Returns whether the call must be repeated. */
static int again(struct link *link, int result) {
    flush(link);
    if (result > 0)
        return 0;
    check(is_kind("mem") && SSL_get_error(link->ssl, result) == SSL_ERROR_WANT_READ, "a call of the library");
    char bytes[32768];
    int got = read(link->fd, bytes, sizeof bytes);
    check(got > 0 && BIO_write(SSL_get_rbio(link->ssl), bytes, got) == got, "read");
    return 1;
}

/* --- connections --- */

static BIO_METHOD *own_method(void) {
    static BIO_METHOD *method;
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");
        BIO_meth_set_write(method, own_write);
        BIO_meth_set_read(method, own_read);
        BIO_meth_set_ctrl(method, control);
    }
    return method;
}

static void tie(struct link *link) {
    if (is_kind("fd")) {
        check(SSL_set_fd(link->ssl, link->fd) == 1, "SSL_set_fd");
    } else if (is_kind("own")) {
        BIO *bio = BIO_new(own_method());
        BIO_set_data(bio, (void *)(long)link->fd);
        BIO_set_init(bio, 1);
        SSL_set_bio(link->ssl, bio, bio);
    } else {
        SSL_set_bio(link->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }
    SSL_set_connect_state(link->ssl);
}

static void handshake(struct link *link) {
    while (again(link, SSL_do_handshake(link->ssl))) {
    }
}

static void begin(struct link *link, int port) {
    link->fd = connect_to(port);
    link->ssl = SSL_new(context);
    tie(link);
}

/* Replaces a connection with a new one by the trick. Descriptors are reused because they were closed. */
static void replace(struct link *link, int port) {
    struct link old = *link;
    if (is("dup2")) {
        int fd = connect_to(port);
        check(dup2(fd, old.fd) == old.fd && close(fd) == 0, "dup2");
        check(SSL_clear(old.ssl) == 1, "SSL_clear");
        SSL_set_connect_state(old.ssl);
    } else {
        if (is("free"))
            SSL_free(old.ssl);
        close(old.fd);
        link->fd = connect_to(port);
        if (is("clear"))
            check(SSL_clear(old.ssl) == 1, "SSL_clear");
        if (is("state"))
            check(SSL_set_session(old.ssl, NULL) == 1, "SSL_set_session");
        if (is("free") || is("leak"))
            link->ssl = SSL_new(context);
        tie(link);
    }
    same_objects += link->ssl == old.ssl;
    same_descriptors += link->fd == old.fd;
    handshake(link);
}

/* --- requests and responses --- */

static void log_exchange(struct link *link, const char *id) {
    char text[2][INET_ADDRSTRLEN];
    struct sockaddr_in ends[2];
    socklen_t sizes[2] = {sizeof *ends, sizeof *ends};
    check(getsockname(link->fd, (struct sockaddr *)&ends[0], &sizes[0]) == 0, "getsockname");
    check(getpeername(link->fd, (struct sockaddr *)&ends[1], &sizes[1]) == 0, "getpeername");
    for (int end = 0; end < 2; end++)
        inet_ntop(AF_INET, &ends[end].sin_addr, text[end], sizeof text[end]);
    printf("asked %s %s %d %s %d\n", id, text[0], ntohs(ends[0].sin_port), text[1], ntohs(ends[1].sin_port));
}

static void get(struct link *link) {
    static int number;
    char id[32], bytes[4096];
    snprintf(id, sizeof id, "%s-%s-%d", kind, trick, number++);
    int got = 0, size = snprintf(bytes, sizeof bytes,
                                 "GET /small/%s HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: %s\r\n\r\n", id, id);
    while (again(link, SSL_write(link->ssl, bytes, size))) {
    }
    do {
        int more;
        while (again(link, more = SSL_read(link->ssl, bytes + got, sizeof bytes - 1 - got))) {
        }
        got += more;
        bytes[got] = 0;
    } while (strstr(bytes, "\r\n\r\nsmall\n") == NULL);
    log_exchange(link, id);
}

/* Opens two connections at a time, and sends their first records in reverse order. */
static void ask_crosswise(int count) {
    for (int number = 0; number < count; number += 2) {
        struct link one, two;
        begin(&one, ports[0]);
        begin(&two, ports[1]);
        SSL_do_handshake(one.ssl);
        SSL_do_handshake(two.ssl);
        flush(&two);
        flush(&one);
        handshake(&one);
        handshake(&two);
        for (int each = 0; each < 2; each++) {
            get(&one);
            get(&two);
        }
    }
}

int main(int argc, char **argv) {
    check(argc == 6, "kind, trick, connections, two ports");
    kind = argv[1];
    trick = argv[2];
    ports[0] = atoi(argv[4]);
    ports[1] = atoi(argv[5]);
    context = SSL_CTX_new(TLS_client_method());
    plain = connect_to_echo();
    say_up();
    if (is("crosswise")) {
        ask_crosswise(atoi(argv[3]));
    } else {
        struct link link;
        begin(&link, ports[0]);
        handshake(&link);
        for (int number = 1;; number++) {
            get(&link);
            get(&link);
            if (number == atoi(argv[3]))
                break;
            replace(&link, ports[number % 2]);
        }
    }
    printf("objects %d\ndescriptors %d\n", same_objects, same_descriptors);
    say_done();
    return 0;
}
