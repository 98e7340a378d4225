/*
 * err.h - one way to fail.
 *
 * A function that can fail returns mill_err.  Where the fault is found, mill_fail()
 * records what happened in words; on the way up, TRY() passes the code along.
 * The message belongs to the calling thread and lives until its next mill_fail().
 */
#ifndef MILL_BASE_ERR_H
#define MILL_BASE_ERR_H

typedef enum {
    MILL_OK = 0,
    MILL_ENOMEM,  /* an allocation failed; nothing changed */
    MILL_ESHAPE,  /* operands do not fit together */
    MILL_EINPUT,  /* a file, a flag or a value from outside is wrong */
    MILL_EIO,     /* the system refused; errno text is in the message */
    MILL_EDEVICE, /* CUDA, NCCL or MPI refused */
    MILL_N_ERR
} mill_err;

/* Record a printf-style message and return `code`, so that it can be returned. */
mill_err mill_fail(mill_err code, const char *fmt, ...) __attribute__((format(printf, 2, 3), cold));

/* The calling thread's last message; never NULL, "" before the first failure. */
const char *mill_error(void);

/* Return from the enclosing function with the error, if there is one. */
#define TRY(call)                         \
    do {                                  \
        const mill_err err_ = (call);     \
        if (err_ != MILL_OK) return err_; \
    } while (0)

#ifdef __clang_analyzer__
/* It sees one file at a time, and so not that the result is `code`, an error. */
#define mill_fail(code, ...) ((void)mill_fail(code, __VA_ARGS__), (code))
#endif

#endif
