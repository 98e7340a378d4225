/* ranks_mpi.c - the same all-reduces by MPI, in place; medians of the slower rank, as in ranks.c.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static const int sizes[] = {1, 4096, 262144, 6553600};
    static const char *const names[] = {"4 B", "16 KB", "1 MB", "25 MB"};
    static double t[20000];
    int rank;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    float *x = calloc((size_t)sizes[3], sizeof *x);
    for (int s = 0; s < 4; s++) {
        const double end = MPI_Wtime() + 2;
        double both[2] = {0, 0};
        int n = -3;
        while (n < 20000 && both[1] == 0) {
            MPI_Barrier(MPI_COMM_WORLD);
            const double start = MPI_Wtime();
            MPI_Allreduce(MPI_IN_PLACE, x, sizes[s], MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
            both[0] = MPI_Wtime() - start;
            both[1] = MPI_Wtime() > end;
            MPI_Allreduce(MPI_IN_PLACE, both, 2, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
            if (n >= 0) t[n] = both[0];
            n++;
        }
        qsort(t, (size_t)n, sizeof *t, by_value);
        if (rank == 0)
            printf("MPI all-reduce %-11s %10.1f us  least %10.1f us  of %d\n", names[s],
                   t[n / 2] * 1e6, t[0] * 1e6, n);
    }
    MPI_Finalize();
    return 0;
}
