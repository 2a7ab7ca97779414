/* Reads fields of OpenSSL's structures at offsets it is told, and holds them against what the library's functions say.
 *
 * Words: "libraries", to print where libssl and libcrypto lie; or a protocol version (771 or 772), "fresh" or
 * "resumed", "heeded" or "unheeded" (by a callback for server names), and the offsets in the order of `enum offset`.
 * Client and server are in this process, and talk through memory. It needs no file and no network, fails with what
 * differs, and prints how much it has compared.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum offset {
    RBIO, WBIO, BIO_METHOD_AT, BIO_NUM, VERSION, SESSION, SESSION_CIPHER, CIPHER_NAME, ALPN, ALPN_LENGTH, SERVER_NAME,
    SESSION_SERVER_NAME, OFFSETS
};

/* The first words of every BIO_METHOD. */
enum { SOCKET_TYPE = 0x505, UNKNOWN = -1 };

static const char NAME[] = "gateway.test";
static long offsets[OFFSETS];
static int compared;

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "handshake.c: %s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

static void same(int holds, const char *what) {
    compared++;
    check(holds, what);
}

static void *pointer_at(const void *structure, enum offset offset) {
    void *value;
    memcpy(&value, (const char *)structure + offsets[offset], sizeof value);
    return value;
}

static int int_at(const void *structure, enum offset offset) {
    int value;
    memcpy(&value, (const char *)structure + offsets[offset], sizeof value);
    return value;
}

static int knows(enum offset offset) {
    return offsets[offset] != UNKNOWN;
}

static int both_null_or_equal(const char *one, const char *other) {
    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

static void compare_bios(SSL *ssl) {
    same(pointer_at(ssl, RBIO) == SSL_get_rbio(ssl), "the BIO read from differs");
    same(pointer_at(ssl, WBIO) == SSL_get_wbio(ssl), "the BIO written to differs");
}

static void compare_cipher(SSL *ssl, const void *session) {
    const char *name = "(NONE)";
    if (session != NULL && pointer_at(session, SESSION_CIPHER) != NULL)
        name = pointer_at(pointer_at(session, SESSION_CIPHER), CIPHER_NAME);
    same(strcmp(name, SSL_get_cipher_name(ssl)) == 0, "the cipher differs");
}

static void compare_alpn(SSL *ssl) {
    const unsigned char *protocol;
    unsigned length;
    if (!knows(ALPN))
        return;
    SSL_get0_alpn_selected(ssl, &protocol, &length);
    same(pointer_at(ssl, ALPN) == protocol, "the application protocol differs");
    same(protocol == NULL || (unsigned)int_at(ssl, ALPN_LENGTH) == length, "its length differs");
}

static void compare(SSL *ssl) {
    const void *session = pointer_at(ssl, SESSION);
    compare_bios(ssl);
    same(int_at(ssl, VERSION) == SSL_version(ssl), "the version differs");
    same(session == SSL_get_session(ssl), "the session differs");
    compare_cipher(ssl, session);
    compare_alpn(ssl);
}

/* As the tracer does after a handshake: what the SSL has, else what its session has. */
static void compare_server_name(SSL *ssl) {
    const void *session = pointer_at(ssl, SESSION);
    const char *name = pointer_at(ssl, SERVER_NAME);
    if (name == NULL && session != NULL)
        name = pointer_at(session, SESSION_SERVER_NAME);
    same(both_null_or_equal(name, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)), "the server name differs");
}

static void compare_socket_bio(SSL_CTX *context) {
    int pair[2];
    SSL *ssl = SSL_new(context);
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "there are no sockets");
    check(SSL_set_fd(ssl, pair[1]) == 1, "the SSL has no descriptor");
    const void *bio = pointer_at(ssl, RBIO);
    same(*(const int *)pointer_at(bio, BIO_METHOD_AT) == SOCKET_TYPE, "the type of a socket BIO differs");
    same(int_at(bio, BIO_NUM) == SSL_get_fd(ssl), "the descriptor differs");
    SSL_free(ssl);
}

