/* t_file.c - files appear whole or not at all, whichever operation fails; and the checksum. */
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], name[128], temporary[160];

/* A fresh folder for each test; `name` is a file in it. */
static void enter_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/tabmill-t_file-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(name, sizeof name, "%s/a.bin", folder);
    snprintf(temporary, sizeof temporary, "%s.tmp", name);
}

static void leave_folder(void)
{
    assert_ok(file_remove_tree(folder));
    assert_false(file_exists(folder));
}

static void assert_content(const char *path, const void *want, size_t n)
{
    char *got;
    size_t len;

    assert_ok(file_read_all(&got, &len, path));
    assert_int_equal(len, n);
    assert_memory_equal(got, want, n);
    assert_int_equal(got[len], 0);
    mill_free(got);
}

void test_file__writes_of_any_size_arrive_in_order(void **state)
{
    enum { MOST = 400000 };
    mill_rng r = mill_rng_init(1, 0, 0);
    unsigned char *want = malloc(MOST + 200000);
    size_t n = 0;
    mill_file *f;

    (void)state;
    enter_folder();
    assert_ok(file_create_atomic(&f, name));
    while (n < MOST) {
        const size_t size = mill_rng_below(&r, n % 3 ? 300 : 150000);
        for (size_t i = 0; i < size; i++) want[n + i] = (unsigned char)mill_rng_u32(&r);
        assert_ok(file_write(f, want + n, size));
        n += size;
        assert_int_equal(file_tell(f), n);
    }
    assert_ok(file_printf(f, "%s", ""));
    assert_ok(file_commit(f));
    file_close(f);
    assert_content(name, want, n);
    free(want);
    leave_folder();
}

void test_file__printf_takes_long_lines(void **state)
{
    char want[4003];
    mill_file *f;

    (void)state;
    enter_folder();
    assert_ok(file_create(&f, name));
    assert_ok(file_printf(f, "a%*d", 4000, 5));
    file_close(f);
    snprintf(want, sizeof want, "a%*d", 4000, 5);
    assert_content(name, want, 4001);
    leave_folder();
}

void test_file__printf_writes_every_byte_around_its_buffer(void **state)
{
    char want[1100];
    mill_file *f;

    (void)state;
    enter_folder();
    for (int n = 1020; n < 1030; n++) {
        memset(want, 'x', (size_t)n);
        want[n] = 0;
        assert_ok(file_create(&f, name));
        assert_ok(file_printf(f, "%s", want));
        file_close(f);
        assert_content(name, want, (size_t)n);
    }
    leave_folder();
}

void test_file__close_gives_back_its_number_and_leaves_the_standard_ones(void **state)
{
    mill_file *f;

    (void)state;
    enter_folder();
    const int next = dup(0);
    close(next);
    assert_ok(file_write_all(name, "x", 1));
    assert_ok(file_open(&f, name));
    file_close(f);
    assert_ok(file_open(&f, "-"));
    file_close(f);
    assert_ok(file_create(&f, "-"));
    file_close(f);
    assert_true(fcntl(0, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0);
    const int again = dup(0);
    assert_int_equal(again, next);
    close(again);
    leave_folder();
}

void test_file__appears_only_on_commit(void **state)
{
    mill_file *f;

    (void)state;
    enter_folder();
    assert_ok(file_create_atomic(&f, name));
    assert_ok(file_write(f, "new", 3));
    assert_ok(file_flush(f));
    assert_false(file_exists(name));
    file_close(f);
    assert_false(file_exists(name));
    assert_false(file_exists(temporary));

    assert_ok(file_write_all(name, "old", 3));
    assert_ok(file_create_atomic(&f, name));
    assert_ok(file_write(f, "newer", 5));
    assert_content(name, "old", 3);
    assert_ok(file_commit(f));
    file_close(f);
    assert_content(name, "newer", 5);
    assert_false(file_exists(temporary));
    leave_folder();
}

void test_file__a_temporary_left_by_a_killed_writer_is_taken_over(void **state)
{
    (void)state;
    enter_folder();
    const int fd = open(temporary, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "a long rest of an earlier life", 30), 30);
    close(fd);
    assert_ok(file_write_all(name, "new", 3));
    assert_content(name, "new", 3);
    assert_false(file_exists(temporary));
    leave_folder();
}

