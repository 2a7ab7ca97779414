/* Two processes that send known bytes to each other over OpenSSL, in every way that changes how it makes, keeps and sends
 * records. Arguments: the names of ways, in their order.
 *
 * A child serves. The bytes of each connection are drawn from a generator. Each side prints for each connection `sum PID
 * read COUNT SUM written COUNT SUM` of the bytes that the calls of the library moved; a sum is 64-bit FNV-1a
 * (https://www.rfc-editor.org/rfc/rfc9923). The way "old" is connected before the line "up". It goes through the ways at
 * each line on stdin and then prints "passed". At the line "end" it closes what is open, and prints and waits as the
 * other programs do.
 */
#include "common.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { KIB = 1024, MIB = 1024 * KIB, LARGEST = 4 * MIB, SMALL_BUFFER = 16 * KIB };

struct tally {
    uint64_t count, sum;
};

/* One side of a connection. */
struct end {
    SSL *ssl;
    int fd, is_server;
    uint64_t seed;
    struct tally read, written;
};

struct way {
    const char *name;
    void (*talk)(struct end *end);
    const char *cipher; /* of TLS 1.2, or NULL for TLS 1.3 */
    enum { SMALL = 1, RELEASES = 2, READS_AHEAD = 4, BUFFERS = 8, CLEARS = 16, KEEPS = 32, EARLY = 64, REFUSES = 128 } flags;
};

static char bytes[LARGEST];
static int retries;
static const struct way *way;

static int is(int flag) {
    return (way->flags & flag) != 0;
}

/* --- calls of the library --- */

static void add(struct tally *tally, const char *from, size_t size) {
    for (size_t at = 0; at < size; at++)
        tally->sum = (tally->sum ^ (unsigned char)from[at]) * 0x100000001b3;
    tally->count += size;
}

/* Returns whether a call must be repeated. Writes are, without waiting for room, so that most attempts fail. */
static int again(struct end *end, int result) {
    if (result > 0)
        return 0;
    int error = SSL_get_error(end->ssl, result);
    check(error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE, way->name);
    struct pollfd wait = {.fd = end->fd, .events = POLLIN};
    retries += error == SSL_ERROR_WANT_WRITE;
    poll(&wait, error == SSL_ERROR_WANT_READ, error == SSL_ERROR_WANT_READ ? 1000 : 0);
    return 1;
}

static void flush(struct end *end) {
    while (is(BUFFERS) && BIO_flush(SSL_get_wbio(end->ssl)) != 1) {
    }
}

static void draw(struct end *end, size_t size) {
    for (size_t at = 0; at < size; at++) {
        end->seed ^= end->seed << 13, end->seed ^= end->seed >> 7, end->seed ^= end->seed << 17;
        bytes[at] = end->seed;
    }
}

static void send_new(struct end *end, size_t size) {
    int written;
    draw(end, size);
    while (again(end, written = SSL_write(end->ssl, bytes, size))) {
    }
    check((size_t)written == size, "SSL_write");
    add(&end->written, bytes, size);
}

static void receive_by(struct end *end, size_t size, size_t most) {
    flush(end);
    while (size > 0) {
        int got;
        while (again(end, got = SSL_read(end->ssl, bytes, size < most ? size : most))) {
        }
        add(&end->read, bytes, got);
        size -= got;
    }
}

static void receive(struct end *end, size_t size) {
    receive_by(end, size, sizeof bytes);
}

/* --- what both sides do on a connection --- */

static void exchange(struct end *end, size_t request, size_t response) {
    if (end->is_server) {
        receive(end, request);
        send_new(end, response);
        flush(end);
    } else {
        send_new(end, request);
        receive(end, response);
    }
}

/* Requests and responses of a byte up to several records. */
static void talk(struct end *end) {
    static const size_t sizes[] = {1, 100, 5000, 16384, 16385, 70000};
    for (size_t request = 0; request < 6; request++)
        for (size_t response = 0; response < 6; response++)
            exchange(end, sizes[request], sizes[response]);
}

/* Fewer calls than confirm a tap or a lift. */
static void talk_briefly(struct end *end) {
    for (int number = 0; number < 4; number++)
        exchange(end, 500, 20000);
}

/* More calls than confirm a tap or a lift. */
static void warm(struct end *end) {
    for (int number = 0; number < 300; number++)
        exchange(end, 200, 300);
}

static void download(struct end *end) {
    exchange(end, 100, 2 * MIB);
    exchange(end, 100, 300 * KIB);
}

static void upload(struct end *end) {
    for (int piece = 0; piece < 3; piece++)
        exchange(end, LARGEST, 100);
}

