/* A client that calls OpenSSL in different ways. Arguments: port, number of requests, way.
 *
 * It requests /small/N from 127.0.0.1, one after the other on kept-alive connections, and checks each response. It
 * prints "up" when the tracer can attach, starts at a line on stdin, prints "done" after its last response, and ends at
 * the end of stdin.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { BODY = 8192, HUGE = 3 * 1024 * 1024 };

static int port, requests;
static const char *way;
static SSL_CTX *context;

static int is(const char *name) {
    return strcmp(way, name) == 0;
}

static void handshake(SSL *ssl) {
    check(SSL_set_fd(ssl, connect_to(port)) == 1, "SSL_set_fd");
    check(SSL_connect(ssl) == 1, "SSL_connect");
}

static SSL *open_connection(void) {
    SSL *ssl = SSL_new(context);
    check(ssl != NULL, "SSL_new");
    handshake(ssl);
    return ssl;
}

/* Ends a connection and uses its SSL object for a new one. */
static void reuse(SSL *ssl) {
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    check(SSL_clear(ssl) == 1, "SSL_clear");
    handshake(ssl);
    close(fd);
}

/* --- custom BIOs, which act within a call of the library --- */

static void *pages;
static jmp_buf before_read;
static int jumps;

/* Drops the pages of the body before it writes to the socket. */
static int write_and_drop_pages(BIO *bio, const char *bytes, int size) {
    if (pages != NULL)
        check(madvise(pages, BODY, MADV_DONTNEED) == 0, "madvise");
    int written = write((int)(long)BIO_get_data(bio), bytes, size);
    check(written == size, "write");
    return written;
}

static int read_or_jump(BIO *bio, char *bytes, int size) {
    if (jumps > 0) {
        jumps--;
        longjmp(before_read, 1);
    }
    return read((int)(long)BIO_get_data(bio), bytes, size);
}

static SSL *open_connection_with_own_bio(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");
    BIO_meth_set_write(method, write_and_drop_pages);
    BIO_meth_set_read(method, read_or_jump);
    BIO_meth_set_ctrl(method, control);
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(context);
    check(bio != NULL && ssl != NULL, "BIO_new");
    BIO_set_data(bio, (void *)(long)connect_to(port));
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    check(SSL_connect(ssl) == 1, "SSL_connect");
    return ssl;
}

/* Kills the process at the system calls 335 and 336, which probes use on x86-64, as an allow-list of older kernels
 * does. */
static void forbid_probe_calls(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 335, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 336, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

/* --- requests and responses --- */

/* Returns the BIO that reads and writes through a connection. */
static BIO *filter_of(SSL *ssl) {
    static BIO *filter;
    static SSL *inner;
    if (inner != ssl) {
        BIO_free(filter);
        filter = BIO_new(BIO_f_ssl());
        check(filter != NULL && BIO_set_ssl(filter, ssl, BIO_NOCLOSE) == 1, "BIO_f_ssl");
        inner = ssl;
    }
    return filter;
}

static void send_all(SSL *ssl, const char *bytes, int size) {
    size_t written = 0;
    if (is("ex"))
        check(SSL_write_ex(ssl, bytes, size, &written) == 1, "SSL_write_ex");
    else if (is("bio"))
        written = BIO_write(filter_of(ssl), bytes, size);
    else
        written = SSL_write(ssl, bytes, size);
    check(written == (size_t)size, "SSL_write");
}

static int receive(SSL *ssl, char *bytes, int size) {
    size_t count = 0;
    if (is("peek")) {
        check(SSL_peek(ssl, bytes, size) > 0, "SSL_peek");
        check(SSL_peek_ex(ssl, bytes, size, &count) == 1, "SSL_peek_ex");
    }
    if (is("ex")) {
        check(SSL_read_ex(ssl, bytes, size, &count) == 1, "SSL_read_ex");
        return count;
    }
    if (is("bio")) {
        int got = BIO_read(filter_of(ssl), bytes, size);
        check(got > 0, "BIO_read");
        return got;
    }
    if (is("longjmp")) {
        jumps = 2;
        setjmp(before_read);
    }
    int got = SSL_read(ssl, bytes, size);
    check(got > 0, "SSL_read");
    return got;
}

/* The response to a GET has a body of 6 bytes, that to a PUT none. */
static void expect_answer(SSL *ssl, const char *body) {
    char answer[4096];
    int got = 0;
    char *end = NULL;
    do {
        got += receive(ssl, answer + got, sizeof answer - 1 - got);
        answer[got] = 0;
        end = strstr(answer, "\r\n\r\n");
    } while (end == NULL || strlen(end + 4) < strlen(body));
    check(strncmp(answer, "HTTP/1.1 20", 11) == 0 && strcmp(end + 4, body) == 0, answer);
}

static void get(SSL *ssl, const char *name, int number) {
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /small/%s-%d HTTP/1.1\r\nHost: localhost\r\nX-Thread: %s\r\n\r\n", name, number, name);
    send_all(ssl, request, size);
    expect_answer(ssl, "small\n");
}

/* The body is a mapped file, so that its pages can be dropped and read again. */
static void put_from_absent_pages(SSL *ssl, int number) {
    char head[256];
    int size = snprintf(head, sizeof head, "PUT /upload/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
                        number, BODY);
    send_all(ssl, head, size);
    FILE *file = tmpfile();
    char byte = 'b';
    for (int at = 0; at < BODY; at++)
        check(fwrite(&byte, 1, 1, file) == 1, "fwrite");
    fflush(file);
    pages = mmap(NULL, BODY, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    check(pages != MAP_FAILED, "mmap");
    send_all(ssl, pages, BODY);
    munmap(pages, BODY);
    pages = NULL;
    fclose(file);
    expect_answer(ssl, "");
}

/* Sends head and body in one call, which exceeds the limit of captured bytes. */
static void put_in_one_call(SSL *ssl, int number) {
    char *request = malloc(HUGE + 256);
    check(request != NULL, "malloc");
    int size = snprintf(request, 256, "PUT /upload/%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n",
                        number, HUGE);
    memset(request + size, 'b', HUGE);
    send_all(ssl, request, size + HUGE);
    free(request);
    expect_answer(ssl, "");
}

static void *ask(void *name) {
    SSL *ssl = is("absent") || is("longjmp") ? open_connection_with_own_bio() : open_connection();
    for (int number = 0; number < requests; number++) {
        if (is("clear") && number > 0 && number % 10 == 0)
            reuse(ssl);
        if (is("absent") && number % 2 == 1)
            put_from_absent_pages(ssl, number);
        else if (is("huge") && number % 2 == 1)
            put_in_one_call(ssl, number);
        else
            get(ssl, name, number);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    return NULL;
}

int main(int argc, char **argv) {
    check(argc == 4, "port, requests, way");
    port = atoi(argv[1]);
    requests = atoi(argv[2]);
    way = argv[3];
    context = SSL_CTX_new(TLS_client_method());
    if (is("seccomp"))
        forbid_probe_calls();
    say_up();
    if (is("threads")) {
        pthread_t one, two;
        check(pthread_create(&one, NULL, ask, "one") == 0 && pthread_create(&two, NULL, ask, "two") == 0, "threads");
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    } else {
        ask("main");
    }
    say_done();
    return 0;
}