void test_file__two_writers_of_one_name_do_not_mix(void **state)
{
    mill_file *f, *g = NULL;

    (void)state;
    enter_folder();
    assert_ok(file_create_atomic(&f, name));
    assert_ok(file_write(f, "first", 5));
    assert_fails(MILL_EIO, "another process", file_create_atomic(&g, name));
    assert_null(g);
    assert_ok(file_commit(f));
    file_close(f);
    assert_content(name, "first", 5);
    leave_folder();
}

/* Every operation of one write, failed in turn: the old content stays, nothing is left behind,
 * nothing leaks. */
static void sweep(file_op what, int at_least)
{
    mill_mem_stats before, after;
    mill_err err;
    int64_t n = 0;

    enter_folder();
    assert_ok(file_write_all(name, "old", 3));
    mill_mem_get_stats(&before);
    do {
        mill_file_fail_at(what, ++n);
        err = file_write_all(name, "the new", 7);
        mill_file_fail_at(what, 0);
        if (!err) break;
        assert_int_equal(err, MILL_EIO);
        assert_non_null(strstr(mill_error(), folder));
        assert_false(file_exists(temporary));
        assert_content(name, "old", 3);
    } while (n < 100);
    assert_true(n > at_least && n < 100);
    assert_content(name, "the new", 7);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
    leave_folder();
}

void test_file__a_failed_write_changes_nothing(void **state)
{
    (void)state;
    sweep(FILE_OP_WRITE, 1);
}

void test_file__a_failed_fsync_or_rename_changes_nothing(void **state)
{
    (void)state;
    sweep(FILE_OP_FSYNC, 1);
    sweep(FILE_OP_RENAME, 1);
}

static void keep_line(void *ctx, mill_log_level level, const char *line)
{
    assert_int_equal(level, MILL_LOG_WARN);
    snprintf(ctx, 256, "%s", line);
}

/* After the rename the file is there, whole: a failure would be untrue, silence as well. */
void test_file__an_unsynced_folder_is_a_warning(void **state)
{
    char line[256] = "";

    (void)state;
    enter_folder();
    assert_ok(file_write_all(name, "old", 3));
    mill_log_set(keep_line, line, MILL_LOG_WARN);
    mill_file_fail_at(FILE_OP_FSYNC, 2);
    assert_ok(file_write_all(name, "the new", 7));
    mill_file_fail_at(FILE_OP_FSYNC, 0);
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
    assert_content(name, "the new", 7);
    assert_non_null(strstr(line, "a.bin: written, but its folder could not be synced"));
    leave_folder();
}

void test_file__a_failed_read_is_told(void **state)
{
    char *got = (char *)name;
    size_t len = 5;

    (void)state;
    enter_folder();
    assert_ok(file_write_all(name, "text", 4));
    mill_file_fail_at(FILE_OP_READ, 1);
    assert_fails(MILL_EIO, "a.bin: cannot read", file_read_all(&got, &len, name));
    assert_ptr_equal(got, name);
    leave_folder();
}

void test_file__every_allocation_may_fail(void **state)
{
    mill_mem_stats before, after;
    int64_t n = 0;
    bool done = false;

    (void)state;
    enter_folder();
    mill_mem_get_stats(&before);
    while (!done) {
        char *got = NULL, **list = NULL;
        size_t len;
        int count;
        assert_ok(file_remove(name));
        mill_mem_fail_at(++n);
        const bool is_written = file_write_all(name, "text", 4) == MILL_OK;
        assert_int_equal(file_exists(name), is_written);
        done = is_written && file_read_all(&got, &len, name) == MILL_OK &&
               file_list(&list, &count, folder) == MILL_OK && file_mkdir(folder) == MILL_OK;
        mill_mem_fail_at(0);
        if (!done) assert_non_null(strstr(mill_error(), "memory"));
        mill_free(got);
        mill_free(list);
    }
    assert_true(n > 8);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
    leave_folder();
}

/* A child that kills itself at each write, fsync and rename in turn: the name has the old or the
 * new content, never a part. */
