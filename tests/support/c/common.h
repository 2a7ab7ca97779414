/* Functions that the C programs share. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static inline int connect_to(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

/* Returns a socket that listens on any free port of 127.0.0.1. */
static inline int listen_on_loopback(void) {
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    check(listener >= 0 && bind(listener, (struct sockaddr *)&own, sizeof own) == 0 && listen(listener, 64) == 0, "listen");
    return listener;
}

/* Makes a context with a new key and a certificate that it signs. */
static inline SSL_CTX *server_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    check(X509_sign(certificate, key, EVP_sha256()) > 0, "X509_sign");
    check(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1, "key");
    return context;
}

/* Supports flushing only. */
static inline long control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* Prints that the tracer can attach, and waits for a line on stdin. */
static inline void say_up(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    getchar();
}

/* Prints that the work is done, and waits for the end of stdin. */
static inline void say_done(void) {
    puts("done");
    while (getchar() != EOF) {
    }
}
