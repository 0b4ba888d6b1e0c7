/* Preloaded, it lets only so many threads live at once, as a limit of processes does: `few_threads_more` beyond those
 * that live already. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef void *(*Start)(void *);
typedef int (*Create)(pthread_t *, const pthread_attr_t *, Start, void *);
typedef struct {
    Start start;
    void *argument;
} Call;

atomic_int few_threads_more = 1 << 20;

static void leave(void *unused) {
    (void)unused;
    atomic_fetch_add(&few_threads_more, 1);
}

static void *enter(void *given) {
    Call call = *(Call *)given;
    void *result = NULL;
    free(given);
    pthread_cleanup_push(leave, NULL);
    result = call.start(call.argument);
    pthread_cleanup_pop(1);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, Start start, void *argument) {
    static Create create;
    Call *call = NULL;
    int error = EAGAIN;
    if (create == NULL) {
        *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    }
    if (atomic_fetch_sub(&few_threads_more, 1) > 0 && (call = malloc(sizeof *call)) != NULL) {
        *call = (Call){start, argument};
        error = create(thread, attributes, enter, call);
    }
    if (error != 0) {
        free(call);
        atomic_fetch_add(&few_threads_more, 1);
    }
    return error;
}
