/*
 * identity.c - which rank is this process, by flags or by the variables of whoever started it.
 *
 *     torchrun   RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE GROUP_RANK GROUP_WORLD_SIZE
 *                TORCHELASTIC_RUN_ID TORCHELASTIC_RESTART_COUNT MASTER_ADDR MASTER_PORT
 *     slurm      SLURM_PROCID SLURM_NTASKS SLURM_LOCALID SLURM_NODEID SLURM_STEP_TASKS_PER_NODE,
 *                and SLURM_STEP_ID: inside srun only.  A batch script has the others too, and is
 *                one process all the same.
 *     openmpi    OMPI_COMM_WORLD_{RANK,SIZE,LOCAL_RANK,LOCAL_SIZE}, PMIX_NAMESPACE
 *     mpich      PMI_RANK PMI_SIZE MPI_LOCALRANKID MPI_LOCALNRANKS
 *
 * The first of these that is there wins: torchrun inside of an allocation of Slurm is torchrun.
 * What it says must be a whole: 0 <= rank < world and 0 <= local rank < local world <= world; the
 * same of flags, which may not contradict what the variables say.
 */
#include "rank/inner.h"

#include "base/cpu.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A count from the environment; *out stays if the variable is not there. */
static mill_err env_int(int *out, const char *name)
{
    const char *text = getenv(name);
    char *end;

    if (!text || !*text) return MILL_OK;
    errno = 0;
    const long v = strtol(text, &end, 10);
    if (*end || errno || v < 0 || v > INT32_MAX || isspace((unsigned char)*text))
        return mill_fail(MILL_EINPUT, "%s=\"%s\" is not a count", name, text);
    *out = (int)v;
    return MILL_OK;
}

static bool is_set(const char *name)
{
    const char *text = getenv(name);

    return text && *text;
}

/* How many tasks Slurm put on node `node`, from "2(x3),1"; -1 if that is not to be had. */
static int slurm_tasks(const char *list, int node)
{
    int first = 0;

    while (list && *list) {
        char *end;
        const long tasks = strtol(list, &end, 10);
        long nodes = 1;

        if (end == list) return -1;
        if (!strncmp(end, "(x", 2)) {
            nodes = strtol(end + 2, &end, 10);
            if (*end++ != ')') return -1;
        }
        if (node < first + nodes) return (int)tasks;
        first += (int)nodes;
        list = *end == ',' ? end + 1 : end;
        if (*end && *end != ',') return -1;
    }
    return -1;
}

/* MASTER_PORT, which on one host is no more than the job's name; but a name that is no port is one
 * that other hosts, and other programs, do not take.  0: it is not there. */
static mill_err env_port(int *out)
{
    *out = 0;
    if (!is_set("MASTER_PORT")) return MILL_OK;
    if (env_int(out, "MASTER_PORT") || *out < 1 || *out > 65535)
        return mill_fail(MILL_EINPUT, "MASTER_PORT=\"%s\" is not a port: 1 to 65535",
                         getenv("MASTER_PORT"));
    return MILL_OK;
}

static mill_err from_torchrun(rank_identity *id)
{
    const char *run = getenv("TORCHELASTIC_RUN_ID");
    int port;

    if (!is_set("WORLD_SIZE"))
        return mill_fail(MILL_EINPUT, "RANK is set and WORLD_SIZE is not: which of them is true?");
    TRY(env_int(&id->rank, "RANK"));
    TRY(env_int(&id->world, "WORLD_SIZE"));
    TRY(env_int(&id->local_rank, "LOCAL_RANK"));
    TRY(env_int(&id->local_world, "LOCAL_WORLD_SIZE"));
    TRY(env_int(&id->node, "GROUP_RANK"));
    TRY(env_int(&id->nodes, "GROUP_WORLD_SIZE"));
    TRY(env_int(&id->restart, "TORCHELASTIC_RESTART_COUNT"));
    TRY(env_port(&port));
    snprintf(id->run_id, sizeof id->run_id, "torchrun:%.64s:%d:%d", run ? run : "none", port,
             id->restart);
    return MILL_OK;
}