void test_file__survives_a_kill_at_every_step(void **state)
{
    static const char *const ops[] = {"write", "fsync", "rename"};
    int kills = 0;

    (void)state;
    enter_folder();
    for (int op = 0; op < 3; op++)
        for (int n = 1;; n++) {
            char fault[32];
            int status;
            assert_ok(file_write_all(name, "old", 3));
            snprintf(fault, sizeof fault, "%s:%d:kill", ops[op], n);
            const pid_t child = fork();
            if (child == 0) {
                setenv("TABMILL_FAULT", fault, 1);
                execl("/proc/self/exe", "t_file", "--write", name, (char *)NULL);
                _exit(99);
            }
            waitpid(child, &status, 0);
            if (WIFEXITED(status)) break;
            assert_int_equal(WTERMSIG(status), SIGKILL);
            kills++;
            char *got;
            size_t len;
            assert_ok(file_read_all(&got, &len, name));
            const bool is_whole =
                strcmp(got, "old") == 0 || (len == 200000 && got[0] == 'x' && got[199999] == 'x');
            mill_free(got);
            assert_true(is_whole);
            assert_true(n < 50);
        }
    assert_int_equal(kills, 4); /* one write, two fsyncs, one rename */
    leave_folder();
}

/* The child of the test above comes here before main. */
__attribute__((constructor)) static void be_the_child(void)
{
    char line[256] = "", *argv[4] = {line, NULL, NULL, NULL};
    const int fd = open("/proc/self/cmdline", O_RDONLY);
    const ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    for (int i = 1; i < 3; i++) argv[i] = argv[i - 1] + strlen(argv[i - 1]) + 1;
    if (n < 12 || strcmp(argv[1], "--write") != 0) return;
    static char big[200000];
    memset(big, 'x', sizeof big);
    _exit(file_write_all(argv[2], big, sizeof big) ? 1 : 0);
}

void test_file__special_files_are_written_in_place(void **state)
{
    (void)state;
    assert_ok(file_write_all("/dev/null", "x", 1));
    assert_false(file_exists("/dev/null.tmp"));
    assert_true(file_exists("/dev/null"));
    assert_fails(MILL_EIO, "folder", file_write_all("/tmp", "x", 1));
    assert_fails(MILL_EIO, "/nowhere/at/all", file_write_all("/nowhere/at/all", "x", 1));
}

void test_file__a_full_disk_is_an_error(void **state)
{
    static char big[100000];
    mill_file *f;

    (void)state;
    assert_ok(file_create(&f, "/dev/full"));
    assert_ok(file_write(f, "x", 1)); /* buffered */
    assert_fails(MILL_EIO, "No space left", file_flush(f));
    assert_fails(MILL_EIO, "No space left", file_write(f, big, sizeof big));
    file_close(f);
}

void test_file__append_adds_whole_lines_from_several_writers(void **state)
{
    mill_file *f, *g;

    (void)state;
    enter_folder();
    assert_ok(file_open_append(&f, name));
    assert_ok(file_open_append(&g, name));
    assert_ok(file_printf(f, "one\n"));
    assert_ok(file_flush(f));
    assert_ok(file_printf(g, "two\n"));
    assert_ok(file_flush(g));
    assert_ok(file_printf(f, "three\n"));
    file_close(f);
    file_close(g);
    assert_content(name, "one\ntwo\nthree\n", 14);
    leave_folder();
}

void test_file__reads_pipes_to_their_end(void **state)
{
    int ends[2];
    char path[32], *got;
    size_t len;
    mill_file *f;
    int64_t bytes = 7;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        char block[1000];
        memset(block, 'p', sizeof block);
        for (int i = 0; i < 300; i++)
            if (write(ends[1], block, sizeof block) < 0) _exit(1);
        _exit(0);
    }
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_ok(file_open(&f, path));
    assert_fails(MILL_EIO, "no size", file_size(f, &bytes));
    assert_int_equal(bytes, 7);
    file_close(f);
    assert_ok(file_read_all(&got, &len, path));
    assert_int_equal(len, 300000);
    assert_int_equal(got[299999], 'p');
    mill_free(got);
    close(ends[0]);
    waitpid(child, NULL, 0);
}

