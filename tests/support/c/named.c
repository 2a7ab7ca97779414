/* A client of Mbed TLS, wolfSSL or NSS, by a macro: OF_MBEDTLS, OF_WOLFSSL or OF_NSS. Arguments: port, number of
 * requests, way.
 *
 * It alternates GET /small/N and PUT /upload/N with BODY bytes, on one connection to 127.0.0.1, and checks each response. It
 * prints "up" when the tracer can attach, starts at a line on stdin, prints "done" after its last response, and ends at the end
 * of stdin. The ways are "plain"; "again", with a socket that does not block; "own", with functions of its own to send and
 * receive; "late", with one request before the first line; and "stuck", which then waits for an answer that does not come.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A piece is below what tlscope captures of a call. */
enum { BODY = 2 * 1024 * 1024 + 5, PIECE = 600007, AGAIN_READ = -1, AGAIN_WRITE = -2, FAILED = -3 };

static const char *way;
static int fd;
static char body[BODY];

static int is(const char *name) {
    return strcmp(way, name) == 0;
}

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

#ifndef OF_NSS
/* Functions of the program's own, for the way "own". The pointer leads to no descriptor. */
static int *own = &fd;

static int own_send(const void *bytes, size_t size) {
    return (int)write(*own, bytes, size);
}

static int own_receive(void *bytes, size_t size) {
    return (int)read(*own, bytes, size);
}
#endif

#ifdef OF_MBEDTLS
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

static mbedtls_ssl_context session;
static mbedtls_net_context net;

static int push(void *at, const unsigned char *bytes, size_t size) {
    (void)at;
    return own_send(bytes, size);
}

static int pull(void *at, unsigned char *bytes, size_t size) {
    (void)at;
    return own_receive(bytes, size);
}

static void begin(void) {
    static mbedtls_ssl_config config;
    static mbedtls_entropy_context entropy;
    static mbedtls_ctr_drbg_context random;
    mbedtls_ssl_init(&session);
    mbedtls_ssl_config_init(&config);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    check(mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) == 0, "seed");
    check(mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                      MBEDTLS_SSL_PRESET_DEFAULT) == 0, "defaults");
    mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
    check(mbedtls_ssl_setup(&session, &config) == 0, "setup");
    net.fd = fd;
    if (is("own"))
        mbedtls_ssl_set_bio(&session, "no descriptor", push, pull, NULL);
    else
        mbedtls_ssl_set_bio(&session, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
    check(mbedtls_ssl_handshake(&session) == 0, "handshake");
}

static int result(int moved) {
    return moved == MBEDTLS_ERR_SSL_WANT_READ ? AGAIN_READ : moved == MBEDTLS_ERR_SSL_WANT_WRITE ? AGAIN_WRITE
           : moved <= 0                       ? FAILED
                                              : moved;
}

static int tls_write(const char *bytes, size_t size) {
    return result(mbedtls_ssl_write(&session, (const unsigned char *)bytes, size));
}

static int tls_read(char *bytes, size_t size) {
    return result(mbedtls_ssl_read(&session, (unsigned char *)bytes, size));
}

static void end(void) {
    mbedtls_ssl_close_notify(&session);
    mbedtls_ssl_free(&session);
}
#endif

#ifdef OF_WOLFSSL
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

static WOLFSSL *session;

static int push(WOLFSSL *of, char *bytes, int size, void *at) {
    (void)of, (void)at;
    return own_send(bytes, size);
}

static int pull(WOLFSSL *of, char *bytes, int size, void *at) {
    (void)of, (void)at;
    return own_receive(bytes, size);
}

static void begin(void) {
    check(wolfSSL_Init() == WOLFSSL_SUCCESS, "wolfSSL_Init");
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfTLS_client_method());
    check(context != NULL, "wolfSSL_CTX_new");
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
    if (is("own")) {
        wolfSSL_CTX_SetIOSend(context, push);
        wolfSSL_CTX_SetIORecv(context, pull);
    }
    check((session = wolfSSL_new(context)) != NULL, "wolfSSL_new");
    if (!is("own"))
        check(wolfSSL_set_fd(session, fd) == WOLFSSL_SUCCESS, "wolfSSL_set_fd");
    check(wolfSSL_connect(session) == WOLFSSL_SUCCESS, "wolfSSL_connect");
}

static int result(int moved) {
    if (moved > 0)
        return moved;
    int error = wolfSSL_get_error(session, moved);
    return error == WOLFSSL_ERROR_WANT_READ ? AGAIN_READ : error == WOLFSSL_ERROR_WANT_WRITE ? AGAIN_WRITE : FAILED;
}

static int tls_write(const char *bytes, size_t size) {
    return result(wolfSSL_write(session, bytes, (int)size));
}

static int tls_read(char *bytes, size_t size) {
    /* What is looked at is read again. */
    char looked[1];
    int moved = is("stuck") ? 1 : wolfSSL_peek(session, looked, 1);
    return moved <= 0 ? result(moved) : result(wolfSSL_read(session, bytes, (int)size));
}

static void end(void) {
    wolfSSL_shutdown(session);
    wolfSSL_free(session);
}
#endif

