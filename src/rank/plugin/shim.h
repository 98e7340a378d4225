/*
 * shim.h - what the library asks of MPI, without MPI's types: they differ between OpenMPI and
 * MPICH.
 *
 * libtabmill_mpi.so is built by mpicc and opened at run time; it has one function, tabmill_mpi(),
 * which gives this table.  All calls come from one thread, which also made the first (init).  Those
 * that start something give a request >= 0, to be asked about with test() until it is done.  Every
 * function returns 0, or an error of MPI for words().
 */
#ifndef MILL_RANK_PLUGIN_SHIM_H
#define MILL_RANK_PLUGIN_SHIM_H

enum { MPI_SHIM_VERSION = 1, MPI_SHIM_REQUESTS = 600 };

typedef struct {
    int version;
    int (*init)(int *rank, int *world);
    int (*gather)(int *request, void *all, const void *mine, int n); /* n bytes of each */
    /* Floats: count[r] of mine from at[r] go to rank r; its n_in floats for us come to in + r *
     * n_in */
    int (*deal)(int *request, float *in, int n_in, const float *mine, const int *count,
                const int *at);
    /* In place: rank r has count[r] floats at x + at[r]. */
    int (*join)(int *request, float *x, const int *count, const int *at);
    int (*tell)(int *request, int rank, const void *p, int n); /* a note to one rank */
    int (*hear)(int *request, void *p, int n);                 /* a note from anybody */
    int (*test)(int request, int *is_done);
    void (*words)(int err, char *text, int size);
    int (*end)(void);
} mpi_shim;

const mpi_shim *tabmill_mpi(void);

#endif