static int take_name(SSL *ssl, int *alert, void *argument) {
    (void)ssl, (void)alert, (void)argument;
    return SSL_TLSEXT_ERR_OK;
}

static int take_h2(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *in, unsigned count,
                   void *argument) {
    (void)ssl, (void)argument;
    check(count == 3, "one protocol is offered");
    *out = in + 1, *length = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static void certify(SSL_CTX *context) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, NULL);
    X509 *certificate = X509_new();
    check(EVP_PKEY_keygen_init(maker) == 1 && EVP_PKEY_keygen(maker, &key) == 1, "there is no key");
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    check(X509_sign(certificate, key, NULL) > 0, "there is no certificate");
    check(SSL_CTX_use_certificate(context, certificate) == 1, "the certificate is refused");
    check(SSL_CTX_use_PrivateKey(context, key) == 1, "the key is refused");
}

static SSL_CTX *server_context(int version, int heeded) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    certify(context);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)NAME, sizeof NAME);
    SSL_CTX_set_alpn_select_cb(context, take_h2, NULL);
    if (heeded)
        SSL_CTX_set_tlsext_servername_callback(context, take_name);
    return context;
}

static int advance(SSL *ssl) {
    int result = SSL_do_handshake(ssl);
    int error = SSL_get_error(ssl, result);
    check(result == 1 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE, "the handshake fails");
    return result == 1;
}

/* Hands the client a byte, and with it the tickets that come before it. */
static void talk(SSL *server, SSL *client) {
    char byte = 'x';
    check(SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1, "nothing comes through");
}

static SSL_SESSION *connect_both(SSL_CTX *servers, SSL_CTX *clients, SSL_SESSION *resumed) {
    SSL *server = SSL_new(servers), *client = SSL_new(clients);
    BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());
    compare(server), compare(client);
    BIO_up_ref(to_server), BIO_up_ref(to_client);
    SSL_set_bio(server, to_server, to_client);
    SSL_set_bio(client, to_client, to_server);
    SSL_set_accept_state(server), SSL_set_connect_state(client);
    SSL_set_tlsext_host_name(client, NAME);
    SSL_set_alpn_protos(client, (const unsigned char *)"\2h2", 3);
    if (resumed != NULL)
        check(SSL_set_session(client, resumed) == 1, "the session is refused");
    for (int round = 0, done = 0; !done; round++) {
        check(round < 100, "the handshake does not end");
        int client_done = advance(client);
        done = advance(server) && client_done;
    }
    talk(server, client);
    check(SSL_session_reused(client) == (resumed != NULL), "whether the session is resumed differs");
    compare(server), compare(client);
    compare_server_name(server), compare_server_name(client);
    SSL_SESSION *session = SSL_get1_session(client);
    SSL_shutdown(server), SSL_shutdown(client);
    SSL_free(server), SSL_free(client);
    return session;
}

static void print_library(void *function) {
    Dl_info info;
    check(dladdr(function, &info) != 0, "a library has no name");
    puts(info.dli_fname);
}

int main(int count, char **words) {
    if (count == 2 && strcmp(words[1], "libraries") == 0) {
        print_library((void *)SSL_new);
        print_library((void *)BIO_new);
        return 0;
    }
    check(count == 4 + OFFSETS, "there are not as many words as there must be");
    for (int offset = 0; offset < OFFSETS; offset++)
        offsets[offset] = strtol(words[4 + offset], NULL, 0);
    int version = atoi(words[1]);
    SSL_CTX *servers = server_context(version, strcmp(words[3], "heeded") == 0);
    SSL_CTX *clients = SSL_CTX_new(TLS_client_method());
    compare_socket_bio(clients);
    SSL_SESSION *session = connect_both(servers, clients, NULL);
    if (strcmp(words[2], "resumed") == 0)
        connect_both(servers, clients, session);
    printf("%d\n", compared);
    return 0;
}
