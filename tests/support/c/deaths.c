/* Leaves calls of the TLS library without returning. It prints "up", executes the commands on stdin, and prints "did"
 * and the command after each.
 *
 *   kill COUNT      forks COUNT children, a few at a time, each of which is killed inside its first SSL_read
 *   cancel COUNT    starts COUNT threads, and cancels them all inside their first SSL_read
 *   jump COUNT      leaves COUNT calls of SSL_read on a connection by longjmp, each higher on the stack, then reads a byte
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { AT_ONCE = 32, THREADS = 256 };

static SSL_CTX *context;

static void check(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "deaths.c: %s\n", what);
        ERR_print_errors_fp(stderr);
        exit(1);
    }
}

/* Blocks, since nobody answers its ClientHello. */
static void read_forever(int fd) {
    char byte;
    SSL *ssl = SSL_new(context);
    check(ssl != NULL && SSL_set_fd(ssl, fd) == 1, "SSL_set_fd");
    SSL_set_connect_state(ssl);
    SSL_read(ssl, &byte, 1);
    check(0, "SSL_read returned");
}

static void *reader(void *fd) {
    read_forever((int)(long)fd);
    return NULL;
}

/* Waits until the other end is inside SSL_read. */
static void wait_for_hello(int fd) {
    char byte;
    check(read(fd, &byte, 1) == 1, "hello");
}

static void kill_children(int count) {
    while (count > 0) {
        int some = count < AT_ONCE ? count : AT_ONCE, pairs[AT_ONCE][2];
        pid_t children[AT_ONCE];
        for (int child = 0; child < some; child++) {
            check(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[child]) == 0, "socketpair");
            children[child] = fork();
            check(children[child] >= 0, "fork");
            if (children[child] == 0)
                read_forever(pairs[child][1]);
        }
        for (int child = 0; child < some; child++) {
            wait_for_hello(pairs[child][0]);
            check(kill(children[child], SIGKILL) == 0, "kill");
            check(waitpid(children[child], NULL, 0) == children[child], "waitpid");
            close(pairs[child][0]);
            close(pairs[child][1]);
        }
        count -= some;
    }
}

static void cancel_threads(int count) {
    static pthread_t threads[THREADS];
    static int pairs[THREADS][2];
    check(count <= THREADS, "too many threads");
    for (int thread = 0; thread < count; thread++) {
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[thread]) == 0, "socketpair");
        check(pthread_create(&threads[thread], NULL, reader, (void *)(long)pairs[thread][1]) == 0, "pthread_create");
    }
    for (int thread = 0; thread < count; thread++)
        wait_for_hello(pairs[thread][0]);
    for (int thread = 0; thread < count; thread++) {
        check(pthread_cancel(threads[thread]) == 0, "pthread_cancel");
        check(pthread_join(threads[thread], NULL) == 0, "pthread_join");
    }
}

static jmp_buf out;
static int jumps;

/* Reads from the socket, or leaves the call by longjmp. */
static int read_or_jump(BIO *bio, char *into, int room) {
    if (jumps)
        longjmp(out, 1);
    int got = recv((int)(long)BIO_get_data(bio), into, room, MSG_DONTWAIT);
    BIO_clear_retry_flags(bio);
    if (got < 0)
        BIO_set_retry_read(bio);
    return got;
}

static int write_all(BIO *bio, const char *from, int size) {
    return send((int)(long)BIO_get_data(bio), from, size, 0);
}

static long control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* Makes a connection over one end of a socket pair, with a pre-shared key instead of certificates. */
static SSL *connection_over(SSL_CTX *of, int fd) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "jumping");
    BIO_meth_set_read(method, read_or_jump);
    BIO_meth_set_write(method, write_all);
    BIO_meth_set_ctrl(method, control);
    BIO *bio = BIO_new(method);
    SSL *ssl = SSL_new(of);
    check(ssl != NULL && bio != NULL, "SSL_new");
    BIO_set_data(bio, (void *)(long)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

static unsigned client_key(SSL *ssl, const char *hint, char *name, unsigned room, unsigned char *key, unsigned size) {
    (void)ssl, (void)hint, (void)size;
    snprintf(name, room, "name");
    memset(key, 7, 32);
    return 32;
}

static unsigned server_key(SSL *ssl, const char *name, unsigned char *key, unsigned size) {
    (void)ssl, (void)name, (void)size;
    memset(key, 7, 32);
    return 32;
}

static SSL_CTX *with_key(const SSL_METHOD *method) {
    SSL_CTX *made = SSL_CTX_new(method);
    check(made != NULL && SSL_CTX_set_max_proto_version(made, TLS1_2_VERSION) == 1, "SSL_CTX_new");
    check(SSL_CTX_set_cipher_list(made, "PSK") == 1, "ciphers");
    SSL_CTX_set_psk_client_callback(made, client_key);
    SSL_CTX_set_psk_server_callback(made, server_key);
    return made;
}

/* Keeps the compiler from merging the stack frames. */
__attribute__((noinline)) static void read_at_depth(SSL *ssl, int depth) {
    char byte;
    volatile char frame[256];
    frame[0] = (char)depth;
    if (depth > 0)
        read_at_depth(ssl, depth - 1);
    else
        SSL_read(ssl, &byte, 1);
    frame[0]++;
}

static void jump_out(int count) {
    int pair[2];
    char byte = 'x';
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
    SSL *client = connection_over(with_key(TLS_client_method()), pair[0]);
    SSL *server = connection_over(with_key(TLS_server_method()), pair[1]);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int turn = 0; turn < 10; turn++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    check(SSL_is_init_finished(client) && SSL_is_init_finished(server), "handshake");
    for (volatile int depth = count; depth > 0; depth--) {
        jumps = 1;
        if (setjmp(out) == 0)
            read_at_depth(client, depth);
    }
    jumps = 0;
    check(SSL_write(server, &byte, 1) == 1 && SSL_read(client, &byte, 1) == 1, "a byte");
}

int main(void) {
    char line[128];
    int count;
    context = SSL_CTX_new(TLS_client_method());
    check(context != NULL, "SSL_CTX_new");
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("up");
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "kill %d", &count) == 1)
            kill_children(count);
        else if (sscanf(line, "cancel %d", &count) == 1)
            cancel_threads(count);
        else if (sscanf(line, "jump %d", &count) == 1)
            jump_out(count);
        else
            check(0, line);
        printf("did %s", line);
    }
    return 0;
}
