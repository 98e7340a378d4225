/* mpi.c - shim.h over any MPI; see there. */
#include "shim.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE = 7771 };

static MPI_Request request[MPI_SHIM_REQUESTS];
static MPI_Comm comm;
static int world;
static int *in_count, *in_at;

static int free_request(int *at)
{
    for (*at = 0; *at < MPI_SHIM_REQUESTS; ++*at)
        if (request[*at] == MPI_REQUEST_NULL) return 0;
    return MPI_ERR_OTHER;
}

static int init(int *rank, int *size)
{
    int given, err;

    for (int i = 0; i < MPI_SHIM_REQUESTS; i++) request[i] = MPI_REQUEST_NULL;
    if ((err = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &given))) return err;
    if ((err = MPI_Comm_dup(MPI_COMM_WORLD, &comm))) return err;
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(comm, rank);
    MPI_Comm_size(comm, size);
    world = *size;
    in_count = calloc((size_t)world, sizeof *in_count);
    in_at = calloc((size_t)world, sizeof *in_at);
    return in_count && in_at ? 0 : MPI_ERR_NO_MEM;
}

static int gather(int *r, void *all, const void *mine, int n)
{
    const int err = free_request(r);

    return err ? err : MPI_Iallgather(mine, n, MPI_BYTE, all, n, MPI_BYTE, comm, &request[*r]);
}

static int deal(int *r, float *in, int n_in, const float *mine, const int *count, const int *at)
{
    const int err = free_request(r);

    if (err) return err;
    for (int i = 0; i < world; i++) {
        in_count[i] = n_in;
        in_at[i] = i * n_in;
    }
    return MPI_Ialltoallv(mine, count, at, MPI_FLOAT, in, in_count, in_at, MPI_FLOAT, comm,
                          &request[*r]);
}

static int join(int *r, float *x, const int *count, const int *at)
{
    const int err = free_request(r);

    return err ? err
               : MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, count, at, MPI_FLOAT, comm,
                                 &request[*r]);
}

static int tell(int *r, int rank, const void *p, int n)
{
    const int err = free_request(r);

    return err ? err : MPI_Isend(p, n, MPI_BYTE, rank, NOTE, comm, &request[*r]);
}

static int hear(int *r, void *p, int n)
{
    const int err = free_request(r);

    return err ? err : MPI_Irecv(p, n, MPI_BYTE, MPI_ANY_SOURCE, NOTE, comm, &request[*r]);
}

static int test(int r, int *is_done)
{
    return MPI_Test(&request[r], is_done, MPI_STATUS_IGNORE);
}

static void words(int err, char *text, int size)
{
    char all[MPI_MAX_ERROR_STRING];
    int n;

    MPI_Error_string(err, all, &n);
    snprintf(text, (size_t)size, "%s", all);
}

static int end(void)
{
    for (int i = 0; i < MPI_SHIM_REQUESTS; i++) /* the note that never came */
        if (request[i] != MPI_REQUEST_NULL) {
            MPI_Cancel(&request[i]);
            MPI_Request_free(&request[i]);
        }
    free(in_count);
    free(in_at);
    MPI_Comm_free(&comm);
    return MPI_Finalize();
}

const mpi_shim *tabmill_mpi(void)
{
    static const mpi_shim shim = {
        MPI_SHIM_VERSION, init, gather, deal, join, tell, hear, test, words, end};
    return &shim;
}