static mill_err from_slurm(rank_identity *id)
{
    const char *job = getenv("SLURM_JOB_ID"), *step = getenv("SLURM_STEP_ID");
    const char *tasks = getenv("SLURM_STEP_TASKS_PER_NODE");

    TRY(env_int(&id->rank, "SLURM_PROCID"));
    TRY(env_int(&id->world, "SLURM_NTASKS"));
    TRY(env_int(&id->world, "SLURM_STEP_NUM_TASKS"));
    TRY(env_int(&id->local_rank, "SLURM_LOCALID"));
    TRY(env_int(&id->node, "SLURM_NODEID"));
    TRY(env_int(&id->nodes, "SLURM_STEP_NUM_NODES"));
    TRY(env_int(&id->restart, "SLURM_RESTART_COUNT"));
    id->local_world = slurm_tasks(tasks ? tasks : getenv("SLURM_TASKS_PER_NODE"), id->node);
    snprintf(id->run_id, sizeof id->run_id, "slurm:%.32s:%.32s:%d", job ? job : "",
             step ? step : "", id->restart);
    return MILL_OK;
}

static mill_err from_openmpi(rank_identity *id)
{
    const char *space = getenv("PMIX_NAMESPACE");

    TRY(env_int(&id->rank, "OMPI_COMM_WORLD_RANK"));
    TRY(env_int(&id->world, "OMPI_COMM_WORLD_SIZE"));
    TRY(env_int(&id->local_rank, "OMPI_COMM_WORLD_LOCAL_RANK"));
    TRY(env_int(&id->local_world, "OMPI_COMM_WORLD_LOCAL_SIZE"));
    if (space && *space)
        snprintf(id->run_id, sizeof id->run_id, "openmpi:%.80s", space);
    else
        snprintf(id->run_id, sizeof id->run_id, "openmpi:%d", (int)getppid());
    return MILL_OK;
}

/* Hydra names no job; its proxy is the parent of all ranks of a host. */
static mill_err from_mpich(rank_identity *id)
{
    TRY(env_int(&id->rank, "PMI_RANK"));
    TRY(env_int(&id->world, "PMI_SIZE"));
    TRY(env_int(&id->local_rank, "MPI_LOCALRANKID"));
    TRY(env_int(&id->local_world, "MPI_LOCALNRANKS"));
    snprintf(id->run_id, sizeof id->run_id, "mpich:%d", (int)getppid());
    return MILL_OK;
}

/* ORDER SOURCE: the first whose variables are there. */
static const struct {
    const char *name, *rank, *world, *needs;
    mill_err (*read)(rank_identity *id);
} sources[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "RANK", from_torchrun},
    {"slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_ID", from_slurm},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE",
     from_openmpi},
    {"mpich", "PMI_RANK", "PMI_SIZE", "PMI_SIZE", from_mpich},
};
enum { N_SOURCES = sizeof sources / sizeof *sources };

static int find_source(void)
{
    for (int i = 0; i < N_SOURCES; i++)
        if (is_set(sources[i].rank) && is_set(sources[i].needs)) return i;
    return -1;
}

/* A rank that is bound (spawn.c) sees its own processors alone. */
int rank_thread_share(const rank_identity *who)
{
    const int there = mill_cpu_count();
    const int share = is_set("TABMILL_BOUND") ? there : there / who->local_world;

    return share > 1 ? share : 1;
}

bool rank_is_spawned(void)
{
    rank_identity id;

    return !rank_identify(&id, NULL) && id.world > 1;
}