#ifdef OF_NSS
#include <nspr.h>
#include <nss.h>
#include <private/pprio.h>
#include <ssl.h>

static PRFileDesc *session;

static SECStatus accept_any(void *at, PRFileDesc *of, PRBool signature, PRBool server) {
    (void)at, (void)of, (void)signature, (void)server;
    return SECSuccess;
}

static void begin(void) {
    check(NSS_NoDB_Init(NULL) == SECSuccess && NSS_SetDomesticPolicy() == SECSuccess, "NSS_NoDB_Init");
    PRFileDesc *plain = PR_ImportTCPSocket(fd);
    check(plain != NULL && (session = SSL_ImportFD(NULL, plain)) != NULL, "SSL_ImportFD");
    PRSocketOptionData option = {.option = PR_SockOpt_Nonblocking, .value.non_blocking = is("again")};
    check(PR_SetSocketOption(session, &option) == PR_SUCCESS, "PR_SetSocketOption");
    check(SSL_OptionSet(session, SSL_SECURITY, PR_TRUE) == SECSuccess &&
              SSL_OptionSet(session, SSL_HANDSHAKE_AS_CLIENT, PR_TRUE) == SECSuccess &&
              SSL_AuthCertificateHook(session, accept_any, NULL) == SECSuccess &&
              SSL_SetURL(session, "localhost") == SECSuccess && SSL_ResetHandshake(session, PR_FALSE) == SECSuccess,
          "options");
}

static int result(int moved, int again) {
    return moved > 0 ? moved : moved < 0 && PR_GetError() == PR_WOULD_BLOCK_ERROR ? again : FAILED;
}

static int tls_write(const char *bytes, size_t size) {
    static int turn = 0;
    int moved = turn++ % 2 ? PR_Write(session, bytes, size) : PR_Send(session, bytes, size, 0, PR_INTERVAL_NO_TIMEOUT);
    return result(moved, AGAIN_WRITE);
}

static int tls_read(char *bytes, size_t size) {
    static int turn = 0;
    /* What is looked at is read again. */
    char looked[1];
    int moved = is("stuck") ? 1 : PR_Recv(session, looked, 1, PR_MSG_PEEK, PR_INTERVAL_NO_TIMEOUT);
    if (moved <= 0)
        return result(moved, AGAIN_READ);
    moved = turn++ % 2 ? PR_Read(session, bytes, size) : PR_Recv(session, bytes, size, 0, PR_INTERVAL_NO_TIMEOUT);
    return result(moved, AGAIN_READ);
}

static void end(void) {
    PR_Close(session);
}
#endif

static void open_connection(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int small = 4096;
    check((fd = socket(AF_INET, SOCK_STREAM, 0)) >= 0, "socket");
    /* Makes writes that do not block fail often. */
    check(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0, "SO_SNDBUF");
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    begin();
    if (is("again"))
        check(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK");
}

static void wait_for(int again) {
    struct pollfd one = {.fd = fd, .events = again == AGAIN_READ ? POLLIN : POLLOUT};
    check(poll(&one, 1, 10000) == 1, "poll");
}

/* Sends all bytes. Repeats a call that cannot go on with the same arguments. */
static void send_all(const char *bytes, size_t size) {
    while (size > 0) {
        int sent = tls_write(bytes, size < PIECE ? size : PIECE);
        if (sent == AGAIN_READ || sent == AGAIN_WRITE) {
            wait_for(sent);
            continue;
        }
        check(sent > 0, "write");
        bytes += sent;
        size -= sent;
    }
}

static void expect_answer(const char *expected) {
    char answer[4096];
    size_t got = 0;
    char *end_of_head = NULL;
    do {
        int more = tls_read(answer + got, sizeof answer - 1 - got);
        if (more == AGAIN_READ || more == AGAIN_WRITE) {
            wait_for(more);
            continue;
        }
        check(more > 0, "read");
        answer[got += more] = 0;
        end_of_head = strstr(answer, "\r\n\r\n");
    } while (end_of_head == NULL || strlen(end_of_head + 4) < strlen(expected));
    check(strncmp(answer, "HTTP/1.1 20", 11) == 0 && strcmp(end_of_head + 4, expected) == 0, answer);
}

static void ask(int number) {
    char head[256];
    int puts = number % 2;
    size_t size = puts ? BODY : 0;
    const char *target = puts ? "PUT /upload" : "GET /small";
    int head_size = snprintf(head, sizeof head, "%s/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", target,
                             number, size);
    send_all(head, head_size);
    send_all(body, size);
    expect_answer(puts ? "" : "small\n");
}

int main(int argc, char **argv) {
    check(argc == 4, "port, requests, way");
    int port = atoi(argv[1]), requests = atoi(argv[2]), first = 0;
    way = argv[3];
    memset(body, 'b', sizeof body);
    if (is("late")) {
        open_connection(port);
        ask(first++);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
    if (!is("late"))
        open_connection(port);
    for (int number = first; number < requests; number++)
        ask(number);
    if (is("stuck")) {
        puts("stuck");
        expect_answer("nothing");
    }
    end();
    puts("done");
    while (getchar() != EOF) {
    }
    return 0;
}
