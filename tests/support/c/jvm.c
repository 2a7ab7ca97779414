/* A library with the function that starts a Java virtual machine, whose TLS is not traced. */
int JNI_CreateJavaVM(void **machine, void **environment, void *arguments);

int JNI_CreateJavaVM(void **machine, void **environment, void *arguments) {
    (void)machine, (void)environment, (void)arguments;
    return -1;
}