/* What was not said: one host, in order. */
static void complete(rank_identity *id)
{
    if (id->local_world < 0) id->local_world = id->nodes > 1 ? 1 : id->world;
    if (id->local_rank < 0) id->local_rank = id->local_world == id->world ? id->rank : 0;
    if (id->nodes < 0) /* at least; the last host may have fewer */
        id->nodes = id->local_world ? (id->world + id->local_world - 1) / id->local_world : 1;
    if (id->node < 0) id->node = id->local_world ? id->rank / id->local_world : 0;
}

static mill_err check(const rank_identity *id, const char *rank, const char *world)
{
    if (id->world < 1 || id->world > RANK_MAX_WORLD)
        return mill_fail(MILL_EINPUT, "%s is %d: 1 to %d ranks are possible", world, id->world,
                         RANK_MAX_WORLD);
    if (id->rank < 0 || id->rank >= id->world)
        return mill_fail(MILL_EINPUT, "%s is %d and %s is %d: ranks are 0 to %d", rank, id->rank,
                         world, id->world, id->world - 1);
    if (id->local_world < 1 || id->local_world > id->world)
        return mill_fail(MILL_EINPUT, "%d ranks on this host (%s) of %d in all (%s)",
                         id->local_world, "local world size", id->world, world);
    if (id->local_rank < 0 || id->local_rank >= id->local_world)
        return mill_fail(MILL_EINPUT, "local rank %d (LOCAL_RANK) of %d on this host",
                         id->local_rank, id->local_world);
    if (id->local_world == id->world && id->local_rank != id->rank)
        return mill_fail(MILL_EINPUT,
                         "%s is %d and the local rank is %d, though all %d ranks are on this host",
                         rank, id->rank, id->local_rank, id->world);
    return MILL_OK;
}

/* A flag that was given; what the variables say must not be something else. */
static mill_err take_flag(int *value, int flag, int source, const char *name)
{
    if (flag < 0) return MILL_OK;
    if (source >= 0 && *value >= 0 && *value != flag)
        return mill_fail(MILL_EINPUT, "--%s %d contradicts %s, which started this process as %d",
                         name, flag, sources[source].name, *value);
    *value = flag;
    return MILL_OK;
}

mill_err rank_identify(rank_identity *out, const rank_flags *flags)
{
    const rank_flags f = flags ? *flags : RANK_NO_FLAGS;
    const bool flagged = f.rank >= 0 || f.world >= 0;
    const int source = find_source();
    rank_identity id = {
        .rank = -1, .world = -1, .local_rank = -1, .local_world = -1, .node = -1, .nodes = -1};

    if (source >= 0) TRY(sources[source].read(&id));
    if (flagged && source < 0 && (f.rank < 0 || f.world < 0))
        return mill_fail(MILL_EINPUT, "--rank and --world-size belong together");
    TRY(take_flag(&id.rank, f.rank, source, "rank"));
    TRY(take_flag(&id.world, f.world, source, "world-size"));
    TRY(take_flag(&id.local_rank, f.local_rank, source, "local-rank"));
    TRY(take_flag(&id.local_world, f.local_world, source, "local-world-size"));
    if (source < 0 && !flagged) {
        int world = 1;
        TRY(env_int(&world, "WORLD_SIZE"));
        if (world > 1)
            return mill_fail(MILL_EINPUT,
                             "WORLD_SIZE is %d and RANK is not set: which of the ranks is this?",
                             world);
        id.rank = 0;
        id.world = 1;
    }
    complete(&id);
    TRY(check(&id, source < 0 ? "--rank" : sources[source].rank,
              source < 0 ? "--world-size" : sources[source].world));
    snprintf(id.source, sizeof id.source, "%s",
             source >= 0 ? sources[source].name
             : flagged   ? "flags"
                         : "single");
    if (source < 0)
        snprintf(id.run_id, sizeof id.run_id, "%s",
                 getenv("TABMILL_RUN_ID") && flagged ? getenv("TABMILL_RUN_ID") : id.source);
    *out = id;
    return MILL_OK;
}
