/* A client that is traced with a table of calls with one entry. Arguments: port, way.
 *
 * It requests /small/N from 127.0.0.1, one after the other on one connection. In the middle of the second request (way
 * "request") or of its response (way "response") another thread is inside a call, so that tlscope cannot track one call
 * of the connection. Prints and waits as the other programs do.
 */
#include "common.h"

#include <openssl/bio.h>
#include <pthread.h>
#include <semaphore.h>

static sem_t inside, leave;
static SSL_CTX *context;

static int wait_inside(BIO *bio, char *bytes, int size) {
    (void)bio, (void)bytes, (void)size;
    sem_post(&inside);
    sem_wait(&leave);
    return -1;
}

static int write_nowhere(BIO *bio, const char *bytes, int size) {
    (void)bio, (void)bytes;
    return size;
}

/* Stays inside SSL_read until `leave` is posted. */
static void *hold_a_call(void *unused) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");
    BIO_meth_set_write(method, write_nowhere);
    BIO_meth_set_read(method, wait_inside);
    BIO_meth_set_ctrl(method, control);
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(context);
    check(bio != NULL && ssl != NULL, "BIO_new");
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    char byte;
    check(SSL_read(ssl, &byte, 1) <= 0, "SSL_read");
    SSL_free(ssl);
    return unused;
}

static void send_text(SSL *ssl, const char *text) {
    check(SSL_write(ssl, text, strlen(text)) == (int)strlen(text), "SSL_write");
}

/* Reads a response up to `wanted` bytes, or to its end. */
static int receive(SSL *ssl, char *answer, int got, int wanted) {
    while (got < wanted && strstr(answer, "\r\n\r\nsmall\n") == NULL) {
        int more = SSL_read(ssl, answer + got, wanted - got);
        check(more > 0, "SSL_read");
        answer[got += more] = 0;
    }
    return got;
}

static void get(SSL *ssl, int number) {
    char text[256], answer[4096] = "";
    snprintf(text, sizeof text, "GET /small/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", number);
    send_text(ssl, text);
    receive(ssl, answer, 0, sizeof answer - 1);
}

int main(int argc, char **argv) {
    check(argc == 3, "port, way");
    int in_request = strcmp(argv[2], "request") == 0;
    char answer[4096] = "";
    context = SSL_CTX_new(TLS_client_method());
    check(sem_init(&inside, 0, 0) == 0 && sem_init(&leave, 0, 0) == 0, "sem_init");
    say_up();
    SSL *ssl = SSL_new(context);
    check(SSL_set_fd(ssl, connect_to(atoi(argv[1]))) == 1 && SSL_connect(ssl) == 1, "SSL_connect");
    get(ssl, 1);

    pthread_t holder;
    send_text(ssl, "GET /small/2 HTTP/1.1\r\nHost: localhost\r\nX-Account: al");
    if (!in_request) {
        send_text(ssl, "ice\r\n\r\n");
        receive(ssl, answer, 0, 30);
    }
    check(pthread_create(&holder, NULL, hold_a_call, NULL) == 0, "pthread_create");
    sem_wait(&inside);
    if (in_request)
        send_text(ssl, "ice\r\nX-Role: ");
    else
        receive(ssl, answer, 30, 60);
    sem_post(&leave);
    pthread_join(holder, NULL);
    if (in_request)
        send_text(ssl, "admin\r\n\r\n");
    receive(ssl, answer, strlen(answer), sizeof answer - 1);

    for (int number = 3; number < 6; number++)
        get(ssl, number);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    say_done();
    return 0;
}