void test_file__pread_and_map_see_the_bytes(void **state)
{
    char part[8] = "";
    const void *p;
    size_t got, len;
    mill_file *f;
    int64_t bytes;

    (void)state;
    enter_folder();
    assert_ok(file_write_all(name, "0123456789", 10));
    assert_ok(file_open(&f, name));
    assert_ok(file_size(f, &bytes));
    assert_int_equal(bytes, 10);
    assert_ok(file_pread(f, part, 4, 3, &got));
    assert_int_equal(got, 4);
    assert_memory_equal(part, "3456", 4);
    assert_ok(file_pread(f, part, 8, 7, &got));
    assert_int_equal(got, 3);
    assert_ok(file_read(f, part, 2, &got));
    assert_memory_equal(part, "01", 2); /* pread moves nothing */
    assert_int_equal(file_tell(f), 2);
    file_close(f);
    assert_ok(file_map(&p, &len, name));
    assert_int_equal(len, 10);
    assert_memory_equal(p, "0123456789", 10);
    file_unmap(p, len);
    assert_ok(file_write_all(name, "", 0));
    assert_ok(file_map(&p, &len, name));
    assert_int_equal(len, 0);
    file_unmap(p, len);
    assert_content(name, "", 0);
    assert_fails(MILL_EIO, "folder", file_open(&f, folder));
    assert_fails(MILL_EIO, "No such file", file_map(&p, &len, "/nowhere"));
    leave_folder();
}

void test_folder__is_made_with_parents_listed_in_order_and_removed(void **state)
{
    char path[160], **names;
    int n = 0;

    (void)state;
    enter_folder();
    snprintf(path, sizeof path, "%s/x/y//z/", folder);
    assert_ok(file_mkdir(path));
    assert_ok(file_mkdir(path));
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "%s/x/y/z/f%03d", folder, i * 7 % 200);
        assert_ok(file_write_all(path, "", 0));
    }
    snprintf(path, sizeof path, "%s/x/y/z", folder);
    assert_ok(file_list(&names, &n, path));
    assert_int_equal(n, 200);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "f%03d", i);
        assert_string_equal(names[i], path);
    }
    mill_free(names);
    snprintf(path, sizeof path, "%s/x/y/z/f000/deeper", folder);
    assert_fails(MILL_EIO, "folder", file_mkdir(path));
    assert_ok(file_list(&names, &n, folder));
    assert_int_equal(n, 1);
    mill_free(names);
    assert_fails(MILL_EIO, "list", file_list(&names, &n, "/nowhere"));
    assert_ok(file_remove(name));
    assert_ok(file_remove_tree("/nowhere"));
    leave_folder();
}

void test_file__a_lock_is_held_until_it_is_closed(void **state)
{
    int first = -1, second = -1;

    (void)state;
    enter_folder();
    assert_ok(file_lock(&first, name));
    assert_fails(MILL_EINPUT, "is locked by another process", file_lock(&second, name));
    assert_int_equal(second, -1);
    close(first);
    assert_ok(file_lock(&second, name));
    close(second);
    leave_folder();
    assert_fails(MILL_EIO, "cannot open", file_lock(&second, name));
}

/* RFC 3720, appendix B.4, and the usual check value. */
void test_crc32c__agrees_with_its_rfc(void **state)
{
    unsigned char b[32];

    (void)state;
    assert_int_equal(mill_crc32c(0, "123456789", 9), 0xe3069283u);
    memset(b, 0, 32);
    assert_int_equal(mill_crc32c(0, b, 32), 0x8a9136aau);
    memset(b, 0xff, 32);
    assert_int_equal(mill_crc32c(0, b, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) b[i] = (unsigned char)i;
    assert_int_equal(mill_crc32c(0, b, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++) b[i] = (unsigned char)(31 - i);
    assert_int_equal(mill_crc32c(0, b, 32), 0x113fdb5cu);
    assert_int_equal(mill_crc32c(0, NULL, 0), 0);
}

/* Bit by bit, by the definition; in pieces of any length and at any alignment. */
void test_crc32c__is_the_polynomial_in_any_pieces(void **state)
{
    unsigned char b[300];
    mill_rng r = mill_rng_init(9, 0, 0);

    (void)state;
    for (int round = 0; round < 200; round++) {
        const size_t from = mill_rng_below(&r, 9), n = mill_rng_below(&r, 290),
                     cut = n ? mill_rng_below(&r, (uint32_t)n) : 0;
        uint32_t want = ~0u;
        for (size_t i = 0; i < sizeof b; i++) b[i] = (unsigned char)mill_rng_u32(&r);
        for (size_t i = 0; i < 8 * n; i++) {
            const uint32_t bit = (want ^ (uint32_t)(b[from + i / 8] >> i % 8)) & 1;
            want = want >> 1 ^ (bit ? 0x82f63b78u : 0);
        }
        assert_int_equal(mill_crc32c(0, b + from, n), ~want);
        assert_int_equal(mill_crc32c(mill_crc32c(0, b + from, cut), b + from + cut, n - cut),
                         ~want);
    }
}