/* The server finds several records at each read of its socket. */
static void pipeline(struct end *end) {
    for (int number = 0; number < 60; number++) {
        if (end->is_server) {
            for (int part = 0; part < 8; part++)
                receive_by(end, 150 + 100 * part, 400);
            send_new(end, 1000);
            continue;
        }
        for (int is_corked = 1; is_corked >= 0; is_corked--) {
            check(setsockopt(end->fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof is_corked) == 0, "TCP_CORK");
            for (int part = 0; is_corked && part < 8; part++)
                send_new(end, 150 + 100 * part);
        }
        receive(end, 1000);
    }
}

/* New keys, asked for by either side (RFC 8446 section 4.6.3). */
static void update_keys(struct end *end) {
    for (int number = 0; number < 6; number++) {
        exchange(end, 3000, 20000);
        if (end->is_server == number % 2)
            check(SSL_key_update(end->ssl, SSL_KEY_UPDATE_REQUESTED) == 1, "SSL_key_update");
    }
    exchange(end, 500, 500);
}

/* The client begins a new handshake, which its next calls carry out. */
static void renegotiate(struct end *end) {
    for (int number = 0; number < 3; number++) {
        exchange(end, 3000, 20000);
        if (!end->is_server)
            check(SSL_renegotiate(end->ssl) == 1, "SSL_renegotiate");
    }
    exchange(end, 500, 500);
}

static void peek(struct end *end) {
    for (int number = 0; number < 50; number++) {
        char seen[400];
        for (int size = 100; end->is_server && size <= 400; size += 300)
            while (again(end, SSL_peek(end->ssl, seen, size))) {
            }
        exchange(end, 400, 300);
    }
}

static const struct way ways[] = {
    {"warm", warm, NULL, 0},
    {"talk", talk, NULL, 0},
    {"slow", download, NULL, SMALL},
    {"upload", upload, NULL, 0},
    {"pipeline", pipeline, NULL, READS_AHEAD},
    {"key-update", update_keys, NULL, 0},
    {"gcm", talk, "ECDHE-ECDSA-AES128-GCM-SHA256", 0},
    {"chacha", talk, "ECDHE-ECDSA-CHACHA20-POLY1305", 0},
    /* OpenSSL makes several records at once of a long write, as for "cbc-upload". */
    {"cbc", talk, "ECDHE-ECDSA-AES128-SHA", 0},
    {"cbc-upload", upload, "ECDHE-ECDSA-AES128-SHA", 0},
    {"renegotiate", renegotiate, "ECDHE-ECDSA-AES128-GCM-SHA256", 0},
    {"peek", peek, NULL, 0},
    {"release", talk, NULL, RELEASES},
    {"release-pipeline", pipeline, NULL, RELEASES | READS_AHEAD},
    {"clear", talk, NULL, CLEARS},
    {"old", talk, NULL, KEEPS},
    {"early", talk_briefly, NULL, EARLY},
    {"refused-early", talk_briefly, NULL, EARLY | REFUSES},
    {"buffer", talk, NULL, BUFFERS},
};

/* --- connections --- */

static SSL_CTX *context;
static SSL_SESSION *session;
static int listener;

static int allow(SSL *ssl, void *unused) {
    (void)ssl, (void)unused;
    return !is(REFUSES);
}

static SSL *make_ssl(void) {
    SSL *ssl = SSL_new(context);
    check(ssl != NULL, "SSL_new");
    int version = way->cipher != NULL ? TLS1_2_VERSION : TLS1_3_VERSION;
    check(SSL_set_min_proto_version(ssl, version) == 1 && SSL_set_max_proto_version(ssl, version) == 1, "version");
    if (way->cipher != NULL)
        check(SSL_set_cipher_list(ssl, way->cipher) == 1, way->cipher);
    /* Several records are made at once only without encrypt-then-MAC (RFC 7366). */
    SSL_set_options(ssl, SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_ALLOW_CLIENT_RENEGOTIATION | SSL_OP_NO_ANTI_REPLAY);
    if (is(RELEASES))
        SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_set_read_ahead(ssl, is(READS_AHEAD));
    return ssl;
}

static void shake_hands(struct end *end) {
    size_t size = 0;
    char early[KIB];
    if (is(EARLY) && end->is_server) {
        int what;
        while ((what = SSL_read_early_data(end->ssl, early, sizeof early, &size)) != SSL_READ_EARLY_DATA_FINISH)
            if (what == SSL_READ_EARLY_DATA_SUCCESS)
                add(&end->read, early, size);
            else
                again(end, what - 1);
    } else if (is(EARLY) && session != NULL) {
        draw(end, 700);
        check(SSL_set_session(end->ssl, session) == 1, "SSL_set_session");
        while (again(end, SSL_write_early_data(end->ssl, bytes, 700, &size))) {
        }
        check(size == 700, "SSL_write_early_data");
        if (!is(REFUSES))
            add(&end->written, bytes, size);
    }
    while (again(end, end->is_server ? SSL_accept(end->ssl) : SSL_connect(end->ssl))) {
    }
    if (size == 700)
        check(SSL_get_early_data_status(end->ssl) == (is(REFUSES) ? SSL_EARLY_DATA_REJECTED : SSL_EARLY_DATA_ACCEPTED),
              "early data");
}

