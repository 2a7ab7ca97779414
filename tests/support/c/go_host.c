/* Runs a program of Go that was built as a library: `go_host LIBRARY ARGUMENT...`. */
#include <dlfcn.h>
#include <stdio.h>

int main(int count, char **arguments) {
	void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW) : NULL;
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	void (*run)(void);
	*(void **)&run = dlsym(library, "Run");
	if (!run) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	run();
	return 0;
}
