/* t_rank_identity.c - who am I: by flags and by the variables of four starters. */
#include "lib/test.h"

#include "rank/rank.h"

static const char *const variables[] = {
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "GROUP_WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_RESTART_COUNT",
    "MASTER_PORT",
    "SLURM_PROCID",
    "SLURM_NTASKS",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_STEP_ID",
    "SLURM_STEP_NUM_NODES",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_TASKS_PER_NODE",
    "SLURM_JOB_ID",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "PMI_RANK",
    "PMI_SIZE",
    "MPI_LOCALRANKID",
    "MPI_LOCALNRANKS",
};

/* An environment of "NAME=value NAME=value" alone. */
static void say(const char *text)
{
    char copy[600], *rest = copy, *word;

    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
    snprintf(copy, sizeof copy, "%s", text);
    while ((word = strsep(&rest, " "))) {
        char *value = strchr(word, '=');
        if (!value) continue;
        *value++ = 0;
        setenv(word, value, 1);
    }
}

static rank_identity who(const char *environment)
{
    rank_identity id;

    say(environment);
    assert_ok(rank_identify(&id, NULL));
    return id;
}

typedef struct {
    int rank, world, local_rank, local_world, node, nodes;
} place;

static void expect(const rank_identity *id, const char *source, place want)
{
    assert_string_equal(id->source, source);
    assert_int_equal(id->rank, want.rank);
    assert_int_equal(id->world, want.world);
    assert_int_equal(id->local_rank, want.local_rank);
    assert_int_equal(id->local_world, want.local_world);
    assert_int_equal(id->node, want.node);
    assert_int_equal(id->nodes, want.nodes);
}

void test_rank_identity__without_anything_is_one_rank(void **state)
{
    (void)state;
    const rank_identity id = who("");
    expect(&id, "single", (place){0, 1, 0, 1, 0, 1});
    assert_false(rank_is_spawned());
}

void test_rank_identity__reads_each_starter(void **state)
{
    (void)state;
    rank_identity id = who("RANK=3 WORLD_SIZE=4 LOCAL_RANK=1 LOCAL_WORLD_SIZE=2 GROUP_RANK=1");
    expect(&id, "torchrun", (place){3, 4, 1, 2, 1, 2});
    assert_true(rank_is_spawned());
    id = who("RANK=1 WORLD_SIZE=2"); /* torch's env:// needs no more */
    expect(&id, "torchrun", (place){1, 2, 1, 2, 0, 1});
    id = who("SLURM_PROCID=5 SLURM_NTASKS=7 SLURM_LOCALID=1 SLURM_NODEID=2 SLURM_STEP_ID=0 "
             "SLURM_STEP_NUM_NODES=4 SLURM_TASKS_PER_NODE=2(x3),1");
    expect(&id, "slurm", (place){5, 7, 1, 2, 2, 4});
    id = who("SLURM_PROCID=6 SLURM_NTASKS=7 SLURM_LOCALID=0 SLURM_NODEID=3 SLURM_STEP_ID=0 "
             "SLURM_STEP_NUM_NODES=4 SLURM_TASKS_PER_NODE=2(x3),1");
    expect(&id, "slurm", (place){6, 7, 0, 1, 3, 4});
    id = who("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 "
             "OMPI_COMM_WORLD_LOCAL_SIZE=2");
    expect(&id, "openmpi", (place){1, 2, 1, 2, 0, 1});
    id = who("PMI_RANK=2 PMI_SIZE=4 MPI_LOCALRANKID=0 MPI_LOCALNRANKS=2");
    expect(&id, "mpich", (place){2, 4, 0, 2, 1, 2});
}

void test_rank_identity__of_a_batch_script_is_one_rank(void **state)
{
    (void)state;
    const rank_identity id = who("SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_LOCALID=0");
    expect(&id, "single", (place){0, 1, 0, 1, 0, 1});
}

void test_rank_identity__prefers_the_inner_starter(void **state)
{
    (void)state;
    const rank_identity id =
        who("RANK=1 WORLD_SIZE=2 SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_STEP_ID=0");
    expect(&id, "torchrun", (place){1, 2, 1, 2, 0, 1});
}

void test_rank_identity__takes_flags(void **state)
{
    rank_identity id;

    (void)state;
    say("");
    assert_ok(rank_identify(&id, &(rank_flags){1, 3, -1, -1}));
    expect(&id, "flags", (place){1, 3, 1, 3, 0, 1});
    say("RANK=1 WORLD_SIZE=2"); /* the same again is no contradiction */
    assert_ok(rank_identify(&id, &(rank_flags){1, 2, -1, -1}));
    expect(&id, "torchrun", (place){1, 2, 1, 2, 0, 1});
}

void test_rank_identity__refuses_contradictions(void **state)
{
    rank_identity id = {.rank = 77};

    (void)state;
    say("RANK=2 WORLD_SIZE=2");
    assert_fails(MILL_EINPUT, "RANK is 2 and WORLD_SIZE is 2", rank_identify(&id, NULL));
    say("RANK=1");
    assert_fails(MILL_EINPUT, "WORLD_SIZE is not", rank_identify(&id, NULL));
    say("WORLD_SIZE=2");
    assert_fails(MILL_EINPUT, "RANK is not set", rank_identify(&id, NULL));
    say("RANK=1 WORLD_SIZE=two");
    assert_fails(MILL_EINPUT, "WORLD_SIZE=\"two\"", rank_identify(&id, NULL));
    say("RANK=1 WORLD_SIZE=4 LOCAL_RANK=2 LOCAL_WORLD_SIZE=2");
    assert_fails(MILL_EINPUT, "local rank 2", rank_identify(&id, NULL));
    say("RANK=1 WORLD_SIZE=2 LOCAL_RANK=0 LOCAL_WORLD_SIZE=2");
    assert_fails(MILL_EINPUT, "all 2 ranks are on this host", rank_identify(&id, NULL));
    say("RANK=1 WORLD_SIZE=2");
    assert_fails(MILL_EINPUT, "--world-size 3 contradicts torchrun",
                 rank_identify(&id, &(rank_flags){-1, 3, -1, -1}));
    say("");
    assert_fails(MILL_EINPUT, "belong together", rank_identify(&id, &(rank_flags){1, -1, -1, -1}));
    say("RANK=1 WORLD_SIZE=100000");
    assert_fails(MILL_EINPUT, "WORLD_SIZE is 100000", rank_identify(&id, NULL));
    static const char *const ports[] = {"high", "0", "-1", "65536", "29500x"};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        char text[60];
        snprintf(text, sizeof text, "RANK=1 WORLD_SIZE=2 MASTER_PORT=%s", ports[i]);
        say(text);
        assert_fails(MILL_EINPUT, "is not a port: 1 to 65535", rank_identify(&id, NULL));
    }
    assert_int_equal(id.rank, 77); /* as it was */
}