static void open_end(struct end *end, int number) {
    static const struct tally none = {0, 0xcbf29ce484222325};
    struct sockaddr_in to;
    socklen_t length = sizeof to;
    int is_at_once = 1, size = SMALL_BUFFER;
    check(getsockname(listener, (struct sockaddr *)&to, &length) == 0, "getsockname");
    end->fd = end->is_server ? accept(listener, NULL, NULL) : connect_to(ntohs(to.sin_port));
    end->seed = 1000003 * (way - ways + 1) + 2 * number + end->is_server;
    end->read = end->written = none;
    if (is(SMALL) && end->is_server)
        check(setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0, "SO_SNDBUF");
    check(setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &is_at_once, sizeof is_at_once) == 0, "TCP_NODELAY");
    check(fcntl(end->fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
    if (end->ssl == NULL)
        end->ssl = make_ssl();
    else
        check(SSL_clear(end->ssl) == 1, "SSL_clear");
    check(SSL_set_fd(end->ssl, end->fd) == 1, "SSL_set_fd");
    if (is(BUFFERS)) {
        BIO *buffer = BIO_new(BIO_f_buffer());
        check(buffer != NULL && BIO_set_write_buffer_size(buffer, 64 * KIB) == 1, "BIO_f_buffer");
        /* The calls of a program that imports this function stay probed, whatever BIOs it has. */
        void (*set_wbio)(SSL *, BIO *) = (void (*)(SSL *, BIO *))dlsym(NULL, "SSL_set0_wbio");
        check(set_wbio != NULL, "SSL_set0_wbio");
        set_wbio(end->ssl, BIO_push(buffer, BIO_new_socket(end->fd, BIO_NOCLOSE)));
    }
    shake_hands(end);
}

static void close_end(struct end *end) {
    printf("sum %d read %ju %jx written %ju %jx\n", getpid(), (uintmax_t)end->read.count, (uintmax_t)end->read.sum,
           (uintmax_t)end->written.count, (uintmax_t)end->written.sum);
    if (is(EARLY) && !end->is_server) {
        SSL_SESSION_free(session);
        session = SSL_get1_session(end->ssl);
    }
    SSL_shutdown(end->ssl);
    if (!is(CLEARS)) {
        SSL_free(end->ssl);
        end->ssl = NULL;
    }
    close(end->fd);
}

static struct end old;

/* The connections of a way, one after the other: two, or one that is open already. */
static void go(struct end *end, const char *name) {
    for (way = ways; strcmp(way->name, name) != 0; way++)
        check(way < ways + sizeof ways / sizeof *ways - 1, name);
    for (int number = 0; number < 2 && !is(KEEPS); number++) {
        open_end(end, number);
        way->talk(end);
        close_end(end);
    }
    if (is(CLEARS)) {
        SSL_free(end->ssl);
        end->ssl = NULL;
    }
    if (is(KEEPS))
        way->talk(&old);
    SSL_SESSION_free(session);
    session = NULL;
}

int main(int argc, char **argv) {
    int orders[2];
    char order;
    setvbuf(stdout, NULL, _IOLBF, 0);
    listener = listen_on_loopback();
    check(pipe(orders) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    struct end end = {.is_server = child == 0};
    old.is_server = end.is_server;
    close(orders[end.is_server]);
    if (end.is_server)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    context = end.is_server ? server_context() : SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_early_data(context, KIB);
    SSL_CTX_set_allow_early_data_cb(context, allow, NULL);
    for (way = ways; !is(KEEPS); way++) {
    }
    open_end(&old, 0);
    warm(&old);
    old.read = old.written = (struct tally){0, 0xcbf29ce484222325};
    if (end.is_server) {
        while (read(orders[0], &order, 1) == 1)
            for (int at = 1; at < argc; at++)
                go(&end, argv[at]);
    } else {
        char line[16];
        puts("up");
        while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "end\n") != 0) {
            check(write(orders[1], "", 1) == 1, "write");
            for (int at = 1; at < argc; at++)
                go(&end, argv[at]);
            puts("passed");
        }
        close(orders[1]);
    }
    for (way = ways; !is(KEEPS); way++) {
    }
    close_end(&old);
    printf("retries %d\n", retries);
    int status;
    if (!end.is_server) {
        check(waitpid(child, &status, 0) == child && status == 0, "the server");
        say_done();
    }
    return 0;
}
